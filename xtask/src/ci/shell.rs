//! Commands as a person would type them: shown, then run, and named when they fail.

use std::ffi::OsStr;
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
        self.program("cargo").args(arguments)
    }

    /// Another program, by its name or its path.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Line {
        let shown = quoted(&program.as_ref().to_string_lossy());
        self.command(program.as_ref(), shown)
    }

    /// A line of a page, as the reader's shell would take it.
    pub fn line(&self, line: &str) -> Line {
        let mut shell = self.command("sh".as_ref(), line.to_owned());
        shell.command.args(["-c", line]);
        shell
    }

    fn command(&self, program: &OsStr, shown: String) -> Line {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        // A test that lacks something must fail here, not pass over itself.
        command.env("CI", "true").env("DFO_NO_SKIP", "1");
        // The same cases each time, so that what fails was broken by the change.
        command.env("PROPTEST_RNG_SEED", "1");
        Line {
            root: self.root.clone(),
            command,
            variables: Vec::new(),
            shown: vec![shown],
        }
    }
}

/// A command, and how it reads.
pub struct Line {
    root: PathBuf,
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

    /// Without a variable that it would have.
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// In a folder of the project.
    pub fn within(mut self, folder: &str) -> Self {
        self.command.current_dir(self.root.join(folder));
        self.variables
            .insert(0, format!("cd {} &&", quoted(folder)));
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

    /// Runs it, and writes down what would be seen: for what runs beside something else.
    pub fn run_into(mut self, transcript: &mut String) -> Result<()> {
        let shown = self.text();
        transcript.extend(["$ ", &shown, "\n"]);
        let output = self.command.output().with_context(|| shown.clone())?;
        for said in [&output.stdout, &output.stderr] {
            *transcript += &String::from_utf8_lossy(said);
        }
        expect_success(&shown, output.status)
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
    fn a_transcript_has_the_command_and_all_it_says() {
        let mut transcript = String::new();
        let line = shell().line("echo out; echo err >&2; exit 1");
        line.run_into(&mut transcript).unwrap_err();
        assert_eq!(transcript, "$ echo out; echo err >&2; exit 1\nout\nerr\n");
    }

    #[test]
    fn tests_are_told_to_skip_nothing_and_get_no_input() {
        let output = shell().line("echo $CI $DFO_NO_SKIP; cat").output().unwrap();
        assert_eq!(output, "true 1\n");
    }
}
