//! The operator's page is one session that works: CI runs its very blocks.

use std::fs;

use anyhow::{Context, Result, bail};

use super::shell::Shell;

const PAGE: &str = "docs/operate.md";

/// Where the command is installed for the page.
const INSTALLED: &str = "target/installed";

/// Runs the page's ```` ```sh ```` blocks, one after the other in one shell, with `dfo` installed.
pub fn session(shell: &Shell) -> Result<()> {
    let page = fs::read_to_string(shell.root().join(PAGE)).context(PAGE)?;
    let session = session_of(&page)?;
    let install = ["install", "--quiet", "--path", "crates/dfo-cli"];
    let install = shell.cargo(&install).args(&["--features", "zmq"]);
    install.env("CARGO_INSTALL_ROOT", INSTALLED).run()?;
    let bin = shell.root().join(INSTALLED).join("bin");
    let path = std::env::var("PATH").unwrap_or_default();
    // What is waited for comes, or the session is broken.
    let bash = shell
        .program("timeout")
        .args(&["300", "bash", "-c", &session]);
    bash.env("PATH", &format!("{}:{path}", bin.display())).run()
}

/// The blocks as one script, which shows what it runs, stops at the first failure, and leaves no process
/// behind.
fn session_of(page: &str) -> Result<String> {
    let mut script =
        String::from("set -eu\ntrap 'kill $(jobs -p) 2>&- || true; wait' EXIT\nset -v\n");
    let mut inside = false;
    let mut blocks = 0;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = !inside && line == "```sh";
            blocks += usize::from(inside);
        } else if inside {
            script.extend([line, "\n"]);
        }
    }
    match blocks {
        0 => bail!("{PAGE} has no ```sh blocks"),
        _ => Ok(script),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_a_page_are_one_script() {
        let page = "# A\n```sh\na=1\ncat <<'END'\n# kept\nEND\n```\n```text\nno\n```\n```sh\necho $a\n```\n";
        let script = session_of(page).unwrap();
        assert!(
            script.ends_with("a=1\ncat <<'END'\n# kept\nEND\necho $a\n"),
            "{script}"
        );
    }

    #[test]
    fn a_page_without_blocks_is_refused() {
        let error = session_of("```text\nls\n```").unwrap_err().to_string();
        assert!(error.contains("no ```sh blocks"), "{error}");
    }
}
