//! Where the bytes come from: files, gzip, standard input, and what fails there.

use super::*;

fn error(records: &mut Records) -> TransportError {
    loop {
        match records.next_record() {
            Ok(found) => assert!(found.is_some(), "no error"),
            Err(error) => return error,
        }
    }
}

/// Lines that gzip cannot make much smaller, and that can be checked by themselves.
fn many_lines() -> String {
    let mut number = 1_u64;
    let next = || {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        format!("{{\"a\": {number}}}\n")
    };
    std::iter::repeat_with(next).take(20_000).collect()
}

#[test]
fn gzip_is_told_by_its_content_not_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("findings.jsonl");
    fs::write(&path, gzip("{\"a\":1}\n2")).unwrap();
    assert_eq!(
        texts_of(&mut Records::open(&path).unwrap()),
        [r#"{"a":1}"#, "2"]
    );
    let path = dir.path().join("findings.jsonl.gz");
    fs::write(&path, "{\"a\":1}\n2").unwrap();
    assert_eq!(
        texts_of(&mut Records::open(&path).unwrap()),
        [r#"{"a":1}"#, "2"]
    );
}

#[test]
fn all_members_of_a_gzip_file_are_read() {
    let members = [
        gzip("\u{feff}{\"a\":"),
        gzip(""),
        gzip("1}\n2\n"),
        gzip("3"),
    ]
    .concat();
    assert_eq!(texts(members), [r#"{"a":1}"#, "2", "3"]);
    assert!(texts(gzip("")).is_empty());
}

#[test]
fn records_before_a_cut_in_gzip_are_read_then_an_error_then_nothing() {
    let text = many_lines();
    let mut whole = gzip(&text);
    whole.truncate(whole.len() / 2);
    let mut records = reading(whole);
    let mut expected = text.lines();
    let error = loop {
        match records.next_record() {
            Ok(record) => {
                let content = record.unwrap().content;
                assert_eq!(content, Content::Bytes(expected.next().unwrap().as_bytes()));
            }
            Err(error) => break error,
        }
    };
    let missing = expected.count();
    assert!((9_000..11_000).contains(&missing), "{missing} missing");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error
            .to_string()
            .starts_with("f: cannot read: the gzip data is cut off; "),
        "{error}"
    );
    assert!(records.next_record().unwrap().is_none());
    assert!(records.next_record().unwrap().is_none());
}

#[test]
fn gzip_cut_anywhere_is_an_error() {
    let whole = gzip("{\"a\":1}\n{\"b\":2}\n");
    for length in 2..whole.len() {
        assert_eq!(
            error(&mut reading(&whole[..length])).kind(),
            ErrorKind::Corrupt,
            "{length}"
        );
    }
}

#[test]
fn damaged_gzip_is_an_error_after_the_records_before_the_damage() {
    let text = many_lines();
    let mut whole = gzip(&text);
    let middle = whole.len() / 2;
    whole[middle..middle + 1000].fill(0xff);
    let mut records = reading(whole);
    let error = error(&mut records);
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::Corrupt, Operation::Read)
    );
    assert!(records.found > 8_000, "only {} read", records.found);
}

#[test]
fn gzip_with_a_wrong_checksum_is_an_error_after_the_records() {
    let mut whole = gzip("1\n2\n");
    let checksum = whole.len() - 8;
    whole[checksum] ^= 1;
    let mut records = reading(whole);
    assert_eq!(error(&mut records).kind(), ErrorKind::Corrupt);
    assert_eq!(records.found, 2);
}

#[test]
fn an_interrupted_read_is_tried_again() {
    for text in [b"{\"a\":1}\n2".to_vec(), gzip("{\"a\":1}\n2")] {
        let interrupted = || Err(io::ErrorKind::Interrupted.into());
        let reads = text
            .iter()
            .flat_map(|&byte| [interrupted(), Ok(vec![byte])]);
        let script = Script::new(reads.chain([interrupted()]));
        assert_eq!(
            texts_of(&mut Records::from_reader("f", script)),
            [r#"{"a":1}"#, "2"]
        );
    }
}

#[test]
fn a_failing_read_is_an_error_after_the_records_before_then_nothing() {
    let script = Script::new([
        Ok(b"1\n2\n{\"a\":".to_vec()),
        Err(io::Error::other("the disk is gone")),
        Ok(b"3\n".to_vec()),
    ]);
    let mut records = Records::from_reader("f", script);
    let error = error(&mut records);
    assert_eq!((error.kind(), records.found), (ErrorKind::Io, 3));
    assert_eq!(
        error.to_string(),
        "f: cannot read: the disk is gone; check where it is kept, then try again"
    );
    assert!(records.next_record().unwrap().is_none());
}

#[test]
fn a_failing_read_of_gzip_is_not_called_corrupt() {
    let script = Script::new([Ok(gzip("1")[..12].to_vec()), Err(io::Error::other("gone"))]);
    assert_eq!(
        error(&mut Records::from_reader("f", script)).kind(),
        ErrorKind::Io
    );
}

#[test]
fn a_stream_is_not_read_beyond_its_end() {
    let script = Script::new([Ok(b"1".to_vec()), Ok(Vec::new()), Ok(b"2".to_vec())]);
    let mut records = Records::from_reader("f", script);
    assert_eq!(texts_of(&mut records), ["1"]);
    assert!(records.next_record().unwrap().is_none());
}

#[test]
fn a_record_is_given_before_the_next_one_arrives() {
    let script = Script::new([
        Ok(b"{\"a\":1}\n".to_vec()),
        Ok(b"{\n\"b\":2\n}".to_vec()),
        Err(io::Error::other("not yet")),
    ]);
    let mut records = Records::from_reader("f", script);
    assert!(records.next_record().unwrap().is_some());
    assert!(records.next_record().unwrap().is_some());
}

#[test]
fn a_file_that_is_not_there_is_not_found() {
    let error = Records::open(Path::new("no/such/findings.jsonl")).unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::NotFound, Operation::Open)
    );
    assert_eq!(
        error.to_string(),
        "no/such/findings.jsonl: cannot open: no such file; check the path"
    );
}

#[test]
fn a_directory_is_refused_when_opened() {
    let dir = tempfile::tempdir().unwrap();
    let error = Records::open(dir.path()).unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::IsADirectory, Operation::Open)
    );
    assert_eq!(
        error.to_string(),
        format!(
            "{}: cannot open: it is a directory; name a file in it",
            dir.path().display()
        )
    );
}

#[test]
fn a_read_that_is_denied_says_so() {
    let script = Script::new([Err(io::ErrorKind::PermissionDenied.into())]);
    let error = error(&mut Records::from_reader("f", script));
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(
        error.to_string(),
        "f: cannot read: permission denied; make it readable for this user"
    );
}

#[test]
fn records_know_their_name() {
    assert_eq!(Records::stdin().name(), "stdin");
    assert_eq!(reading("").name(), "f");
}

#[test]
fn records_can_move_to_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<Records>();
}

/// Not a test by itself: what the next one runs with its standard input closed.
#[test]
#[ignore = "reads standard input"]
fn read_standard_input() {
    assert!(texts_of(&mut Records::stdin()).is_empty());
}

#[cfg(unix)]
#[test]
fn a_closed_standard_input_reads_as_empty() {
    let run = std::process::Command::new("sh")
        .args(["-c", "exec \"$0\" --ignored --exact \"$1\" <&-"])
        .arg(std::env::current_exe().unwrap())
        .arg("file::tests::streams::read_standard_input")
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&run.stdout).contains("1 passed"),
        "{run:?}"
    );
}
