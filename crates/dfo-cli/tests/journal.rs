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
fn a_plan_is_told_from_its_finding_to_whether_it_helped() {
    let run = a_run();
    insta::assert_snapshot!(run.explain(&format!("--plan {}", run.plans[1])), @r"
    2026-01-02T03:04:11.000Z  window 7  fetch_pressure at app:epoch: severity 0.900, persistence 2, stable, fetch 0.810, compute 0.100
      plan    dlio.prefetch_size 2 → 3 on all nodes: plan_2
              fetch_pressure: unclassified (severity=0.900, persistence=2, trend=stable, scope=app:epoch) -> dataloader_prefetch
    2026-01-02T03:04:12.000Z  window 8  fetch_pressure at app:epoch: severity 0.900, persistence 3, stable, fetch 0.810, compute 0.100
      held    dlio.prefetch_size [dataloader_prefetch] by pending: plan_2 for all nodes awaits its acknowledgement
              plan_2 would have had to be acknowledged, or expire
    2026-01-02T03:04:13.000Z  an application on n1 answers plan_2: applied
              plan_2 applied: dlio.prefetch_size is at 3
    2026-01-02T03:04:14.000Z  window 9  fetch_pressure at app:epoch: severity 0.450, persistence 3, stable, fetch 0.405, compute 0.100
      after   plan_2: the first finding of its kind since: severity 0.900 then, 0.450 now (-50.0 %); fetch 0.810 then, 0.405 now (-50.0 %); compute 0.100 then, 0.100 now (no change)
    2026-01-02T03:04:16.000Z  window 20  fetch_pressure at node:n2:app: severity 0.900, persistence 9, stable, fetch 0.810, compute 0.100
              whether plan_2 for dlio.prefetch_size did harm cannot be said: what it was made on was not found again
    ");
}

#[test]
fn a_knob_is_told_with_what_each_gate_lacked() {
    let run = a_run();
    insta::assert_snapshot!(run.explain("--knob dlio.read_threads"), @r"
    2026-01-02T03:04:06.000Z  an application registers 4 knobs on n1
              dlio.read_threads registered at 1
    2026-01-02T03:04:07.000Z  window 3  fetch_pressure at app:epoch: severity 0.310, persistence 4, stable, fetch 0.279, compute 0.100
      held    dlio.read_threads [reader_parallelism] by severity: severity 0.310, needs at least 0.5
              severity 0.310 would have had to be at least 0.5
      …       2 times more, until window 5
    2026-01-02T03:04:11.000Z  window 7  fetch_pressure at app:epoch: severity 0.900, persistence 2, stable, fetch 0.810, compute 0.100
      plan    dlio.read_threads 1 → 2 on all nodes: plan_1
              fetch_pressure: unclassified (severity=0.900, persistence=2, trend=stable, scope=app:epoch) -> reader_parallelism
    2026-01-02T03:04:15.000Z  an operator says freeze
              an operator froze everything: no plans until it is thawed
    2026-01-02T03:04:16.000Z  window 20  fetch_pressure at node:n2:app: severity 0.900, persistence 9, stable, fetch 0.810, compute 0.100
              plan_1 expired after 13 windows without an acknowledgement: dlio.read_threads is at 1
      held    dlio.read_threads [reader_parallelism] by frozen: an operator froze everything; it would become 2
              thaw everything: dfo ctl thaw
    ");
}

#[test]
fn a_window_is_told_with_what_became_of_its_plans() {
    let run = a_run();
    insta::assert_snapshot!(run.explain("--window 7"), @r"
    2026-01-02T03:04:11.000Z  window 7  fetch_pressure at app:epoch: severity 0.900, persistence 2, stable, fetch 0.810, compute 0.100
      plan    dlio.prefetch_size 2 → 3 on all nodes: plan_2
              fetch_pressure: unclassified (severity=0.900, persistence=2, trend=stable, scope=app:epoch) -> dataloader_prefetch
      plan    dlio.read_threads 1 → 2 on all nodes: plan_1
              fetch_pressure: unclassified (severity=0.900, persistence=2, trend=stable, scope=app:epoch) -> reader_parallelism
    2026-01-02T03:04:13.000Z  an application on n1 answers plan_2: applied
              plan_2 applied: dlio.prefetch_size is at 3
    2026-01-02T03:04:14.000Z  window 9  fetch_pressure at app:epoch: severity 0.450, persistence 3, stable, fetch 0.405, compute 0.100
      after   plan_2: the first finding of its kind since: severity 0.900 then, 0.450 now (-50.0 %); fetch 0.810 then, 0.405 now (-50.0 %); compute 0.100 then, 0.100 now (no change)
    2026-01-02T03:04:16.000Z  window 20  fetch_pressure at node:n2:app: severity 0.900, persistence 9, stable, fetch 0.810, compute 0.100
              plan_1 expired after 13 windows without an acknowledgement: dlio.read_threads is at 1
              whether plan_2 for dlio.prefetch_size did harm cannot be said: what it was made on was not found again
    ");
}

#[test]
fn a_node_is_told() {
    let run = a_run();
    insta::assert_snapshot!(run.explain("--node n2"), @r"
    2026-01-02T03:04:16.000Z  window 20  fetch_pressure at node:n2:app: severity 0.900, persistence 9, stable, fetch 0.810, compute 0.100
      held    dlio.prefetch_size [dataloader_prefetch] by frozen: an operator froze everything; it would become 4
              thaw everything: dfo ctl thaw
      held    dlio.read_threads [reader_parallelism] by frozen: an operator froze everything; it would become 2
              thaw everything: dfo ctl thaw
      held    [other_tag] by no_response: no knob responds to this tag
              a knob would have had to respond to other_tag
    ");
}

#[test]
fn a_change_that_is_taken_back_is_told_to_its_end() {
    let mut scene = Scene::start();
    scene.register();
    scene.find(5, 0.9, 9, "app:epoch", &["reader_parallelism"]);
    scene.ack_last(AckStatus::Applied, 5);
    let plan_id = scene.plans[0].plan_id.clone();
    scene.event(Event::Command(&Command::Revert { plan_id }));
    scene.ack_last(AckStatus::Applied, 6);
    let run = scene.ended();
    let told = run.explain("--knob dlio.read_threads");
    insta::assert_snapshot!(told, @r"
    2026-01-02T03:04:06.000Z  an application registers 4 knobs on n1
              dlio.read_threads registered at 1
    2026-01-02T03:04:07.000Z  window 5  fetch_pressure at app:epoch: severity 0.900, persistence 9, stable, fetch 0.810, compute 0.100
      plan    dlio.read_threads 1 → 2 on all nodes: plan_1
              fetch_pressure: unclassified (severity=0.900, persistence=9, trend=stable, scope=app:epoch) -> reader_parallelism
    2026-01-02T03:04:08.000Z  an application on n1 answers plan_1: applied
              plan_1 applied: dlio.read_threads is at 2
    2026-01-02T03:04:09.000Z  an operator says revert plan_1
      plan    dlio.read_threads 2 → 1 on all nodes: plan_2
              revert: an operator took plan_1 back
              an operator takes plan_1 for dlio.read_threads back by plan_2
    2026-01-02T03:04:10.000Z  an application on n1 answers plan_2: applied
              plan_2 applied: dlio.read_threads is at 1
    ");
    assert_eq!(run.run("verify journal").succeeds().code, 0);
}

#[test]
fn why_a_knob_was_not_changed() {
    let run = a_run();
    insta::assert_snapshot!(run.explain("--why-not dlio.read_threads"), @r"
    dlio.read_threads is at 1, and responds to reader_parallelism
    9 findings, 5 with one of its tags; 1 plan made for it

    held 3 times by severity
      closest 2026-01-02T03:04:08.000Z  window 4  fetch_pressure at app:epoch: severity 0.480, persistence 4, stable, fetch 0.432, compute 0.100
              dlio.read_threads [reader_parallelism] by severity: severity 0.480, needs at least 0.5
              severity 0.480 would have had to be at least 0.5
      last    2026-01-02T03:04:09.000Z  window 5  fetch_pressure at app:epoch: severity 0.400, persistence 4, stable, fetch 0.360, compute 0.100
              dlio.read_threads [reader_parallelism] by severity: severity 0.400, needs at least 0.5
              severity 0.400 would have had to be at least 0.5

    held 1 time by frozen
      last    2026-01-02T03:04:16.000Z  window 20  fetch_pressure at node:n2:app: severity 0.900, persistence 9, stable, fetch 0.810, compute 0.100
              dlio.read_threads [reader_parallelism] by frozen: an operator froze everything; it would become 2
              thaw everything: dfo ctl thaw

    now     everything is frozen; thaw it: dfo ctl thaw
    ");
}

#[test]
fn why_not_of_a_knob_whose_tags_nobody_names() {
    let run = a_run();
    insta::assert_snapshot!(run.explain("--why-not dlio.idle"), @r"
    dlio.idle is at 1, and responds to unheard_of
    9 findings, 0 with one of its tags; no plan was made for it
    the findings named dataloader_prefetch 6, reader_parallelism 5, other_tag 1

    now     everything is frozen; thaw it: dfo ctl thaw
            a finding would have to name unheard_of
    ");
}

#[test]
fn why_not_of_a_knob_that_nobody_knows() {
    let run = a_run();
    assert_eq!(
        run.explain("--why-not nobody"),
        "nobody was never registered; there are dlio.prefetch_size, dlio.read_threads, dlio.idle, dlio.mute\n"
    );
    let mute = run.explain("--why-not dlio.mute");
    assert!(
        mute.starts_with("dlio.mute is at 1, and responds to no tag: nothing can change it\n"),
        "{mute}"
    );
}

#[test]
fn programs_get_the_same_as_json() {
    let run = a_run();
    let ran = run
        .run("explain journal --knob dlio.prefetch_size --format json")
        .succeeds();
    let names: Vec<_> = ran
        .events()
        .iter()
        .map(|e| e["event"].as_str().unwrap().to_owned())
        .collect();
    let plan = ran.events_named("explain.plan").remove(0);
    assert_eq!(plan["plan_id"], run.plans[1]);
    assert_eq!(plan["plan"]["new_value"], 3);
    let after = ran.events_named("explain.after").remove(0);
    assert_eq!(
        (&after["severity_then"], &after["severity_now"]),
        (&json!(0.9), &json!(0.45))
    );
    let hold = &ran.events_named("explain.hold")[0];
    assert_eq!(
        hold["otherwise"],
        "the finding would have had to last 1 window longer"
    );
    assert!(names.contains(&"explain.notice".to_owned()));

    let ran = run
        .run("explain journal --why-not dlio.read_threads --format json")
        .succeeds();
    let answer = ran.events().remove(0);
    assert_eq!(answer["gates"][0]["gate"], "severity");
    assert_eq!(answer["gates"][0]["times"], 3);
    assert_eq!(answer["gates"][0]["closest"]["value"], 0.48);
    assert_eq!(
        answer["now"],
        json!(["everything is frozen; thaw it: dfo ctl thaw"])
    );
}

#[test]
fn the_beginning_of_a_plans_id_is_enough_where_there_is_one() {
    let run = a_run();
    let short = &run.plans[0][..12];
    let whole = &run.plans[0];
    assert_eq!(
        run.explain(&format!("--plan {short}")),
        run.explain(&format!("--plan {whole}"))
    );
    run.run("explain journal --plan plan_")
        .exits(2)
        .complains("several plans begin with");
    run.run("explain journal --plan x")
        .exits(2)
        .complains("no plan in the journal");
    run.run("explain journal --window 99")
        .exits(0)
        .complains("nothing in journal is about that");
}

#[test]
fn a_replay_of_a_journal_shows_what_happened() {
    let run = a_run();
    let ran = run.run("replay --journal journal").succeeds();
    assert_eq!(
        (ran.count("finding"), ran.count("plan"), ran.count("hold")),
        (9, 2, 10)
    );
    ran.says("dlio.prefetch_size  2 → 3");
    let ran = run
        .run("replay --journal journal --format json --explain")
        .succeeds();
    assert_eq!(ran.events_named("optimizer.plan").len(), 2);
    assert_eq!(ran.events_named("optimizer.hold").len(), 10);
    assert_eq!(ran.done()["knob_state"]["dlio.prefetch_size"], 3);
    for args in [
        "--bootstrap dlio",
        "--acks never",
        "--settings ours",
        "--knobs k.json",
        "f.jsonl",
    ] {
        run.run(&format!("replay --journal journal {args}"))
            .exits(2);
    }
}

#[test]
fn a_journal_verifies_in_one_line() {
    let run = a_run();
    let ran = run.run("verify journal").succeeds();
    assert_eq!(
        ran.out,
        "verified: 12 events, 2 plans, 2 segments: the same decisions come out\n"
    );
    let ran = run.run("verify journal --format json").succeeds();
    let done = ran.events().remove(0);
    assert_eq!(
        (&done["verified"], &done["events"]),
        (&json!(true), &json!(12))
    );
}

#[test]
fn a_changed_line_is_named_and_does_not_verify() {
    let run = a_run();
    let segment = run.segment(0);
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(
        &segment,
        text.replacen("\"severity_score\":0.31", "\"severity_score\":0.91", 1),
    )
    .unwrap();
    let ran = run.run("verify journal").exits(1);
    insta::assert_snapshot!(ran.out, @r"
    segment-00000000000000000001.jsonl:3: the checksum does not match: line passed over
    NOT verified: 1 problem in 7 events, 2 plans, 2 segments; 4 events after lost lines could not be compared
    ");
    let ran = run.run("verify journal --format json").exits(1);
    assert_eq!(ran.events()[0]["line"], 3);
    run.run("explain journal --knob dlio.read_threads")
        .exits(0)
        .complains("dfo verify journal");
    run.run("replay --journal journal")
        .exits(1)
        .complains("segment-00000000000000000001.jsonl:3: the checksum");
    run.run("replay --journal journal --strict")
        .exits(1)
        .complains("stopped at damage");
}

/// As if a planner of another mind had written it: the checksum is right.
#[test]
fn other_decisions_are_shown_and_do_not_verify() {
    let run = a_run();
    let segment = run.segment(0);
    let text = fs::read_to_string(&segment).unwrap();
    let changed = text
        .lines()
        .map(|line| match line.contains("\"severity_score\":0.48") {
            true => with_checksum(&line.replace("\"threshold\":0.5", "\"threshold\":0.6")),
            false => format!("{line}\n"),
        });
    fs::write(&segment, changed.collect::<String>()).unwrap();
    let ran = run.run("verify journal").exits(1);
    insta::assert_snapshot!(ran.out, @r#"
    segment-00000000000000000001.jsonl:4: line number 4: other decisions come out than were written
      then [{"hold":{"gate":{"gate":"severity","value":0.48,"threshold":0.6},"knob":"dlio.read_threads","tag":"reader_parallelism","node":null,"window_index":4}}]
      now  [{"hold":{"gate":{"gate":"severity","value":0.48,"threshold":0.5},"knob":"dlio.read_threads","tag":"reader_parallelism","node":null,"window_index":4}}]
    NOT verified: 1 problem in 12 events, 2 plans, 2 segments
    "#);
}

/// A line whose text was changed, with a checksum that is right again.
fn with_checksum(line: &str) -> String {
    let (text, _) = line.split_once(",\"crc\"").unwrap();
    let crc = !text.bytes().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc: u32, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xEDB8_8320,
            _ => crc >> 1,
        })
    });
    format!("{text},\"crc\":\"{crc:08x}\"}}\n")
}

#[test]
fn a_torn_tail_is_a_remark_and_verifies() {
    let run = a_run();
    let segment = run.segment(1);
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, &whole[..whole.len() - 40]).unwrap();
    let ran = run.run("verify journal").succeeds();
    ran.clone().says("the last line is torn after");
    assert!(
        ran.out
            .ends_with("the same decisions come out (1 remark above)\n"),
        "{ran}"
    );
}

#[test]
fn what_is_no_journal_is_said() {
    let run = a_run();
    run.run("verify nowhere")
        .exits(3)
        .complains("nowhere: cannot list");
    fs::create_dir(run.folder.path("empty")).unwrap();
    run.run("verify empty")
        .exits(3)
        .complains("empty: no journal in it");
    run.run("explain empty").exits(3);
    run.run("replay --journal empty").exits(3);
}
