//! Saving and restoring: what is written, what is refused, and that no damage is a panic. That a
//! restored planner goes on as if nothing had been is a property, in `properties.rs`.

#![expect(clippy::unwrap_used, reason = "a test's own steps")]

mod scene;

use dfo_model::{Ack, Number, Registration};
use dfo_planner::{Command, Event, Notice, PlanIds, Planner, Settings};
use scene::{
    AckWords, Finding, PlanWords, Scene, applied, deferred, down, finding, global_plan, json, knob,
    rejected, suppressing, up,
};
use serde_json::Value as Json;

fn state(planner: &Planner) -> Json {
    serde_json::to_value(planner.state()).unwrap()
}

fn restored(state: &Json) -> Result<Planner, String> {
    Planner::restored(few_nodes(), state).map_err(|e| e.to_string())
}

fn few_nodes() -> Settings {
    let mut settings = Settings::default();
    settings.nodes_remembered = 4;
    // None is met; what is counted for them is there.
    settings.limits.plans_per_job = Some(1_000);
    settings.limits.plans_per_window = Some(1_000);
    settings
}

fn t(window: i64) -> Finding {
    finding(&["t"]).at(window)
}

fn knobs() -> [scene::Knob; 4] {
    let refused = up(1)
        .with("effectiveness_threshold", 1e300)
        .with("step", -1);
    [
        knob("int", 2)
            .range(0, 64)
            .on("t", up(1).eager())
            .on("u", down(1).eager()),
        knob("float", 0.5)
            .range(0.1, 1)
            .on("u", down(0.1).eager())
            .on("x", refused),
        knob("text", "a")
            .values(json!(["a", "b"]))
            .on("v", scene::set("b")),
        knob("bool", false).on("w", up(1)),
    ]
}

/// A planner of which every part knows something.
fn well_used() -> Scene {
    let mut s = Scene::under(few_nodes()).at_node("n1");
    let [_, float, text, bool] = knobs();
    s.bootstrap([knob("int", 2).range(0, 64), float, text, bool]);
    s.register([knobs()[1].clone().on("t", up(0.1).eager())]);
    s.register([knobs()[0].clone(), knobs()[2].clone()]);
    act(&mut s, &finding(&["v"]).at(1));
    s.find(&t(2).view("epoch").on("n2"));
    act(&mut s, &finding(&["u"]).at(900).view("window").on("n3"));
    act(
        &mut s,
        &finding(&["u"]).at(901).view("window").on("n1.site"),
    );
    s.find(&t(3).view("window").on("n4").severity(0.9));
    let rejected_plan = s
        .find(&t(4).view("window").on("n3"))
        .0
        .plans()
        .next()
        .cloned();
    s.ack(&rejected(&rejected_plan.unwrap().plan_id));
    s.global(&global_plan("above", "int", 9).on(&["n1", "n4"]).at(5));
    s.find(&suppressing(&["x", "y"]).at(5).view("window"));
    s.find(&suppressing(&["y"]).kind("other").at(5).view("window"));
    s.silence("float", Some("n9"));
    s.silence("bool", None);
    take_back(&mut s);
    s.planner.handle(Event::Command(&Command::Freeze {
        knob: Some("text".to_owned()),
    }));
    s
}

/// A plan that did harm and is undone, one that an operator takes back, and one that is watched.
fn take_back(s: &mut Scene) {
    s.register([knob("harmful", 2).on("h", up(1).eager())]);
    s.register([knob("reverted", 2).on("r", up(1).eager())]);
    s.register([knob("watched", 2).on("o", up(1).eager())]);
    let h = |window| finding(&["h"]).kind("h").at(window).view("window");
    act(s, &h(5).severity(0.6));
    act(s, &finding(&["o"]).kind("o").at(8).view("window"));
    let undone = s.find(&h(8).severity(0.9));
    assert!(undone.notices().contains(&"undone"), "{undone:?}");
    for plan in undone.0.plans() {
        s.ack(&applied(&plan.plan_id).at(8));
    }
    let r = finding(&["r"]).at(8).view("window");
    let plan_id = s.find(&r).plan().plan_id.clone();
    s.planner
        .handle(Event::Command(&Command::Revert { plan_id }));
}

/// A finding whose plans are all applied.
fn act(s: &mut Scene, finding: &Finding) {
    for plan in s.find(finding).0.plans() {
        s.ack(&applied(&plan.plan_id).at(plan.window_index));
    }
}

/// Something of everything that happens, so that what a damaged state has led to would show.
fn go_on(mut planner: Planner) {
    let ids: Vec<String> = planner
        .pending()
        .iter()
        .map(|p| p.plan_id.to_owned())
        .collect();
    let mut s = Scene {
        planner: {
            planner.handle(Event::Command(&Command::Thaw { knob: None }));
            planner
        },
    };
    for (i, id) in ids.iter().chain([&"above".to_owned()]).enumerate() {
        let answers: [fn(&str) -> Ack; 3] = [applied, rejected, deferred];
        s.ack(&answers[i % 3](id).at(7));
    }
    for (i, node) in ["n1", "n2", "n5", "n6", "n7", "n8"].into_iter().enumerate() {
        let window = 6 + i64::try_from(i).unwrap();
        s.find(
            &finding(&["t", "u", "v", "w"])
                .at(window)
                .view("window")
                .on(node),
        );
        s.find(&finding(&["u", "x"]).at(window).view("epoch"));
    }
    s.register(knobs());
    s.global(&global_plan("g1", "int", 3));
    s.global(&global_plan("g2", "float", 0.7).on(&["n1", "n3"]));
    s.find(&suppressing(&[]).at(30).view("window"));
    s.find(&t(60).view("window"));
    s.find(&t(0).view("window"));
    s.find(&t(i64::MAX).view("new"));
    let saved = state(&s.planner);
    let again = Planner::restored(few_nodes(), &saved).unwrap();
    assert_eq!(state(&again), saved);
}

#[test]
fn every_part_of_a_well_used_planner_is_there_and_comes_back() {
    let s = well_used();
    let saved = state(&s.planner);
    let parts: Vec<&String> = saved.as_object().unwrap().keys().collect();
    let all = [
        "plan_ids",
        "clock",
        "registry",
        "ledger",
        "suppressions",
        "presence",
        "freeze",
        "plans_made",
    ];
    assert_eq!(parts, all);
    assert!(saved["registry"]["responders"].is_object());
    assert!(!saved["ledger"]["open"].as_array().unwrap().is_empty());
    let text = saved.to_string();
    for part in [
        "\"watch\":{",
        "\"base\":",
        "\"taken_back\":true",
        "\"in_job\":",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let planner = restored(&saved).unwrap();
    assert_eq!(state(&planner), saved);
    go_on(planner);
}

#[test]
fn a_planner_that_knows_nothing_says_little() {
    let planner = Planner::new(Settings::default(), PlanIds::from_seed(u128::MAX));
    let expected = json!({
        "plan_ids": {"seed": "f".repeat(32), "count": "0"}, "clock": {"last_view": 1},
    });
    assert_eq!(state(&planner), expected);
    assert_eq!(state(&restored(&expected).unwrap()), expected);
}

#[test]
fn floats_come_back_to_the_last_bit() {
    for value in [0.1 + 0.2, 1e-308, 5e-324, -0.0, 1e16, f64::MAX] {
        let mut s = Scene::ours().knob(knob("k", 0.5));
        s.register([knob("k", 0.5).live(value)]);
        let text = serde_json::to_string(&s.planner.state()).unwrap();
        let mut from = serde_json::Deserializer::from_str(&text);
        let planner = Planner::restored(Settings::default(), &mut from).unwrap();
        let back = planner
            .value("k", None)
            .and_then(dfo_model::Value::as_number);
        assert_eq!(
            back.map(Number::as_f64).map(f64::to_bits),
            Some(value.to_bits())
        );
    }
}

#[test]
fn a_knob_with_a_refused_response_is_known_again() {
    let mut s = Scene::ours();
    s.register(knobs());
    s.planner = Planner::restored(Settings::default(), &state(&s.planner)).unwrap();
    assert_eq!(s.register(knobs()).told(), [""; 0]);
}

/// Decoding lets none of these in, but a program may.
#[test]
fn numbers_that_are_none_cannot_spoil_a_state() {
    let good = knob("k", 2).on("t", scene::evidence("increase")).decoded();
    let mut s = Scene::ours();
    for (odd, finite) in [(f64::NAN, 1.0), (f64::INFINITY, 1.0), (1.0, f64::NAN)] {
        let mut knob = good.clone();
        let response = &mut knob.responds_to[0];
        response.set_to = Some(odd.into());
        response.min_severity = finite;
        let mut registration = Registration::default();
        registration.knobs.insert("k".to_owned(), knob);
        let told = s.planner.handle(Event::Registration(&registration));
        let names: Vec<_> = told.notices().map(Notice::name).collect();
        assert_eq!(names, ["knob_refused", "knob_registered"]);
        let saved = state(&s.planner);
        assert_eq!(state(&restored(&saved).unwrap()), saved);
    }
}

#[test]
fn ids_go_on_where_they_were() {
    let mut s = Scene::ours().knob(knobs()[0].clone());
    let first = s.act(&t(0)).plan_id;
    let mut again = Scene {
        planner: Planner::restored(Settings::default(), &state(&s.planner)).unwrap(),
    };
    let next = again.find(&t(9)).plan().plan_id.clone();
    assert_ne!(next, first);
    assert_eq!(s.find(&t(9)).plan().plan_id, next);
}

#[test]
fn the_same_node_is_forgotten_next() {
    let mut s = Scene::under(few_nodes()).knob(knobs()[0].clone());
    for node in ["a", "b", "c", "d"] {
        act(&mut s, &t(0).on(node));
    }
    for node in ["c", "a"] {
        s.find(&finding(&[]).at(9).on(node));
    }
    // It cannot go while its plan is open.
    s.find(&t(9).on("d"));
    let mut again = Scene {
        planner: restored(&state(&s.planner)).unwrap(),
    };
    for (new, oldest) in [("e", "b"), ("f", "c"), ("g", "a")] {
        for planner in [&mut s, &mut again] {
            let told = planner.find(&t(9).on(new)).0;
            let forgotten = told.notices().next().unwrap().to_string();
            assert!(forgotten.starts_with(&format!("{oldest} ")), "{forgotten}");
        }
    }
    assert_eq!(state(&again.planner), state(&s.planner));
}

#[test]
fn with_less_room_the_least_recently_seen_nodes_are_forgotten() {
    let mut s = Scene::ours().knob(knobs()[0].clone());
    for node in ["a", "b", "c", "d"] {
        s.act(&t(0).on(node));
    }
    s.find(&t(9).on("b"));
    s.find(&finding(&[]).at(9).on("a"));
    let mut settings = Settings::default();
    settings.nodes_remembered = 2;
    let planner = Planner::restored(settings.clone(), &state(&s.planner)).unwrap();
    let left: Vec<_> = planner
        .node_values()
        .iter()
        .filter_map(|v| v.node)
        .collect();
    assert_eq!(left, ["a", "b"]);
    let again = Planner::restored(settings, &state(&planner)).unwrap();
    assert_eq!(state(&again), state(&planner));
}

#[test]
fn what_is_wrong_is_named() {
    let good = state(&well_used().planner);
    let cases = [
        (
            "/plan_ids/seed",
            json!("xyz"),
            "expected up to 32 hexadecimal digits",
        ),
        (
            "/clock/last_view",
            json!(9),
            "the planner's state: clock: last_view: there is no axis 9",
        ),
        ("/clock/axes/0/run_offset", json!(5), "expected a string"),
        (
            "/clock/axes/2/view",
            json!("epoch"),
            "clock: axes: the view \"epoch\" is there twice",
        ),
        (
            "/registry/knobs/1/id",
            json!("int"),
            "registry: the knob \"int\" is there twice",
        ),
        (
            "/registry/knobs/0/range",
            json!([9, 1]),
            "knob int refused: range: [9, 1] is reversed",
        ),
        (
            "/registry/responders/t",
            json!([0, 0]),
            "not the knobs that respond to the tag",
        ),
        (
            "/ledger/knobs",
            json!([]),
            "ledger: knobs: 0, but 7 are registered",
        ),
        (
            "/ledger/knobs/0/job/value",
            json!("x"),
            "the knob \"int\": the value in force is not of type int",
        ),
        (
            "/ledger/knobs/0/job/resting_since",
            json!([7, 1, 1]),
            "a time on axis 7, which there is not",
        ),
        (
            "/ledger/nodes/seen/0/id",
            json!(77),
            "the number 77 is out of range or taken",
        ),
        ("/ledger/open/0/plan/knob", json!(12), "there is no knob 12"),
        (
            "/ledger/open/0/before",
            json!([]),
            "before: not the values of those that it is for",
        ),
        ("/ledger/closed/0/1/knob", json!(12), "there is no knob 12"),
        (
            "/ledger/closed/0/1/closing",
            json!("lost"),
            "unknown variant `lost`",
        ),
        (
            "/suppressions/by_type",
            json!({}),
            "by_tag and by_type do not say the same",
        ),
        (
            "/presence/assumed",
            json!([44]),
            "presence: there is no knob 44",
        ),
        ("/freeze/knobs", json!([44]), "freeze: there is no knob 44"),
        ("/freeze/knob", json!([44]), "unknown field `knob`"),
    ];
    for (path, put, expected) in cases {
        let mut damaged = good.clone();
        let (parent, last) = path.rsplit_once('/').unwrap();
        let parent = damaged
            .pointer_mut(parent)
            .unwrap_or_else(|| panic!("{path}"));
        match parent {
            Json::Array(items) => items[last.parse::<usize>().unwrap()] = put,
            other => other[last] = put,
        }
        let told = restored(&damaged).err().unwrap_or_default();
        assert!(told.contains(expected), "{path}: {told}");
    }
}

/// The paths of everything in a tree, as JSON pointers.
fn paths(tree: &Json, path: &str, found: &mut Vec<String>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    let children: Vec<(String, &Json)> = match tree {
        Json::Array(items) => items
            .iter()
            .enumerate()
            .map(|(i, t)| (i.to_string(), t))
            .collect(),
        Json::Object(fields) => fields.iter().map(|(k, t)| (escaped(k), t)).collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        let path = format!("{path}/{name}");
        paths(child, &path, found);
        found.push(path);
    }
}

fn remove(tree: &mut Json, path: &str) {
    let (parent, last) = path.rsplit_once('/').unwrap();
    match tree.pointer_mut(parent) {
        Some(Json::Array(items)) => drop(items.remove(last.parse().unwrap())),
        Some(Json::Object(fields)) => drop(fields.remove(last)),
        _ => {}
    }
}

fn repeat(tree: &mut Json, path: &str) {
    let (parent, last) = path.rsplit_once('/').unwrap();
    if let Some(Json::Array(items)) = tree.pointer_mut(parent) {
        let at = last.parse().unwrap();
        let item: Json = Json::clone(&items[at]);
        items.insert(at, item);
    }
}

#[test]
fn no_damage_to_a_field_is_a_panic() {
    let good = state(&well_used().planner);
    let mut all = Vec::new();
    paths(&good, "", &mut all);
    let others = [
        json!(null),
        json!(0),
        json!(1),
        json!(3),
        json!(-1),
        json!(0.5),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!("x"),
        json!("9".repeat(30)),
        json!(true),
        json!([]),
        json!({}),
        json!([[0, 0], [1, 1, 1]]),
    ];
    let mut taken = 0;
    for path in &all {
        let mut damaged = vec![good.clone(), good.clone()];
        remove(&mut damaged[0], path);
        repeat(&mut damaged[1], path);
        damaged.extend(others.iter().map(|other| {
            let mut damaged = good.clone();
            *damaged.pointer_mut(path).unwrap() = other.clone();
            damaged
        }));
        for planner in damaged.iter().filter_map(|damaged| restored(damaged).ok()) {
            taken += 1;
            go_on(planner);
        }
    }
    assert!(
        taken > all.len(),
        "some of it is still a state: {taken} of {}",
        all.len()
    );
}

#[test]
fn no_flipped_byte_is_a_panic() {
    let good = serde_json::to_vec(&state(&well_used().planner)).unwrap();
    let mut random = 1_u64;
    let mut next = |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(random >> 33).unwrap() % below
    };
    for _ in 0..3_000 {
        let mut damaged = good.clone();
        for _ in 0..=next(3) {
            let at = next(damaged.len());
            let digits = b"0123456789-[]{}\",:e";
            damaged[at] = match next(2) {
                0 => digits[next(digits.len())],
                _ => damaged[at] ^ (1 << next(8)),
            };
        }
        let mut from = serde_json::Deserializer::from_slice(&damaged);
        if let Ok(planner) = Planner::restored(few_nodes(), &mut from) {
            go_on(planner);
        }
    }
}

#[test]
fn ten_knobs_that_all_have_acted_on_a_thousand_nodes_take_a_few_megabytes() {
    let names: Vec<String> = (0..10).map(|i| format!("dlio.knob_{i}")).collect();
    let mut s = Scene::ours();
    s.register(
        names
            .iter()
            .map(|name| knob(name, 2).range(0, 64).on("dataloader_prefetch", up(1))),
    );
    for node in 0..1_000 {
        let finding = finding(&["dataloader_prefetch"])
            .at(7)
            .on(&format!("node{node:04}"));
        for plan in s.find(&finding).0.plans() {
            s.planner.handle(Event::Ack(&applied(&plan.plan_id).at(8)));
        }
    }
    let bytes = serde_json::to_vec(&s.planner.state()).unwrap().len();
    assert!(bytes < 6_000_000, "{bytes} bytes");
}
