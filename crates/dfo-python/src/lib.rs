//! The Python package `dfoptimizer`, as far as it is written in Rust: the module `dfoptimizer._native`.
//!
//! A thin layer over [`dfo_context`]: what a context, a function, a change and a window are is said
//! there. Above it stands `python/dfoptimizer`, with the interface that scripts use:
//!
//! ```python
//! from dfoptimizer import OptimizerContext, knob
//!
//! with OptimizerContext("reader", zmq_plans_endpoint="tcp://127.0.0.1:5552",
//!                       zmq_control_endpoint="tcp://127.0.0.1:5553") as context:
//!     reader = context.function("read_files", {"threads": knob(default=2, range=(1, 16))})
//!     for window in range(100):
//!         for change in reader.poll("window_boundary"):
//!             print("now", change.new_value, "threads")
//!             change.applied()
//! ```
//!
//! Knobs and plans cross between the two languages as their JSON, which is read in one place,
//! `dfo-model`; that happens when something is registered or changed, and in no other call.
//!
//! The background thread of a context never takes the interpreter's lock, so that it neither waits
//! for Python code nor holds it up, nor is there anything to fear from it as the interpreter ends. A
//! call that waits lets go of the lock.
//!
//! # What this crate is not for
//!
//! It adds no rules: which plan is taken, rejected or superseded is `dfo-context`'s business. And it is
//! no crate to link: a program in Rust takes `dfo-context` itself.

mod change;
mod context;
mod function;
mod value;
mod window;

/// The application's side of DFOptimizer, as the package `dfoptimizer` uses it.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::change::Change;
    #[pymodule_export]
    use crate::context::{Context, end_waits, forget_waits};
    #[pymodule_export]
    use crate::function::Function;
    #[pymodule_export]
    use crate::window::Window;

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "its name in Python")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Does nothing: the unit in which the benchmark counts.
    #[pyfunction]
    fn nothing() {}
}
