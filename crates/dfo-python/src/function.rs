//! A function of the script that owns knobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dfo_context::Boundary;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;

use crate::change::Change;
use crate::value::{Given, to_python};

/// A function of the script that owns knobs: where changes are taken, and values told.
#[pyclass(module = "dfoptimizer._native", frozen)]
pub(crate) struct Function {
    inner: dfo_context::Function,
    context: Arc<dfo_context::Context>,
    /// The news that the script was told.
    told: Arc<AtomicU64>,
}

impl Function {
    pub(crate) fn new(
        inner: dfo_context::Function,
        context: &Arc<dfo_context::Context>,
        told: &Arc<AtomicU64>,
    ) -> Self {
        Function {
            inner,
            context: Arc::clone(context),
            told: Arc::clone(told),
        }
    }
}

#[pymethods]
impl Function {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.inner.name()
    }

    /// Whether no plan waits for it, at whatever boundary, and there is nothing to be told of.
    fn quiet(&self) -> bool {
        !self.inner.has_changes(Boundary::Epoch)
            && self.context.news() == self.told.load(Ordering::Relaxed)
    }

    /// What to change at this boundary, oldest first; at most one change for each knob. Changes of the
    /// parameters of `others` stay where they are.
    fn poll(&self, at: &str, others: &Bound<'_, PyAny>) -> PyResult<Vec<Change>> {
        let boundary = Boundary::from_apply_when(at).ok_or_else(|| {
            PyValueError::new_err(format!(
                "unknown boundary {at:?}; one of: epoch_boundary, window_boundary, next_window"
            ))
        })?;
        let others: Vec<String> = others.extract()?;
        let is_ours = |parameter: &str| !others.iter().any(|other| other == parameter);
        let actions = self.inner.at_where(boundary, is_ours);
        actions.map(Change::new).collect()
    }

    /// The value in force of one of its knobs; None where it is not known.
    fn value<'py>(&self, py: Python<'py>, parameter: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let value = self.inner.value(parameter);
        value.map(|value| to_python(py, &value)).transpose()
    }

    /// Tells a value that the script changed on its own.
    fn set_value(&self, parameter: &str, value: Given) -> PyResult<()> {
        let refused = match self.inner.set_value(parameter, value.0) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let text = refused.to_string();
        Err(match refused {
            dfo_context::ValueRefused::UnknownParameter { .. } => PyKeyError::new_err(text),
            _ => PyValueError::new_err(text),
        })
    }
}
