//! The new value of a knob: set, evidence, add, multiply; then held within what is allowed.
//!
//! Int and bool knobs compute with whole numbers of 64 bits that saturate, float knobs with floats
//! that stay finite. Where the original's Python rounds in its own way, so does this.

use dfo_model::{Direction, Evidence, Knob, KnobType, Number, Response, StepMode, Trend, Value};

/// How a response changes a value. Made once, at registration, so that nothing can be missing later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// To this value.
    Set(Value),
    /// To what the finding's metrics call for.
    Evidence(Toward),
    /// By this step, scaled by severity.
    Add(Toward, Number),
    /// By this factor, at least 1.
    Multiply(Toward, Number),
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Toward {
    Up,
    Down,
}

/// What a knob's values may be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Domain {
    kind: KnobType,
    allowed: Allowed,
}

#[derive(Debug, Clone, PartialEq)]
enum Allowed {
    Anything,
    /// From, to; both of the knob's own kind of number.
    Ints(i64, i64),
    Floats(f64, f64),
    /// The values, of the knob's type.
    Listed(Vec<Value>),
}

/// What a computation takes from a finding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) severity: f64,
    pub(crate) trend: Trend,
    pub(crate) evidence: Evidence,
}

/// What is wrong with a definition: the field, and what to write in its place.
pub(crate) type Refusal = (&'static str, String);

impl Change {
    /// What a response does to a knob of this domain.
    pub(crate) fn of(response: &Response, domain: &Domain) -> Result<Change, Refusal> {
        let toward = match response.direction {
            Direction::Set => return Self::set_to(response.set_to.as_ref(), domain),
            Direction::Increase => Toward::Up,
            Direction::Decrease => Toward::Down,
        };
        if domain.kind == KnobType::Str {
            let what = "a str knob cannot be computed with; use the direction `set`";
            return Err(("direction", what.to_owned()));
        }
        match response.step_mode {
            StepMode::Evidence => Ok(Change::Evidence(toward)),
            StepMode::Add => Ok(Change::Add(toward, step_above(response.step, 0.0)?)),
            StepMode::Multiply => {
                let factor = step_above(response.step, 0.0)?;
                if factor.as_f64() < 1.0 {
                    let what = format!(
                        "{factor} is below 1; write the factor of a {}",
                        "change, such as 2"
                    );
                    return Err(("step", what));
                }
                Ok(Change::Multiply(toward, factor))
            }
        }
    }

    fn set_to(value: Option<&Value>, domain: &Domain) -> Result<Change, Refusal> {
        let Some(value) = value else {
            let what = "missing: the direction `set` needs a value to set";
            return Err(("set_to", what.to_owned()));
        };
        // A number is held and converted when it is used, as a computed one is.
        let is_finite = |n: Number| n.as_f64().is_finite();
        let is_number = domain.kind != KnobType::Str && value.as_number().is_some_and(is_finite);
        let fitting = domain.kind.fit(value).or(is_number.then(|| value.clone()));
        let Some(fitting) = fitting else {
            return Err((
                "set_to",
                format!("{} is not of type {}", shown(value), domain.kind),
            ));
        };
        if let Allowed::Listed(values) = &domain.allowed
            && !values.iter().any(|v| v.same_as(&fitting))
        {
            return Err((
                "set_to",
                format!("{} is none of the knob's values", shown(value)),
            ));
        }
        Ok(Change::Set(fitting))
    }

    /// Whether the finding's metrics say what the value becomes.
    pub(crate) fn is_from_evidence(&self) -> bool {
        matches!(self, Change::Evidence(_))
    }

    /// The value that follows `old`; `None` where that is no change.
    pub(crate) fn next(&self, old: &Value, domain: &Domain, facts: &Facts) -> Option<Value> {
        let (toward, wanted) = match self {
            Change::Set(value) => {
                let new = match value.as_number() {
                    Some(n) => domain.hold(n, old, Toward::Up)?,
                    None => value.clone(),
                };
                return (!new.same_as(old)).then_some(new);
            }
            Change::Evidence(toward) => (
                *toward,
                from_evidence(*toward, old, domain, &facts.evidence)?,
            ),
            Change::Add(toward, step) => (*toward, add(*toward, *step, old, domain, facts)?),
            Change::Multiply(toward, factor) => (*toward, multiply(*toward, *factor, old, domain)?),
        };
        let new = domain.hold(wanted, old, toward)?;
        moves(toward, old, &new).then_some(new)
    }
}

/// Whether the new value lies that way from the old one. A live value outside the range, say, would
/// be lowered by an increase: then nothing is done.
fn moves(toward: Toward, old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_number(), new.as_number()) else {
        return false;
    };
    match toward {
        Toward::Up => new.compare(old).is_gt(),
        Toward::Down => new.compare(old).is_lt(),
    }
}

fn step_above(step: Option<Number>, limit: f64) -> Result<Number, Refusal> {
    match step {
        None => Err(("step", "missing: this step mode needs one".to_owned())),
        Some(s) if s.as_f64().is_finite() && s.as_f64() > limit => Ok(s),
        Some(s) => Err((
            "step",
            format!("{s} is not above {limit}; the direction says which way"),
        )),
    }
}

impl Domain {
    /// The domain of a knob, if its definition makes sense.
    pub(crate) fn of(knob: &Knob) -> Result<Domain, Refusal> {
        let kind = knob.kind;
        if kind.fit(&knob.default).is_none() {
            return Err((
                "default",
                format!("{} is not of type {kind}", shown(&knob.default)),
            ));
        }
        let within = ranged(kind, knob.range)?;
        let allowed = match &knob.values {
            Some(values) => Allowed::Listed(listed(kind, values)?),
            None => within,
        };
        Ok(Domain { kind, allowed })
    }

    pub(crate) fn kind(&self) -> KnobType {
        self.kind
    }

    /// Whether a value of the knob's type is one that the optimizer would set.
    pub(crate) fn allows(&self, value: &Value) -> bool {
        match (&self.allowed, value.as_number()) {
            (Allowed::Anything, _) => true,
            (Allowed::Listed(values), _) => values.iter().any(|v| v.same_as(value)),
            (Allowed::Ints(min, max), Some(Number::Int(i))) => (*min..=*max).contains(&i),
            (Allowed::Ints(min, max), Some(n)) => (*min..=*max).contains(&n.truncated()),
            (Allowed::Floats(min, max), Some(n)) => (*min..=*max).contains(&n.as_f64()),
            (Allowed::Ints(..) | Allowed::Floats(..), None) => false,
        }
    }

    /// What becomes of a value that a global plan wants: held within what is allowed, going the way
    /// that the plan goes. An error says why it cannot be used at all.
    pub(crate) fn hold_wanted(&self, wanted: &Value, in_force: &Value) -> Result<Value, String> {
        let not_of_type = || format!("{} is not of type {}", shown(wanted), self.kind);
        if self.kind == KnobType::Str {
            let text = self.kind.fit(wanted).ok_or_else(not_of_type)?;
            return match self.allows(&text) {
                true => Ok(text),
                false => Err(format!("{} is none of the knob's values", shown(wanted))),
            };
        }
        let number = match wanted.as_number() {
            Some(n) if n.as_f64().is_finite() => n,
            Some(_) => return Err("it is not finite".to_owned()),
            // A text that a bool knob understands.
            None => self
                .kind
                .fit(wanted)
                .and_then(|v| v.as_number())
                .ok_or_else(not_of_type)?,
        };
        let rises = in_force
            .as_number()
            .is_none_or(|old| number.compare(old).is_ge());
        let toward = if rises { Toward::Up } else { Toward::Down };
        // What wants no change has no direction to look for a listed value in.
        let is_listed = matches!(self.allowed, Allowed::Listed(_));
        if is_listed && in_force.as_number().is_some_and(|old| old.same_as(number)) {
            return Ok(in_force.clone());
        }
        let held = self.hold(number, in_force, toward);
        Ok(held.unwrap_or_else(|| in_force.clone()))
    }

    /// The allowed value that is meant by a computed one; `None` where nothing is allowed that way.
    pub(crate) fn hold(&self, wanted: Number, old: &Value, toward: Toward) -> Option<Value> {
        let held = match &self.allowed {
            Allowed::Listed(values) => return nearest(values, wanted, old, toward),
            Allowed::Anything => wanted,
            // Half a truth is one: only 0 is false.
            Allowed::Ints(min, max) if self.kind == KnobType::Bool => {
                let (min, max) = (Number::Int(*min).as_f64(), Number::Int(*max).as_f64());
                Number::Float(wanted.as_f64().clamp(min, max))
            }
            Allowed::Ints(min, max) => Number::Int(wanted.truncated().clamp(*min, *max)),
            Allowed::Floats(min, max) => Number::Float(wanted.as_f64().clamp(*min, *max)),
        };
        Some(match self.kind {
            KnobType::Int => Value::Int(held.truncated()),
            KnobType::Float => Value::Float(finite(held.as_f64())),
            KnobType::Bool => Value::Bool(held.as_f64() != 0.0),
            // No response computes with texts: `Change::of` refuses them.
            KnobType::Str => return None,
        })
    }
}

fn listed(kind: KnobType, values: &[Value]) -> Result<Vec<Value>, Refusal> {
    if values.is_empty() {
        let what = "an empty list allows nothing; leave it out to allow everything";
        return Err(("values", what.to_owned()));
    }
    let fitting = values.iter().map(|v| {
        let refusal = || ("values", format!("{} is not of type {kind}", shown(v)));
        kind.fit(v).ok_or_else(refusal)
    });
    fitting.collect()
}

fn ranged(kind: KnobType, range: Option<dfo_model::Range>) -> Result<Allowed, Refusal> {
    let Some(range) = range else {
        return Ok(match kind {
            KnobType::Bool => Allowed::Ints(0, 1),
            _ => Allowed::Anything,
        });
    };
    let (min, max) = (range.min.as_f64(), range.max.as_f64());
    if !(min.is_finite() && max.is_finite()) {
        return Err(("range", "a bound is not finite".to_owned()));
    }
    if min > max {
        let (min, max) = (range.min, range.max);
        let what = format!("[{min}, {max}] is reversed; write it as [{max}, {min}]");
        return Err(("range", what));
    }
    let (from, to) = match kind {
        KnobType::Str => return Err(("range", "a str knob has no range; use `values`".to_owned())),
        KnobType::Float => return Ok(Allowed::Floats(min, max)),
        KnobType::Int => (lowest_int(range.min), highest_int(range.max)),
        KnobType::Bool => (lowest_int(range.min).max(0), highest_int(range.max).min(1)),
    };
    if from > to {
        let what = format!(
            "[{}, {}] holds no value of type {kind}",
            range.min, range.max
        );
        return Err(("range", what));
    }
    Ok(Allowed::Ints(from, to))
}

fn lowest_int(bound: Number) -> i64 {
    match bound {
        Number::Int(i) => i,
        Number::Float(f) => Number::Float(f.ceil()).truncated(),
    }
}

fn highest_int(bound: Number) -> i64 {
    match bound {
        Number::Int(i) => i,
        Number::Float(f) => Number::Float(f.floor()).truncated(),
    }
}

/// The listed value that equals the wanted one, or else the one nearest to it on that side of the
/// old value; of two equally near, the one nearer the old value.
fn nearest(values: &[Value], wanted: Number, old: &Value, toward: Toward) -> Option<Value> {
    if let Some(same) = values
        .iter()
        .find(|v| v.as_number().is_some_and(|n| n.same_as(wanted)))
    {
        return Some(same.clone());
    }
    let from_old = |v: &Value| Some((v.as_number()?.as_f64() - old.as_number()?.as_f64()).abs());
    let from_wanted = |v: &Value| Some((v.as_number()?.as_f64() - wanted.as_f64()).abs());
    let candidates = values.iter().filter(|v| moves(toward, old, v));
    let ranked = candidates.filter_map(|v| Some((from_wanted(v)?, from_old(v)?, v)));
    let best = ranked.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    best.map(|(_, _, value)| value.clone())
}

fn add(
    toward: Toward,
    step: Number,
    old: &Value,
    domain: &Domain,
    facts: &Facts,
) -> Option<Number> {
    let x = step.as_f64() * scale(facts.severity, facts.trend);
    Some(match (domain.kind, old.as_number()?) {
        (KnobType::Float, old) => match toward {
            Toward::Up => Number::Float(old.as_f64() + x),
            Toward::Down => Number::Float(old.as_f64() - x),
        },
        (_, old) => match toward {
            Toward::Up => Number::Int(old.truncated().saturating_add(whole_step(x))),
            Toward::Down => Number::Int(old.truncated().saturating_sub(whole_step(x))),
        },
    })
}

/// From 0.5 at no severity to 1 at the highest; half of that while the trend is stable.
pub(crate) fn scale(severity: f64, trend: Trend) -> f64 {
    let scale = 0.5 + 0.5 * severity;
    match trend {
        Trend::Stable => scale * 0.5,
        _ => scale,
    }
}

/// A step of an int knob: at least 1, and truncated, unless there is nothing to step.
pub(crate) fn whole_step(x: f64) -> i64 {
    match x {
        x if x <= 0.0 => 0,
        x if x < 1.0 => 1,
        x => Number::Float(x).truncated(),
    }
}

fn multiply(toward: Toward, factor: Number, old: &Value, domain: &Domain) -> Option<Number> {
    let old = old.as_number()?;
    if domain.kind == KnobType::Float {
        return Some(Number::Float(match toward {
            Toward::Up => old.as_f64() * factor.as_f64(),
            Toward::Down => old.as_f64() / factor.as_f64(),
        }));
    }
    let old = old.truncated();
    Some(match toward {
        Toward::Up => increase_by_factor(old, factor),
        Toward::Down => floor_div(Number::Int(old), factor),
    })
}

/// `max(old × factor, old + 1)`.
pub(crate) fn increase_by_factor(old: i64, factor: Number) -> Number {
    let product = match factor {
        Number::Int(f) => Number::Int(old.saturating_mul(f)),
        Number::Float(f) => Number::Float(Number::Int(old).as_f64() * f),
    };
    let next = Number::Int(old.saturating_add(1));
    if product.compare(next).is_ge() {
        product
    } else {
        next
    }
}

/// The floor of `a ÷ b` as Python's `//` has it: for floats by way of the remainder, so that
/// 1.0 ÷ 0.1 is 9.
pub(crate) fn floor_div(a: Number, b: Number) -> Number {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) if b != 0 => {
            let quotient = a.wrapping_div(b);
            let is_inexact = a.wrapping_rem(b) != 0;
            Number::Int(quotient - i64::from(is_inexact && (a < 0) != (b < 0)))
        }
        _ => Number::Float(float_floor_div(a.as_f64(), b.as_f64())),
    }
}

fn float_floor_div(a: f64, b: f64) -> f64 {
    let remainder = a % b;
    let is_on_the_other_side = remainder != 0.0 && (remainder < 0.0) != (b < 0.0);
    let quotient = (a - remainder) / b - f64::from(u8::from(is_on_the_other_side));
    // The quotient is whole up to rounding; the nearest whole number is meant.
    let floor = quotient.floor();
    if quotient - floor > 0.5 {
        floor + 1.0
    } else {
        floor
    }
}

/// Below this fraction of time spent fetching there is nothing to hide.
const NEGLIGIBLE_FETCH: f64 = 0.05;
/// Above this fraction the model's target was too low, and one more is tried.
const NOTABLE_FETCH: f64 = 0.20;
/// Keeps the target finite where there is hardly any computing to hide behind.
const LEAST_COMPUTE: f64 = 0.01;

fn from_evidence(
    toward: Toward,
    old: &Value,
    domain: &Domain,
    evidence: &Evidence,
) -> Option<Number> {
    let old = old.as_number()?;
    let number = match domain.kind {
        KnobType::Float => Number::Float(old.as_f64()),
        _ => Number::Int(old.truncated()),
    };
    Some(evidence_target(toward, number, evidence))
}

/// The value that the metrics call for, by Amdahl's law: as many workers as hide fetching behind
/// computing.
pub(crate) fn evidence_target(toward: Toward, old: Number, evidence: &Evidence) -> Number {
    let Some(fetch) = evidence.fetch() else {
        return without_evidence(toward, old);
    };
    let compute = evidence.compute().unwrap_or(1.0 - fetch);
    if fetch <= NEGLIGIBLE_FETCH {
        return old;
    }
    // Truncated, not rounded: 0.89 / 0.11 = 8.09 means that eight workers hide the fetching.
    let workers = (fetch / compute.max(LEAST_COMPUTE)).trunc().max(1.0);
    let target = match old {
        Number::Int(_) => Number::Int(Number::Float(workers).truncated()),
        Number::Float(_) => Number::Float(workers),
    };
    match toward {
        Toward::Up if target.compare(old).is_gt() => target,
        Toward::Up if fetch > NOTABLE_FETCH => one_more(old),
        Toward::Down if compute > fetch && target.compare(old).is_lt() => target,
        _ => old,
    }
}

fn without_evidence(toward: Toward, old: Number) -> Number {
    match (toward, old) {
        (Toward::Up, Number::Int(i)) => increase_by_factor(i, Number::Int(2)),
        (Toward::Up, Number::Float(f)) => Number::Float((f * 2.0).max(f + 1.0)),
        (Toward::Down, Number::Int(i)) => Number::Int(i.div_euclid(2).min(i.saturating_sub(1))),
        (Toward::Down, Number::Float(f)) => Number::Float((f / 2.0).min(f - 1.0)),
    }
}

fn one_more(n: Number) -> Number {
    match n {
        Number::Int(i) => Number::Int(i.saturating_add(1)),
        Number::Float(f) => Number::Float(f + 1.0),
    }
}

/// A value for a message: the beginning of a long text is enough.
pub(crate) fn shown(value: &Value) -> String {
    const SHOWN: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn finite(f: f64) -> f64 {
    f.clamp(f64::MIN, f64::MAX)
}

#[cfg(test)]
mod recorded;
