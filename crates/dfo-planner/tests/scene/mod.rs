//! One scene for all tests: a planner, a knob or two, and what happens to them.
//!
//! Everything is said in the wire's own words and decoded from them. What a test does not say is
//! harmless: a finding is severe, persistent and getting worse; an action of step 1 moves by 1.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by tests, none of which needs all of it"
)]

use dfo_model::{Ack, AckStatus, ActionPlan, FindingView, Registration};
use dfo_planner::{Command, Decisions, Event, Gate, Notice, PlanIds, Planner, Settings, Silence};
pub use serde_json::json;
use serde_json::{Map, Value as Json};

pub struct Scene {
    pub planner: Planner,
}

impl Scene {
    pub fn ours() -> Self {
        Self::under(Settings::default())
    }

    pub fn original() -> Self {
        Self::under(Settings::original())
    }

    pub fn under(settings: Settings) -> Self {
        let planner = Planner::new(settings, PlanIds::from_seed(1));
        Scene { planner }
    }

    /// The planner runs on the node of that name.
    pub fn at_node(self, name: &str) -> Self {
        let planner = self.planner.on_node(name);
        Scene { planner }
    }

    pub fn knob(mut self, knob: Knob) -> Self {
        self.register([knob]);
        self
    }

    pub fn register(&mut self, knobs: impl IntoIterator<Item = Knob>) -> Out {
        self.receive_registration(&registration(knobs))
    }

    /// An application on that node registers.
    pub fn register_on(&mut self, node: &str, knobs: impl IntoIterator<Item = Knob>) -> Out {
        let mut registration = registration(knobs);
        registration["node"] = node.into();
        self.receive_registration(&registration)
    }

    /// A whole registration, as it stands on the wire; what decoding leaves out is not there.
    pub fn receive_registration(&mut self, message: &Json) -> Out {
        let registration = decoded(message);
        Out(self.planner.handle(Event::Registration(&registration)))
    }

    /// A pack or a file names knobs.
    pub fn bootstrap(&mut self, knobs: impl IntoIterator<Item = Knob>) -> Out {
        let registration = decoded(&registration(knobs));
        Out(self.planner.handle(Event::Bootstrap(&registration)))
    }

    /// The knob has no live application any more.
    pub fn silence(&mut self, knob: &str, node: Option<&str>) -> Out {
        Out(self.planner.handle(Event::Silence(Silence { knob, node })))
    }

    pub fn find(&mut self, finding: &Finding) -> Out {
        self.receive_finding(&Json::Object(finding.0.clone()).to_string())
    }

    /// A finding as text, as it stands on the wire.
    pub fn receive_finding(&mut self, text: &str) -> Out {
        let finding = FindingView::decode(text.as_bytes()).unwrap();
        Out(self.planner.handle(Event::Finding(&finding)))
    }

    pub fn ack(&mut self, ack: &Ack) -> Notice {
        let decisions = self.planner.handle(Event::Ack(ack));
        // An observation of the plan before may end with it.
        decisions.notices().next().cloned().expect("an answer")
    }

    pub fn global(&mut self, plan: &ActionPlan) -> Out {
        Out(self.planner.handle(Event::GlobalPlan(plan)))
    }

    /// An operator asks for something.
    pub fn command(&mut self, command: &Command) -> Out {
        Out(self.planner.handle(Event::Command(command)))
    }

    pub fn freeze(&mut self, knob: Option<&str>) -> Out {
        let knob = knob.map(str::to_owned);
        self.command(&Command::Freeze { knob })
    }

    pub fn thaw(&mut self, knob: Option<&str>) -> Out {
        let knob = knob.map(str::to_owned);
        self.command(&Command::Thaw { knob })
    }

    pub fn revert(&mut self, plan_id: &str) -> Out {
        let plan_id = plan_id.to_owned();
        self.command(&Command::Revert { plan_id })
    }

    /// A finding whose one plan is applied in its own window.
    pub fn act(&mut self, finding: &Finding) -> ActionPlan {
        let plan = self.find(finding).plan().clone();
        self.ack(&applied(&plan.plan_id).at(plan.window_index));
        plan
    }

    /// Knob and node of every pending plan.
    pub fn pending(&self) -> Vec<(&str, Option<&str>)> {
        let pending = self.planner.pending().into_iter();
        pending.map(|plan| (plan.knob, plan.node)).collect()
    }

    /// The job-wide value in force.
    pub fn value(&self, knob: &str) -> Json {
        to_json(self.planner.value(knob, None))
    }

    pub fn value_on(&self, node: &str, knob: &str) -> Json {
        to_json(self.planner.value(knob, Some(node)))
    }
}

/// What came of one event.
#[derive(Debug)]
pub struct Out(pub Decisions);

impl Out {
    /// The one plan.
    pub fn plan(&self) -> &ActionPlan {
        let plans: Vec<_> = self.0.plans().collect();
        let [plan] = plans[..] else {
            panic!("not one plan: {self:#?}");
        };
        plan
    }

    /// The value that the one plan sets.
    pub fn new_value(&self) -> Json {
        to_json(Some(&self.plan().new_value))
    }

    /// Knob and value of every plan.
    pub fn plans(&self) -> Vec<(String, Json)> {
        let plans = self.0.plans();
        plans
            .map(|p| (p.knob_id.clone(), to_json(Some(&p.new_value))))
            .collect()
    }

    /// What held the one knob, tag or finding; no plan was made.
    pub fn gate(&self) -> &Gate {
        let holds: Vec<_> = self.0.holds().collect();
        let ([hold], None) = (&holds[..], self.0.plans().next()) else {
            panic!("not one hold: {self:#?}");
        };
        &hold.gate
    }

    /// The name of what held it.
    pub fn held_by(&self) -> &'static str {
        self.gate().name()
    }

    /// The one notice.
    pub fn notice(&self) -> &Notice {
        let notices: Vec<_> = self.0.notices().collect();
        let [notice] = notices[..] else {
            panic!("not one notice: {self:#?}");
        };
        notice
    }

    /// The names of all notices.
    pub fn notices(&self) -> Vec<&'static str> {
        self.0.notices().map(Notice::name).collect()
    }

    /// Everything that came of it, for people.
    pub fn told(&self) -> Vec<String> {
        let told = self.0.iter().map(|decision| match decision {
            dfo_planner::Decision::Plan(plan) => {
                format!("{} to {}", plan.knob_id, plan.new_value)
            }
            dfo_planner::Decision::Hold(hold) => hold.gate.to_string(),
            dfo_planner::Decision::Notice(notice) => notice.to_string(),
        });
        told.collect()
    }
}

fn registration(knobs: impl IntoIterator<Item = Knob>) -> Json {
    let knobs: Vec<Knob> = knobs.into_iter().collect();
    let live = knobs.iter().filter_map(|k| {
        let id = k.fields["id"].as_str()?.to_owned();
        Some((id, k.live.clone()?))
    });
    let live: Map<String, Json> = live.collect();
    let knobs: Vec<Json> = knobs.into_iter().map(|k| Json::Object(k.fields)).collect();
    json!({"knobs": knobs, "current_values": live})
}

fn decoded(registration: &Json) -> Registration {
    let decoded = Registration::decode(registration.to_string().as_bytes());
    decoded.message.expect("a registration")
}

fn to_json(value: Option<&dfo_model::Value>) -> Json {
    serde_json::to_value(value).unwrap()
}

/// A knob as an application declares it.
#[derive(Clone)]
pub struct Knob {
    fields: Map<String, Json>,
    live: Option<Json>,
}

/// A knob of that name; its type is that of its default.
pub fn knob(id: &str, default: impl Into<Json>) -> Knob {
    let default = default.into();
    let kind = match &default {
        Json::Bool(_) => "bool",
        Json::String(_) => "str",
        Json::Number(n) if n.is_f64() => "float",
        _ => "int",
    };
    let fields = json!({"id": id, "default": default, "type": kind, "responds_to": {}});
    Knob {
        fields: fields.as_object().unwrap().clone(),
        live: None,
    }
}

impl Knob {
    pub fn range(self, min: impl Into<Json>, max: impl Into<Json>) -> Self {
        self.with("range", json!([min.into(), max.into()]))
    }

    pub fn values(self, values: Json) -> Self {
        self.with("values", values)
    }

    pub fn on(mut self, tag: &str, response: Response) -> Self {
        self.fields["responds_to"][tag] = Json::Object(response.0);
        self
    }

    /// As a registration that is decoded has it.
    pub fn decoded(self) -> dfo_model::Knob {
        let text = json!({"knobs": [self.fields]}).to_string();
        let registration = Registration::decode(text.as_bytes()).into_result().unwrap();
        registration.knobs.into_values().next().unwrap()
    }

    /// The value that the application sends along.
    pub fn live(mut self, value: impl Into<Json>) -> Self {
        self.live = Some(value.into());
        self
    }

    pub fn with(mut self, field: &str, value: impl Into<Json>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }
}

/// What a knob does for a tag.
#[derive(Clone)]
pub struct Response(pub Map<String, Json>);

pub fn up(step: impl Into<Json>) -> Response {
    response("increase").with("step", step)
}

pub fn down(step: impl Into<Json>) -> Response {
    response("decrease").with("step", step)
}

pub fn times(factor: impl Into<Json>) -> Response {
    up(factor).with("step_mode", "multiply")
}

pub fn over(factor: impl Into<Json>) -> Response {
    down(factor).with("step_mode", "multiply")
}

pub fn set(value: impl Into<Json>) -> Response {
    response("set").with("set_to", value)
}

/// Increase or decrease by evidence.
pub fn evidence(direction: &str) -> Response {
    response(direction).with("step_mode", "evidence")
}

fn response(direction: &str) -> Response {
    Response(Map::new()).with("direction", direction)
}

impl Response {
    /// Never rests, and takes what does not get worse for effective.
    pub fn eager(self) -> Self {
        self.cooldown(0).with("effectiveness_threshold", 0.0)
    }

    pub fn cooldown(self, windows: i64) -> Self {
        self.with("cooldown_windows", windows)
    }

    pub fn with(mut self, field: &str, value: impl Into<Json>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }
}

/// What the diagnoser sends.
#[derive(Clone)]
pub struct Finding(pub Map<String, Json>);

/// A finding about the job that calls for these fixes.
pub fn finding(tags: &[&str]) -> Finding {
    let fields = json!({
        "finding_type": "pressure", "scope": "app:window", "motif": "persistent",
        "severity_score": 1.0, "persistence": 5, "trend_direction": "worsening",
        "window_index": 0, "opportunity_tags": tags,
    });
    Finding(fields.as_object().unwrap().clone())
}

/// A global finding that suppresses these tags; none: it says that all is well.
pub fn suppressing(tags: &[&str]) -> Finding {
    let finding = finding(&[]).scope("global");
    finding.kind("contention").with("suppresses_tags", tags)
}

impl Finding {
    pub fn at(self, window: i64) -> Self {
        self.with("window_index", window)
    }

    pub fn severity(self, score: f64) -> Self {
        self.with("severity_score", score)
    }

    pub fn persistence(self, windows: i64) -> Self {
        self.with("persistence", windows)
    }

    pub fn trend(self, word: &str) -> Self {
        self.with("trend_direction", word)
    }

    /// On one node.
    pub fn on(self, node: &str) -> Self {
        self.scope(&format!("node:{node}:app:window"))
    }

    pub fn scope(self, scope: &str) -> Self {
        self.with("scope", scope)
    }

    pub fn kind(self, finding_type: &str) -> Self {
        self.with("finding_type", finding_type)
    }

    /// The axis of its window.
    pub fn view(self, view: &str) -> Self {
        self.with("view_type", view)
    }

    pub fn metrics(self, metrics: Json) -> Self {
        self.with("key_metrics", metrics)
    }

    pub fn with(mut self, field: &str, value: impl Into<Json>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }
}

pub fn applied(plan_id: &str) -> Ack {
    Ack::new(plan_id, AckStatus::Applied)
}

pub fn rejected(plan_id: &str) -> Ack {
    Ack::new(plan_id, AckStatus::Rejected)
}

pub fn deferred(plan_id: &str) -> Ack {
    Ack::new(plan_id, AckStatus::Deferred)
}

pub trait AckWords {
    fn at(self, window: i64) -> Self;
    fn value(self, value: impl Into<dfo_model::Value>) -> Self;
    fn by(self, node: &str) -> Self;
}

impl AckWords for Ack {
    fn at(mut self, window: i64) -> Self {
        self.window_index = Some(window);
        self
    }

    fn value(mut self, value: impl Into<dfo_model::Value>) -> Self {
        self.new_value = Some(value.into());
        self
    }

    fn by(mut self, node: &str) -> Self {
        node.clone_into(&mut self.node);
        self
    }
}

/// A plan for all nodes from an optimizer above; whatever else it could say is missing.
pub fn global_plan(plan_id: &str, knob: &str, value: impl Into<Json>) -> ActionPlan {
    let text = json!({"plan_id": plan_id, "knob_id": knob, "new_value": value.into()}).to_string();
    ActionPlan::decode(text.as_bytes()).into_result().unwrap()
}

pub trait PlanWords {
    fn on(self, nodes: &[&str]) -> Self;
    fn at(self, window: i64) -> Self;
}

impl PlanWords for ActionPlan {
    fn on(mut self, nodes: &[&str]) -> Self {
        self.target_nodes = nodes.iter().map(|&n| n.to_owned()).collect();
        self
    }

    fn at(mut self, window: i64) -> Self {
        self.window_index = window;
        self
    }
}

/// Ours and the original's.
pub fn both() -> [Settings; 2] {
    [Settings::default(), Settings::original()]
}
