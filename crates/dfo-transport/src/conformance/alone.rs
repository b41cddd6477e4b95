//! A source without a sink: it reads what is already there.

use std::sync::Arc;
use std::time::Duration;

use super::checks::cancellation::give_up_receiving;
use super::checks::flood::Fairness;
use super::checks::skipping::{NOT_KEPT, first_is};
use super::ends::{Receiver, within};
use super::failure::{Failure, Failures, Fault, Report, Verdict};
use super::harness::OpenError;
use super::numbered::Series;
use super::stage::Stage;
use super::suite::{Check, run_apart};
use super::transfer::{Flow, Sequence};
use crate::ends::Source;
use crate::record::Record;

/// How long one thing that should happen is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the checks that need no sink: for a source that reads what is already there, and then ends.
///
/// `open` is given the payloads, each a JSON object on one line, and opens a source of records that
/// have these payloads in this order, and no metadata. It is called
/// on a tokio runtime.
///
/// ```
/// use dfo_transport::conformance;
/// use dfo_transport::{FileSource, Pace, Records};
///
/// # fn main() -> Result<(), conformance::Failures> {
/// conformance::prove_source(|payloads| {
///     let records = Records::from_reader("lines", std::io::Cursor::new(payloads.join(&b'\n')));
///     Ok(Box::new(FileSource::new(records, Pace::Full)?))
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those that failed, all of them.
pub fn prove_source(
    open: impl Fn(&[Vec<u8>]) -> Result<Box<dyn Source>, OpenError> + Send + Sync + 'static,
) -> Result<Report, Failures> {
    let open = Opening(Arc::new(open));
    Report::of(CHECKS.map(|check| (check, open.check(check))))
}

/// Those that need no sink.
const CHECKS: [Check; 8] = [
    Check::Order,
    Check::Limit,
    Check::ReceiveCancellation,
    Check::Flood,
    Check::SourceClose,
    Check::End,
    Check::Commit,
    Check::Skip,
];

type Open = dyn Fn(&[Vec<u8>]) -> Result<Box<dyn Source>, OpenError> + Send + Sync;

#[derive(Clone)]
struct Opening(Arc<Open>);

impl Opening {
    fn of(&self, records: &[Record]) -> Result<Receiver, Fault> {
        let payloads: Vec<_> = records.iter().map(|r| r.payload.to_vec()).collect();
        let source = (self.0)(&payloads)
            .map_err(|error| Fault::new("a source to open", format!("\"{error}\"")))?;
        Ok(Receiver::new(source, PATIENCE))
    }

    fn check(&self, check: Check) -> Result<Verdict, Failure> {
        let open = self.clone();
        run_apart(check.name(), PATIENCE, async move || open.run(check).await)
            .map_err(|fault| fault.of(check))
    }

    async fn run(&self, check: Check) -> Result<Verdict, Fault> {
        match check {
            Check::Order => order(self).await?,
            Check::Limit => limit(self).await?,
            Check::ReceiveCancellation => cancellation(self).await?,
            Check::Flood => flood(self).await?,
            Check::SourceClose => close(self).await?,
            Check::End => end(self).await?,
            Check::Commit => commit(self).await?,
            Check::Skip => return skip(self).await,
            _ => return Ok(Verdict::LeftOut("it needs a sink")),
        }
        Ok(Verdict::Passed)
    }
}

/// So many records with a payload of about this size, and no metadata.
fn records(series: Series, count: u64) -> Vec<Record> {
    let of = |n| Record::new("", series.payload(n, series.size));
    (0..count).map(of).collect()
}

async fn order(open: &Opening) -> Result<(), Fault> {
    let mut expected = records(Stage::series(100), 3_000);
    for size in [0, 4_095, 4_096, 4_097, 65_535, 65_536, 65_537, 1_048_576] {
        expected.extend(records(Stage::series(size), 2));
    }
    let mut receiver = open.of(&expected)?;
    let mut sequence = Sequence::of(&expected);
    while let Some(next) = sequence.next() {
        sequence.take(&receiver.some(7, || next.clone()).await?)?;
    }
    ended(&mut receiver).await
}

async fn limit(open: &Opening) -> Result<(), Fault> {
    let expected = records(Stage::series(20), 3_000);
    let mut receiver = open.of(&expected)?;
    let mut came = 0;
    for limit in [1, 0, 2, 64, 7, usize::MAX].into_iter().cycle() {
        let batch = receiver
            .batch(limit, || "records, or the end".to_owned())
            .await?;
        if batch.len() > limit.max(1) {
            return Err(Fault::new(
                format!("at most {} records for a limit of {limit}", limit.max(1)),
                format!("{} records", batch.len()),
            ));
        }
        came += batch.len();
        if batch.is_empty() {
            break;
        }
    }
    match came == expected.len() {
        true => Ok(()),
        false => Err(Fault::new(
            format!("{} records", expected.len()),
            format!("{came}"),
        )),
    }
}

async fn cancellation(open: &Opening) -> Result<(), Fault> {
    for (count, size) in [(3_000, 64), (60, 100_000)] {
        let series = Stage::series(size);
        let mut receiver = open.of(&records(series, count))?;
        let tally = give_up_receiving(&mut receiver, &Flow::free(), series, count).await?;
        tally.each_once(series, count).map_err(|found| {
            let expected = "that a receive future that is dropped before it is done loses nothing";
            Fault::new(expected, found)
        })?;
    }
    Ok(())
}

async fn flood(open: &Opening) -> Result<(), Fault> {
    let mut receiver = open.of(&records(Stage::series(20), 100_000))?;
    let mut fairness = Fairness::watch(PATIENCE);
    while fairness.goes_on() {
        if receiver
            .batch(4, || "records, or the end".to_owned())
            .await?
            .is_empty()
        {
            // A fast source is at its end before a timer is due.
            return Ok(());
        }
        fairness.received()?;
    }
    fairness.judge()
}

async fn close(open: &Opening) -> Result<(), Fault> {
    for deadline in [Duration::from_millis(200), Duration::ZERO, Duration::MAX] {
        let mut receiver = open.of(&records(Stage::series(1_000), 10_000))?;
        receiver.some(4, || "records".to_owned()).await?;
        let closing = receiver.close(deadline);
        within(PATIENCE, "that a source closes with records left", closing).await??;
    }
    Ok(())
}

async fn commit(open: &Opening) -> Result<(), Fault> {
    let expected = records(Stage::series(20), 100);
    let mut receiver = open.of(&expected)?;
    receiver.commit(0).await?;
    let mut sequence = Sequence::of(&expected);
    while let Some(next) = sequence.next() {
        sequence.take(&receiver.some(7, || next.clone()).await?)?;
        receiver.commit(receiver.given).await?;
    }
    ended(&mut receiver).await
}

async fn skip(open: &Opening) -> Result<Verdict, Fault> {
    const RECORDS: u64 = 3_000;
    let series = Stage::series(100);
    let all = records(series, RECORDS);
    if !open.of(&[])?.capabilities().replay {
        return Ok(NOT_KEPT);
    }
    for skipped in [0, 1, 1_500, RECORDS - 1] {
        let mut receiver = open.of(&all)?;
        receiver.skip(skipped, RECORDS).await?;
        first_is(&mut receiver, series, skipped).await?;
    }
    for skipped in [RECORDS, RECORDS + 1] {
        let mut receiver = open.of(&all)?;
        receiver.skip(skipped, RECORDS).await?;
        ended(&mut receiver).await?;
    }
    Ok(Verdict::Passed)
}

async fn end(open: &Opening) -> Result<(), Fault> {
    ended(&mut open.of(&[])?).await
}

async fn ended(receiver: &mut Receiver) -> Result<(), Fault> {
    let expected = "the end of the stream, again and again";
    for _ in 0..3 {
        let batch = receiver.batch(4, || expected.to_owned()).await?;
        if !batch.is_empty() {
            return Err(Fault::new(expected, format!("{} records", batch.len())));
        }
    }
    Ok(())
}
