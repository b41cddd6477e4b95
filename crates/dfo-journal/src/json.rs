//! JSON, piece by piece, where a line is written for every finding: what a text or a number is, is
//! `serde_json`'s to say, but most texts need no escape.

use std::borrow::Cow;

use serde::Serialize;

/// Appends to a buffer. The caller sees to commas and braces.
pub(crate) struct Json<'b>(pub(crate) &'b mut Vec<u8>);

impl Json<'_> {
    /// Text that is JSON.
    pub(crate) fn raw(&mut self, json: &str) -> &mut Self {
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// A string.
    pub(crate) fn text(&mut self, text: &str) {
        // No early end, so that it goes by many bytes at a time.
        let needs_escape =
            |byte| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
        if text.bytes().fold(0, |odd, byte| odd | needs_escape(byte)) != 0 {
            return self.value(text);
        }
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
    }

    /// A list of strings.
    pub(crate) fn texts(&mut self, texts: &[Cow<'_, str>]) {
        let mut before = "[";
        for text in texts {
            self.raw(before).text(text);
            before = ",";
        }
        if texts.is_empty() {
            self.raw(before);
        }
        self.raw("]");
    }

    /// A string, or null.
    pub(crate) fn optional_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => {
                self.raw("null");
            }
        }
    }

    /// A whole number.
    pub(crate) fn int(&mut self, int: i64) {
        self.value(&int);
    }

    /// A number; as a text where it is none.
    pub(crate) fn float(&mut self, float: f64) {
        match float.is_finite() {
            true => self.value(&float),
            false => self.text(&float.to_string()),
        }
    }

    /// Texts and numbers: this cannot fail.
    pub(crate) fn value(&mut self, value: &(impl Serialize + ?Sized)) {
        let _ = serde_json::to_writer(&mut *self.0, value);
    }
}
