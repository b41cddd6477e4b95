//! The form of every line: a JSON object whose last field is its checksum.
//!
//! The checksum is the CRC-32 (IEEE) over all bytes of the line before `,"crc"`, in eight lowercase
//! hexadecimal digits. It is the same in every version of the format, so that an older program can
//! tell a newer journal from a damaged one.

use serde::Serialize;

const MARK: &[u8] = b",\"crc\":\"";
const END: &[u8] = b"\"}";
const DIGITS: usize = 8;
/// No journal gets so far; a number beyond was never written, and counting on from it would fail.
pub(crate) const LARGEST: u64 = 1 << 62;
const TAIL: usize = MARK.len() + DIGITS + END.len();

/// What is wrong with the form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It does not end in a checksum.
    NoChecksum,
    /// It ends in another one.
    WrongChecksum,
}

/// Appends `object` as a line. On an error nothing has been appended.
pub(crate) fn write(buffer: &mut Vec<u8>, object: &impl Serialize) -> serde_json::Result<()> {
    let start = buffer.len();
    if let Err(error) = serde_json::to_writer(&mut *buffer, object) {
        buffer.truncate(start);
        return Err(error);
    }
    // The brace that ends the object comes again after the checksum.
    buffer.pop();
    end(buffer, start);
    Ok(())
}

/// Ends the line that begins at `start`, an object that lacks its last brace.
pub(crate) fn end(buffer: &mut Vec<u8>, start: usize) {
    let crc = crc32fast::hash(&buffer[start..]);
    buffer.extend_from_slice(MARK);
    buffer.extend_from_slice(&hexadecimal(crc));
    buffer.extend_from_slice(END);
    buffer.push(b'\n');
}

/// Whether a line, without its line end, is as it was written.
pub(crate) fn check(line: &[u8]) -> Result<(), Malformed> {
    let at = line.len().checked_sub(TAIL).ok_or(Malformed::NoChecksum)?;
    let (text, tail) = line.split_at(at);
    let digits = tail.strip_prefix(MARK).and_then(|t| t.strip_suffix(END));
    let digits = digits.ok_or(Malformed::NoChecksum)?;
    match digits == hexadecimal(crc32fast::hash(text)) {
        true => Ok(()),
        false => Err(Malformed::WrongChecksum),
    }
}

/// The sequence number that an entry begins with.
pub(crate) fn seq_of(line: &[u8]) -> Option<u64> {
    number_after(line, b"{\"seq\":").map(|(seq, _)| seq)
}

/// The version and the sequence number that a head begins with.
pub(crate) fn head_start(line: &[u8]) -> Option<(u64, u64)> {
    let (version, rest) = number_after(line, b"{\"dfo_journal\":")?;
    let (seq, _) = number_after(rest, b",\"seq\":")?;
    Some((version, seq))
}

fn number_after<'l>(line: &'l [u8], name: &[u8]) -> Option<(u64, &'l [u8])> {
    let rest = line.strip_prefix(name)?;
    let end = rest.iter().position(|b| !b.is_ascii_digit())?;
    let digits = std::str::from_utf8(&rest[..end]).ok()?;
    let number = digits.parse().ok().filter(|n| *n <= LARGEST)?;
    Some((number, &rest[end..]))
}

fn hexadecimal(crc: u32) -> [u8; DIGITS] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; DIGITS];
    let mut rest = crc;
    for digit in digits.iter_mut().rev() {
        *digit = HEX[(rest & 15) as usize];
        rest >>= 4;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_in_its_checksum() {
        let mut buffer = Vec::new();
        write(&mut buffer, &serde_json::json!({"seq": 7})).unwrap();
        assert_eq!(buffer, b"{\"seq\":7,\"crc\":\"6500d349\"}\n");
        let line = &buffer[..buffer.len() - 1];
        assert_eq!(check(line), Ok(()));
        assert_eq!(seq_of(line), Some(7));
    }

    #[test]
    fn every_other_line_is_told_from_it() {
        let mut buffer = Vec::new();
        write(&mut buffer, &serde_json::json!({"seq": 7, "at_ms": 12})).unwrap();
        let line = &buffer[..buffer.len() - 1];
        for bit in 0..line.len() * 8 {
            let mut flipped = line.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&flipped).is_err(), "bit {bit}");
        }
        for length in 0..line.len() {
            assert_eq!(check(&line[..length]), Err(Malformed::NoChecksum));
        }
    }

    #[test]
    fn a_head_begins_with_its_version() {
        assert_eq!(head_start(br#"{"dfo_journal":1,"seq":12,"#), Some((1, 12)));
        assert_eq!(head_start(br#"{"dfo_journal":1"#), None);
        assert_eq!(head_start(br#"{"seq":12,"#), None);
    }
}
