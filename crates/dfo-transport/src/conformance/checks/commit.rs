//! Records that are done with.

use crate::conformance::ends::Receiver;
use crate::conformance::failure::{Fault, Verdict};
use crate::conformance::harness::Claim;
use crate::conformance::numbered::{Series, Tally};
use crate::conformance::stage::Stage;
use crate::conformance::transfer::Flow;

/// What was committed does not come again and what was not does; elsewhere it does no harm.
pub(in super::super) async fn commit(stage: &Stage) -> Result<Verdict, Fault> {
    let acknowledges = harmless(stage).await?;
    match acknowledges {
        false => Ok(Verdict::Passed),
        true if stage.claims(Claim::SourceReopens) => remembered(stage).await,
        true => Ok(Verdict::LeftOut(Claim::SourceReopens.unclaimed())),
    }
}

/// Committing costs no record, also while more are on their way. Whether the source acknowledges.
async fn harmless(stage: &Stage) -> Result<bool, Fault> {
    const RECORDS: u64 = 200;
    let (_spot, mut sender, mut receiver) = stage.pair().await?;
    receiver.commit(0).await?;
    let (series, flow) = (Stage::series(64), Flow::new(stage, 1));
    let sending = async {
        for n in 0..RECORDS {
            flow.before_sending().await;
            sender.try_send(series.record(n)).await?;
        }
        Ok(())
    };
    let receiving = async {
        let mut tally = Tally::default();
        while tally.of(series).last() != Some(&(RECORDS - 1)) {
            let missing = || {
                let missing = tally.each_once(series, RECORDS).err();
                format!(
                    "that committing costs no record, but {}",
                    missing.unwrap_or_default()
                )
            };
            let batch = receiver.some(3, missing).await?;
            flow.received(batch.len());
            tally.count_all(&batch)?;
            let given = receiver.given;
            for done in [given / 2, given, given] {
                receiver.commit(done).await?;
            }
        }
        tally.count_all(&receiver.rest().await?)?;
        let each = tally.each_once(series, RECORDS);
        each.map_err(|found| Fault::new("that committing costs no record", found))
    };
    tokio::try_join!(sending, receiving)?;
    Ok(receiver.capabilities().acknowledgement)
}

/// What was committed is remembered when the source is opened again.
async fn remembered(stage: &Stage) -> Result<Verdict, Fault> {
    let (spot, mut sender, mut receiver) = stage.pair().await?;
    let series = Stage::series(64);
    for n in 0..20 {
        sender.send(series.record(n)).await?;
    }
    // Some that were received are not committed.
    let first = from(&mut receiver, series, 0, 10).await?;
    receiver.commit(first).await?;
    from(&mut receiver, series, 10, 13).await?;
    receiver.close(stage.patience).await?;

    let mut receiver = spot.source().await?;
    let rest = from(&mut receiver, series, 10, 20).await?;
    receiver.commit(rest).await?;
    receiver.close(stage.patience).await?;

    let mut receiver = spot.source().await?;
    sender.send(series.record(20)).await?;
    from(&mut receiver, series, 20, 21).await?;
    Ok(Verdict::Passed)
}

/// Receives records `first` to `end` - 1 one by one, in order; how many the source has given then.
async fn from(receiver: &mut Receiver, series: Series, first: u64, end: u64) -> Result<u64, Fault> {
    for n in first..end {
        let expected = || {
            format!(
                "record {n}: those up to {first} were committed before the source was opened, it was not"
            )
        };
        let batch = receiver.some(1, expected).await?;
        let mut tally = Tally::default();
        tally.count_all(&batch)?;
        if tally.of(series) != [n] {
            return Err(Fault::new(
                expected(),
                format!("record {:?}", tally.of(series)),
            ));
        }
    }
    Ok(receiver.given)
}
