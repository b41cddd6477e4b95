//! Rust source as text: telling code from comments and literals.
//!
//! Not a parser. It knows just enough of the lexical rules for a rule to look for a word in code and
//! not find itself in a comment, a message or a test's example.

use std::ops::Range;

/// The source with comments and the insides of literals blanked; lines and offsets stay.
pub fn code(source: &str) -> String {
    let mut blanked = source.as_bytes().to_vec();
    let mut at = 0;
    while at < source.len() {
        let (skip, end) = blank_at(source, at);
        for byte in blanked.get_mut(skip).into_iter().flatten() {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    // Blanks begin and end at ASCII, so characters stay whole.
    String::from_utf8_lossy(&blanked).into_owned()
}

/// Whole words: not a part of a longer identifier.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let found = code.match_indices(word).map(|(at, _)| at);
    found.filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_identifier) && !after.is_some_and(is_identifier)
    })
}

fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What to blank of the token at an offset, and where the next token begins.
fn blank_at(source: &str, at: usize) -> (Range<usize>, usize) {
    let rest = &source[at..];
    if rest.starts_with("//") {
        let end = at + rest.find('\n').unwrap_or(rest.len());
        return (at..end, end);
    }
    if rest.starts_with("/*") {
        let end = at + block_comment(rest);
        return (at..end, end);
    }
    let in_word = source[..at].chars().next_back().is_some_and(is_identifier);
    if let Some((open, close)) = raw_string(rest).filter(|_| !in_word) {
        return (at + open..at + close, at + close);
    }
    if let Some(inside) = rest.strip_prefix('"') {
        let close = at + 1 + closing(inside, '"');
        return (at + 1..close, close + 1);
    }
    if let Some(inside) = character(rest) {
        return (at + 1..at + 1 + inside, at + 2 + inside);
    }
    let next = rest.chars().next().map_or(1, char::len_utf8);
    (at..at, at + next)
}

/// The length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(next) = rest[at..]
        .find("/*")
        .into_iter()
        .chain(rest[at..].find("*/"))
        .min()
    {
        at += next;
        if rest[at..].starts_with("/*") {
            depth += 1;
        } else {
            depth = depth.saturating_sub(1);
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// From the opening quote of a raw string that begins here to its end.
fn raw_string(rest: &str) -> Option<(usize, usize)> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(['"', '#']))
    })?;
    let hashes = rest[prefix.len()..]
        .bytes()
        .take_while(|&b| b == b'#')
        .count();
    let open = prefix.len() + hashes + 1;
    if rest.as_bytes().get(open - 1) != Some(&b'"') {
        return None; // A raw identifier.
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let close = rest[open..].find(&end).map_or(rest.len(), |at| open + at);
    Some((open - 1, (close + end.len()).min(rest.len())))
}

/// The length of the inside of a character literal; none if this is a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if inside.starts_with('\\') {
        return Some(closing(inside, '\''));
    }
    let c = inside.chars().next()?;
    inside[c.len_utf8()..]
        .starts_with('\'')
        .then_some(c.len_utf8())
}

/// Where an unescaped closing quote is.
fn closing(inside: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at,
            _ => {}
        }
    }
    inside.len()
}

/// The end of the braces that open after an offset, or of the statement if none do.
pub fn end_of_block(code: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_stays() {
        let table = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x\"y", z)"#, r#"f("    ", z)"#),
            ("let q = '\"'; q", "let q = ' '; q"),
            (r"let q = '\''; q", r"let q = '  '; q"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("\"ä\" b", "\"  \" b"),
            ("r#match(\"x\")", "r#match(\" \")"),
        ];
        for (source, expected) in table {
            assert_eq!(code(source), expected, "{source}");
        }
    }

    #[test]
    fn raw_strings_end_at_their_own_hashes() {
        let blanked = code("f(r#\"a \" b\"#, br\"c\", d)");
        assert!(!blanked.contains(['a', 'c']), "{blanked}");
        assert!(
            blanked.starts_with("f(r") && blanked.ends_with(", d)"),
            "{blanked}"
        );
    }

    #[test]
    fn unfinished_text_ends_at_the_end() {
        for source in ["\"a", "/* a", "r#\"a", "'", "'\\", "// a", "r", "r#"] {
            assert_eq!(code(source).len(), source.len());
        }
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(words("ab a_b a ba", "a").collect::<Vec<_>>(), [7]);
    }
}
