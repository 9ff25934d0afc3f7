//! From errors of the library to Python's exceptions.

use std::io;

use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

create_exception!(
    riptide_drift,
    Error,
    PyValueError,
    "What Riptide refuses: what was wrong, where, and what to do, in one line."
);

/// A refusal of the binding's own.
pub fn refuse(reason: impl Into<String>) -> PyErr {
    Error::new_err(reason.into())
}

/// The exception that a caller's own function raised, with its traceback, if that is what lies under the error; else an [`Error`] with
/// its line.
pub fn of(py: Python<'_>, error: &riptide::Error) -> PyErr {
    raised(py, error).unwrap_or_else(|| refuse(error.to_string()))
}

/// As [`of`], for errors of the crates under the library.
pub fn from<E: Into<riptide::Error>>(py: Python<'_>, error: E) -> PyErr {
    of(py, &error.into())
}

fn raised(py: Python<'_>, error: &(dyn std::error::Error + 'static)) -> Option<PyErr> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(raised) = inner.and_then(|inner| inner.downcast_ref::<PyErr>()) {
            return Some(raised.clone_ref(py));
        }
        if let Some(raised) = error.downcast_ref::<PyErr>() {
            return Some(raised.clone_ref(py));
        }
        next = error.source();
    }
    None
}
