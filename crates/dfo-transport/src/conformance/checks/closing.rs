//! Closing while records are on their way.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::conformance::ends::Sender;
use crate::conformance::failure::{Fault, Verdict};
use crate::conformance::harness::Claim;
use crate::conformance::numbered::Tally;
use crate::conformance::stage::Stage;

/// A deadline that is short, but no race.
const SOON: Duration = Duration::from_millis(200);

/// A source closes while it is sent to; the sender survives it and closes, too.
pub(in super::super) async fn source(stage: &Stage) -> Result<Verdict, Fault> {
    let (_spot, mut sender, mut receiver) = stage.pair().await?;
    let closed = Semaphore::new(0);
    let sending = async {
        send_until(&mut sender, &closed).await;
        Ok(())
    };
    let closing = async {
        for _ in 0..20 {
            receiver.some(4, || "records under load".to_owned()).await?;
        }
        receiver.close(SOON).await?;
        closed.close();
        Ok(())
    };
    tokio::try_join!(sending, closing)?;
    send_to_nobody(&mut sender).await;
    sender.close(SOON).await?;
    Ok(Verdict::Passed)
}

/// Sends without end. What it is told does not matter here: no one may be there any more.
async fn send_until(sender: &mut Sender, closed: &Semaphore) {
    let series = Stage::series(1_000);
    let sending = async {
        for n in 0.. {
            if sender.sink.send(series.record(n)).await.is_err() {
                sleep(Duration::from_millis(1)).await;
            }
        }
    };
    tokio::select! {
        _ = closed.acquire() => {}
        () = sending => {}
    }
}

/// Sends some more: an error or waiting are fine, a panic is not.
async fn send_to_nobody(sender: &mut Sender) {
    let series = Stage::series(1_000);
    for n in 0..10 {
        let sending = sender.sink.send(series.record(n));
        // Whether it is sent is not asked.
        let _ = timeout(Duration::from_millis(10), sending).await;
    }
}

/// A sink closes with records left, and what it says of them is true.
pub(in super::super) async fn sink(stage: &Stage) -> Result<Verdict, Fault> {
    with_a_busy_receiver(stage).await?;
    with_an_idle_receiver(stage).await?;
    with_nothing_left(stage).await?;
    Ok(Verdict::Passed)
}

/// The receiver keeps receiving: a lossless transport gets everything across before it closes.
async fn with_a_busy_receiver(stage: &Stage) -> Result<(), Fault> {
    const RECORDS: u64 = 2_000;
    let (_spot, mut sender, mut receiver) = stage.pair().await?;
    let series = Stage::series(500);
    let over = Cell::new(false);
    let sending = async {
        for n in 0..RECORDS {
            sender.try_send(series.record(n)).await?;
        }
        let sent = sender.sent;
        let closed = sender.close(stage.patience).await?;
        over.set(true);
        Ok((sent, closed.dropped))
    };
    let receiving = async {
        let mut tally = Tally::default();
        while !over.get() {
            let soon = timeout(Duration::from_millis(20), receiver.any_batch(64)).await;
            match soon {
                Err(_) => {}
                Ok(Ok(end)) if end.is_empty() => break,
                Ok(batch) => tally.count_all(&batch?)?,
            }
        }
        let all_come = stage.claims(Claim::Lossless);
        while all_come && tally.of(series).len() as u64 != RECORDS {
            let expected = || format!("all {RECORDS} records, sent before the sink was closed");
            let batch = receiver.batch(64, expected).await?;
            if batch.is_empty() {
                break;
            }
            tally.count_all(&batch)?;
        }
        tally.count_all(&receiver.rest().await?)?;
        Ok(tally)
    };
    let ((sent, dropped), tally) = tokio::try_join!(sending, receiving)?;
    if stage.claims(Claim::Lossless) {
        tally.each_once(series, RECORDS).map_err(|found| {
            let expected = "every record, since the receiver kept receiving while the sink closed";
            Fault::new(expected, found)
        })?;
    }
    if stage.claims(Claim::Lossless) && dropped > 0 {
        return Err(Fault::new(
            "that nothing is dropped when everything arrived",
            format!("{dropped} told as dropped"),
        ));
    }
    honest(sent, receiver.given, dropped)
}

/// The receiver receives nothing until the sink is closed.
async fn with_an_idle_receiver(stage: &Stage) -> Result<(), Fault> {
    let (_spot, mut sender, mut receiver) = stage.pair().await?;
    let series = Stage::series(16_000);
    for n in 0..500 {
        if !sender.send_or_wait(series.record(n), SOON).await? {
            break;
        }
    }
    let sent = sender.sent;
    let closed = sender.close(SOON).await?;
    let mut tally = Tally::default();
    tally.count_all(&receiver.rest().await?)?;
    tally
        .in_order(series)
        .map_err(|found| Fault::new("records in order, after the sink was closed", found))?;
    honest(sent, receiver.given, closed.dropped)?;
    receiver.close(SOON).await
}

/// Every deadline makes sense, from none to for ever.
async fn with_nothing_left(stage: &Stage) -> Result<(), Fault> {
    let (_spot, sender, receiver) = stage.pair().await?;
    sender.close(Duration::ZERO).await?;
    receiver.close(Duration::ZERO).await?;
    let (_spot, mut sender, receiver) = stage.pair().await?;
    let in_time = async {
        sender.flush(Duration::MAX).await?;
        sender.close(Duration::MAX).await?;
        receiver.close(Duration::MAX).await
    };
    timeout(stage.patience, in_time).await.unwrap_or_else(|_| {
        Err(Fault::new(
            "that ends with nothing left are flushed and closed at once, with the longest deadline",
            format!("that it took more than {:?}", stage.patience),
        ))
    })
}

/// One that was given up counts as sent: it may have been.
fn honest(sent: u64, given: u64, dropped: u64) -> Result<(), Fault> {
    match given.saturating_add(dropped) <= sent {
        true => Ok(()),
        false => Err(Fault::new(
            format!("that of {sent} records, those received and those told as dropped are no more"),
            format!("{given} received and {dropped} told as dropped"),
        )),
    }
}
