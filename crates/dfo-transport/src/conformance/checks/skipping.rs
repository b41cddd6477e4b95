//! Records that are known from before.

use crate::conformance::ends::Receiver;
use crate::conformance::failure::{Fault, Verdict};
use crate::conformance::numbered::{Series, Tally};
use crate::conformance::stage::Stage;

/// Why a source is not checked.
pub(in super::super) const NOT_KEPT: Verdict =
    Verdict::LeftOut("it does not say that it keeps records");

const RECORDS: u64 = 50;

/// A source that comes late passes over the first records, and gives the next one first.
pub(in super::super) async fn skip(stage: &Stage) -> Result<Verdict, Fault> {
    let (spot, sender, receiver) = stage.pair().await?;
    if !receiver.capabilities().replay {
        return Ok(NOT_KEPT);
    }
    drop((spot, sender, receiver));

    for skipped in [0, 1, 20] {
        let spot = stage.spot();
        let mut sender = spot.sink().await?;
        let series = Stage::series(64);
        for n in 0..RECORDS {
            sender.send(series.record(n)).await?;
        }
        let mut receiver = spot.source().await?;
        receiver.skip(skipped, RECORDS).await?;
        first_is(&mut receiver, series, skipped).await?;
    }
    Ok(Verdict::Passed)
}

/// The first record after those that were passed over.
pub(in super::super) async fn first_is(
    receiver: &mut Receiver,
    series: Series,
    skipped: u64,
) -> Result<(), Fault> {
    let expected = || format!("record {skipped} first, after {skipped} were passed over");
    let mut tally = Tally::default();
    tally.count_all(&receiver.some(1, expected).await?)?;
    match tally.of(series) {
        [n] if *n == skipped => Ok(()),
        others => Err(Fault::new(expected(), format!("record {others:?}"))),
    }
}
