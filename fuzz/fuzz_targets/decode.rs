//! Any bytes at all: as a file of records, and each record as every kind of message.
//!
//! Nothing may panic; both ways of decoding a finding agree; what is written reads back the same;
//! and what is no message says why.

#![no_main]

use std::fmt::Debug;
use std::io::Cursor;

use dfo_model::{Ack, ActionPlan, Decoded, Envelope, Finding, FindingView, Registration};
use dfo_transport::{Content, Records};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;

fuzz_target!(|bytes: &[u8]| {
    message(bytes);
    let mut records = Records::from_reader("fuzz", Cursor::new(bytes.to_vec())).with_limit(4096);
    while let Ok(Some(record)) = records.next_record() {
        if let Content::Bytes(bytes) = record.content {
            message(bytes);
        }
    }
});

fn message(bytes: &[u8]) {
    let whole = Finding::decode(bytes);
    let view = FindingView::decode(bytes);
    if let Some(finding) = &whole.message {
        assert_eq!(view.as_ref(), Ok(&finding.view()));
    }
    if let Ok(view) = &view {
        assert!(view.severity_score.is_finite());
    }
    reads_back(whole, Finding::decode);
    reads_back(ActionPlan::decode(bytes), ActionPlan::decode);
    reads_back(Ack::decode(bytes), Ack::decode);
    reads_back(Registration::decode(bytes), Registration::decode);
    let _ = Envelope::decode(bytes);
}

fn reads_back<T: Serialize + PartialEq + Debug>(
    decoded: Decoded<T>,
    decode: impl Fn(&[u8]) -> Decoded<T>,
) {
    let Some(message) = decoded.message else {
        assert!(!decoded.problems.is_empty(), "refused without a reason");
        return;
    };
    let written = serde_json::to_vec(&message).expect("messages can be written");
    let again = decode(&written);
    assert_eq!(again.problems, []);
    assert_eq!(again.message, Some(message));
}
