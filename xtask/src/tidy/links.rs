//! Relative links in Markdown lead to files of the repository.

use super::tracked::{TextFile, Tracked};
use super::{Project, Violation};

/// Every relative link leads to a tracked file or folder.
pub fn lead_somewhere(project: &Project) -> Vec<Violation> {
    let pages = project
        .tracked
        .texts
        .iter()
        .filter(|file| file.has_extension("md"));
    pages
        .flat_map(|page| broken(page, &project.tracked))
        .collect()
}

fn broken(page: &TextFile, tracked: &Tracked) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (at, target) in links(&page.text) {
        if !is_relative(&target) {
            continue;
        }
        let what = match resolve(&page.path, &target) {
            None => format!("the link to `{target}` leads out of the repository"),
            Some(path) if path.is_empty() || tracked.has(&path) => continue,
            Some(path) => {
                format!("the link to `{path}` leads nowhere, or git does not track it yet")
            }
        };
        violations.push(Violation::at(&page.path, &page.text, at, what));
    }
    violations
}

fn is_relative(target: &str) -> bool {
    let scheme = target.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    !scheme && !target.is_empty() && !target.starts_with('#') && !target.starts_with("//")
}

/// The target from the root of the repository, without its fragment; none if it is outside.
fn resolve(page: &str, target: &str) -> Option<String> {
    let target = target.split(['#', '?']).next().unwrap_or_default();
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    if target.starts_with('/') {
        return None;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The targets of links, images and reference definitions, outside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let prose = without_code(text);
    let mut found = Vec::new();
    for (at, open) in prose.match_indices("](") {
        let rest = &prose[at + open.len()..];
        let inside = &rest[..rest.find([')', '\n']).unwrap_or(rest.len())];
        found.push((at, destination(inside)));
    }
    let mut line_start = 0;
    for line in prose.split_inclusive('\n') {
        let definition = line
            .trim_start()
            .strip_prefix('[')
            .filter(|rest| !rest.starts_with('^'));
        if let Some((_, target)) = definition.and_then(|rest| rest.split_once("]:")) {
            found.push((line_start, destination(target)));
        }
        line_start += line.len();
    }
    found
}

/// A destination without its title and brackets.
fn destination(inside: &str) -> String {
    let target = inside.split_whitespace().next().unwrap_or_default();
    target
        .trim_start_matches('<')
        .trim_end_matches('>')
        .to_owned()
}

/// The text with fenced blocks and code spans blanked; offsets stay.
fn without_code(text: &str) -> String {
    let mut prose = String::with_capacity(text.len());
    let mut fenced = false;
    for line in text.split_inclusive('\n') {
        let fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        let mut in_span = false;
        for c in line.chars() {
            in_span ^= c == '`';
            if (fenced || fence || in_span) && c != '\n' {
                prose.extend(std::iter::repeat_n(' ', c.len_utf8()));
            } else {
                prose.push(c);
            }
        }
        fenced ^= fence;
    }
    prose
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken_in(text: &str) -> Vec<String> {
        let tracked = Tracked::of(&[("docs/wire.md", text), ("docs/b.md", ""), ("LICENSE", "")]);
        let page = tracked
            .texts
            .iter()
            .find(|file| file.path == "docs/wire.md")
            .unwrap();
        broken(page, &tracked)
            .into_iter()
            .map(|violation| violation.to_string())
            .collect()
    }

    #[test]
    fn links_to_what_is_there_are_fine() {
        for text in [
            "[a](b.md) [b](./b.md#part \"title\") [c](../LICENSE) [d](..) [e](../docs/)",
            "[a](https://example.org/x) [b](#part) [c](mailto:a@b)",
            "[a]: b.md\n[^1]: a note",
            "`[a](gone.md)`\n```text\n[a](gone.md)\n```\n",
        ] {
            assert_eq!(broken_in(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        let nowhere = "the link to `docs/gone.md` leads nowhere, or git does not track it yet";
        assert_eq!(
            broken_in("a\n[x](gone.md#part)"),
            [format!("docs/wire.md:2: {nowhere}")]
        );
        assert_eq!(broken_in("`a` [x](gone.md)").len(), 1);
        assert_eq!(broken_in("[x]: gone.md").len(), 1);
    }

    #[test]
    fn a_link_out_of_the_repository_is_found() {
        let outside = "docs/wire.md:1: the link to `../../shared/a.md` leads out of the repository";
        assert_eq!(broken_in("[x](../../shared/a.md)"), [outside]);
    }
}
