//! Sending and receiving at once.

use std::cell::{Cell, RefCell};

use tokio::sync::Semaphore;

use super::ends::{Receiver, Sender, fans_out};
use super::failure::Fault;
use super::harness::Claim;
use super::join;
use super::numbered::{Series, Tally, describe};
use super::stage::Stage;
use crate::record::Record;

/// Sends as fast as the transport takes it; where that may drop, one record after the other has
/// arrived at everyone.
pub(super) struct Flow {
    credit: Option<Semaphore>,
    hearers: u32,
}

impl Flow {
    /// For records that each arrive at so many receivers.
    pub fn new(stage: &Stage, hearers: usize) -> Self {
        let lossless = stage.claims(Claim::Lossless);
        Self {
            credit: (!lossless).then(|| Semaphore::new(hearers)),
            hearers: u32::try_from(hearers).unwrap_or(u32::MAX),
        }
    }

    /// For what does not wait for anything.
    pub fn free() -> Self {
        Self {
            credit: None,
            hearers: 1,
        }
    }

    pub async fn before_sending(&self) {
        if let Some(credit) = &self.credit
            && let Ok(permit) = credit.acquire_many(self.hearers).await
        {
            permit.forget();
        }
    }

    pub fn received(&self, records: usize) {
        if let Some(credit) = &self.credit {
            credit.add_permits(records);
        }
    }
}

/// Sends these records; they must arrive as they are, in order, and nothing else.
pub(super) async fn exactly(
    stage: &Stage,
    sender: &mut Sender,
    receiver: &mut Receiver,
    records: &[Record],
) -> Result<(), Fault> {
    let flow = Flow::new(stage, 1);
    let sending = async {
        for record in records {
            flow.before_sending().await;
            sender.try_send(record.clone()).await?;
        }
        Ok(())
    };
    let receiving = async {
        let mut sequence = Sequence::of(records);
        while let Some(next) = sequence.next() {
            let batch = receiver.some(8, || next.clone()).await?;
            flow.received(batch.len());
            sequence.take(&batch)?;
        }
        sequence.take(&receiver.rest().await?)
    };
    tokio::try_join!(sending, receiving).map(|_| ())
}

/// Records that are expected one after the other.
pub(super) struct Sequence<'a> {
    records: &'a [Record],
    came: usize,
}

impl<'a> Sequence<'a> {
    pub fn of(records: &'a [Record]) -> Self {
        Self { records, came: 0 }
    }

    /// What should come next, if anything should.
    pub fn next(&self) -> Option<String> {
        let next = self.records.get(self.came)?;
        let (at, of) = (self.came, self.records.len());
        Some(format!("record {at} of {of}, {}", describe(next)))
    }

    pub fn take(&mut self, batch: &[Record]) -> Result<(), Fault> {
        for record in batch {
            let expected = self.next().unwrap_or_else(|| "nothing more".to_owned());
            if self.records.get(self.came) != Some(record) {
                return Err(Fault::new(expected, self.instead(record)));
            }
            self.came += 1;
        }
        Ok(())
    }

    fn instead(&self, found: &Record) -> String {
        if let Some(other) = self.records.iter().position(|record| record == found) {
            return format!("record {other}, {}", describe(found));
        }
        let Some(expected) = self.records.get(self.came) else {
            return describe(found);
        };
        let (part, a, b) = match expected.metadata == found.metadata {
            true => ("payload", &expected.payload, &found.payload),
            false => ("metadata", &expected.metadata, &found.metadata),
        };
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        format!(
            "{} (the {part} differs from byte {same} on)",
            describe(found)
        )
    }
}

/// What came of numbered records.
pub(super) struct Came {
    /// A series for each sender.
    pub series: Vec<Series>,
    /// What each receiver got.
    pub tallies: Vec<Tally>,
    /// How many each sender sent.
    pub sent: u64,
}

impl Came {
    /// Every receiver got every record once.
    pub fn each_once(&self) -> Result<(), Fault> {
        self.all(|tally, series| tally.each_once(series, self.sent))
    }

    /// Every receiver got the records of each sender in order.
    pub fn in_order(&self) -> Result<(), Fault> {
        self.all(Tally::in_order)
    }

    fn all(&self, check: impl Fn(&Tally, Series) -> Result<(), String>) -> Result<(), Fault> {
        for tally in &self.tallies {
            for series in &self.series {
                check(tally, *series).map_err(|found| self.fault(found))?;
            }
        }
        Ok(())
    }

    pub fn fault(&self, found: impl Into<String>) -> Fault {
        let (sent, senders) = (self.sent, self.series.len());
        let from = match senders {
            1 => "a sender".to_owned(),
            _ => format!("each of {senders} senders"),
        };
        let expected = format!(
            "records 0 to {} of {from}, each once and in order",
            sent - 1
        );
        Fault::new(expected, found)
    }
}

/// Sends so many numbered records from each sender, at once, and receives until the last of each
/// has come and nothing more does. What is missing then is for the caller to judge; a record that
/// is cut or unknown is a fault here.
pub(super) async fn numbered(
    stage: &Stage,
    senders: &mut [Sender],
    receivers: &mut [Receiver],
    sent: u64,
    size: usize,
) -> Result<Came, Fault> {
    let hearers = match fans_out(&senders[0], receivers) {
        true => receivers.len(),
        false => 1,
    };
    let series: Vec<_> = senders.iter().map(|_| Stage::series(size)).collect();
    let tallies = receivers.iter().map(|_| RefCell::default()).collect();
    let exchange = Exchange {
        flow: Flow::new(stage, hearers),
        lasts: Cell::new(senders.len() * hearers),
        done: Semaphore::new(0),
        tallies,
        sent,
        series,
    };
    let sending = senders.iter_mut().zip(&exchange.series);
    let sending = join::all(sending.map(|(sender, series)| exchange.send(sender, *series)));
    let receiving = receivers.iter_mut().enumerate();
    let receiving = join::all(receiving.map(|(at, receiver)| exchange.receive(at, receiver)));
    tokio::try_join!(sending, receiving)?;
    Ok(exchange.came())
}

struct Exchange {
    flow: Flow,
    series: Vec<Series>,
    sent: u64,
    tallies: Vec<RefCell<Tally>>,
    /// How often the last record of a sender has yet to arrive somewhere.
    lasts: Cell<usize>,
    /// Closed when it has arrived everywhere.
    done: Semaphore,
}

impl Exchange {
    async fn send(&self, sender: &mut Sender, series: Series) -> Result<(), Fault> {
        for n in 0..self.sent {
            self.flow.before_sending().await;
            sender.try_send(series.record(n)).await?;
        }
        Ok(())
    }

    async fn receive(&self, at: usize, receiver: &mut Receiver) -> Result<(), Fault> {
        // Where receivers share, one of them may have nothing to wait for: a fault is that of the
        // one who is told of it first.
        while self.lasts.get() > 0 {
            let batch = tokio::select! {
                biased;
                _ = self.done.acquire() => break,
                batch = receiver.some(64, || self.missing(at)) => batch,
            };
            let batch = batch.map_err(|fault| Fault {
                found: format!("{} ({})", self.missing(at), fault.found),
                ..fault
            });
            self.count(at, &batch?)?;
        }
        self.done.close();
        self.count(at, &receiver.rest().await?)
    }

    fn count(&self, at: usize, batch: &[Record]) -> Result<(), Fault> {
        self.flow.received(batch.len());
        for record in batch {
            let counted = self.tallies[at].borrow_mut().count(record);
            let (id, n) =
                counted.map_err(|found| Fault::new("records as they were sent", found))?;
            let ours = self.series.iter().any(|series| series.id == id);
            if ours && n + 1 == self.sent {
                self.lasts.set(self.lasts.get().saturating_sub(1));
            }
        }
        Ok(())
    }

    /// What has not come, in a message.
    fn missing(&self, at: usize) -> String {
        let tally = self.tallies[at].borrow();
        let missing = |series: &Series| tally.each_once(*series, self.sent).err();
        let missing = self.series.iter().find_map(missing);
        missing.unwrap_or_else(|| "the records of other receivers".to_owned())
    }

    fn came(self) -> Came {
        Came {
            series: self.series,
            tallies: self.tallies.into_iter().map(RefCell::into_inner).collect(),
            sent: self.sent,
        }
    }
}
