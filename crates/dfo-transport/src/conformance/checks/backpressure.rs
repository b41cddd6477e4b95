//! A sender whose records nobody receives.

use std::time::Duration;

use crate::conformance::ends::{Receiver, Sender};
use crate::conformance::failure::{Fault, Verdict};
use crate::conformance::harness::Claim;
use crate::conformance::numbered::{Series, Tally};
use crate::conformance::stage::Stage;
use crate::conformance::transfer::{self, Flow};

/// The size of a record, and how many of them are 256 MiB.
const SIZE: usize = 16 * 1024;
const WITHOUT_BOUND: u64 = 16 * 1024;

/// How long sending must not go on for the sender to count as waiting.
const WAITING: Duration = Duration::from_millis(500);

/// It waits or drops, within bounds; nothing that was taken is lost.
pub(in super::super) async fn backpressure(stage: &Stage) -> Result<Verdict, Fault> {
    with_an_idle_receiver(stage).await?;
    without_a_receiver(stage).await?;
    if stage.claims(Claim::KeepsForReceiver) {
        with_a_late_receiver(stage).await?;
    }
    Ok(Verdict::Passed)
}

/// What a sender could send until it had to wait.
struct Sent {
    /// Records 0 to `taken` - 1 were taken. The next one, if it waited, was given up.
    taken: u64,
    waited: bool,
}

async fn send_until_it_waits(
    sender: &mut Sender,
    series: Series,
    most: u64,
) -> Result<Sent, Fault> {
    for n in 0..most {
        if !sender.send_or_wait(series.record(n), WAITING).await? {
            let waited = true;
            return Ok(Sent { taken: n, waited });
        }
    }
    Ok(Sent {
        taken: most,
        waited: false,
    })
}

/// A receiver that is there, but does not receive.
async fn with_an_idle_receiver(stage: &Stage) -> Result<(), Fault> {
    let (_spot, mut sender, mut receiver) = stage.pair().await?;
    let stores = receiver.capabilities().replay || sender.capabilities().replay;
    let lossless = stage.claims(Claim::Lossless);
    let series = Stage::series(SIZE);
    let most = match stores {
        true => 256,
        false => WITHOUT_BOUND,
    };
    let sent = send_until_it_waits(&mut sender, series, most).await?;
    if lossless && !stores && !sent.waited {
        return Err(Fault::new(
            "that a sender waits for a receiver that does not receive",
            format!(
                "that it took {} records of {SIZE} bytes without waiting",
                sent.taken
            ),
        ));
    }
    sender.flush(Duration::from_millis(50)).await?;
    let tally = match lossless {
        true => drain(&mut receiver, series, &sent).await?,
        false => remains(&mut receiver, series, &sent, stores).await?,
    };
    tally.in_order(series).map_err(|found| {
        Fault::new(
            "each record at most once and in order, after a sender had to wait",
            found,
        )
    })?;
    go_on(stage, sender, receiver).await
}

/// Receives all that was taken.
async fn drain(receiver: &mut Receiver, series: Series, sent: &Sent) -> Result<Tally, Fault> {
    let mut tally = Tally::default();
    let taken = sent.taken;
    while taken > 0 && tally.of(series).last().is_none_or(|last| last + 1 < taken) {
        let expected = || {
            let missing = tally.each_once(series, taken).err();
            let missing = missing.unwrap_or_default();
            format!("the {taken} records that were taken while nobody received; {missing}")
        };
        let batch = receiver.some(64, expected).await?;
        tally.count_all(&batch)?;
    }
    tally.count_all(&receiver.rest().await?)?;
    let all = format!("the {taken} records that were taken while nobody received");
    let missing = (0..taken).find(|n| tally.of(series).binary_search(n).is_err());
    match missing {
        None => Ok(tally),
        Some(n) => Err(Fault::new(all, format!("that record {n} never came"))),
    }
}

/// Receives what was not dropped: there must be a bound to it.
async fn remains(
    receiver: &mut Receiver,
    series: Series,
    sent: &Sent,
    stores: bool,
) -> Result<Tally, Fault> {
    let mut tally = Tally::default();
    tally.count_all(&receiver.rest().await?)?;
    let came = tally.of(series).len() as u64;
    match sent.waited || stores || came <= WITHOUT_BOUND / 2 {
        true => Ok(tally),
        false => Err(Fault::new(
            "that a sender that neither waits nor stores drops what nobody receives",
            format!(
                "that {came} of {} records of {SIZE} bytes were kept",
                sent.taken
            ),
        )),
    }
}

/// Both ends can still be used, flushing finds nothing left, and both close.
async fn go_on(stage: &Stage, mut sender: Sender, receiver: Receiver) -> Result<(), Fault> {
    let mut receivers = [receiver];
    stage.meet(&mut sender, &mut receivers).await?;
    let mut senders = [sender];
    let came = transfer::numbered(stage, &mut senders, &mut receivers, 20, SIZE).await?;
    came.each_once()?;
    let [mut sender] = senders;
    if !sender.flush(stage.patience).await? {
        return Err(Fault::new(
            "that flushing succeeds once everything was received",
            format!("that records were left after {:?}", stage.patience),
        ));
    }
    let closed = sender.close(stage.patience).await?;
    if stage.claims(Claim::Lossless) && closed.dropped > 0 {
        return Err(Fault::new(
            "that nothing is dropped once everything was received",
            format!("{} records dropped", closed.dropped),
        ));
    }
    let [receiver] = receivers;
    receiver.close(stage.patience).await
}

/// No receiver at all: a send that waits is given up, and the sink closes all the same.
async fn without_a_receiver(stage: &Stage) -> Result<(), Fault> {
    let spot = stage.spot();
    let mut sender = spot.sink().await?;
    let most = match sender.capabilities().replay {
        true => 256,
        false => WITHOUT_BOUND,
    };
    let sent = send_until_it_waits(&mut sender, Stage::series(SIZE), most).await?;
    let keeps = stage.claims(Claim::KeepsForReceiver) && !sender.capabilities().replay;
    if stage.claims(Claim::Lossless) && keeps && !sent.waited {
        return Err(Fault::new(
            "that a sender waits for a receiver that is not there",
            format!(
                "that it took {} records of {SIZE} bytes without waiting",
                sent.taken
            ),
        ));
    }
    let closed = sender.close(Duration::from_millis(200)).await?;
    match closed.dropped <= sent.taken + 1 {
        true => Ok(()),
        false => Err(Fault::new(
            format!(
                "at most {} records dropped, for no more were sent",
                sent.taken
            ),
            format!("{} dropped", closed.dropped),
        )),
    }
}

/// What is sent before the receiver is there waits for it, or the sender does.
async fn with_a_late_receiver(stage: &Stage) -> Result<(), Fault> {
    const RECORDS: u64 = 100;
    let spot = stage.spot();
    let mut sender = spot.sink().await?;
    let series = Stage::series(64);
    let flow = Flow::new(stage, 1);
    flow.before_sending().await;
    let first = sender.send_or_wait(series.record(0), WAITING).await?;
    if !first {
        // It may never have been sent: do not wait for it to arrive.
        flow.received(1);
    }
    let sending = async {
        for n in 1..RECORDS {
            flow.before_sending().await;
            sender.try_send(series.record(n)).await?;
        }
        Ok(())
    };
    let receiving = async {
        let mut receiver = spot.source().await?;
        let mut tally = Tally::default();
        while tally.of(series).last() != Some(&(RECORDS - 1)) {
            let expected = || "what was sent before the receiver was there".to_owned();
            let batch = receiver.some(64, expected).await?;
            flow.received(batch.len());
            tally.count_all(&batch)?;
        }
        Ok(tally)
    };
    let ((), tally) = tokio::try_join!(sending, receiving)?;
    // The first one, where it was given up, may have been sent.
    let came = tally.of(series);
    let all = (0..RECORDS).filter(|n| *n > 0 || first);
    let late = || "every record, in order, although the receiver came late".to_owned();
    tally
        .in_order(series)
        .map_err(|found| Fault::new(late(), found))?;
    for n in all {
        if came.binary_search(&n).is_err() {
            return Err(Fault::new(late(), format!("record {n} never came")));
        }
    }
    Ok(())
}
