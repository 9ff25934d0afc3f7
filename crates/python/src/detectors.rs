//! Tests, scores and corruptions by themselves.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArray4, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pythonize::{depythonize, pythonize};
use riptide::corruptions::{Corruptor, Family, Severity};
use riptide::datasets::shapes::{Shapes, TEST_FIRST_INDEX, TRAIN_FIRST_INDEX};
use riptide::datasets::{Framing, ImageSet};
use riptide::detectors::distillation;
use riptide::detectors::drift::{DriftConfig, DriftState, ReferenceUpdate};
use riptide::detectors::{CvmDrift, DetectorError, DriftOutcome, KsDrift, Loss, Samples};
use riptide::stats::ks::{Alternative, Method};
use riptide::stats::{cvm, ks, summary};

use crate::errors::{from, refuse};
use crate::options::over;
use crate::run::run;
use crate::source::{Source, array};

fn parsed<T: std::str::FromStr>(py: Python<'_>, text: &str) -> PyResult<T>
where
    T::Err: Into<riptide::Error>,
{
    text.parse().map_err(|error: T::Err| from(py, error))
}

/// The two-sample Kolmogorov-Smirnov test.
#[pyfunction]
#[pyo3(signature = (reference, batch, alternative="two-sided", method="auto"))]
pub fn ks_2samp<'py>(
    py: Python<'py>,
    reference: PyReadonlyArray1<'py, f64>,
    batch: PyReadonlyArray1<'py, f64>,
    alternative: &str,
    method: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let (alternative, method): (Alternative, Method) = (parsed(py, alternative)?, parsed(py, method)?);
    let (reference, batch) = (reference.as_slice()?, batch.as_slice()?);
    let test = run(py, move || Ok(ks::two_sample(reference, batch, alternative, method)?))?;
    Ok(pythonize(py, &test)?)
}

/// The two-sample Cramér-von Mises test: statistic and p-value.
#[pyfunction]
pub fn cvm_2samp<'py>(
    py: Python<'py>,
    reference: PyReadonlyArray1<'py, f64>,
    batch: PyReadonlyArray1<'py, f64>,
) -> PyResult<(f64, f64)> {
    let (reference, batch) = (reference.as_slice()?, batch.as_slice()?);
    let test = run(py, move || Ok(cvm::two_sample(reference, batch)?))?;
    Ok((test.statistic, test.p_value))
}

/// The names of all corruptions, those of CIFAR-10-C first.
#[pyfunction]
pub fn corruptions() -> Vec<&'static str> {
    Family::all().map(Family::name).collect()
}

/// Images, corrupted: uint8 (N, H, W, 3). Image i has index `first + i`.
#[pyfunction]
#[pyo3(signature = (images, name, severity, seed=0, first=0))]
pub fn corrupt<'py>(
    py: Python<'py>,
    images: &Source,
    name: &str,
    severity: u8,
    seed: u64,
    first: u64,
) -> PyResult<Bound<'py, PyArray4<u8>>> {
    /// Images that are corrupted at a time.
    const CHUNK: usize = 4096;
    let family: Family = parsed(py, name)?;
    let severity = Severity::new(severity).map_err(|error| from(py, error))?;
    let held = images.hold(py)?;
    let view = held.view()?;
    let corrupted = run(py, move || {
        let corruptor = Corruptor::new(seed);
        let mut source = view.source(Framing::Keep)?;
        let (mut all, mut next) = (None::<ImageSet>, first);
        while let Some(chunk) = source.next_chunk(CHUNK)? {
            let corrupted = corruptor.apply_from(&chunk, next, family, severity)?;
            next = next.saturating_add(chunk.len() as u64);
            match &mut all {
                None => all = Some(corrupted),
                Some(all) => all.append(&corrupted)?,
            }
        }
        Ok(all)
    })?;
    match corrupted {
        Some(corrupted) => array(py, &corrupted),
        None => Err(refuse(format!("{}: no images", images.name()))),
    }
}

/// Generated images of ten shapes: uint8 (n, 32, 32, 3), labels, and the classes' names. Those of training and test never meet.
#[pyfunction]
#[pyo3(signature = (n, test=false, seed=0))]
#[allow(clippy::type_complexity)]
pub fn shapes<'py>(
    py: Python<'py>,
    n: usize,
    test: bool,
    seed: u64,
) -> PyResult<(Bound<'py, PyArray4<u8>>, Bound<'py, PyArray1<u32>>, Vec<String>)> {
    let first = if test { TEST_FIRST_INDEX } else { TRAIN_FIRST_INDEX };
    let images = run(py, move || Ok(Shapes::new(seed).generate(first, n)))?;
    let labels = PyArray1::from_slice(py, images.labels().unwrap_or_default());
    Ok((array(py, &images)?, labels, images.class_names().to_vec()))
}

/// The harmfulness scores of probabilities, float32 (N,).
#[pyfunction]
#[pyo3(signature = (classifier, distilled, loss="kld", temperature=1.0))]
pub fn distillation_score<'py>(
    py: Python<'py>,
    classifier: PyReadonlyArray2<'py, f32>,
    distilled: PyReadonlyArray2<'py, f32>,
    loss: &str,
    temperature: f64,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let loss: Loss = parsed(py, loss)?;
    let n_classes = classifier.shape().get(1).copied().unwrap_or_default();
    if classifier.shape() != distilled.shape() {
        return Err(refuse(format!(
            "the classifier's probabilities have the shape {:?}, the distilled network's {:?}; they must be the same",
            classifier.shape(),
            distilled.shape()
        )));
    }
    let (classifier, distilled) = (classifier.as_slice()?, distilled.as_slice()?);
    let scores = run(py, move || {
        Ok(distillation::score(
            classifier,
            distilled,
            n_classes,
            loss,
            temperature,
        )?)
    })?;
    Ok(scores.into_pyarray(py))
}

/// The percentile of numbers, interpolated.
#[pyfunction]
pub fn percentile(py: Python<'_>, values: Vec<f64>, q: f64) -> PyResult<f64> {
    summary::percentile(&values, q).map_err(|error| from(py, error))
}

/// A drift test of either kind.
enum Test {
    Ks(KsDrift),
    Cvm(CvmDrift),
}

/// A test of several features against a reference, which may follow the batches.
#[pyclass(frozen, module = "riptide_drift._riptide")]
pub struct Drift {
    test: Mutex<Test>,
}

impl Drift {
    fn lock(&self) -> MutexGuard<'_, Test> {
        self.test.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(test: Test) -> Self {
        Self { test: Mutex::new(test) }
    }
}

#[pymethods]
impl Drift {
    /// A test by its name, `KsDrift` or `CvmDrift`. `preprocess` turns raw rows float64 (n, raw features) into float64 (n, features) at each
    /// call, and then the reference is raw, too.
    #[new]
    #[pyo3(signature = (detector, reference, options, update=None, preprocess=None))]
    fn new(
        py: Python<'_>,
        detector: &str,
        reference: PyReadonlyArray2<'_, f64>,
        options: &Bound<'_, PyDict>,
        update: Option<&Bound<'_, PyAny>>,
        preprocess: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let mut config = over(&DriftConfig::default(), Some(options))?;
        if let Some(update) = update {
            let update: ReferenceUpdate = depythonize(update).map_err(|error| refuse(error.to_string()))?;
            config = config.reference_update(update);
        }
        let rows =
            Samples::new(reference.as_slice()?.to_vec(), features(&reference)).map_err(|error| from(py, error))?;
        let is_ks = detector == "KsDrift";
        let test = run(py, move || {
            Ok(match (is_ks, preprocess) {
                (true, None) => Test::Ks(KsDrift::new(rows, config)?),
                (false, None) => Test::Cvm(CvmDrift::new(rows, config)?),
                (true, Some(f)) => Test::Ks(KsDrift::with_preprocess(rows, config, preprocessing(f))?),
                (false, Some(f)) => Test::Cvm(CvmDrift::with_preprocess(rows, config, preprocessing(f))?),
            })
        })?;
        Ok(Self::of(test))
    }

    /// From what `state` gave.
    #[staticmethod]
    #[pyo3(signature = (state, preprocess=None))]
    fn from_state(py: Python<'_>, state: &Bound<'_, PyAny>, preprocess: Option<Py<PyAny>>) -> PyResult<Self> {
        let state: DriftState = depythonize(state).map_err(|error| refuse(error.to_string()))?;
        let is_ks = state.detector == "KsDrift";
        let test = run(py, move || {
            Ok(match (is_ks, preprocess) {
                (true, None) => Test::Ks(KsDrift::from_state(state)?),
                (false, None) => Test::Cvm(CvmDrift::from_state(state)?),
                (true, Some(f)) => Test::Ks(KsDrift::from_state_with_preprocess(state, preprocessing(f))?),
                (false, Some(f)) => Test::Cvm(CvmDrift::from_state_with_preprocess(state, preprocessing(f))?),
            })
        })?;
        Ok(Self::of(test))
    }

    /// Everything that it is, as a dict.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let state = py.detach(|| match &*self.lock() {
            Test::Ks(test) => test.state(),
            Test::Cvm(test) => test.state(),
        });
        Ok(pythonize(py, &state)?)
    }

    /// Tests a batch and decides; then the reference follows it, if it is to.
    fn predict<'py>(&self, py: Python<'py>, batch: PyReadonlyArray2<'py, f64>) -> PyResult<Bound<'py, PyAny>> {
        let (rows, n_features) = (batch.as_slice()?, features(&batch));
        let outcome: DriftOutcome = run(py, move || {
            let rows = Samples::new(rows, n_features)?;
            Ok(match &mut *self.lock() {
                Test::Ks(test) => test.predict(rows)?,
                Test::Cvm(test) => test.predict(rows)?,
            })
        })?;
        Ok(pythonize(py, &outcome)?)
    }

    /// P-value and distance of each feature.
    #[allow(clippy::type_complexity)]
    fn score<'py>(
        &self,
        py: Python<'py>,
        batch: PyReadonlyArray2<'py, f64>,
    ) -> PyResult<(Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>)> {
        let (rows, n_features) = (batch.as_slice()?, features(&batch));
        let scores = run(py, move || {
            let rows = Samples::new(rows, n_features)?;
            Ok(match &*self.lock() {
                Test::Ks(test) => test.score(rows)?,
                Test::Cvm(test) => test.score(rows)?,
            })
        })?;
        let p_values: Vec<f64> = scores.iter().map(|score| score.p_value).collect();
        let distances: Vec<f64> = scores.iter().map(|score| score.distance).collect();
        Ok((p_values.into_pyarray(py), distances.into_pyarray(py)))
    }

    /// The present reference, float64 (n, features).
    #[getter]
    fn reference<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let (values, shape) = py.detach(|| {
            let test = self.lock();
            let rows = match &*test {
                Test::Ks(test) => test.reference(),
                Test::Cvm(test) => test.reference(),
            };
            (rows.values().to_vec(), [rows.len(), rows.n_features()])
        });
        values.into_pyarray(py).reshape(shape)
    }

    /// Number of instances ever seen.
    #[getter]
    fn n_seen(&self, py: Python<'_>) -> u64 {
        py.detach(|| match &*self.lock() {
            Test::Ks(test) => test.n_seen(),
            Test::Cvm(test) => test.n_seen(),
        })
    }
}

fn features(rows: &PyReadonlyArray2<'_, f64>) -> usize {
    rows.shape().get(1).copied().unwrap_or_default()
}

type Preprocessed = Result<Samples<'static>, riptide::detectors::BoxError>;

/// A function of Python's on raw rows.
fn preprocessing(function: Py<PyAny>) -> impl Fn(&Samples<'_>) -> Preprocessed + Send + Sync + 'static {
    move |rows| {
        let made = Python::attach(|py| -> PyResult<(Vec<f64>, usize)> {
            let raw = PyArray1::from_slice(py, rows.values()).reshape([rows.len(), rows.n_features()])?;
            let made: PyReadonlyArray2<'_, f64> = function.bind(py).call1((raw,))?.extract()?;
            Ok((made.as_slice()?.to_vec(), features(&made)))
        });
        let (values, n_features) = made?;
        Ok(Samples::new(values, n_features).map_err(|error: DetectorError| Box::new(error))?)
    }
}
