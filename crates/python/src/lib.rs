//! The extension module of the Python package `riptide_drift`: the library, with arrays in and plain values out.
//!
//! Python's half of the package (`riptide_drift/*.py`) makes arrays of whatever it is given and objects of what comes back; this half
//! holds no rule of its own that a program in Rust would need.

#![forbid(unsafe_code)]

mod alarms;
mod classifier;
mod detectors;
mod errors;
mod monitor;
mod options;
mod progress;
mod run;
mod source;

use pyo3::prelude::*;

/// The extension module; import `riptide_drift` instead.
#[pymodule]
mod _riptide {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::alarms::{Alarm, Audit};
    #[pymodule_export]
    use crate::classifier::{Classifier, PyNetwork};
    #[pymodule_export]
    use crate::detectors::{Drift, corrupt, corruptions, cvm_2samp, distillation_score, ks_2samp, percentile, shapes};
    #[pymodule_export]
    use crate::errors::Error;
    #[pymodule_export]
    use crate::monitor::Monitor;
    #[pymodule_export]
    use crate::source::Source;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::run::imported();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
