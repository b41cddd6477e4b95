//! The end of a stream, and what is none.

use std::time::Duration;

use tokio::time::timeout;

use crate::conformance::ends::Receiver;
use crate::conformance::failure::{Fault, Verdict};
use crate::conformance::harness::Claim;
use crate::conformance::numbered::probe_id;
use crate::conformance::stage::Stage;
use crate::conformance::transfer;

/// The stream ends with its last sender, after the last record, and stays ended.
pub(in super::super) async fn end(stage: &Stage) -> Result<Verdict, Fault> {
    if !stage.claims(Claim::Ends) {
        return Ok(Verdict::LeftOut(Claim::Ends.unclaimed()));
    }
    after_a_closed_sink(stage).await?;
    after_a_dropped_sink(stage).await?;
    if stage.claims(Claim::SeveralSenders) {
        with_the_last_of_two(stage).await?;
    }
    Ok(Verdict::Passed)
}

async fn after_a_closed_sink(stage: &Stage) -> Result<(), Fault> {
    let (spot, mut sender, mut receiver) = stage.pair().await?;
    let series = Stage::series(64);
    let sending = async {
        for n in 0..10 {
            sender.try_send(series.record(n)).await?;
        }
        sender.close(stage.patience).await?;
        drop(spot);
        Ok(())
    };
    let receiving = until_the_end(&mut receiver);
    let ((), came) = tokio::try_join!(sending, receiving)?;
    if stage.claims(Claim::Lossless) && came != 10 {
        return Err(Fault::new(
            "10 records before the end",
            format!("{came} records before the end"),
        ));
    }
    Ok(())
}

async fn after_a_dropped_sink(stage: &Stage) -> Result<(), Fault> {
    let (spot, sender, mut receiver) = stage.pair().await?;
    let (mut senders, receivers) = ([sender], std::slice::from_mut(&mut receiver));
    let came = transfer::numbered(stage, &mut senders, receivers, 10, 64).await?;
    came.each_once()?;
    drop(senders);
    drop(spot);
    until_the_end(&mut receiver).await.map(|_| ())
}

async fn with_the_last_of_two(stage: &Stage) -> Result<(), Fault> {
    let (spot, first, mut receiver) = stage.pair().await?;
    let mut second = spot.sink().await?;
    drop(spot);
    stage
        .meet(&mut second, std::slice::from_mut(&mut receiver))
        .await?;
    first.close(stage.patience).await?;
    let (mut senders, receivers) = ([second], std::slice::from_mut(&mut receiver));
    let came = transfer::numbered(stage, &mut senders, receivers, 10, 64).await?;
    came.each_once()?;
    drop(senders);
    until_the_end(&mut receiver).await.map(|_| ())
}

/// How many records come before the end, which must stay.
async fn until_the_end(receiver: &mut Receiver) -> Result<u64, Fault> {
    let expected = || "the end of the stream, for its senders are gone".to_owned();
    let mut came = 0;
    loop {
        match receiver.batch(4, expected).await?.len() {
            0 => break,
            records => came += records as u64,
        }
    }
    for _ in 0..3 {
        let after = receiver.batch(4, expected).await?;
        if !after.is_empty() {
            let found = format!("{} records after it", after.len());
            return Err(Fault::new("that the end stays the end", found));
        }
    }
    Ok(came)
}

/// A source waits while there is nothing.
pub(in super::super) async fn idle(stage: &Stage) -> Result<Verdict, Fault> {
    let (_spot, sender, mut receiver) = stage.pair().await?;
    let nothing = async {
        loop {
            let batch = receiver.any_batch(4).await?;
            let what = match batch.iter().find(|record| probe_id(record).is_none()) {
                Some(_) => "records that were never sent",
                None if batch.is_empty() => "an empty batch: the end of the stream",
                None => continue,
            };
            let expected = "that a source waits while its sender has nothing to send";
            return Err(Fault::new(expected, what));
        }
    };
    // That nothing happens can only be seen by letting time pass.
    if let Ok(fault) = timeout(Duration::from_millis(150), nothing).await {
        return fault;
    }
    let (mut senders, mut receivers) = ([sender], [receiver]);
    let came = transfer::numbered(stage, &mut senders, &mut receivers, 3, 64).await?;
    came.each_once()?;
    Ok(Verdict::Passed)
}
