//! The page for Prometheus, in its text format 0.0.4.
//!
//! A few lines of writing; docs/decisions/0015-metrics.md says why no crate does it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{Display, Write as _};

use dfo_planner::Gate;
use dfo_service::{JournalStatus, Latency, Status};

/// All that is told, as one page.
pub(super) fn write(status: &Status, lines_dropped: u64) -> String {
    let mut page = Page::default();
    page.service(status, lines_dropped);
    page.received(status);
    page.decided(status);
    page.plans(status);
    page.links(status);
    if let Some(journal) = &status.journal {
        page.journal(journal);
    }
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn service(&mut self, status: &Status, lines_dropped: u64) {
        let version = env!("CARGO_PKG_VERSION");
        self.gauge("build_info", "The program; the number is always 1.")
            .labelled("version", version, 1);
        self.gauge("uptime_seconds", "How long the service has been running.")
            .sample(status.uptime.as_secs_f64());
        self.gauge("stopping", "Whether the service is about to end (0 or 1).")
            .sample(u8::from(status.is_stopping));
        self.gauge("dry_run", "Whether no plans are sent by choice (0 or 1).")
            .sample(u8::from(status.is_dry_run));
        self.gauge(
            "frozen",
            "Whether an operator has frozen everything (0 or 1).",
        )
        .sample(u8::from(status.is_frozen));
        let mut frozen = self.gauge(
            "knob_frozen",
            "Whether an operator has frozen a knob, by name or with everything (0 or 1).",
        );
        for knob in &status.knobs {
            frozen.labelled("knob", &knob.knob, u8::from(knob.is_frozen));
        }
        let mut pending = self.gauge("plans_pending", "Plans that await their acknowledgement.");
        for knob in &status.knobs {
            pending.labelled("knob", &knob.knob, knob.pending);
        }
        self.gauge(
            "nodes_remembered",
            "Nodes of which something is remembered.",
        )
        .sample(status.nodes_remembered);
        self.gauge(
            "applications",
            "Applications that live, of those that say who they are.",
        )
        .sample(status.applications.alive);
        self.counter(
            "applications_silent_total",
            "Applications that missed their heartbeats.",
        )
        .sample(status.applications.silent);
        self.counter(
            "applications_left_total",
            "Applications that said that they leave.",
        )
        .sample(status.counts.left);
        self.counter(
            "log_lines_dropped_total",
            "Lines of the log that no one read fast enough.",
        )
        .sample(lines_dropped);
    }

    fn received(&mut self, status: &Status) {
        let counts = &status.counts;
        self.counter("findings_total", "Findings decided on.")
            .sample(counts.findings);
        self.counter(
            "summaries_total",
            "Findings of a whole run, which are not acted on.",
        )
        .sample(counts.summaries);
        self.counter(
            "registrations_total",
            "Registrations that said something new.",
        )
        .sample(counts.registrations);
        self.counter(
            "heartbeats_total",
            "Registrations that said what was known.",
        )
        .sample(counts.heartbeats);
        self.counter("bad_records_total", "Records that could not be used.")
            .labelled("channel", "findings", counts.bad_findings)
            .labelled("channel", "control", counts.bad_control);
        self.counter(
            "records_too_large_total",
            "Records passed over for their size.",
        )
        .sample(counts.too_large);
        self.counter("dead_letters_total", "Bad records by what became of them.")
            .labelled("outcome", "kept", counts.dead_letters)
            .labelled("outcome", "dropped", counts.dead_letters_dropped);
        self.gauge(
            "batches_waiting",
            "Batches that wait for the planner's task.",
        )
        .labelled("channel", "findings", status.batches_of_findings)
        .labelled("channel", "control", status.batches_of_control);
    }

    fn decided(&mut self, status: &Status) {
        let tally = &status.counts.decisions;
        self.counter("plans_total", "Plans made.")
            .sample(tally.plans);
        let mut holds = self.counter(
            "holds_total",
            "Decisions not to act, by the gate that held.",
        );
        let held: HashMap<_, _> = tally.holds().collect();
        for gate in Gate::NAMES {
            holds.labelled("gate", gate, held.get(gate).copied().unwrap_or(0));
        }
        let mut notices = self.counter("notices_total", "What changed or was refused, by name.");
        for (name, count) in &tally.notices {
            notices.labelled("notice", name, count);
        }
        let notice = |name: &str| tally.notices.get(name).copied().unwrap_or(0);
        let mut acks = self.counter("acks_total", "Acknowledgements, by what became of them.");
        for (outcome, name) in [
            ("applied", "applied"),
            ("rejected", "rejected"),
            ("deferred", "deferred"),
            ("ignored", "ack_ignored"),
            ("refused", "ack_refused"),
            ("disagreed", "acks_disagree"),
        ] {
            acks.labelled("outcome", outcome, notice(name));
        }
        self.counter("plans_expired_total", "Plans that no one acknowledged.")
            .sample(notice("plan_expired"));
        self.counter(
            "plans_undone_total",
            "Plans taken back, since they made things worse.",
        )
        .sample(notice("undone"));
        self.counter("plans_reverted_total", "Values that an operator took back.")
            .sample(notice("reverted"));
        self.latency(&status.decision_latency);
    }

    fn latency(&mut self, latency: &Latency) {
        let name = "dfoptimizer_decision_latency_seconds";
        let help = "From the receipt of a finding to the decision on it.";
        self.head(name, "histogram", help);
        let count = latency.count();
        let bounds = latency.cumulative();
        let bounds = bounds.map(|(bound, count)| (bound.as_secs_f64().to_string(), count));
        for (bound, count) in bounds.chain([("+Inf".to_owned(), count)]) {
            self.line(&format!("{name}_bucket"), Some(("le", &bound)), count);
        }
        let sum = latency.sum().as_secs_f64();
        self.line(&format!("{name}_sum"), None, sum);
        self.line(&format!("{name}_count"), None, count);
    }

    fn plans(&mut self, status: &Status) {
        let counts = &status.counts;
        self.counter(
            "plans_unsent_total",
            "Plans that a sink did not get, by why.",
        )
        .labelled("reason", "superseded", counts.superseded)
        .labelled("reason", "crowded_out", counts.crowded_out)
        .labelled("reason", "withdrawn", counts.withdrawn)
        .labelled("reason", "oversized", counts.oversized);
        // Two of the same name would be one sample twice, which Prometheus refuses.
        let mut sinks = BTreeMap::<&str, (u64, usize)>::new();
        for sink in &status.sinks {
            let (sent, waiting) = sinks.entry(&sink.name).or_default();
            *sent += sink.sent;
            *waiting += sink.waiting;
        }
        let mut sent = self.counter("plans_sent_total", "Plans that a sink took.");
        for (name, (of_sink, _)) in &sinks {
            sent.labelled("sink", name, of_sink);
        }
        let mut waiting = self.gauge("plans_waiting", "Plans that wait for a sink.");
        for (name, (_, of_sink)) in &sinks {
            waiting.labelled("sink", name, of_sink);
        }
    }

    fn links(&mut self, status: &Status) {
        let counts = &status.counts;
        self.counter(
            "disconnections_total",
            "Connections of senders that ended or were cut.",
        )
        .sample(counts.disconnections);
        self.counter("retries_total", "Tries again after something failed.")
            .sample(counts.retries);
        self.counter(
            "stream_ends_total",
            "Ends of stream that senders of findings sent.",
        )
        .sample(counts.ends);
    }

    fn journal(&mut self, journal: &JournalStatus) {
        self.counter(
            "journal_lines_total",
            "Lines handed to the journal, by how far they came.",
        )
        .labelled("state", "appended", journal.appended_seq)
        .labelled("state", "written", journal.written_seq)
        .labelled("state", "synced", journal.synced_seq);
        self.gauge(
            "journal_lag_lines",
            "Lines that the disk does not have yet.",
        )
        .sample(journal.lag_lines());
        self.gauge(
            "journal_lag_seconds",
            "How long the oldest of these has waited.",
        )
        .sample(journal.oldest_unsynced_s);
        self.gauge("journal_backlog_bytes", "Bytes that wait to be written.")
            .sample(journal.backlog_bytes);
        self.gauge(
            "journal_failed",
            "Whether the journal cannot be written (0 or 1).",
        )
        .sample(u8::from(journal.failed.is_some()));
        self.counter("journal_failures_total", "Writes and syncs that failed.")
            .sample(journal.failures);
        self.counter(
            "journal_lines_lost_total",
            "Lines that could not be written.",
        )
        .sample(journal.lost_lines);
        self.counter(
            "journal_segments_cut_total",
            "Segments removed to keep its size.",
        )
        .sample(journal.segments_cut);
    }

    fn counter(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    fn gauge(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) -> Family<'_> {
        let name = format!("dfoptimizer_{name}");
        self.head(&name, kind, help);
        Family { page: self, name }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to memory does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, label: Option<(&str, &str)>, value: impl Display) {
        let text = &mut self.text;
        let _ = match label {
            Some((label, of)) => writeln!(text, "{name}{{{label}=\"{}\"}} {value}", escaped(of)),
            None => writeln!(text, "{name} {value}"),
        };
    }
}

/// A metric, to which samples are added.
struct Family<'a> {
    page: &'a mut Page,
    name: String,
}

impl Family<'_> {
    fn sample(&mut self, value: impl Display) {
        self.page.line(&self.name, None, value);
    }

    fn labelled(&mut self, label: &str, of: &str, value: impl Display) -> &mut Self {
        self.page.line(&self.name, Some((label, of)), value);
        self
    }
}

/// A label's value: from outside, and it may hold anything.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}
