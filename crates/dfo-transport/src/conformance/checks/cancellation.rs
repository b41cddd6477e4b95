//! Futures that are dropped before they are done.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use crate::conformance::ends::{Receiver, Sender};
use crate::conformance::failure::{Fault, Verdict};
use crate::conformance::harness::Claim;
use crate::conformance::join::abandon_after;
use crate::conformance::numbered::{Series, Tally, probe_id};
use crate::conformance::stage::Stage;
use crate::conformance::transfer::{self, Flow};

/// Receiving that is given up loses nothing.
pub(in super::super) async fn receiving(stage: &Stage) -> Result<Verdict, Fault> {
    let (_spot, mut sender, mut receiver) = stage.pair().await?;
    // Small ones, of which many are ready at once; large ones, which come in pieces.
    for (records, size) in [(3_000, 64), (100, 200_000)] {
        let series = Stage::series(size);
        let flow = Flow::new(stage, 1);
        let sending = async {
            for n in 0..records {
                flow.before_sending().await;
                sender.try_send(series.record(n)).await?;
            }
            Ok(())
        };
        let giving_up = give_up_receiving(&mut receiver, &flow, series, records);
        let ((), tally) = tokio::try_join!(sending, giving_up)?;
        check_nothing_lost(&tally, series, records)?;
    }
    Ok(Verdict::Passed)
}

fn check_nothing_lost(tally: &Tally, series: Series, records: u64) -> Result<(), Fault> {
    let each = tally.each_once(series, records);
    each.and_then(|()| tally.in_order(series)).map_err(|found| {
        let expected = "that a receive future that is dropped before it is done loses nothing";
        Fault::new(expected, found)
    })
}

/// Receives until the last record has come, and gives up most of the time.
pub(in super::super) async fn give_up_receiving(
    receiver: &mut Receiver,
    flow: &Flow,
    series: Series,
    records: u64,
) -> Result<Tally, Fault> {
    let mut tally = Tally::default();
    let mut chance = Chance::new();
    while tally.of(series).last() != Some(&(records - 1)) {
        let limit = chance.below(5);
        let batch = match chance.below(4) {
            0 => {
                let missing = || match tally.each_once(series, records) {
                    Err(missing) => {
                        format!("that dropped receive futures lose nothing, but {missing}")
                    }
                    Ok(()) => "the last record".to_owned(),
                };
                receiver.some(limit, missing).await?
            }
            _ => match chance.give_up(receiver.any_batch(limit)).await {
                None => continue,
                Some(batch) => batch?,
            },
        };
        flow.received(batch.iter().filter(|r| probe_id(r).is_none()).count());
        tally.count_all(&batch)?;
    }
    tally.count_all(&receiver.rest().await?)?;
    Ok(tally)
}

/// Sending that is given up sends the record once or not at all, and the sink can still be used.
pub(in super::super) async fn sending(stage: &Stage) -> Result<Verdict, Fault> {
    let (_spot, sender, receiver) = stage.pair().await?;
    let (mut senders, mut receivers) = ([sender], [receiver]);
    for (records, size) in [(2_000, 64), (300, 100_000)] {
        let series = Stage::series(size);
        let sending_is_over = Cell::new(false);
        let sending = async {
            let certain = give_up_sending(&mut senders[0], series, records).await;
            sending_is_over.set(true);
            certain
        };
        let last = stage.claims(Claim::Lossless).then_some(records);
        let receiving = receive_slowly(&mut receivers[0], series, last, &sending_is_over);
        let (certain, tally) = tokio::try_join!(sending, receiving)?;
        check_at_most_once(&tally, series)?;
        if stage.claims(Claim::Lossless) {
            check_certain(&tally, series, &certain)?;
        }
        stage.meet(&mut senders[0], &mut receivers).await?;
        let came = transfer::numbered(stage, &mut senders, &mut receivers, 20, size).await?;
        came.each_once()?;
    }
    Ok(Verdict::Passed)
}

fn check_at_most_once(tally: &Tally, series: Series) -> Result<(), Fault> {
    tally.in_order(series).map_err(|found| {
        let expected =
            "that a record whose send future was dropped arrives at most once, in its order";
        Fault::new(expected, found)
    })
}

fn check_certain(tally: &Tally, series: Series, certain: &[u64]) -> Result<(), Fault> {
    let came = tally.of(series);
    let lost = certain.iter().find(|n| came.binary_search(n).is_err());
    lost.map_or(Ok(()), |lost| {
        Err(Fault::new(
            "that a record that was sent arrives, although others were given up before it",
            format!("record {lost} never came"),
        ))
    })
}

/// Sends most records only half; which of them were surely sent. The last one surely is.
async fn give_up_sending(
    sender: &mut Sender,
    series: Series,
    records: u64,
) -> Result<Vec<u64>, Fault> {
    let mut certain = Vec::new();
    let mut chance = Chance::new();
    for n in 0..records {
        let sent = match chance.below(4) {
            0 => Some(sender.send(series.record(n)).await),
            _ => chance.give_up(sender.try_send(series.record(n))).await,
        };
        if let Some(sent) = sent {
            sent?;
            certain.push(n);
        }
    }
    sender.send(series.record(records)).await?;
    certain.push(records);
    Ok(certain)
}

/// Receives so slowly that the sender has to wait, until `last` has come; without one, until
/// sending is over and nothing more comes.
async fn receive_slowly(
    receiver: &mut Receiver,
    series: Series,
    last: Option<u64>,
    sending_is_over: &Cell<bool>,
) -> Result<Tally, Fault> {
    let mut tally = Tally::default();
    loop {
        let batch = match last {
            Some(last) if tally.of(series).last() == Some(&last) => break,
            Some(last) => receiver.some(1, || format!("record {last}")).await?,
            None if sending_is_over.get() => break,
            None => {
                let soon = timeout(Duration::from_millis(50), receiver.any_batch(1)).await;
                soon.unwrap_or_else(|_| Ok(Vec::new()))?
            }
        };
        tally.count_all(&batch)?;
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
    tally.count_all(&receiver.rest().await?)?;
    Ok(tally)
}

/// The same choices each time.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn below(&mut self, limit: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }

    /// Drops a future after some polls, or after some time.
    async fn give_up<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        match self.below(3) {
            0 => {
                let wait = Duration::from_micros(self.below(1_500) as u64);
                timeout(wait, future).await.ok()
            }
            _ => {
                let polls = self.below(6);
                abandon_after(polls, future).await
            }
        }
    }
}
