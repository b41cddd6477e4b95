//! A service in small: a planner whose events are journalled, without ends and applications.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use dfo_journal::{
    Archive, GoOn, Mark, NewEntry, NewHead, Options, Problem, Recovered, Replay, Report, Step,
    Tally, Wish, Writer, recover,
};
use dfo_model::{Ack, AckStatus, ActionPlan, FindingView, Registration};
use dfo_planner::{Event, Planner, Settings};

/// The seed of plan ids.
pub const SEED: u128 = 7;

/// A journal being written.
pub struct Scene {
    pub planner: Planner,
    pub settings: Settings,
    pub companion: serde_json::Value,
    pub writer: Writer,
    pub reports: Receiver<Report>,
    taken: u64,
}

/// A folder that goes with the test.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

pub fn recovered(folder: &Path) -> Recovered {
    recover(folder, &Settings::default(), SEED, |_| {}).unwrap()
}

impl Scene {
    /// A service that starts.
    pub fn start(folder: &Path) -> Scene {
        Self::start_with(folder, Options::default())
    }

    pub fn start_with(folder: &Path, options: Options) -> Scene {
        Self::go_on(recovered(folder), options)
    }

    pub fn go_on(recovered: Recovered, options: Options) -> Scene {
        let settings = Settings::default();
        let companion = recovered.companion.unwrap_or_default();
        let head = NewHead {
            at_ms: 0,
            node: None,
            settings: &settings,
            planner: &recovered.planner,
            companion: &companion,
        };
        let (sender, reports) = mpsc::channel();
        let report = move |report| {
            let _ = sender.send(report);
        };
        let taken = recovered.go_on.positions.get("findings").copied();
        let go_on: GoOn = recovered.go_on;
        let writer = Writer::start(recovered.folder, options, go_on, &head, report).unwrap();
        Scene {
            planner: recovered.planner,
            settings,
            companion,
            writer,
            reports,
            taken: taken.unwrap_or(0),
        }
    }

    /// Decides on an event, appends it, and hands it over. The number of its line, and the plans.
    pub fn event(&mut self, event: Event<'_>) -> (u64, Vec<ActionPlan>) {
        let decisions = self.planner.handle(event);
        self.taken += 1;
        let entry = NewEntry {
            at_ms: 1000 * self.taken,
            from: Some(("findings", self.taken)),
            event,
            decisions: &decisions,
        };
        let seq = self.writer.append(&entry);
        let plans: Vec<_> = decisions.plans().cloned().collect();
        let wish = match plans.is_empty() {
            true => Wish::Written,
            false => Wish::Durable,
        };
        self.writer.flush(wish);
        (seq, plans)
    }

    pub fn register(&mut self) {
        let registration = registration();
        self.event(Event::Registration(&registration));
    }

    /// A severe finding in a window.
    pub fn find(&mut self, window: i64, severity: f64) -> Vec<ActionPlan> {
        let text = finding(window, severity);
        let finding = FindingView::decode(text.as_bytes()).unwrap();
        self.event(Event::Finding(&finding)).1
    }

    pub fn ack(&mut self, plan: &ActionPlan, window: i64) {
        let ack = Ack {
            window_index: Some(window),
            ..Ack::new(&plan.plan_id, AckStatus::Applied)
        };
        self.event(Event::Ack(&ack));
    }

    pub fn mark(&mut self, mark: &Mark) {
        self.writer.mark(5, mark);
        self.writer.flush(Wish::Written);
    }

    pub fn rotate(&mut self) -> u64 {
        let head = NewHead {
            at_ms: 9,
            node: None,
            settings: &self.settings,
            planner: &self.planner,
            companion: &self.companion,
        };
        self.writer.rotate(&head).unwrap()
    }

    /// A run of a knob that is registered, changed, acknowledged, held and changed again.
    pub fn some_events(&mut self) {
        self.register();
        let mut window = self.window();
        for severity in [0.2, 0.9, 0.9, 0.4, 0.9] {
            window += 4;
            let plans = self.find(window, severity);
            for plan in &plans {
                self.ack(plan, window);
            }
        }
        let instance = "app-1".to_owned();
        self.mark(&Mark::Gone {
            instance,
            node: String::new(),
            left: true,
        });
    }

    fn window(&self) -> i64 {
        i64::try_from(self.writer.last_seq()).unwrap() * 10
    }

    /// The next report of a kind.
    pub fn wait_for<T>(&self, pick: impl Fn(&Report) -> Option<T>) -> T {
        loop {
            let report = self.reports.recv_timeout(Duration::from_mins(1)).unwrap();
            if let Some(found) = pick(&report) {
                return found;
            }
        }
    }
}

pub fn registration() -> Registration {
    Registration::decode(
        br#"{"namespace": "dlio", "node": "n1", "instance": "app-1", "knobs": {
            "prefetch_size": {"default": 2, "range": [1, 64], "responds_to": {
                "dataloader_prefetch": {"step": 2, "min_persistence": 1, "cooldown_windows": 1,
                    "effectiveness_threshold": 0.0}}}}}"#,
    )
    .into_result()
    .unwrap()
}

pub fn finding(window: i64, severity: f64) -> String {
    format!(
        r#"{{"finding_type": "fetch_pressure", "scope": "app:epoch", "severity_score": {severity:?},
            "persistence": 10, "trend_direction": "stable", "window_index": {window},
            "opportunity_tags": ["dataloader_prefetch"]}}"#
    )
}

/// The segments of a folder, in the order of their names.
pub fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut segments: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    segments.sort();
    segments
}

/// What a replay says.
#[derive(Debug)]
pub struct Told {
    pub problems: Vec<Problem>,
    /// The numbers of the lines after heads.
    pub seqs: Vec<u64>,
    pub tally: Tally,
    pub planner: Option<Planner>,
}

impl Told {
    pub fn sentences(&self) -> Vec<String> {
        self.problems.iter().map(ToString::to_string).collect()
    }
}

pub fn replayed(folder: &Path) -> Told {
    let archive = Archive::open(folder).unwrap();
    let (mut problems, mut seqs) = (Vec::new(), Vec::new());
    let outcome = Replay::new().run(&archive, |step| {
        match step {
            Step::Problem(problem) => problems.push(problem.clone()),
            Step::Entry { entry, .. } => seqs.push(entry.seq),
            _ => {}
        }
        std::ops::ControlFlow::Continue(())
    });
    Told {
        problems,
        seqs,
        tally: outcome.tally,
        planner: outcome.planner,
    }
}
