//! A change in the script's hands.

use std::sync::{Mutex, PoisonError};

use dfo_context::Action;
use dfo_context::model::Value;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::value::{Given, to_python};

/// A change to make now, and to answer with `applied`, `rejected` or `deferred`. One that is let go
/// without an answer is rejected.
#[pyclass(module = "dfoptimizer._native", frozen)]
pub(crate) struct Change {
    /// None once it is answered.
    action: Mutex<Option<Action>>,
    parameter: String,
    knob_id: String,
    plan_id: String,
    old_value: Value,
    new_value: Value,
    plan: String,
}

impl Change {
    pub(crate) fn new(action: Action) -> PyResult<Self> {
        let plan = serde_json::to_string(action.plan());
        let plan = plan.map_err(|e| PyRuntimeError::new_err(e.to_string()))?;
        Ok(Change {
            parameter: action.parameter().to_owned(),
            knob_id: action.knob_id().to_owned(),
            plan_id: action.plan().plan_id.clone(),
            old_value: action.old_value().clone(),
            new_value: action.new_value().clone(),
            plan,
            action: Mutex::new(Some(action)),
        })
    }

    fn take(&self) -> PyResult<Action> {
        let mut action = self.action.lock().unwrap_or_else(PoisonError::into_inner);
        action.take().ok_or_else(|| {
            let plan = &self.plan_id;
            PyRuntimeError::new_err(format!("plan {plan} was answered already"))
        })
    }
}

#[pymethods]
impl Change {
    /// The function's name for the knob.
    #[getter]
    fn parameter(&self) -> &str {
        &self.parameter
    }

    /// The knob.
    #[getter]
    fn knob_id(&self) -> &str {
        &self.knob_id
    }

    /// The plan's id.
    #[getter]
    fn plan_id(&self) -> &str {
        &self.plan_id
    }

    /// The value in force, as far as it was told.
    #[getter]
    fn old_value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.old_value)
    }

    /// The value wanted: of the knob's type, and within what the knob allows.
    #[getter]
    fn new_value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.new_value)
    }

    /// The plan behind it, an `ActionPlan`, with the value wanted as its new value.
    #[getter]
    fn plan<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let fields = py.import("json")?.call_method1("loads", (&self.plan,))?;
        let fields = fields.cast_into::<PyDict>()?;
        fields.set_item("new_value", to_python(py, &self.new_value)?)?;
        let plan = py.import("dfoptimizer.types")?.getattr("ActionPlan")?;
        plan.call((), Some(&fields))
    }

    /// The value wanted is in force, or the one given in its place.
    #[pyo3(signature = (value=None))]
    fn applied(&self, value: Option<Given>) -> PyResult<()> {
        let action = self.take()?;
        match value {
            None => action.applied(),
            Some(Given(value)) => action
                .applied_as(value)
                .map_err(|refused| PyValueError::new_err(refused.to_string()))?,
        }
        Ok(())
    }

    /// It is not done, and will not be: the old value is in force.
    fn rejected(&self, reason: String) -> PyResult<()> {
        self.take()?.rejected(reason);
        Ok(())
    }

    /// Not now: it comes back at the next boundary, unless a newer plan takes its place.
    fn deferred(&self) -> PyResult<()> {
        self.take()?.deferred();
        Ok(())
    }

    fn __repr__(&self) -> String {
        let Change {
            knob_id,
            old_value,
            new_value,
            plan_id,
            ..
        } = self;
        format!("<Change {knob_id}: {old_value} to {new_value}, plan {plan_id}>")
    }
}
