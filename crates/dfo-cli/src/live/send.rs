//! `dfo send`: saved findings, as a diagnoser would send them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args};
use dfo_model::{FindingView, PublishMode};
use dfo_transport::{Content, FileSource, Pace, Record, Records, Role, Sink, Source};
use serde::Serialize;

use super::{Chosen, FreeOptions, Known};
use crate::exit::{Exit, Failure};
use crate::input;
use crate::output::{Console, count};

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Files of findings: JSON lines, an array or one object, plain or gzip; `-` is standard input.
    #[arg(required = true, value_name = "FINDINGS")]
    findings: Vec<PathBuf>,
    /// A file of metadata, one JSON object a line, for the findings in turn; without it metadata are
    /// made from the findings as the diagnoser does.
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
    /// At most so many findings a second.
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Say at the end that this was all: an optimizer that hears it stops.
    #[arg(long)]
    end: bool,
    /// Give up after so many seconds in which nothing could be sent.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    patience: f64,
    #[command(flatten)]
    free: FreeOptions,
}

/// What the diagnoser says of a finding in its metadata.
#[derive(Serialize)]
struct Beside<'a> {
    artifact_type: &'static str,
    publish_mode: &'static str,
    finding_type: &'a str,
    scope: &'a str,
}

/// `dfo send`.
pub(crate) fn run(
    matches: &ArgMatches,
    known: &Known,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let Some(Chosen {
        args,
        transport,
        mut given,
    }) = super::chosen::<SendArgs>(matches, Role::Diagnoser, known)?
    else {
        return Err(Failure::Usage("which transport?".to_owned()));
    };
    given.extend(args.free.options.iter().cloned());
    let options = super::options(transport, Role::Diagnoser, given, Vec::new())?;
    let patience = Duration::try_from_secs_f64(args.patience)
        .map_err(|error| Failure::Usage(format!("--patience: {error}")))?;
    let runtime = super::runtime()?;
    let sent = runtime.block_on(async {
        let sink = transport.diagnoser(&options).await;
        let sink = sink.map_err(|error| super::cannot_open(&error))?;
        let mut sending = Sending {
            sink,
            patience,
            sent: 0,
        };
        let ended = sending.files(&args).await;
        // What was sent must arrive, also where the rest could not be read.
        let closed = sending.close().await?;
        ended.map(|()| closed)
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    let Sent { sent, dropped } = sent?;
    console.say(&format!("dfo: sent {}", count(sent, "record")));
    if dropped > 0 {
        let records = count(dropped, "record");
        let what = format!("{records} of them had not left in time; is anyone receiving?");
        return Err(Failure::CannotRead(what));
    }
    Ok(Exit::Done)
}

struct Sending {
    sink: Box<dyn Sink>,
    patience: Duration,
    sent: u64,
}

struct Sent {
    sent: u64,
    dropped: u64,
}

impl Sending {
    async fn files(&mut self, args: &SendArgs) -> Result<(), Failure> {
        let mut metadata = match &args.metadata {
            Some(path) => Some(open(path)?),
            None => None,
        };
        for path in &args.findings {
            let pace = args.rate.map_or(Pace::Full, Pace::PerSecond);
            let mut source =
                FileSource::new(open(path)?, pace).map_err(|e| super::cannot_open(&e))?;
            loop {
                let batch = source.receive(256).await;
                let batch = batch.map_err(|error| Failure::CannotRead(error.to_string()))?;
                if batch.is_empty() {
                    break;
                }
                for record in batch {
                    let beside = match &mut metadata {
                        Some(lines) => next_line(lines)?,
                        None => beside(&record.payload),
                    };
                    self.send(Record::new(beside, record.payload)).await?;
                }
            }
        }
        match args.end {
            true => self.send(Record::new(&br#"{"name": "end"}"#[..], "")).await,
            false => Ok(()),
        }
    }

    async fn send(&mut self, record: Record) -> Result<(), Failure> {
        let sent = tokio::time::timeout(self.patience, self.sink.send(record)).await;
        match sent {
            Ok(Ok(())) => {
                self.sent += 1;
                Ok(())
            }
            Ok(Err(error)) => Err(Failure::CannotRead(error.to_string())),
            Err(_) => Err(Failure::CannotRead(format!(
                "no one has taken a record for {} seconds; is the optimizer there? ({} sent)",
                self.patience.as_secs_f64(),
                self.sent
            ))),
        }
    }

    async fn close(self) -> Result<Sent, Failure> {
        let closed = self.sink.close(self.patience).await;
        let closed = closed.map_err(|error| Failure::CannotRead(error.to_string()))?;
        Ok(Sent {
            sent: self.sent,
            dropped: closed.dropped,
        })
    }
}

fn open(path: &std::path::Path) -> Result<Records, Failure> {
    input::open(path).map_err(|error| Failure::CannotRead(error.to_string()))
}

/// The next line of the file of metadata.
fn next_line(lines: &mut Records) -> Result<Vec<u8>, Failure> {
    let record = lines.next_record();
    let record = record.map_err(|error| Failure::CannotRead(error.to_string()))?;
    match record.map(|record| record.content) {
        Some(Content::Bytes(bytes)) => Ok(bytes.to_vec()),
        Some(Content::TooLarge { bytes, limit }) => {
            Err(Failure::CannotRead(input::too_large(bytes, limit)))
        }
        None => Err(Failure::CannotRead(format!(
            "{}: fewer lines than there are findings",
            lines.name()
        ))),
    }
}

/// Metadata as the diagnoser makes them. What is no finding is sent all the same, without.
fn beside(finding: &[u8]) -> Vec<u8> {
    let Ok(finding) = FindingView::decode(finding) else {
        return Vec::new();
    };
    let beside = Beside {
        artifact_type: "diagnosis_finding",
        publish_mode: match finding.publish_mode {
            PublishMode::Control => "control",
            PublishMode::Summary => "summary",
        },
        finding_type: &finding.finding_type,
        scope: &finding.scope,
    };
    // Texts alone always serialise; without metadata a finding is one still.
    serde_json::to_vec(&beside).unwrap_or_default()
}
