//! What an application can change, and what it wants changed when.
//!
//! `Deserialize` reads back what `Serialize` gives. What applications send is read with
//! [`crate::Registration::decode`], which takes more and says what is wrong.

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeTuple, Serializer};

use crate::decode::fields::{Fields, number, shortened};
use crate::value::{KnobType, Number, Value};

/// A setting that can be changed while the application runs.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Knob {
    /// Its name, unique in the job: `dlio.prefetch_size`.
    pub id: String,
    /// The value in force while nobody says otherwise.
    pub default: Value,
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: KnobType,
    /// The bounds of its values, both allowed; `None` is unbounded.
    pub range: Option<Range>,
    /// The only values allowed. Goes before `range`.
    pub values: Option<Vec<Value>>,
    /// Whose value it is.
    pub scope: KnobScope,
    /// What it does for each opportunity tag.
    pub responds_to: IndexMap<String, Response>,
    /// The function that applies it: `DLIOBenchmark.make_loader`.
    pub target_function: String,
}

/// Two bounds, both allowed; `[min, max]` on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The smallest value.
    pub min: Number,
    /// The largest value.
    pub max: Number,
}

/// Whose value a knob's value is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KnobScope {
    /// One for the whole job.
    #[default]
    Job,
    /// One for each rank.
    RankLocal,
    /// One for each node.
    Node,
}

/// What a knob does for an opportunity tag, and when it may.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default))]
pub struct Response {
    /// Which way the value goes.
    pub direction: Direction,
    /// How far: what `add` adds and `multiply` multiplies with.
    pub step: Option<Number>,
    /// How the new value is computed.
    pub step_mode: StepMode,
    /// The new value where the direction is `set`.
    pub set_to: Option<Value>,
    /// A finding below this severity score is not acted on.
    pub min_severity: f64,
    /// A finding that lasted fewer windows is not acted on.
    pub min_persistence: i64,
    /// Windows to rest after an action.
    pub cooldown_windows: i64,
    /// The boundary at which the application applies it.
    pub apply_when: String,
    /// The relative fall in severity that shows that an action helped, 0 to 1.
    pub effectiveness_threshold: f64,
}

/// Which way a knob's value goes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Up.
    #[default]
    Increase,
    /// Down.
    Decrease,
    /// To a given value.
    Set,
}

/// How the new value is computed from the old one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum StepMode {
    /// By a step, scaled by severity.
    #[default]
    Add,
    /// By a factor.
    Multiply,
    /// From the finding's metrics.
    Evidence,
}

impl Default for Response {
    fn default() -> Self {
        Response {
            direction: Direction::default(),
            step: None,
            step_mode: StepMode::default(),
            set_to: None,
            min_severity: 0.5,
            min_persistence: 2,
            cooldown_windows: 3,
            apply_when: "epoch_boundary".to_owned(),
            effectiveness_threshold: 0.10,
        }
    }
}

impl Knob {
    /// A job-wide knob that may have any value of its type and responds to nothing.
    pub fn new(id: impl Into<String>, kind: KnobType, default: impl Into<Value>) -> Self {
        Knob {
            id: id.into(),
            default: default.into(),
            kind,
            range: None,
            values: None,
            scope: KnobScope::default(),
            responds_to: IndexMap::new(),
            target_function: String::new(),
        }
    }
}

impl Range {
    /// Both bounds, in that order.
    pub fn new(min: impl Into<Number>, max: impl Into<Number>) -> Self {
        let (min, max) = (min.into(), max.into());
        Range { min, max }
    }
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&self.min)?;
        pair.serialize_element(&self.max)?;
        pair.end()
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (min, max) = Deserialize::deserialize(deserializer)?;
        Ok(Range { min, max })
    }
}

/// The tag that a `knob_response` answers to: `DFTracer` sends one response without a tag.
const UNTAGGED_RESPONSE: &str = "io_bottleneck";

impl Knob {
    /// Reads a knob. A wrong response is left out, with a problem; anything else wrong spoils the
    /// knob.
    pub(crate) fn read(fields: &mut Fields<'_, '_>, id_if_missing: Option<&str>) -> Option<Knob> {
        let before = fields.problem_count();
        let id = fields.text("id", id_if_missing.unwrap_or_default());
        let kind = knob_type(fields);
        let default = fields.value("default");
        let range = range(fields);
        let values = fields.values("values");
        let scope = fields.word("scope", &SCOPES);
        let target_function = fields.text("target_function", "");
        if id.is_empty() {
            fields.wrong("id", "missing: a knob needs a name");
        }
        if default.is_none() && fields.tree("default").is_none() {
            fields.wrong("default", "missing: a knob needs a value to start from");
        }
        let is_spoilt = fields.problem_count() > before;

        let responds_to = responses(fields);
        if is_spoilt {
            return None;
        }
        Some(Knob {
            id,
            default: default?,
            kind,
            range,
            values,
            scope: scope.unwrap_or_default(),
            responds_to,
            target_function,
        })
    }
}

const SCOPES: [(&str, KnobScope); 3] = [
    ("job", KnobScope::Job),
    ("rank_local", KnobScope::RankLocal),
    ("node", KnobScope::Node),
];
const DIRECTIONS: [(&str, Direction); 3] = [
    ("increase", Direction::Increase),
    ("decrease", Direction::Decrease),
    ("set", Direction::Set),
];
const STEP_MODES: [(&str, StepMode); 3] = [
    ("add", StepMode::Add),
    ("multiply", StepMode::Multiply),
    ("evidence", StepMode::Evidence),
];

fn knob_type(fields: &mut Fields<'_, '_>) -> KnobType {
    let Some(name) = fields.optional_text("type") else {
        return KnobType::default();
    };
    KnobType::from_name(&name).unwrap_or_else(|| {
        let known = "int, float, str, bool";
        let found = shortened(&name);
        fields.wrong("type", format!("unknown type {found}; one of: {known}"));
        KnobType::default()
    })
}

fn range(fields: &mut Fields<'_, '_>) -> Option<Range> {
    let bounds = fields.list("range", "a list [min, max]", "a finite number", number)?;
    if let [min, max] = bounds[..] {
        return Some(Range { min, max });
    }
    let count = bounds.len();
    fields.wrong(
        "range",
        format!("expected a list [min, max], found {count} numbers; leave it out for no bounds"),
    );
    None
}

fn responses(fields: &mut Fields<'_, '_>) -> IndexMap<String, Response> {
    let tagged = fields.tree("responds_to");
    let untagged = fields.tree("knob_response");
    let mut responses = IndexMap::new();
    match (tagged, untagged) {
        (Some(tree), _) => {
            let Some(by_tag) = tree.as_object() else {
                fields.expected("an object from tag to response", tree, "responds_to");
                return responses;
            };
            for (tag, tree) in by_tag {
                let name = format!("responds_to.{tag}");
                if let Some(response) = fields.within(tree, &name, Response::read) {
                    responses.insert(tag.clone(), response);
                }
            }
        }
        (None, Some(tree)) => {
            if let Some(response) = fields.within(tree, "knob_response", Response::read) {
                responses.insert(UNTAGGED_RESPONSE.to_owned(), response);
            }
        }
        (None, None) => {}
    }
    responses
}

impl Response {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Response> {
        let before = fields.problem_count();
        let default = Response::default();
        let response = Response {
            direction: fields.word("direction", &DIRECTIONS).unwrap_or_default(),
            step: fields.number("step"),
            step_mode: fields.word("step_mode", &STEP_MODES).unwrap_or_default(),
            set_to: fields.value("set_to"),
            min_severity: fields.float("min_severity", default.min_severity),
            min_persistence: fields.whole("min_persistence", default.min_persistence),
            cooldown_windows: fields.whole("cooldown_windows", default.cooldown_windows),
            apply_when: fields.text("apply_when", &default.apply_when),
            effectiveness_threshold: fields
                .float("effectiveness_threshold", default.effectiveness_threshold),
        };
        (fields.problem_count() == before).then_some(response)
    }
}
