//! Marking windows of the work for a tracer that is a Python object.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dfo_context::{Tracer, WindowEvent};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Marks windows of `every_n` iterations each.
#[pyclass(module = "dfoptimizer._native", frozen)]
pub(crate) struct Window {
    /// Never held while Python code runs.
    inner: Mutex<dfo_context::Window>,
    tracer: Option<Py<PyAny>>,
    marks: Marks,
    /// When the newest window began, as the tracer counts time.
    begun: AtomicU64,
}

/// Marks that the tracer is to be told of.
///
/// It is told, and asked for the time, once the window is as it says: so it may look at the window itself,
/// and no lock is held while it does.
#[derive(Clone, Default)]
struct Marks(Arc<Mutex<Vec<Mark>>>);

struct Mark {
    name: String,
    category: String,
    int_args: Vec<(String, i64)>,
}

impl Marks {
    fn get(&self) -> MutexGuard<'_, Vec<Mark>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tracer for Marks {
    fn get_time(&mut self) -> u64 {
        0
    }

    fn enter_event(&mut self) {}

    fn log_event(&mut self, event: &WindowEvent<'_>) {
        let int_args = event.int_args.iter();
        self.get().push(Mark {
            name: event.name.to_owned(),
            category: event.category.to_owned(),
            int_args: int_args.map(|(name, n)| ((*name).to_owned(), *n)).collect(),
        });
    }

    fn exit_event(&mut self) {}
}

impl Mark {
    fn tell(&self, tracer: &Bound<'_, PyAny>, begun: &AtomicU64) -> PyResult<()> {
        let py = tracer.py();
        let now: u64 = tracer.call_method0("get_time")?.extract()?;
        if self.name == "window.start" {
            begun.store(now, Ordering::Relaxed);
        }
        let start_time = begun.load(Ordering::Relaxed);
        let int_args = PyDict::new(py);
        for (name, value) in &self.int_args {
            // The first of the pair is the tracer's own kind of tag; 0 is none.
            int_args.set_item(name, (0, value))?;
        }
        let fields = PyDict::new(py);
        fields.set_item("name", &self.name)?;
        fields.set_item("cat", &self.category)?;
        fields.set_item("start_time", start_time)?;
        fields.set_item("duration", now.saturating_sub(start_time))?;
        fields.set_item("int_args", int_args)?;
        tracer.call_method0("enter_event")?;
        let logged = tracer.call_method("log_event", (), Some(&fields));
        tracer.call_method0("exit_event")?;
        logged.map(drop)
    }
}

impl Window {
    fn get(&self) -> MutexGuard<'_, dfo_context::Window> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the window, and then tells the tracer. The first error that it raises goes on to the
    /// script; the window is as it should be all the same.
    fn change<T>(
        &self,
        py: Python<'_>,
        act: impl FnOnce(&mut dfo_context::Window) -> T,
    ) -> PyResult<T> {
        let done = act(&mut self.get());
        let marks = std::mem::take(&mut *self.marks.get());
        let mut raised = None;
        if let Some(tracer) = &self.tracer {
            for mark in marks {
                if let Err(error) = mark.tell(tracer.bind(py), &self.begun) {
                    raised.get_or_insert(error);
                }
            }
        }
        match raised {
            None => Ok(done),
            Some(error) => Err(error),
        }
    }
}

#[pymethods]
impl Window {
    #[new]
    #[pyo3(signature = (tracer, max_every_n))]
    fn new(tracer: Option<Py<PyAny>>, max_every_n: Option<i64>) -> Self {
        let marks = Marks::default();
        let mut inner = dfo_context::Window::new();
        if tracer.is_some() {
            inner = inner.with_tracer(marks.clone());
        }
        if let Some(most) = max_every_n {
            inner = inner.with_max_every_n(at_least_one(most));
        }
        Window {
            inner: Mutex::new(inner),
            tracer,
            marks,
            begun: AtomicU64::new(0),
        }
    }

    /// An iteration begins. True if a window begins with it.
    fn start(&self, py: Python<'_>) -> PyResult<bool> {
        self.change(py, dfo_context::Window::start)
    }

    /// An iteration ends. True if a window ends with it.
    fn stop(&self, py: Python<'_>) -> PyResult<bool> {
        self.change(py, dfo_context::Window::stop)
    }

    /// An epoch ends, and a window that is open with it; counting begins anew. True if there was one.
    fn flush(&self, py: Python<'_>) -> PyResult<bool> {
        self.change(py, dfo_context::Window::flush)
    }

    /// Twice as many iterations in a window, within the maximum.
    fn increase_cadence(&self, py: Python<'_>) -> PyResult<()> {
        self.change(py, dfo_context::Window::increase_cadence)
    }

    /// Half as many iterations in a window, at least 1.
    fn decrease_cadence(&self, py: Python<'_>) -> PyResult<()> {
        self.change(py, dfo_context::Window::decrease_cadence)
    }

    /// So many iterations in a window, within 1 and the maximum.
    fn update_cadence(&self, py: Python<'_>, new_every_n: i64) -> PyResult<()> {
        self.change(py, |window| {
            window.update_cadence(at_least_one(new_every_n));
        })
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
}

fn at_least_one(n: i64) -> u64 {
    u64::try_from(n.max(1)).unwrap_or(1)
}
