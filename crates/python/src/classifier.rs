//! The classifier that is watched, from Python.

use std::path::PathBuf;

use numpy::{PyArray2, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pythonize::{depythonize, pythonize};
use riptide::datasets::ImageSet;
use riptide::models::Network;
use riptide::pipeline::{ClassifierOptions, Input, Pipeline};

use crate::run::run;
use crate::source::{Source, array};

/// A classifier: a network's file, a function, or logged answers.
#[pyclass(frozen, module = "riptide_drift._riptide")]
pub struct Classifier {
    pub inner: riptide::Classifier,
}

#[pymethods]
impl Classifier {
    /// Opens a network's file. `preprocessing` is a name, a file's name, or a pipeline as a dict.
    #[staticmethod]
    #[pyo3(signature = (path, *, preprocessing=None, colours=None, onnx=None))]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        preprocessing: Option<&Bound<'_, PyAny>>,
        colours: Option<&Bound<'_, PyAny>>,
        onnx: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut options = ClassifierOptions::default();
        options.input = preprocessing.map(input).transpose()?;
        options.colours = colours.map(depythonize).transpose()?;
        if let Some(onnx) = onnx {
            options.onnx = depythonize(onnx)?;
        }
        let inner = run(py, move || riptide::Classifier::open_with(&path, &options))?;
        Ok(Self { inner })
    }

    /// A function of uint8 (n, H, W, 3) that gives float32 (n, K).
    #[staticmethod]
    fn function(function: Py<PyAny>, n_classes: usize, size: (usize, usize)) -> Self {
        let inner = riptide::Classifier::from_fn(n_classes, size, move |images| {
            Ok(Python::attach(|py| ask(py, &function, images, n_classes))?)
        });
        Self { inner }
    }

    /// One whose probabilities come with the images.
    #[staticmethod]
    fn logged(n_classes: usize, size: (usize, usize)) -> Self {
        let inner = riptide::Classifier::logged(n_classes, size);
        Self { inner }
    }

    /// Number of classes.
    #[getter]
    fn n_classes(&self) -> usize {
        self.inner.n_classes()
    }

    /// Height and width of its images.
    #[getter]
    fn input_size(&self) -> (usize, usize) {
        self.inner.input_size()
    }

    /// How pictures are framed for it.
    #[getter]
    fn framing<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(pythonize(py, &self.inner.framing())?)
    }
}

fn input(given: &Bound<'_, PyAny>) -> PyResult<Input> {
    if let Ok(name) = given.extract::<String>() {
        let Ok(input) = name.parse::<Input>();
        return Ok(input);
    }
    Ok(Input::from(depythonize::<Pipeline>(given)?))
}

fn ask(py: Python<'_>, function: &Py<PyAny>, images: &ImageSet, n_classes: usize) -> PyResult<Vec<f32>> {
    py.check_signals()?;
    let rows = function.bind(py).call1((array(py, images)?,))?;
    let rows: PyReadonlyArray2<'_, f32> = rows.extract()?;
    if rows.shape() != [images.len(), n_classes] {
        let found = rows.shape().to_vec();
        return Err(PyValueError::new_err(format!(
            "the classifier gave an array of shape {found:?} for {} images; it must be ({}, {n_classes})",
            images.len(),
            images.len()
        )));
    }
    Ok(rows.as_slice()?.to_vec())
}

/// A network of ours by itself.
#[pyclass(frozen, module = "riptide_drift._riptide", name = "Network")]
pub struct PyNetwork {
    pub inner: Network,
}

#[pymethods]
impl PyNetwork {
    /// The network of a classifier's file, or a distilled network.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let inner = run(py, move || riptide::open_network(&path))?;
        Ok(Self { inner })
    }

    /// Class probabilities, float32 (N, K).
    fn predict_proba<'py>(&self, py: Python<'py>, images: &Source) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let held = images.hold(py)?;
        let (view, network) = (held.view()?, &self.inner);
        let rows = run(py, move || {
            let classifier = riptide::Classifier::from(network.clone());
            let images = view.images(classifier.framing())?.read_all(network.input_size())?;
            classifier.predict_proba(&images, |_| ())
        })?;
        let n_classes = network.n_classes();
        let n = rows.len() / n_classes.max(1);
        numpy::PyArray1::from_vec(py, rows).reshape([n, n_classes])
    }
}
