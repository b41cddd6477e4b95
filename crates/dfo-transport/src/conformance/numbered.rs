//! Records that say who sent them and when, and can be checked for being whole.

use std::collections::HashMap;

use super::failure::Fault;
use crate::record::Record;

/// The records of one sender: numbered from 0, all of about one size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series {
    pub id: u64,
    /// The size of the payload in bytes, if that is enough for what must be in it.
    pub size: usize,
}

impl Series {
    pub fn record(self, n: u64) -> Record {
        Record::new(
            format!("{{\"n\":{n},\"series\":{}}}", self.id),
            self.payload(n, self.size),
        )
    }

    /// The payload of a record: JSON, filled up with what no other record has in that place.
    pub fn payload(self, n: u64, size: usize) -> Vec<u8> {
        let mut payload = format!("{{\"series\":{},\"n\":{n},\"fill\":\"", self.id).into_bytes();
        let (_, last_letters) = LETTERS.split_at(((self.id * 7 + n) % 26) as usize);
        let end = size.saturating_sub(FILL_END.len()).max(payload.len());
        payload.reserve(end - payload.len() + LETTERS.len());
        payload.extend(last_letters);
        while payload.len() < end {
            payload.extend(LETTERS);
        }
        payload.truncate(end);
        payload.extend(FILL_END);
        payload
    }
}

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const FILL_END: &[u8] = b"\"}";

/// A record whose only purpose is to arrive.
pub(super) fn probe(id: u64) -> Record {
    let text = format!("{{\"probe\":{id}}}");
    Record::new(text.clone(), text)
}

/// The number of a probe, if it is one.
pub(super) fn probe_id(record: &Record) -> Option<u64> {
    let text = std::str::from_utf8(&record.payload).ok()?;
    text.strip_prefix("{\"probe\":")?
        .strip_suffix('}')?
        .parse()
        .ok()
}

/// The series and the number of a record, or what is wrong with it.
pub(super) fn recognise(record: &Record) -> Result<(u64, u64), String> {
    let unknown = || format!("a record that was never sent, {}", describe(record));
    let (id, n) = named(&record.payload).ok_or_else(unknown)?;
    let sent = Series { id, size: 0 };
    if record.payload[..] != sent.payload(n, record.payload.len())[..] {
        let what = describe(record);
        return Err(format!(
            "record {n} of sender {id}, cut or mixed up: {what}"
        ));
    }
    // A file has no metadata.
    if !record.metadata.is_empty() && record.metadata != sent.record(n).metadata {
        let metadata = record.metadata.escape_ascii();
        return Err(format!(
            "record {n} of sender {id} with other metadata: {metadata}"
        ));
    }
    Ok((id, n))
}

fn named(payload: &[u8]) -> Option<(u64, u64)> {
    let head = std::str::from_utf8(&payload[..payload.len().min(80)]).ok()?;
    let rest = head.strip_prefix("{\"series\":")?;
    let (id, rest) = rest.split_once(",\"n\":")?;
    let (n, _) = rest.split_once(",\"fill\":\"")?;
    Some((id.parse().ok()?, n.parse().ok()?))
}

/// A record in a message: how large its parts are and how they begin.
pub(super) fn describe(record: &Record) -> String {
    let begin = |part: &[u8]| part[..part.len().min(24)].escape_ascii().to_string();
    format!(
        "metadata of {} bytes (\"{}\"), payload of {} bytes (\"{}\")",
        record.metadata.len(),
        begin(&record.metadata),
        record.payload.len(),
        begin(&record.payload)
    )
}

/// What a receiver has seen of each sender.
#[derive(Debug, Default)]
pub(super) struct Tally {
    seen: HashMap<u64, Vec<u64>>,
}

impl Tally {
    /// Counts a record; what is wrong with it, if it is no record of a sender, or cut.
    pub fn count(&mut self, record: &Record) -> Result<(u64, u64), String> {
        let (series, n) = recognise(record)?;
        self.seen.entry(series).or_default().push(n);
        Ok((series, n))
    }

    /// Counts records, of which probes are none.
    pub fn count_all(&mut self, batch: &[Record]) -> Result<(), Fault> {
        for record in batch.iter().filter(|record| probe_id(record).is_none()) {
            let whole = |found| Fault::new("records that arrive whole, as they were sent", found);
            self.count(record).map_err(whole)?;
        }
        Ok(())
    }

    /// The numbers of one sender, as they came.
    pub fn of(&self, series: Series) -> &[u64] {
        self.seen.get(&series.id).map_or(&[], Vec::as_slice)
    }

    /// What is wrong, if these are not the numbers below `sent`, each once, in any order.
    pub fn each_once(&self, series: Series, sent: u64) -> Result<(), String> {
        let came = self.of(series);
        let mut sorted = came.to_vec();
        sorted.sort_unstable();
        let twice = sorted.windows(2).find(|pair| pair[0] == pair[1]);
        if let Some([n, ..]) = twice {
            return Err(format!("record {n} came twice or more often"));
        }
        let missing = (0..sent).find(|n| sorted.binary_search(n).is_err());
        if let Some(missing) = missing {
            let came = came.len();
            return Err(format!(
                "record {missing} never came ({came} of {sent} did)"
            ));
        }
        Ok(())
    }

    /// What is wrong, if these numbers are not ascending: out of order, or one twice.
    pub fn in_order(&self, series: Series) -> Result<(), String> {
        match self.of(series).windows(2).find(|pair| pair[0] >= pair[1]) {
            None => Ok(()),
            Some(pair) if pair[0] == pair[1] => Err(format!("record {} came twice", pair[0])),
            Some(pair) => Err(format!("record {} came after record {}", pair[1], pair[0])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: Series = Series { id: 3, size: 100 };

    #[test]
    fn a_record_is_recognised_only_whole() {
        let record = SERIES.record(17);
        assert_eq!(record.payload.len(), 100);
        assert_eq!(recognise(&record), Ok((3, 17)));
        for cut in 0..record.payload.len() {
            let cut = Record::new(record.metadata.clone(), record.payload.slice(..cut));
            assert!(recognise(&cut).is_err(), "{cut:?}");
        }
        let mixed = Record::new(SERIES.record(18).metadata, record.payload);
        assert!(recognise(&mixed).is_err());
    }

    #[test]
    fn a_small_record_has_what_must_be_in_it() {
        let small = Series { id: 1, size: 0 };
        assert_eq!(recognise(&small.record(5)), Ok((1, 5)));
    }

    #[test]
    fn a_tally_tells_missing_from_doubled_from_disordered() {
        let tally = |numbers: &[u64]| {
            let mut tally = Tally::default();
            for n in numbers {
                tally.count(&SERIES.record(*n)).unwrap();
            }
            (
                tally.each_once(SERIES, 3).err(),
                tally.in_order(SERIES).err(),
            )
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(tally(&[0, 1, 2]), (None, None));
        assert_eq!(
            tally(&[0, 2, 1]),
            (None, some("record 1 came after record 2"))
        );
        assert_eq!(
            tally(&[0, 2]),
            (some("record 1 never came (2 of 3 did)"), None)
        );
        assert_eq!(
            tally(&[0, 1, 1, 2]),
            (
                some("record 1 came twice or more often"),
                some("record 1 came twice")
            )
        );
    }

    #[test]
    fn a_probe_is_known_again() {
        assert_eq!(probe_id(&probe(7)), Some(7));
        assert_eq!(probe_id(&SERIES.record(7)), None);
    }
}
