//! Frames and records.

use bytes::{Bytes, BytesMut};
use dfo_transport::Record;

/// A frame up to this size is copied: cheaper than to keep libzmq's own.
const SMALL: usize = 64;

/// The record that a message carries; none where it is larger than `max` bytes, which libzmq
/// itself asks of each frame alone.
///
/// - Two frames are the metadata and the payload.
/// - One frame is a payload without metadata.
/// - Of more, the first is the metadata, and all others are the payload, joined by newlines. Such a
///   payload does not decode, and so is kept whole with the records that do not.
pub(crate) fn record(
    mut frames: impl ExactSizeIterator<Item = zmq::Message>,
    max: usize,
) -> Option<Record> {
    match frames.len() {
        0 => Some(Record::default()),
        1 => frames.next().map(|payload| Record::new("", bytes(payload))),
        2 => {
            let metadata = frames.next().map(bytes)?;
            let payload = frames.next().map(bytes)?;
            Some(Record { metadata, payload })
        }
        _ => {
            let metadata = frames.next().map(bytes)?;
            let mut left = max.checked_sub(metadata.len())?;
            let mut payload = BytesMut::new();
            for (index, frame) in frames.enumerate() {
                left = left.checked_sub(frame.len() + 1)?;
                if index > 0 {
                    payload.extend_from_slice(b"\n");
                }
                payload.extend_from_slice(&frame);
            }
            Some(Record::new(metadata, payload))
        }
    }
}

fn bytes(frame: zmq::Message) -> Bytes {
    match frame.len() {
        0..=SMALL => Bytes::copy_from_slice(&frame),
        _ => Bytes::from_owner(Frame(frame)),
    }
}

/// A frame where libzmq received it.
struct Frame(zmq::Message);

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
