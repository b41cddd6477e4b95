//! What a service does, told on standard error while it does it.
//!
//! A thread writes, so that a full pipe that no one reads never holds up the service: lines that do
//! not fit are dropped, and counted. The summary comes last and goes before what still waits: it
//! arrives if anyone reads at all.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use dfo_service::{Channel, Ended, Happening, Observer};
use serde_json::json;

use super::journal;
use super::levels::Levels;
use crate::input::Complaints;
use crate::output::{ErrorStream, count};
use crate::report::{self, Done, Level, Remark, Report, Target};

/// Texts of one or more lines that wait for the writer, at most.
const TEXTS: usize = 8192;

/// What a plan that is not sent weighs: one may be superseded with every finding.
const UNSENT: (Target, Level) = (Target::Plans, Level::Debug);

const BAD_RECORD: (Target, Level) = (Target::Records, Level::Warning);

/// In the end what waits is written, unless nothing at all is written for so long.
const LAST_LINES: Duration = Duration::from_millis(100);

/// No longer than this, however slowly it is read: then the summary alone.
const LAST_LINES_AT_MOST: Duration = Duration::from_millis(300);

/// The log of one service.
pub(crate) struct Log {
    lines: Lines,
    report: Box<dyn Report>,
    levels: Levels,
    complaints: Complaints,
}

/// The way to the writer.
#[derive(Clone)]
struct Lines {
    sender: Sender<Vec<u8>>,
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Texts that wait for the writer.
    waiting: AtomicUsize,
    /// Lines that were dropped.
    dropped: AtomicU64,
    /// What waits is dropped: there is no more time.
    is_over: AtomicBool,
}

impl Queue {
    fn drop_lines(&self, text: &[u8]) {
        let lines = text.split(|byte| *byte == b'\n').skip(1).count() as u64;
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }
}

/// How many lines of a log were dropped so far.
#[derive(Clone, Default)]
pub(crate) struct DroppedLines(Arc<Queue>);

impl DroppedLines {
    pub(crate) fn count(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

/// The end of the log, for the words after the service's.
pub(crate) struct Epilogue {
    lines: Lines,
    last_words: Sender<Vec<u8>>,
    /// Told when nothing waits any more; hung up when the last words are written.
    written: Receiver<()>,
}

impl Log {
    /// A log, and what is said after it.
    pub(crate) fn new(
        report: Box<dyn Report>,
        levels: Levels,
        stream: ErrorStream,
    ) -> io::Result<(Self, Epilogue)> {
        let (sender, lines) = channel();
        let (last_words, the_last) = channel();
        let (done, written) = channel();
        let queue = Arc::<Queue>::default();
        let of_writer = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("dfo-log".to_owned())
            .spawn(move || {
                // Where no one waits any more, no one wants to know.
                write_all(&lines, &of_writer, &stream);
                let _ = done.send(());
                if let Ok(text) = the_last.recv() {
                    let text: Vec<u8> = text;
                    let _ = stream.write_all(&text);
                }
            })?;
        let lines = Lines { sender, queue };
        let log = Log {
            lines: lines.clone(),
            report,
            levels,
            complaints: Complaints::default(),
        };
        let epilogue = Epilogue {
            lines,
            last_words,
            written,
        };
        Ok((log, epilogue))
    }

    /// How many lines were dropped, for other threads.
    pub(crate) fn dropped_lines(&self) -> DroppedLines {
        DroppedLines(Arc::clone(&self.lines.queue))
    }

    /// Tells something that no decision is in, if it weighs enough.
    pub(crate) fn remark(
        &mut self,
        event: &'static str,
        (target, level): (Target, Level),
        text: &str,
        fields: Fields<'_>,
    ) {
        if !self.levels.tell(target, level) {
            return;
        }
        let remark = Remark {
            event,
            target,
            level,
            text,
            fields,
        };
        let report = &mut self.report;
        self.lines.write(|out| report.remark(&remark, out));
    }
}

type Fields<'a> = &'a [(&'static str, serde_json::Value)];

fn write_all(texts: &Receiver<Vec<u8>>, queue: &Queue, stream: &ErrorStream) {
    for text in texts {
        match queue.is_over.load(Ordering::Relaxed) {
            true => queue.drop_lines(&text),
            // Where it cannot be written there is no one to tell.
            false => drop(stream.write_all(&text)),
        }
        queue.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lines {
    /// Writes if there is room.
    fn write(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        let mut text = Vec::new();
        // Writing to memory does not fail.
        if write(&mut text).is_err() || text.is_empty() {
            return;
        }
        if self.queue.waiting.load(Ordering::Relaxed) >= TEXTS {
            return self.queue.drop_lines(&text);
        }
        self.queue.waiting.fetch_add(1, Ordering::Relaxed);
        // Fails only where the writer is gone, and with it who would read.
        let _ = self.sender.send(text);
    }
}

impl Epilogue {
    /// Tells how it ended, and waits a little until all is written.
    pub(crate) fn tell(self, ended: &Ended, event: &'static str, report: &mut dyn Report) {
        let Epilogue {
            lines,
            last_words,
            written,
        } = self;
        let queue = Arc::clone(&lines.queue);
        // What waits ends when the last sender is gone.
        drop(lines);
        if !is_written_in_time(&written, &queue) {
            queue.is_over.store(true, Ordering::Relaxed);
            is_written_in_time(&written, &queue);
        }
        let mut text = Vec::new();
        let dropped = queue.dropped.load(Ordering::Relaxed);
        // Writing to memory does not fail.
        let _ = summary(ended, event, dropped, report, &mut text);
        let _ = last_words.send(text);
        // The writer hangs up when it is through.
        while written.recv_timeout(LAST_LINES).is_ok() {}
    }
}

/// Waits for the writer as long as it gets on, within reason.
fn is_written_in_time(written: &Receiver<()>, queue: &Queue) -> bool {
    let begun = Instant::now();
    let mut waiting = queue.waiting.load(Ordering::Relaxed);
    while let Err(RecvTimeoutError::Timeout) = written.recv_timeout(LAST_LINES) {
        let before = std::mem::replace(&mut waiting, queue.waiting.load(Ordering::Relaxed));
        if waiting == before || begun.elapsed() > LAST_LINES_AT_MOST {
            return false;
        }
    }
    true
}

fn summary(
    ended: &Ended,
    event: &'static str,
    dropped: u64,
    report: &mut dyn Report,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    if dropped > 0 {
        let text = format!("{dropped} lines of this log were dropped: no one read it fast enough");
        let remark = Remark {
            event: "optimizer.log",
            target: Target::Service,
            level: Level::Warning,
            text: &text,
            fields: &[("dropped", dropped.into())],
        };
        report.remark(&remark, out)?;
    }
    let done = Done {
        event,
        findings: ended.counts.findings,
        tally: &ended.counts.decisions,
        bad_records: ended.counts.bad_records(),
        counts: Some(&ended.counts),
        planner: &ended.planner,
    };
    report.done(&done, out)
}

impl Observer for Log {
    fn observe(&mut self, happening: &Happening<'_>) {
        match happening {
            Happening::Started { ends } => self.started(ends),
            Happening::Decided { window, decisions } => {
                let (report, levels) = (&mut *self.report, &self.levels);
                let tell = report::tell_by_level;
                self.lines
                    .write(|out| tell(report, decisions, *window, levels, out));
            }
            Happening::Journal(news) => journal::tell_news(news, self),
            Happening::BadRecord { .. } | Happening::DeadLetterFailed { .. } => {
                self.complain(happening);
            }
            Happening::Joined { .. } | Happening::Silent { .. } | Happening::Left { .. } => {
                self.application(happening);
            }
            Happening::Unsent { plan_id, to, why } if self.levels.tell(UNSENT.0, UNSENT.1) => {
                let text = format!("{plan_id} is not sent to {to}: {why}");
                let why = why.to_string();
                let fields = [
                    ("plan_id", json!(plan_id)),
                    ("to", json!(to)),
                    ("why", json!(why)),
                ];
                self.remark("optimizer.unsent", UNSENT, &text, &fields);
            }
            Happening::Ended { from, ended, of } => {
                let text = format!("end of findings from {from} ({ended} of {of})");
                let fields = [
                    ("from", json!(from)),
                    ("ended", json!(ended)),
                    ("of", json!(of)),
                ];
                self.remark(
                    "optimizer.ended",
                    (Target::Links, Level::Info),
                    &text,
                    &fields,
                );
            }
            Happening::SourceOver { channel, from } => {
                let (level, text) = match channel {
                    Channel::Control => (
                        Level::Warning,
                        format!(
                            "{from} has ended: no more registrations and acknowledgements come from it"
                        ),
                    ),
                    Channel::Findings | Channel::Plans => {
                        (Level::Info, format!("{from} has ended"))
                    }
                };
                let fields = [("channel", json!(channel.name())), ("from", json!(from))];
                self.remark(
                    "optimizer.source_over",
                    (Target::Links, level),
                    &text,
                    &fields,
                );
            }
            // After the first, each time it has failed as often again.
            Happening::Retrying { end, error, times } if times.is_power_of_two() => {
                let text = format!("{end}: {error}; trying again (failed {times} times)");
                let fields = [
                    ("end", json!(end)),
                    ("error", json!(error.to_string())),
                    ("times", json!(times)),
                ];
                self.remark(
                    "optimizer.retry",
                    (Target::Links, Level::Warning),
                    &text,
                    &fields,
                );
            }
            Happening::Stopping { reason } => {
                let level = match reason.is_orderly() {
                    true => Level::Info,
                    false => Level::Error,
                };
                let text = format!("stopping: {reason}");
                let fields = [("reason", json!(reason.to_string()))];
                self.remark(
                    "optimizer.stopping",
                    (Target::Service, level),
                    &text,
                    &fields,
                );
            }
            Happening::Stopped { .. } => {
                if let Some(rest) = self.complaints.rest() {
                    self.remark("optimizer.bad_records", BAD_RECORD, &rest, &[]);
                }
            }
            _ => {}
        }
    }
}

impl Log {
    fn started(&mut self, ends: &[(Channel, String)]) {
        for (channel, name) in ends {
            let text = match channel {
                Channel::Findings => format!("findings from {name}"),
                Channel::Control => format!("registrations and acknowledgements at {name}"),
                Channel::Plans => format!("plans to {name}"),
            };
            let fields = [("channel", json!(channel.name())), ("name", json!(name))];
            self.remark(
                "optimizer.open",
                (Target::Links, Level::Info),
                &text,
                &fields,
            );
        }
        let weight = (Target::Service, Level::Info);
        self.remark("optimizer.started", weight, "started", &[]);
    }

    /// What may come in any number is told as often as fits a screen.
    fn complain(&mut self, happening: &Happening<'_>) {
        match happening {
            Happening::BadRecord {
                channel,
                from,
                problem,
                record,
            } => {
                let beginning = beginning(&record.payload);
                let channel = channel.name();
                let line =
                    || format!("{channel} from {from}: {problem}; the record begins {beginning:?}");
                let Some(text) = self.complaints.add(line) else {
                    return;
                };
                let fields = [
                    ("channel", json!(channel)),
                    ("from", json!(from)),
                    ("problem", json!(problem)),
                    ("beginning", json!(beginning)),
                ];
                self.remark("optimizer.bad_record", BAD_RECORD, &text, &fields);
            }
            Happening::DeadLetterFailed { error } => {
                let line = || format!("cannot write to the file of dead letters: {error}");
                if let Some(text) = self.complaints.add(line) {
                    let fields = [("error", json!(error.to_string()))];
                    self.remark("optimizer.dead_letter", BAD_RECORD, &text, &fields);
                }
            }
            _ => {}
        }
    }

    /// Applications that come and go.
    fn application(&mut self, happening: &Happening<'_>) {
        let (event, level, instance, node, what) = match happening {
            Happening::Joined {
                instance,
                node,
                function,
                knobs,
            } => {
                let what = format!("registers {} of {function}", count(*knobs as u64, "knob"));
                ("optimizer.joined", Level::Info, instance, node, what)
            }
            Happening::Silent { instance, node } => {
                let what = "is silent: plans for knobs that no one else has are held".to_owned();
                ("optimizer.silent", Level::Warning, instance, node, what)
            }
            Happening::Left { instance, node } => {
                let what = "has left".to_owned();
                ("optimizer.left", Level::Info, instance, node, what)
            }
            _ => return,
        };
        let text = format!("{} {what}", program(instance, node));
        let fields = [("instance", json!(instance)), ("node", json!(node))];
        self.remark(event, (Target::Applications, level), &text, &fields);
    }
}

fn program(instance: &str, node: &str) -> String {
    let instance = match instance {
        "" => "a program",
        instance => instance,
    };
    match node {
        "" => instance.to_owned(),
        node => format!("{instance} on {node}"),
    }
}

/// As much of a payload as is worth a look.
fn beginning(payload: &[u8]) -> String {
    const SHOWN: usize = 80;
    let text = String::from_utf8_lossy(payload.get(..SHOWN).unwrap_or(payload));
    text.into_owned()
}
