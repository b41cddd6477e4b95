//! The README's commands do what it says: CI runs the very lines.

use std::fs;

use anyhow::{Context, Result, bail};

use super::shell::Shell;

const README: &str = "README.md";

/// The second command: every test.
const TEST: &str = "cargo test --workspace";

/// What the first command's output must show: a knob, its old value and its new one.
const PLANS: [(&str, &str); 2] = [
    ("dlio.prefetch_size", "2 → 3"),
    ("dlio.read_threads", "1 → 8"),
];

/// Runs the README's first command, the shipped example, and looks for both plans.
pub fn first_command(shell: &Shell) -> Result<()> {
    let [first, _] = commands(shell)?;
    let output = shell.line(&first).output()?;
    let missing = missing_plans(&output);
    if !missing.is_empty() {
        bail!(
            "`{first}` must show {} on a line each",
            missing.join(" and ")
        );
    }
    Ok(())
}

/// Runs the README's second command.
pub fn test_command(shell: &Shell) -> Result<()> {
    let [_, second] = commands(shell)?;
    shell.line(&second).run()
}

/// Runs all its other commands; what they install goes into the build folder.
pub fn other_commands(shell: &Shell) -> Result<()> {
    let text = fs::read_to_string(shell.root().join(README)).context(README)?;
    for command in shell_lines(&text).iter().skip(2) {
        shell
            .line(command)
            .env("CARGO_INSTALL_ROOT", "target/installed")
            .run()?;
    }
    Ok(())
}

fn commands(shell: &Shell) -> Result<[String; 2]> {
    let text = fs::read_to_string(shell.root().join(README)).context(README)?;
    first_two(&text).context(README)
}

fn first_two(readme: &str) -> Result<[String; 2]> {
    let mut commands = shell_lines(readme).into_iter();
    let (Some(first), Some(second)) = (commands.next(), commands.next()) else {
        bail!("there are no two commands in its ```sh blocks");
    };
    if !first.contains("cargo run ") {
        bail!("its first command, `{first}`, must be the `cargo run …` of the example");
    }
    if second != TEST {
        bail!("its second command, `{second}`, must be `{TEST}`");
    }
    Ok([first, second])
}

/// The commands in a page's ```` ```sh ```` blocks, without comments, continued lines joined.
fn shell_lines(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut begun = String::new();
    let mut inside = false;
    for line in page.lines().map(str::trim) {
        if line.starts_with("```") {
            inside = !inside && line == "```sh";
        } else if !inside || line.is_empty() || line.starts_with('#') {
            // Prose, output, or a comment.
        } else if let Some(part) = line.strip_suffix('\\') {
            begun.push_str(part);
        } else {
            commands.push(std::mem::take(&mut begun) + line);
        }
    }
    commands
}

/// The plans that no line shows, whatever the spaces between columns.
fn missing_plans(output: &str) -> Vec<String> {
    let columns = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = output.lines().map(columns).collect();
    let shown = |knob, step| {
        lines
            .iter()
            .any(|line| line.contains(knob) && line.contains(step))
    };
    let missing = PLANS.iter().filter(|(knob, step)| !shown(*knob, *step));
    missing
        .map(|(knob, step)| format!("`{knob}` {step}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# A\n```text\nno command\n```\n```sh\n# Try it\ncargo run -q -- \\\n  \
                        replay a.jsonl\n```\nThen\n```sh\ncargo test --workspace\ncargo install x\n```\n";

    #[test]
    fn the_two_commands_are_found() {
        let commands = first_two(GOOD).unwrap();
        assert_eq!(
            commands,
            ["cargo run -q -- replay a.jsonl", "cargo test --workspace"]
        );
    }

    #[test]
    fn other_first_commands_are_refused() {
        for (readme, why) in [
            ("no block", "no two commands"),
            ("```sh\nls\nls\n```", "its first command"),
            ("```sh\ncargo run a\ncargo build\n```", "its second command"),
        ] {
            let error = first_two(readme).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_plan_that_is_not_shown_is_named() {
        let line = "window 0  dlio.prefetch_size   2  →  3   n1";
        assert_eq!(missing_plans(line), ["`dlio.read_threads` 1 → 8"]);
        assert!(missing_plans(&format!("{line}\ndlio.read_threads 1 → 8")).is_empty());
    }
}
