//! The connection to the optimizer.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dfo_context::model::Registration;
use dfo_context::{Builder, Link, LiveKnob, Status};
use dfo_transport_zmq::Zmq;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::function::Function;

/// The connection to the optimizer: knobs go out, plans come in, in the background.
#[pyclass(module = "dfoptimizer._native", frozen)]
pub(crate) struct Context {
    inner: Arc<dfo_context::Context>,
    /// The news that the script was told.
    told: Arc<AtomicU64>,
}

/// How long a wait lasts at most before Ctrl-C is looked for.
const SLICE: Duration = Duration::from_millis(100);

#[pymethods]
impl Context {
    /// Without options there is no optimizer, and all else works.
    #[new]
    #[pyo3(signature = (namespace, node, options, heartbeat))]
    fn new(
        py: Python<'_>,
        namespace: &str,
        node: Option<String>,
        options: Option<Vec<(String, String)>>,
        heartbeat: f64,
    ) -> PyResult<Self> {
        let mut builder = dfo_context::Context::builder(namespace)
            .heartbeat(seconds("heartbeat", heartbeat)?)
            .hold_within_range();
        if let Some(node) = node {
            builder = builder.node(node);
        }
        if let Some(options) = options {
            builder = builder.transport(Zmq, options);
        }
        // Opening may take a moment.
        let inner = py.detach(|| Builder::start(builder));
        let inner = inner.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Context {
            inner: Arc::new(inner),
            told: Arc::default(),
        })
    }

    /// Registers the knobs of a registration's JSON. Gives the function, and what was wrong; what was not,
    /// is registered. If `strict`, nothing is registered where something is wrong, and None takes the place
    /// of the function.
    fn register(
        &self,
        function: &str,
        registration: &str,
        strict: bool,
    ) -> PyResult<(Option<Function>, Vec<String>)> {
        let decoded = Registration::decode(registration.as_bytes());
        let mut wrong: Vec<String> = decoded.problems.iter().map(ToString::to_string).collect();
        let Some(registration) = decoded.message else {
            return Err(PyValueError::new_err(wrong.join("; ")));
        };
        if strict && !wrong.is_empty() {
            return Ok((None, wrong));
        }
        let live = |(parameter, knob): (&String, &_)| {
            let live = LiveKnob::new(parameter, Clone::clone(knob));
            match registration.current_value(parameter) {
                Some(value) => live.with_value(value.clone()),
                None => live,
            }
        };
        let mut knobs: Vec<LiveKnob> = registration.knobs.iter().map(live).collect();
        // Each round leaves out or mends at least one knob.
        loop {
            let refused = match self.inner.register(function, knobs.iter().cloned()) {
                Ok(function) => {
                    let function = Function::new(function, &self.inner, &self.told);
                    return Ok((Some(function), wrong));
                }
                Err(refused) => refused.refused,
            };
            wrong.extend(refused.iter().map(ToString::to_string));
            if strict || refused.is_empty() {
                return Ok((None, wrong));
            }
            let of = |knob: &LiveKnob| refused.iter().find(|r| r.parameter == knob.parameter);
            knobs.retain_mut(|knob| match of(knob) {
                None => true,
                // The value now makes no sense, the knob does: it has its default, then.
                Some(refused) if refused.field == "value" => {
                    knob.value = knob.knob.default.clone();
                    true
                }
                Some(_) => false,
            });
        }
    }

    /// A function that takes whatever plan names it.
    fn listen(&self, function: &str) -> Function {
        Function::new(self.inner.listen(function), &self.inner, &self.told)
    }

    /// Takes in a plan, in JSON, as if the optimizer had sent it to this process alone.
    fn stage(&self, plan: &str) {
        self.inner.stage_encoded(plan.as_bytes());
    }

    /// Tells the window that the script is in; a negative one: not known.
    fn set_window(&self, window: i64) {
        self.inner.set_window(window);
    }

    /// The window that it was told.
    #[getter]
    fn window(&self) -> Option<i64> {
        self.inner.window()
    }

    /// The prefix of the knobs' ids.
    #[getter]
    fn namespace(&self) -> &str {
        self.inner.namespace()
    }

    /// The name of this node.
    #[getter]
    fn node(&self) -> &str {
        self.inner.node()
    }

    /// The name of this very start of this process.
    #[getter]
    fn instance(&self) -> &str {
        self.inner.instance()
    }

    /// How it fares.
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        status(py, &self.inner.status())
    }

    /// How it fares; what is news in it counts as told.
    fn tell<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        // First: what comes between is told the next time.
        let news = self.inner.news();
        self.told.store(news, Ordering::Relaxed);
        status(py, &self.inner.status())
    }

    /// Whether there is something that the script was not told.
    fn has_news(&self) -> bool {
        self.inner.news() != self.told.load(Ordering::Relaxed)
    }

    /// Waits until the condition holds for the status, so many seconds at most. Whether it does.
    fn wait_for(
        &self,
        py: Python<'_>,
        condition: &Bound<'_, PyAny>,
        timeout: f64,
    ) -> PyResult<bool> {
        let _waiting = Waiting::begin();
        let end = Instant::now() + seconds("timeout", timeout)?;
        let condition = condition.clone().unbind();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let raised = Mutex::new(None);
            let holds = |now: &Status| {
                let holds = Python::attach(|py| holds(condition.bind(py), now));
                // An error ends the wait too.
                holds.unwrap_or_else(|error| {
                    *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    true
                })
            };
            let held = py.detach(|| self.inner.wait_for(left.min(SLICE), holds));
            if let Some(error) = raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
                return Err(error);
            }
            py.check_signals()?;
            if held || left.is_zero() || Waiting::is_to_end() {
                return Ok(held);
            }
        }
    }

    /// Rejects what was not applied, sends what waits, and ends the background thread, within so many
    /// seconds.
    fn stop(&self, py: Python<'_>, deadline: f64) -> PyResult<()> {
        let deadline = seconds("deadline", deadline)?;
        py.detach(|| self.inner.stop_within(deadline));
        Ok(())
    }
}

/// A thread that waits in [`Context::wait_for`].
///
/// Were it still there when the interpreter ends, it would be cut off in the middle of this module, which
/// ends the process with an error. So none waits on when the end begins.
struct Waiting;

static WAITING: AtomicUsize = AtomicUsize::new(0);
static IS_TO_END: AtomicBool = AtomicBool::new(false);

impl Waiting {
    fn begin() -> Self {
        WAITING.fetch_add(1, Ordering::SeqCst);
        Waiting
    }

    fn is_to_end() -> bool {
        IS_TO_END.load(Ordering::SeqCst)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The interpreter is about to end: no wait lasts any longer.
#[pyfunction]
pub(crate) fn end_waits(py: Python<'_>) {
    IS_TO_END.store(true, Ordering::SeqCst);
    let end = Instant::now() + 10 * SLICE;
    py.detach(|| {
        while WAITING.load(Ordering::SeqCst) > 0 && Instant::now() < end {
            std::thread::sleep(SLICE / 20);
        }
    });
}

/// In a forked child the threads that waited are not there.
#[pyfunction]
pub(crate) fn forget_waits() {
    WAITING.store(0, Ordering::SeqCst);
}

/// Clocks cannot count as far as a number can.
fn seconds(what: &str, seconds: f64) -> PyResult<Duration> {
    const YEAR: Duration = Duration::from_hours(365 * 24);
    if seconds >= YEAR.as_secs_f64() {
        return Ok(YEAR);
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!(
            "{what}: a number of seconds, 0 or more, not {seconds}"
        ))
    })
}

fn holds(condition: &Bound<'_, PyAny>, now: &Status) -> PyResult<bool> {
    let now = status(condition.py(), now)?;
    condition.call1((now,))?.is_truthy()
}

fn status<'py>(py: Python<'py>, status: &Status) -> PyResult<Bound<'py, PyDict>> {
    let plans = PyDict::new(py);
    for (name, count) in [
        ("received", status.plans.received),
        ("staged", status.plans.staged),
        ("applied", status.plans.applied),
        ("rejected", status.plans.rejected),
        ("deferred", status.plans.deferred),
        ("superseded", status.plans.superseded),
        ("repeated", status.plans.repeated),
        ("not_for_this_node", status.plans.not_for_this_node),
        ("unknown_function", status.plans.unknown_function),
        ("undecodable", status.plans.undecodable),
        ("too_large", status.plans.too_large),
    ] {
        plans.set_item(name, count)?;
    }
    let sent = PyDict::new(py);
    for (name, count) in [
        ("registrations", status.sent.registrations),
        ("acks", status.sent.acks),
        ("acks_dropped", status.sent.acks_dropped),
        ("acks_unheard", status.sent.acks_unheard),
        ("undelivered", status.sent.undelivered),
    ] {
        sent.set_item(name, count)?;
    }
    let all = PyDict::new(py);
    all.set_item("link", link(status.link))?;
    all.set_item("plans", plans)?;
    all.set_item("sent", sent)?;
    all.set_item("plans_waiting", status.plans_waiting)?;
    all.set_item("plans_unclaimed", status.plans_unclaimed)?;
    all.set_item("acks_waiting", status.acks_waiting)?;
    all.set_item("openings", status.openings)?;
    all.set_item("disconnections", status.disconnections)?;
    all.set_item("last_error", &status.last_error)?;
    all.set_item("last_undecodable", &status.last_undecodable)?;
    all.set_item("last_refusal", &status.last_refusal)?;
    Ok(all)
}

fn link(link: Link) -> &'static str {
    match link {
        Link::Disabled => "disabled",
        Link::Opening => "opening",
        Link::Open => "open",
        Link::Stopped => "stopped",
        Link::Forked => "forked",
        _ => "unknown",
    }
}
