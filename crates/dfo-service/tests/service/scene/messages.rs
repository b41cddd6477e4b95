//! What goes over the wire, in its own words.

use dfo_model::{Ack, AckStatus, ActionPlan, Registration};
use dfo_transport::Record;
use serde_json::{Map, Value as Json, json};

/// What the diagnoser sends.
#[derive(Debug, Clone)]
pub struct Finding(Map<String, Json>);

/// A finding of that window about the job that asks for tag `t`.
pub fn finding(window: i64) -> Finding {
    let fields = json!({
        "finding_type": "pressure", "scope": "app:window", "motif": "persistent",
        "severity_score": 1.0, "persistence": 5, "trend_direction": "worsening",
        "window_index": window, "opportunity_tags": ["t"],
    });
    Finding(fields.as_object().unwrap().clone())
}

impl Finding {
    /// About one node.
    pub fn on(self, node: &str) -> Self {
        self.with("scope", format!("node:{node}:app:window"))
    }

    pub fn tag(self, tag: &str) -> Self {
        self.with("opportunity_tags", json!([tag]))
    }

    pub fn severity(self, score: f64) -> Self {
        self.with("severity_score", score)
    }

    pub fn with(mut self, field: &str, value: impl Into<Json>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }

    pub fn payload(&self) -> String {
        serde_json::to_string(&self.0).unwrap()
    }

    /// As the diagnoser sends it: what it is in the metadata.
    pub fn record(&self) -> Record {
        let metadata = json!({
            "artifact_type": "diagnosis_finding", "publish_mode": "control",
            "finding_type": self.0["finding_type"], "scope": self.0["scope"],
        });
        Record::new(metadata.to_string(), self.payload())
    }
}

/// A finding of that window, as a record.
pub fn finding_record(window: i64) -> Record {
    finding(window).record()
}

/// A knob as an application declares it.
#[derive(Debug, Clone)]
pub struct Knob {
    id: String,
    fields: Map<String, Json>,
    live: Option<Json>,
}

/// An int knob of that id: 2, from 0 to 1,000; each finding with tag `t` raises it by one.
pub fn knob(id: &str) -> Knob {
    let fields = json!({
        "id": id, "default": 2, "type": "int", "range": [0, 1000],
        "responds_to": {"t": up()}, "target_function": "train",
    });
    Knob {
        id: id.to_owned(),
        fields: fields.as_object().unwrap().clone(),
        live: None,
    }
}

/// One step up, without rest and however little the last one helped.
pub fn up() -> Json {
    json!({"step": 1, "cooldown_windows": 0, "effectiveness_threshold": 0.0})
}

impl Knob {
    /// Responds to that tag and no other.
    pub fn responds_to(self, tag: &str, response: Json) -> Self {
        let mut responses = Map::new();
        responses.insert(tag.to_owned(), response);
        self.with("responds_to", responses)
    }

    /// Rests so many windows after each action.
    pub fn resting(mut self, windows: i64) -> Self {
        self.fields["responds_to"]["t"]["cooldown_windows"] = windows.into();
        self
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

/// An application: what it says of itself when it registers.
#[derive(Debug, Clone)]
pub struct App {
    instance: String,
    node: String,
    namespace: String,
    function: String,
    knobs: Vec<Knob>,
}

/// An application of that instance, with knob `k`; an empty instance is a program that says none.
pub fn app(instance: &str) -> App {
    App {
        instance: instance.to_owned(),
        node: String::new(),
        namespace: "app".to_owned(),
        function: "train".to_owned(),
        knobs: vec![knob("k")],
    }
}

impl App {
    pub fn on(mut self, node: &str) -> Self {
        node.clone_into(&mut self.node);
        self
    }

    pub fn in_namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    pub fn function(mut self, function: &str) -> Self {
        function.clone_into(&mut self.function);
        self
    }

    pub fn knobs(mut self, knobs: impl IntoIterator<Item = Knob>) -> Self {
        self.knobs = knobs.into_iter().collect();
        self
    }

    pub fn payload(&self) -> Json {
        let live = self.knobs.iter();
        let live = live.filter_map(|k| Some((k.id.clone(), k.live.clone()?)));
        let knobs = self.knobs.iter();
        let knobs: Vec<_> = knobs.map(|k| Json::Object(k.fields.clone())).collect();
        json!({
            "namespace": self.namespace, "function_name": self.function, "knobs": knobs,
            "current_values": live.collect::<Map<_, _>>(),
            "instance": self.instance, "node": self.node,
        })
    }

    pub fn record(&self) -> Record {
        let metadata = json!({
            "type": "knob_registration", "namespace": self.namespace, "function": self.function,
        });
        Record::new(metadata.to_string(), self.payload().to_string())
    }

    pub fn registration(&self) -> Registration {
        let decoded = Registration::decode(self.payload().to_string().as_bytes());
        decoded.into_result().unwrap()
    }
}

/// An application says that it leaves.
pub fn farewell(instance: &str) -> Record {
    let metadata = json!({"type": "stop", "instance": instance, "node": ""});
    Record::new(metadata.to_string(), "")
}

pub fn applied(plan: &ActionPlan) -> Ack {
    Ack::new(&plan.plan_id, AckStatus::Applied)
}

pub fn rejected(plan: &ActionPlan) -> Ack {
    Ack::new(&plan.plan_id, AckStatus::Rejected)
}

pub fn deferred(plan: &ActionPlan) -> Ack {
    Ack::new(&plan.plan_id, AckStatus::Deferred)
}

pub trait AckWords {
    fn at(self, window: i64) -> Self;
    fn by(self, node: &str) -> Self;
    fn value(self, value: i64) -> Self;
}

impl AckWords for Ack {
    fn at(mut self, window: i64) -> Self {
        self.window_index = Some(window);
        self
    }

    fn by(mut self, node: &str) -> Self {
        node.clone_into(&mut self.node);
        self
    }

    fn value(mut self, value: i64) -> Self {
        self.new_value = Some(dfo_model::Value::Int(value));
        self
    }
}

pub fn ack_record(ack: &Ack) -> Record {
    Record::new(
        serde_json::to_vec(&ack.metadata()).unwrap(),
        serde_json::to_vec(ack).unwrap(),
    )
}
