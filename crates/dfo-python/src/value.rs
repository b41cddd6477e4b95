//! Values of knobs, from Python and to Python.

use dfo_context::model::Value;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

/// A value of a knob that came from Python: a bool, an int, a float or a str, or what can be one, like a
/// number of numpy.
pub(crate) struct Given(pub(crate) Value);

impl<'a, 'py> FromPyObject<'a, 'py> for Given {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let value = if object.is_instance_of::<PyBool>() {
            Value::Bool(object.extract()?)
        } else if object.is_instance_of::<PyInt>() {
            Value::Int(object.extract()?)
        } else if object.is_instance_of::<PyFloat>() {
            finite(object.extract()?)?
        } else if object.is_instance_of::<PyString>() {
            Value::Str(object.extract()?)
        } else if object.hasattr("__index__")? {
            Value::Int(object.call_method0("__index__")?.extract()?)
        } else if object.hasattr("__float__")? {
            finite(object.call_method0("__float__")?.extract()?)?
        } else {
            let kind = object.get_type();
            let kind = kind.name()?;
            return Err(PyTypeError::new_err(format!(
                "a knob's value is a bool, an int, a float or a str, not a {kind}"
            )));
        };
        Ok(Given(value))
    }
}

fn finite(number: f64) -> PyResult<Value> {
    match number.is_finite() {
        true => Ok(Value::Float(number)),
        false => Err(PyTypeError::new_err(format!(
            "a knob's value is finite, not {number}"
        ))),
    }
}

/// The value as an object of Python.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Bool(b) => PyBool::new(py, *b).to_owned().into_any(),
        Value::Int(i) => i.into_pyobject(py)?.into_any(),
        Value::Float(f) => f.into_pyobject(py)?.into_any(),
        Value::Str(s) => s.into_pyobject(py)?.into_any(),
    })
}
