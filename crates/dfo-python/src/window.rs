//! Marking windows of the work for a tracer that is a Python object.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dfo_context::{Tracer, WindowEvent};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Marks windows of `every_n` iterations each.
#[pyclass(module = "dfoptimizer._native", subclass)]
pub(crate) struct Window {
    /// What may be told of a mark is called with this window borrowed as a whole; the lock is for the
    /// compiler, and is never waited for.
    inner: Mutex<dfo_context::Window>,
    raised: Raised,
}

impl Window {
    fn get(&self) -> MutexGuard<'_, dfo_context::Window> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get_mut(&mut self) -> &mut dfo_context::Window {
        self.inner.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the tracer raised while it was told of a mark.
#[derive(Clone, Default)]
struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// The first error counts.
    fn keep<T>(&self, result: PyResult<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let mut raised = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                raised.get_or_insert(error);
                None
            }
        }
    }

    fn check<T>(&self, value: T) -> PyResult<T> {
        let raised = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match raised {
            None => Ok(value),
            Some(error) => Err(error),
        }
    }
}

/// A tracer like DFTracer's Python binding.
struct PythonTracer {
    object: Py<PyAny>,
    raised: Raised,
}

impl PythonTracer {
    fn call<T>(&self, call: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> Option<T> {
        Python::attach(|py| self.raised.keep(call(self.object.bind(py))))
    }
}

impl Tracer for PythonTracer {
    fn get_time(&mut self) -> u64 {
        let time = self.call(|tracer| tracer.call_method0("get_time")?.extract());
        time.unwrap_or_default()
    }

    fn enter_event(&mut self) {
        self.call(|tracer| tracer.call_method0("enter_event").map(drop));
    }

    fn log_event(&mut self, event: &WindowEvent<'_>) {
        self.call(|tracer| {
            let py = tracer.py();
            let int_args = PyDict::new(py);
            for (name, value) in event.int_args {
                // The first of the pair is the tracer's own kind of tag; 0 is none.
                int_args.set_item(name, (0, value))?;
            }
            let fields = PyDict::new(py);
            fields.set_item("name", event.name)?;
            fields.set_item("cat", event.category)?;
            fields.set_item("start_time", event.start_time)?;
            fields.set_item("duration", event.duration)?;
            fields.set_item("int_args", int_args)?;
            tracer.call_method("log_event", (), Some(&fields)).map(drop)
        });
    }

    fn exit_event(&mut self) {
        self.call(|tracer| tracer.call_method0("exit_event").map(drop));
    }
}

#[pymethods]
impl Window {
    #[new]
    #[pyo3(signature = (tracer=None, max_every_n=None))]
    fn new(tracer: Option<Py<PyAny>>, max_every_n: Option<i64>) -> Self {
        let raised = Raised::default();
        let mut inner = dfo_context::Window::new();
        if let Some(object) = tracer {
            let raised = raised.clone();
            inner = inner.with_tracer(PythonTracer { object, raised });
        }
        if let Some(most) = max_every_n {
            inner = inner.with_max_every_n(at_least_one(most));
        }
        Window {
            inner: Mutex::new(inner),
            raised,
        }
    }

    /// An iteration begins. True if a window begins with it.
    fn start(&mut self) -> PyResult<bool> {
        let opened = self.get_mut().start();
        self.raised.check(opened)
    }

    /// An iteration ends. True if a window ends with it.
    fn stop(&mut self) -> PyResult<bool> {
        let closed = self.get_mut().stop();
        self.raised.check(closed)
    }

    /// An epoch ends, and a window that is open with it; counting begins anew. True if there was one.
    fn flush(&mut self) -> PyResult<bool> {
        let closed = self.get_mut().flush();
        self.raised.check(closed)
    }

    /// Twice as many iterations in a window, within the maximum.
    fn increase_cadence(&mut self) -> PyResult<()> {
        self.get_mut().increase_cadence();
        self.raised.check(())
    }

    /// Half as many iterations in a window, at least 1.
    fn decrease_cadence(&mut self) -> PyResult<()> {
        self.get_mut().decrease_cadence();
        self.raised.check(())
    }

    /// So many iterations in a window, within 1 and the maximum.
    fn update_cadence(&mut self, new_every_n: i64) -> PyResult<()> {
        self.get_mut().update_cadence(at_least_one(new_every_n));
        self.raised.check(())
    }

    /// The iterations in a window.
    #[getter]
    fn every_n(&self) -> u64 {
        self.get().every_n()
    }

    /// The most iterations that a window may have; None is without limit.
    #[getter]
    fn max_every_n(&self) -> Option<u64> {
        self.get().max_every_n()
    }

    /// The newest window; 0 before the first.
    #[getter]
    fn window_index(&self) -> i64 {
        self.get().window_index()
    }

    /// The iterations begun since the epoch began.
    #[getter]
    fn counter(&self) -> u64 {
        self.get().counter()
    }

    fn __repr__(&self) -> String {
        let (index, every_n) = (self.window_index(), self.every_n());
        format!("<Window {index}, every {every_n} iterations>")
    }
}

fn at_least_one(n: i64) -> u64 {
    u64::try_from(n.max(1)).unwrap_or(1)
}
