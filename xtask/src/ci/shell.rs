//! Commands as a person would type them: shown, then run, and named when they fail.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// Where the commands of CI run, and what they all see.
pub struct Shell {
    root: PathBuf,
}

impl Shell {
    pub fn new(root: &Path) -> Self {
        Shell {
            root: root.to_owned(),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A cargo command.
    pub fn cargo(&self, arguments: &[&str]) -> Line {
        self.program("cargo", &["cargo".to_owned()]).args(arguments)
    }

    /// A line of a page, as the reader's shell would take it.
    pub fn line(&self, line: &str) -> Line {
        let mut shell = self.program("sh", &[line.to_owned()]);
        shell.command.args(["-c", line]);
        shell
    }

    fn program(&self, program: &str, shown: &[String]) -> Line {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        // A test that lacks something must fail here, not pass over itself.
        command.env("CI", "true").env("DFO_NO_SKIP", "1");
        // The same cases each time, so that what fails was broken by the change.
        command.env("PROPTEST_RNG_SEED", "1");
        Line {
            command,
            variables: Vec::new(),
            shown: shown.to_vec(),
        }
    }
}

/// A command, and how it reads.
pub struct Line {
    command: Command,
    variables: Vec<String>,
    shown: Vec<String>,
}

impl Line {
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self.shown
            .extend(arguments.iter().map(|argument| quoted(argument)));
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.variables.push(format!("{name}={}", quoted(value)));
        self
    }

    /// Runs it, with its output going where ours goes.
    pub fn run(mut self) -> Result<()> {
        let shown = self.show();
        let status = self.command.status().with_context(|| shown.clone())?;
        expect_success(&shown, status)
    }

    /// Runs it, passes on its standard output, and gives it.
    pub fn output(mut self) -> Result<String> {
        let shown = self.show();
        let output = self.command.stderr(Stdio::inherit()).output();
        let output = output.with_context(|| shown.clone())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        print!("{text}");
        expect_success(&shown, output.status)?;
        Ok(text)
    }

    /// Runs a program that says much on standard error: all of it if it fails, else what is wanted.
    pub fn run_showing(mut self, wanted: fn(&str) -> bool) -> Result<()> {
        let shown = self.show();
        let output = self.command.stdout(Stdio::inherit()).output();
        let output = output.with_context(|| shown.clone())?;
        let text = String::from_utf8_lossy(&output.stderr);
        let failed = !output.status.success();
        for line in text.lines().filter(|line| failed || wanted(line)) {
            println!("{line}");
        }
        expect_success(&shown, output.status)
    }

    fn text(&self) -> String {
        [self.variables.as_slice(), &self.shown].concat().join(" ")
    }

    fn show(&self) -> String {
        let shown = self.text();
        println!("$ {shown}");
        shown
    }
}

fn expect_success(shown: &str, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{shown}`: {status}");
    }
    Ok(())
}

fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Shell {
        Shell::new(Path::new("."))
    }

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let line = shell()
            .cargo(&["doc"])
            .args(&["it's"])
            .env("FLAGS", "-D warnings");
        assert_eq!(line.text(), r"FLAGS='-D warnings' cargo doc 'it'\''s'");
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = shell().line("exit 3").run().unwrap_err();
        assert!(
            error.to_string().starts_with("`exit 3`: exit status: 3"),
            "{error}"
        );
    }

    #[test]
    fn what_a_failing_program_says_is_not_lost() {
        let quiet = |line: &str| line.starts_with("stat");
        shell().line("echo stat 1 >&2").run_showing(quiet).unwrap();
        shell()
            .line("echo why >&2; exit 1")
            .run_showing(quiet)
            .unwrap_err();
    }

    #[test]
    fn tests_are_told_to_skip_nothing_and_get_no_input() {
        let output = shell().line("echo $CI $DFO_NO_SKIP; cat").output().unwrap();
        assert_eq!(output, "true 1\n");
    }
}
