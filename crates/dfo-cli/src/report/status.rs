//! How a service is, for eyes.

use std::fmt::Write as _;
use std::time::Duration;

use dfo_service::{Channel, JournalStatus, KnobStatus, Status};

use crate::output::count;

/// Some lines: a word, and what there is to it.
pub(crate) fn status_text(status: &Status) -> String {
    let mut lines = Lines::default();
    lines.service(status);
    lines.ends(status);
    if let Some(journal) = &status.journal {
        lines.journal(journal);
    }
    for knob in &status.knobs {
        lines.knob(knob);
    }
    lines.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    /// A line.
    fn say(&mut self, word: &str, what: &str) {
        // Writing to memory does not fail.
        let _ = writeln!(self.0, "{word:<10}{what}");
    }

    fn service(&mut self, status: &Status) {
        let counts = &status.counts;
        let word = match status.is_stopping {
            true => "stopping",
            false => "running",
        };
        let dry = match status.is_dry_run {
            true => ", in a dry run: no plan is sent",
            false => "",
        };
        self.say(word, &format!("for {}{dry}", time(status.uptime)));
        if status.is_frozen {
            self.say("frozen", "everything");
        }
        let decided = [
            count(counts.findings, "finding"),
            count(counts.decisions.plans, "plan"),
            count(counts.decisions.all_holds(), "hold"),
        ];
        self.say("decided", &decided.join(", "));
        let latency = &status.decision_latency;
        if latency.count() > 0 {
            let within = |fraction| match latency.within(fraction) {
                Some(bound) => format!("{bound:?}"),
                None => "more than 10s".to_owned(),
            };
            let what = format!("half within {}, 99 % within {}", within(0.5), within(0.99));
            self.say("latency", &what);
        }
        if counts.bad_records() > 0 {
            self.say("bad", &count(counts.bad_records(), "record"));
        }
        let applications = status.applications;
        let mut what = format!("{} alive", applications.alive);
        if applications.silent > 0 {
            let _ = write!(what, ", {} fell silent", applications.silent);
        }
        self.say("programs", &what);
    }

    fn ends(&mut self, status: &Status) {
        for source in &status.sources {
            let mut what = format!("{}: {}", source.name, count(source.records, "record"));
            if source.is_over {
                what.push_str("; has ended");
            }
            trouble(&mut what, source.trouble.as_deref());
            self.say(source.channel.name(), &what);
        }
        for sink in &status.sinks {
            let mut what = format!("{}: {} sent", sink.name, sink.sent);
            if sink.waiting > 0 {
                let _ = write!(what, ", {} waiting", sink.waiting);
            }
            trouble(&mut what, sink.trouble.as_deref());
            self.say(Channel::Plans.name(), &what);
        }
    }

    fn journal(&mut self, journal: &JournalStatus) {
        let mut what = count(journal.synced_seq, "line");
        what.push_str(" on disk");
        if journal.lag_lines() > 0 {
            let lag = count(journal.lag_lines(), "line");
            let _ = write!(what, ", {lag} behind ({:.1} s)", journal.oldest_unsynced_s);
        }
        if journal.lost_lines > 0 {
            let _ = write!(what, ", {} lost", journal.lost_lines);
        }
        if let Some(why) = &journal.failed {
            let _ = write!(what, "; cannot be written: {why}");
        }
        if journal.holds_plans() {
            what.push_str("; plans wait");
        }
        self.say("journal", &what);
    }

    fn knob(&mut self, knob: &KnobStatus) {
        let mut what = format!("{} at {}", knob.knob, knob.value);
        if knob.nodes_with_own_value > 0 {
            let nodes = count(knob.nodes_with_own_value as u64, "node");
            let _ = write!(what, ", {nodes} with its own");
        }
        if knob.pending > 0 {
            let plans = count(knob.pending as u64, "plan");
            let _ = write!(what, ", {plans} pending");
        }
        if knob.is_frozen {
            what.push_str(", frozen");
        }
        self.say("knob", &what);
    }
}

fn trouble(what: &mut String, trouble: Option<&str>) {
    if let Some(trouble) = trouble {
        let _ = write!(what, "; trying again: {trouble}");
    }
}

/// To the second.
fn time(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}
