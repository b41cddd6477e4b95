//! Order and content, and how many records a batch may have.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use crate::conformance::ends::{Receiver, Sender};
use crate::conformance::failure::{Fault, Verdict};
use crate::conformance::harness::Claim;
use crate::conformance::stage::Stage;
use crate::conformance::transfer;
use crate::record::Record;

/// Records of one sender arrive in order and byte for byte.
pub(in super::super) async fn order(stage: &Stage) -> Result<Verdict, Fault> {
    let (_spot, mut sender, mut receiver) = stage.pair().await?;
    let mut records = of_every_kind();
    if stage.claims(Claim::OpaqueMetadata) {
        records.extend(with_any_metadata());
    }
    transfer::exactly(stage, &mut sender, &mut receiver, &records).await?;
    let (sender, receiver) = (&mut [sender], &mut [receiver]);
    let came = transfer::numbered(stage, sender, receiver, 2_000, 64).await?;
    came.in_order()?;
    if stage.claims(Claim::SeveralSenders) {
        of_several_senders(stage).await?;
    }
    Ok(Verdict::Passed)
}

async fn of_several_senders(stage: &Stage) -> Result<(), Fault> {
    let (spot, first, receiver) = stage.pair().await?;
    let mut receivers = [receiver];
    let mut second = spot.sink().await?;
    stage.meet(&mut second, &mut receivers).await?;
    let came = transfer::numbered(stage, &mut [first, second], &mut receivers, 500, 64).await?;
    came.in_order()
}

/// Sizes at which lengths and buffers change, up to 1 MiB.
const SIZES: [usize; 22] = [
    0, 1, 2, 127, 128, 254, 255, 256, 257, 1023, 4095, 4096, 4097, 8192, 16_384, 32_768, 65_535,
    65_536, 65_537, 131_072, 524_288, 1_048_576,
];

fn of_every_kind() -> Vec<Record> {
    const METADATA: &str = "{\"name\":\"finding\",\"window\":7}";
    let mut records = Vec::new();
    for size in SIZES {
        records.push(Record::new(METADATA, bytes(size)));
        records.push(Record::new("", bytes(size)));
    }
    for size in SIZES.into_iter().filter(|size| *size <= 65_537) {
        let metadata = format!("{{\"name\":\"{}\"}}", "m".repeat(size));
        records.push(Record::new(metadata, "{}"));
    }
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    records.push(Record::new(METADATA, every_byte));
    for payload in [
        "\0",
        "\n",
        "\r\n",
        "\n{}\n",
        "\u{1f}",
        "{\"a\": [",
        "\u{feff}{}",
    ] {
        records.push(Record::new(METADATA, payload));
    }
    records.push(Record::new(METADATA, &b"\xff\xfe\x80"[..]));
    records
}

fn with_any_metadata() -> Vec<Record> {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let mut metadata: Vec<Bytes> = SIZES.map(bytes).to_vec();
    metadata.push(every_byte.into());
    let texts = [
        "{}",
        " { \"b\": 1, \"a\": 2 } ",
        "[1]",
        "null",
        "no json",
        "\n",
        "\0",
    ];
    metadata.extend(texts.map(Bytes::from));
    let of = |metadata| Record::new(metadata, "{}");
    metadata.into_iter().map(of).collect()
}

/// So many bytes, not the same over and over.
fn bytes(size: usize) -> Bytes {
    let byte = |at: usize| (at ^ (at >> 8) ^ (at >> 16)).to_le_bytes()[0];
    (0..size).map(|at| byte(at + size)).collect()
}

/// A batch has at least one and at most so many records; a limit of 0 counts as 1.
pub(in super::super) async fn limit(stage: &Stage) -> Result<Verdict, Fault> {
    const RECORDS: u64 = 400;
    let (_spot, mut sender, mut receiver) = stage.pair().await?;
    let sent = Cell::new(0_u64);
    let sending = async {
        let series = Stage::series(64);
        for n in 0..RECORDS {
            sender.try_send(series.record(n)).await?;
            sent.set(n + 1);
        }
        Ok(())
    };
    let receiving = async {
        let mut came = 0;
        for limit in [1, 0, 2, 1, 7, 3, 64, usize::MAX].into_iter().cycle() {
            // Something must be left for the next batch, or no batch could be too large.
            ahead(&sent, came + 64.min(limit) as u64 + 1).await;
            match batch_of(&mut receiver, limit, sent.get() == RECORDS).await? {
                0 => break,
                records => came += records as u64,
            }
        }
        Ok(())
    };
    tokio::try_join!(sending, receiving)?;
    the_sink_is_left(sender, receiver).await
}

/// Waits until so many were sent, or the sender cannot send more.
async fn ahead(sent: &Cell<u64>, enough: u64) {
    const LONG_ENOUGH: Duration = Duration::from_millis(2);
    let started = Instant::now();
    while sent.get() < enough && started.elapsed() < LONG_ENOUGH {
        tokio::task::yield_now().await;
    }
}

/// How large the next batch is; 0 where nothing more comes.
async fn batch_of(receiver: &mut Receiver, limit: usize, all_sent: bool) -> Result<usize, Fault> {
    let wait = match all_sent {
        true => Duration::from_millis(200),
        false => receiver.patience,
    };
    let expected = || format!("1 to {} records for a limit of {limit}", limit.max(1));
    match timeout(wait, receiver.any_batch(limit)).await {
        Ok(batch) => match batch?.len() {
            0 => Err(Fault::new(expected(), "the end of the stream")),
            records if records > limit.max(1) => {
                Err(Fault::new(expected(), format!("{records} records")))
            }
            records => Ok(records),
        },
        Err(_) if all_sent => Ok(0),
        Err(_) => Err(Fault::new(expected(), format!("nothing within {wait:?}"))),
    }
}

/// The sender must outlive the last receiving: without it the stream might end.
async fn the_sink_is_left(sender: Sender, receiver: Receiver) -> Result<Verdict, Fault> {
    let deadline = receiver.patience;
    receiver.close(deadline).await?;
    drop(sender);
    Ok(Verdict::Passed)
}
