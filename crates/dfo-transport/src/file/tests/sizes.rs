//! Records larger than the limit, and what is held of them.

use super::*;

const MIB: u64 = 1024 * 1024;

/// The buffer, at its largest: one record up to the limit, and a chunk.
const HELD_AT_MOST: usize = MAX_RECORD_BYTES + 256 * 1024;

/// `{"a": "xxx…"}` of 17 MiB, made as it is read.
fn large() -> impl Read + Send {
    let ends = (b"{\"a\": \"".len() + b"\"}".len()) as u64;
    b"{\"a\": \""
        .chain(io::repeat(b'x').take(17 * MIB - ends))
        .chain(&b"\"}"[..])
}

fn check(text: impl Read + Send + 'static, expected: &[Found]) {
    let mut records = Records::from_reader("f", text);
    assert_eq!(all(&mut records).unwrap(), expected);
    assert!(
        records.window.capacity() <= HELD_AT_MOST,
        "{}",
        records.window.capacity()
    );
}

fn small(line: u64) -> Found {
    Found::Text(line, b"{\"b\":2}".to_vec())
}

#[test]
fn a_line_too_large_is_passed_over_without_being_held() {
    let text = b"{\"b\":2}\n".chain(large()).chain(&b"\r\n{\"b\":2}\n"[..]);
    check(text, &[small(1), Found::TooLarge(2, 17 * MIB), small(3)]);
}

#[test]
fn an_element_too_large_is_passed_over_without_being_held() {
    let text = b"[{\"b\":2},\n"
        .chain(large())
        .chain(&b",\n{\"b\":2}]\n"[..]);
    check(text, &[small(1), Found::TooLarge(2, 17 * MIB), small(3)]);
}

#[test]
fn a_printed_object_too_large_is_passed_over_without_being_held() {
    let text = b"{\n\"c\":".chain(large()).chain(&b"\n}\n{\"b\":2}\n"[..]);
    check(text, &[Found::TooLarge(1, 17 * MIB + 8), small(4)]);
}

#[test]
fn an_object_whose_first_line_is_too_large_still_goes_on_below() {
    let text = b"{\"c\":"
        .chain(large())
        .chain(&b",\n\"d\": [\n]\n}\n{\"b\":2}\n"[..]);
    check(text, &[Found::TooLarge(1, 17 * MIB + 5 + 12), small(5)]);
}

#[test]
fn a_large_record_cut_by_the_end_of_file_is_measured() {
    check(
        large().take(16 * MIB + 1),
        &[Found::TooLarge(1, 16 * MIB + 1)],
    );
}

#[test]
fn large_records_among_small_reads_are_searched_once() {
    // Searching anew after each of 68 000 reads would take minutes.
    struct Dribble<R>(R);
    impl<R: Read> Read for Dribble<R> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = into.len().min(256);
            self.0.read(&mut into[..length])
        }
    }
    let text = b"[".chain(large()).chain(&b",{\"b\":2}]"[..]);
    check(Dribble(text), &[Found::TooLarge(1, 17 * MIB), small(1)]);
}

#[test]
fn blanks_after_a_record_do_not_make_it_large() {
    let blanks = || io::repeat(b' ').take(17 * MIB);
    let text = b"{\"b\":2}"
        .chain(blanks())
        .chain(&b"\n"[..])
        .chain(blanks())
        .chain(&b"{\"b\":2}"[..]);
    check(text, &[small(1), small(2)]);
    let cut = b"{\"b\":".chain(blanks()).chain(&b"\n{\"b\":2}\n"[..]);
    check(cut, &[Found::Text(1, b"{\"b\":".to_vec()), small(2)]);
}

#[test]
fn the_limit_is_the_largest_size_that_is_held() {
    let mut records = reading("123\n1234\n{\n1}\n").with_limit(3);
    let expected = [
        Found::Text(1, b"123".to_vec()),
        Found::TooLarge(2, 4),
        Found::TooLarge(3, 4),
    ];
    assert_eq!(all(&mut records).unwrap(), expected);
}

#[test]
fn a_record_too_large_says_the_limit() {
    let mut records = reading("1234").with_limit(3);
    let record = records.next_record().unwrap().unwrap();
    assert_eq!(record.content, Content::TooLarge { bytes: 4, limit: 3 });
}

#[test]
fn many_small_records_need_no_more_than_a_chunk() {
    let text = "{\"a\": 1}\n".repeat(100_000);
    let mut records = reading(&text);
    assert_eq!(all(&mut records).unwrap().len(), 100_000);
    assert_eq!(records.window.capacity(), 256 * 1024);
}
