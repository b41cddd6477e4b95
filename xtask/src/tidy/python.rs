//! The Python sources, line by line: what ruff and mypy do not look for.

use super::tracked::TextFile;
use super::{Project, Violation};

/// How a comment begins that says why a test sleeps all the same.
const SLEEPS: &str = "# Sleeps";

/// Each module begins with a docstring, of what it is for.
pub fn documented(project: &Project) -> Vec<Violation> {
    python(project).filter_map(without_docstring).collect()
}

/// Tests in Python sleep no more than those in Rust do: the line above says why.
pub fn sleeping_tests(project: &Project) -> Vec<Violation> {
    python(project).flat_map(sleeps_in).collect()
}

fn python(project: &Project) -> impl Iterator<Item = &TextFile> {
    let texts = project.tracked.texts.iter();
    texts.filter(|file| file.has_extension("py"))
}

fn without_docstring(file: &TextFile) -> Option<Violation> {
    let mut lines = file.text.lines();
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let has = first.is_none_or(|line| line.starts_with("\"\"\""));
    let what = "says not what it is for: begin it with a docstring";
    (!has).then(|| Violation::new(&file.path, what))
}

fn sleeps_in(file: &TextFile) -> Vec<Violation> {
    if !file.path.split('/').any(|part| part == "tests") {
        return Vec::new();
    }
    let mut violations = Vec::new();
    let mut above = "";
    for (number, line) in (1..).zip(file.text.lines().map(str::trim)) {
        // Of no time at all: lets other coroutines run.
        let sleeps = line.contains("sleep(") && !line.contains("sleep(0)");
        if sleeps && !line.starts_with('#') && !above.starts_with(SLEEPS) {
            let what =
                format!("a test sleeps: wait for the event, or say why above (`{SLEEPS}: …`)");
            violations.push(Violation::new(format!("{}:{number}", file.path), what));
        }
        above = line;
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_module_begins_with_its_docstring() {
        for good in [
            "\"\"\"What it is for.\"\"\"\n",
            "#!/usr/bin/env python3\n\n\"\"\"What it is for.\n\"\"\"\n",
            "",
        ] {
            assert_eq!(without_docstring(&file("a.py", good)), None, "{good}");
        }
        let found = without_docstring(&file("a.py", "# What it is for.\nimport os\n"));
        assert_eq!(found.unwrap().place, "a.py");
    }

    #[test]
    fn a_test_that_sleeps_says_why() {
        let sleeps = |path, text| sleeps_in(&file(path, text)).len();
        assert_eq!(sleeps("a/tests/b.py", "import time\ntime.sleep(1)\n"), 1);
        let said = "    # Sleeps: it plays someone slow.\n    time.sleep(1)\n";
        assert_eq!(sleeps("a/tests/b.py", said), 0);
        assert_eq!(sleeps("a/tests/b.py", "await asyncio.sleep(0)\n"), 0);
        assert_eq!(sleeps("examples/b.py", "time.sleep(1)\n"), 0);
    }

    #[test]
    fn the_line_is_named() {
        let found = sleeps_in(&file("tests/b.py", "\n\nsleep(1)\n"));
        assert_eq!(found[0].place, "tests/b.py:3");
    }
}
