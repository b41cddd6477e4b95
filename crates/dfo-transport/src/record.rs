//! What travels.

use bytes::Bytes;

/// A record on its way: a metadata part and a payload part, bytes both.
///
/// A transport neither reads nor changes them. The bytes are shared, so that a clone costs little.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// What the record is about; a JSON object, or empty where the sender gave none.
    pub metadata: Bytes,
    /// The message itself.
    pub payload: Bytes,
}

impl Record {
    /// A record of these two parts.
    pub fn new(metadata: impl Into<Bytes>, payload: impl Into<Bytes>) -> Self {
        Self {
            metadata: metadata.into(),
            payload: payload.into(),
        }
    }

    /// The size of both parts, in bytes.
    pub fn size(&self) -> usize {
        self.metadata.len() + self.payload.len()
    }
}
