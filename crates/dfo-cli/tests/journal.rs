//! `dfo replay --journal`, `dfo verify` and `dfo explain`: a journal, made here, and what they make of it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod dfo;

use std::fs;
use std::path::Path;

use dfo::{Folder, Ran};
use dfo_journal::{NewEntry, NewHead, Options, Wish, Writer, recover};
use dfo_model::{Ack, AckStatus, ActionPlan, FindingView, Registration};
use dfo_planner::{Command, Event, Planner, Settings};
use serde_json::{Value as Json, json};

/// 2026-01-02T03:04:05Z.
const START_MS: u64 = 1_767_323_045_000;

/// A service in small: each event a second after the one before.
struct Scene {
    folder: Folder,
    planner: Planner,
    settings: Settings,
    writer: Option<Writer>,
    at_ms: u64,
    plans: Vec<ActionPlan>,
}

impl Scene {
    fn start() -> Scene {
        let folder = Folder::new();
        let settings = Settings::default();
        let recovered = recover(folder.path("journal"), &settings, 7, |_| {}).unwrap();
        let companion = Json::Null;
        let head = NewHead {
            at_ms: START_MS,
            node: None,
            settings: &settings,
            planner: &recovered.planner,
            companion: &companion,
        };
        let (taken, options) = (recovered.folder, Options::default());
        let writer = Writer::start(taken, options, recovered.go_on, &head, drop).unwrap();
        Scene {
            folder,
            planner: recovered.planner,
            settings,
            writer: Some(writer),
            at_ms: START_MS,
            plans: Vec::new(),
        }
    }

    fn event(&mut self, event: Event<'_>) {
        let decisions = self.planner.handle(event);
        self.at_ms += 1000;
        self.plans.extend(decisions.plans().cloned());
        let entry = NewEntry {
            at_ms: self.at_ms,
            from: None,
            event,
            decisions: &decisions,
        };
        let writer = self.writer.as_mut().unwrap();
        writer.append(&entry);
        writer.flush(Wish::Written);
    }

    fn register(&mut self) {
        let response =
            json!({"step": 2, "min_severity": 0.5, "min_persistence": 2, "cooldown_windows": 3});
        let registration = json!({"namespace": "dlio", "node": "n1", "instance": "app-1", "knobs": {
            "prefetch_size": {"default": 2, "range": [1, 16], "responds_to": {"dataloader_prefetch": response}},
            "read_threads": {"default": 1, "range": [1, 8], "responds_to": {"reader_parallelism": response}},
            "idle": {"default": 1, "responds_to": {"unheard_of": response}},
            "mute": {"default": 1},
        }});
        let registration = Registration::decode(registration.to_string().as_bytes());
        self.event(Event::Registration(&registration.into_result().unwrap()));
    }

    fn find(&mut self, window: i64, severity: f64, persistence: i64, scope: &str, tags: &[&str]) {
        let finding = json!({
            "finding_type": "fetch_pressure", "scope": scope, "severity_score": severity,
            "persistence": persistence, "trend_direction": "stable", "window_index": window,
            "opportunity_tags": tags, "key_metrics": {"fetch_frac": severity * 0.9, "compute_frac": 0.1},
        });
        let finding = finding.to_string();
        self.event(Event::Finding(
            &FindingView::decode(finding.as_bytes()).unwrap(),
        ));
    }

    fn ack_last(&mut self, status: AckStatus, window: i64) {
        let plan = self.plans.last().unwrap().clone();
        let ack = Ack {
            window_index: Some(window),
            node: "n1".to_owned(),
            ..Ack::new(plan.plan_id, status)
        };
        self.event(Event::Ack(&ack));
    }

    fn rotate(&mut self) {
        let head = NewHead {
            at_ms: self.at_ms,
            node: None,
            settings: &self.settings,
            planner: &self.planner,
            companion: &Json::Null,
        };
        self.writer.as_mut().unwrap().rotate(&head).unwrap();
    }

    fn ended(mut self) -> Ended {
        drop(self.writer.take());
        Ended {
            folder: self.folder,
            plans: self.plans.into_iter().map(|plan| plan.plan_id).collect(),
        }
    }
}

struct Ended {
    folder: Folder,
    /// Their ids.
    plans: Vec<String>,
}

impl Ended {
    fn run(&self, args: &str) -> Ran {
        self.folder.run(args)
    }

    /// With the ids of plans as `plan_1…`, since they are long.
    fn explain(&self, args: &str) -> String {
        let mut out = self.run(&format!("explain journal {args}")).succeeds().out;
        for (i, id) in self.plans.iter().enumerate() {
            out = out.replace(id, &format!("plan_{}", i + 1));
        }
        out
    }

    fn segment(&self, number: usize) -> std::path::PathBuf {
        segments(&self.folder.path("journal")).remove(number)
    }
}

fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<_> = files
        .filter(|p| p.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    found.sort();
    found
}

/// A run in which a plan helps, others are held by this and that, and one is not answered.
fn a_run() -> Ended {
    let (prefetch, readers) = ("dataloader_prefetch", "reader_parallelism");
    let mut scene = Scene::start();
    scene.register();
    scene.find(3, 0.31, 4, "app:epoch", &[readers]);
    scene.find(4, 0.48, 4, "app:epoch", &[readers]);
    scene.find(5, 0.4, 4, "app:epoch", &[readers]);
    scene.find(6, 0.9, 1, "app:epoch", &[prefetch]);
    scene.find(7, 0.9, 2, "app:epoch", &[prefetch, readers]);
    scene.rotate();
    scene.find(8, 0.9, 3, "app:epoch", &[prefetch]);
    let plan = scene
        .plans
        .iter()
        .find(|plan| plan.knob_id == "dlio.prefetch_size")
        .cloned();
    let readers_plan = scene.plans.pop().unwrap();
    scene.plans = vec![readers_plan, plan.unwrap()];
    scene.ack_last(AckStatus::Applied, 8);
    scene.find(9, 0.45, 3, "app:epoch", &[prefetch]);
    scene.event(Event::Command(&Command::Freeze { knob: None }));
    scene.find(20, 0.9, 9, "node:n2:app", &[prefetch, readers, "other_tag"]);
    scene.find(21, 0.9, 9, "app:epoch", &[prefetch]);
    scene.ended()
}

#[test]
fn show() {
    let run = a_run();
    for args in [
        "",
        "--knob dlio.read_threads",
        "--window 7",
        "--node n2",
        "--why-not dlio.read_threads",
        "--why-not dlio.prefetch_size",
        "--why-not dlio.idle",
        "--why-not dlio.mute",
        "--why-not nobody",
        "--format json --window 7",
        "--format json --why-not dlio.read_threads",
    ] {
        println!("=== {args}\n{}", run.explain(args));
    }
    println!(
        "=== plan\n{}",
        run.explain(&format!("--plan {}", run.plans[1]))
    );
    println!(
        "=== plan\n{}",
        run.explain(&format!("--plan {}", &run.plans[0][..12]))
    );
    println!("=== verify\n{}", run.run("verify journal"));
    println!("=== verify\n{}", run.run("verify journal --format json"));
    println!("=== replay\n{}", run.run("replay --journal journal"));
    println!(
        "=== replay\n{}",
        run.run("replay --journal journal --explain")
    );
}
