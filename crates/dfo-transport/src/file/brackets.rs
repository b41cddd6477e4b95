//! Where a JSON value ends, told from its brackets and strings alone.
//!
//! Not a parser: broken text passes, to be reported by whoever decodes it. What matters is that
//! broken text ends early, so that the good text after it is found. Three things end it:
//!
//! - a line that begins with `{` where JSON allows no object: the value was cut off before it;
//! - in an array, a line end inside a string, which JSON does not allow;
//! - a line end below more brackets than any reader of JSON follows.
//!
//! The text may come in any pieces. Nothing is held but a few numbers, and nesting costs nothing.

use memchr::memchr3;

use super::Layout;
use super::window::is_blank;

/// No reader of JSON goes deeper: what does is broken, and ends with its line.
const DEEPEST: u64 = 1024;

#[derive(Debug)]
pub(super) struct Brackets {
    layout: Layout,
    depth: u64,
    /// One bit for each open bracket, the innermost lowest: set for `{`. Of more than 64 the
    /// outermost are forgotten, and taken for `[`, where more is allowed.
    objects: u64,
    in_string: bool,
    after_backslash: bool,
    /// The last byte that was neither blank nor in a string, a quote for a string; 0 at first.
    last: u8,
    line: Line,
    /// Whether a line after the first had text.
    many_lines: bool,
}

/// What has been seen of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Nothing,
    Indentation,
    Text,
}

impl Brackets {
    /// To begin with the first byte of a value.
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            layout,
            depth: 0,
            objects: 0,
            in_string: false,
            after_backslash: false,
            last: 0,
            line: Line::Text,
            many_lines: false,
        }
    }

    /// Follows the text to the end of the value; says where in this text that is, if it is here.
    ///
    /// A value with brackets ends with its closing bracket. A value without ends before a comma, a
    /// bracket or the end of the line; so the comma that is missing after it, or the odd text after
    /// a bracket, costs no neighbour.
    pub(super) fn follow(&mut self, text: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < text.len() {
            if self.in_string {
                at += self.follow_string(&text[at..]);
                if self.in_string && text.get(at) == Some(&b'\n') {
                    if self.layout == Layout::Array {
                        return Some(at);
                    }
                    // One broken string should not take a printed object apart, line by line.
                    self.in_string = false;
                    self.after_backslash = false;
                }
                continue;
            }
            let byte = text[at];
            if self.ends_before(byte) {
                return Some(at);
            }
            at += 1;
            if self.closes_with(byte) {
                return Some(at);
            }
        }
        None
    }

    /// Whether a first line, followed to its end, leaves an object open that may go on below.
    ///
    /// Inside a string it cannot go on. After a `}` it could, but no printer breaks a line there,
    /// and this lets whole lines be told by their last byte.
    pub(super) fn is_open(&self) -> bool {
        self.depth > 0 && !self.in_string && self.last != b'}'
    }

    /// Follows a string; returns how far. Stops at a line end, still in the string.
    fn follow_string(&mut self, text: &[u8]) -> usize {
        let was_escape = std::mem::take(&mut self.after_backslash);
        let from = usize::from(was_escape && text.first() != Some(&b'\n'));
        let Some(offset) = memchr3(b'"', b'\\', b'\n', &text[from..]) else {
            return text.len();
        };
        let at = from + offset;
        match text[at] {
            b'"' => self.in_string = false,
            b'\\' => self.after_backslash = true,
            _ => return at,
        }
        at + 1
    }

    fn ends_before(&self, byte: u8) -> bool {
        match byte {
            b'{' if self.depth > 0 => self.line != Line::Text && !self.may_hold_object_here(),
            b'{' | b'[' => self.depth == 0 && self.last != 0,
            b'\n' => self.depth == 0 || self.depth > DEEPEST,
            b',' | b']' => self.depth == 0,
            _ => false,
        }
    }

    /// Whether a line that begins with `{` can be part of this value.
    fn may_hold_object_here(&self) -> bool {
        // JSON lines that were cut after a `[` or `:` look just like that; but they begin at the
        // margin, where what goes on from the line before is indented.
        if self.layout == Layout::Lines && !self.many_lines && self.line == Line::Nothing {
            return false;
        }
        match self.last {
            b':' | b'[' => true,
            b',' => self.objects & 1 == 0,
            _ => false,
        }
    }

    /// Takes note of a byte outside strings; true if it closes the last open bracket.
    fn closes_with(&mut self, byte: u8) -> bool {
        if is_blank(byte) {
            match (byte, self.line) {
                (b'\n', _) => self.line = Line::Nothing,
                (_, Line::Nothing) => self.line = Line::Indentation,
                _ => {}
            }
            return false;
        }
        self.many_lines |= self.line != Line::Text;
        self.line = Line::Text;
        self.last = byte;
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => {
                self.depth += 1;
                self.objects = self.objects << 1 | u64::from(byte == b'{');
            }
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                self.objects >>= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}
