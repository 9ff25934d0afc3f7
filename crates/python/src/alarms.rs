//! What goes on over several batches, or over several labels.

use pyo3::prelude::*;
use pythonize::{depythonize, pythonize};
use riptide::AuditPick;
use riptide::detectors::SequentialTest;
use riptide::detectors::audit::AuditConfig;

use crate::errors::{from, refuse};

/// The alarm over a sequence of batches.
#[pyclass(frozen, module = "riptide_drift._riptide")]
pub struct Alarm {
    pub test: SequentialTest,
}

#[pymethods]
impl Alarm {
    /// From what `state` gave.
    #[staticmethod]
    fn from_state(state: &Bound<'_, PyAny>) -> PyResult<Self> {
        let test = depythonize(state).map_err(|error| refuse(format!("no state of an alarm: {error}")))?;
        Ok(Self { test })
    }

    /// Everything that it is, as a dict.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(pythonize(py, &self.test)?)
    }

    /// The evidence so far.
    #[getter]
    fn e_value(&self) -> f64 {
        self.test.e_value().min(f64::MAX)
    }

    /// Whether it alarms.
    #[getter]
    fn alarm(&self) -> bool {
        self.test.alarm()
    }

    /// The number of batches after which it first did.
    #[getter]
    fn alarm_after(&self) -> Option<u64> {
        self.test.alarm_at()
    }

    /// Number of batches so far.
    #[getter]
    fn n_batches(&self) -> u64 {
        self.test.len()
    }

    /// Whether it is about the same tolerated drop and level.
    fn is_like(&self, other: &Self) -> bool {
        self.test.bound() == other.test.bound() && self.test.config() == other.test.config()
    }
}

/// A batch that is audited.
#[pyclass(frozen, module = "riptide_drift._riptide")]
pub struct Audit {
    pub inner: riptide::Audit,
}

#[pymethods]
impl Audit {
    /// Picks images to label.
    #[pyo3(signature = (m, seed=0))]
    fn pick<'py>(&self, py: Python<'py>, m: usize, seed: u64) -> PyResult<Bound<'py, PyAny>> {
        let picks = self.inner.pick(m, &AuditConfig::default().seed(seed));
        Ok(pythonize(py, &picks.map_err(|error| from(py, error))?)?)
    }

    /// The accuracy from the labels of the first picks.
    #[pyo3(signature = (picks, accepted=None))]
    fn update<'py>(&self, picks: &Bound<'py, PyAny>, accepted: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let py = picks.py();
        let picks: Vec<AuditPick> = depythonize(picks).map_err(|error| refuse(error.to_string()))?;
        let outcome = self.inner.update(&picks, accepted);
        Ok(pythonize(py, &outcome.map_err(|error| from(py, error))?)?)
    }

    /// Number of images of the batch.
    fn __len__(&self) -> usize {
        self.inner.len()
    }
}
