//! A record on the socket: the sizes of its two parts, 4 bytes each with the highest first, then the
//! parts.

use std::io::{self, ErrorKind::InvalidData};

use bytes::{BufMut, Bytes, BytesMut};
use dfo_transport::{ErrorKind, MAX_RECORD_BYTES, Operation, Record, TransportError};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The bytes of a record.
pub(crate) fn encode(record: &Record, to: &str) -> Result<Bytes, TransportError> {
    let too_large = || {
        let size = record.size();
        let problem = format!("a record of {size} bytes; the limit is {MAX_RECORD_BYTES}");
        TransportError::new(ErrorKind::TooLarge, Operation::Send, to, problem)
    };
    if record.size() > MAX_RECORD_BYTES {
        return Err(too_large());
    }
    let mut frame = BytesMut::with_capacity(8 + record.size());
    for part in [&record.metadata, &record.payload] {
        frame.put_u32(u32::try_from(part.len()).map_err(|_| too_large())?);
    }
    frame.put(&record.metadata[..]);
    frame.put(&record.payload[..]);
    Ok(frame.freeze())
}

/// The next record; an error where the stream ends or breaks the format.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Record> {
    let sizes = (stream.read_u32().await?, stream.read_u32().await?);
    let all = u64::from(sizes.0) + u64::from(sizes.1);
    if all > MAX_RECORD_BYTES as u64 {
        return Err(io::Error::new(InvalidData, "no record is so large"));
    }
    let metadata = read_part(stream, sizes.0).await?;
    let payload = read_part(stream, sizes.1).await?;
    Ok(Record::new(metadata, payload))
}

/// Takes memory only for what comes, not for what is announced.
async fn read_part(stream: &mut (impl AsyncRead + Unpin), size: u32) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    let read = stream.take(size.into()).read_to_end(&mut part).await?;
    match read == size as usize {
        true => Ok(part),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record::new("{\"name\":\"finding\"}", &b"\0\xff"[..])
    }

    #[tokio::test]
    async fn what_is_written_can_be_read() {
        let frames = [
            encode(&record(), "").unwrap(),
            encode(&Record::default(), "").unwrap(),
        ];
        let frames = frames.concat();
        let stream = &mut &frames[..];
        assert_eq!(read(stream).await.unwrap(), record());
        assert_eq!(read(stream).await.unwrap(), Record::default());
        assert!(stream.is_empty());
    }

    #[tokio::test]
    async fn a_record_that_is_cut_is_none() {
        let frame = encode(&record(), "").unwrap();
        for cut in 0..frame.len() {
            assert!(read(&mut &frame[..cut]).await.is_err(), "{cut}");
        }
    }

    #[tokio::test]
    async fn what_is_too_large_is_neither_sent_nor_believed() {
        let large = Record::new("", vec![0; MAX_RECORD_BYTES + 1]);
        assert_eq!(encode(&large, "").unwrap_err().kind(), ErrorKind::TooLarge);
        let announced = u32::MAX.to_be_bytes().repeat(2);
        assert_eq!(
            read(&mut &announced[..]).await.unwrap_err().kind(),
            InvalidData
        );
    }
}
