//! The monitor: what takes images runs without Python's lock, and comes back as plain dicts and arrays.

use std::path::PathBuf;

use numpy::{IntoPyArray, PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use pythonize::pythonize;
use riptide::{Explain, Import, Options, Requirement, Windows, certificate_page};

use crate::alarms::{Alarm, Audit};
use crate::classifier::{Classifier, PyNetwork};
use crate::errors::{from, refuse};
use crate::options::{calibration, fit, over};
use crate::progress::Told;
use crate::run::run;
use crate::source::Source;

type Object<'py> = Bound<'py, PyAny>;

/// A classifier, the network distilled from it, and a reference.
#[pyclass(frozen, module = "riptide_drift._riptide")]
pub struct Monitor {
    inner: riptide::Monitor,
}

#[pymethods]
impl Monitor {
    /// Distils a network, and says how that went.
    #[staticmethod]
    #[pyo3(signature = (classifier, images, *, reference=None, progress=None, options))]
    fn fit<'py>(
        py: Python<'py>,
        classifier: &Classifier,
        images: &Source,
        reference: Option<&Source>,
        progress: Option<Py<PyAny>>,
        options: &Bound<'py, PyDict>,
    ) -> PyResult<(Self, Object<'py>)> {
        let fit = fit(options)?;
        let (held, apart) = (images.hold(py)?, reference.map(|apart| apart.hold(py)).transpose()?);
        let (view, apart) = (held.view()?, apart.as_ref().map(|apart| apart.view()).transpose()?);
        let classifier = classifier.inner.clone();
        let fitted = run(py, move || {
            let framing = classifier.framing();
            let apart = apart.as_ref().map(|apart| apart.images(framing)).transpose()?;
            fit.run_with(classifier, view.images(framing)?, apart, &mut Told::new(progress))
        })?;
        let report = PyDict::new(py);
        report.set_item("epochs", pythonize(py, &fitted.epochs)?)?;
        report.set_item("input", pythonize(py, &fitted.input)?)?;
        report.set_item("check", pythonize(py, &fitted.check)?)?;
        report.set_item("relative_cost", fitted.relative_cost)?;
        report.set_item("few_images", fitted.few_images.map(|few| few.to_string()))?;
        let inner = fitted.monitor;
        Ok((Self { inner }, report.into_any()))
    }

    /// Puts two networks that exist together.
    // Python names them, so that their number confuses nobody.
    #[allow(clippy::too_many_arguments)]
    #[staticmethod]
    #[pyo3(signature = (classifier, distilled, reference, *, class_names=None, options=None, calibrate=None, progress=None))]
    fn from_networks(
        py: Python<'_>,
        classifier: &Classifier,
        distilled: &PyNetwork,
        reference: &Source,
        class_names: Option<Vec<String>>,
        options: Option<&Bound<'_, PyDict>>,
        calibrate: Option<&Bound<'_, PyDict>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let import = Import::default()
            .class_names(class_names)
            .options(over(&Options::default(), options)?)
            .calibration(calibration(calibrate)?);
        let held = reference.hold(py)?;
        let view = held.view()?;
        let (classifier, mut distilled) = (classifier.inner.clone(), distilled.inner.clone());
        let inner = run(py, move || {
            // A Keras file does not say what its images went through; both networks were trained on the same.
            if let Some(network) = classifier.network() {
                distilled = distilled.with_preprocessing(network.preprocessing())?;
            }
            let images = view.images(classifier.framing())?;
            import.run(classifier, distilled, images, &mut Told::new(progress))
        })?;
        Ok(Self { inner })
    }

    /// Loads a folder; the classifier is given again if it is a function.
    #[staticmethod]
    #[pyo3(signature = (dir, classifier=None))]
    fn load(py: Python<'_>, dir: PathBuf, classifier: Option<&Classifier>) -> PyResult<Self> {
        let classifier = classifier.map(|classifier| classifier.inner.clone());
        let inner = run(py, move || match classifier {
            Some(classifier) => riptide::Monitor::load_with(&dir, classifier),
            None => riptide::Monitor::load(&dir),
        })?;
        Ok(Self { inner })
    }

    /// Saves it as a folder.
    fn save(&self, py: Python<'_>, dir: PathBuf) -> PyResult<()> {
        run(py, move || self.inner.save(&dir))
    }

    /// The same monitor, judging otherwise.
    fn with_options(&self, py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let options = over(self.inner.options(), Some(options))?;
        let inner = self.inner.clone().with_options(options);
        Ok(Self {
            inner: inner.map_err(|error| from(py, error))?,
        })
    }

    /// The same monitor with another calibration.
    #[pyo3(signature = (images, options, progress=None))]
    fn calibrate(
        &self,
        py: Python<'_>,
        images: &Source,
        options: &Bound<'_, PyDict>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let config = over(&riptide::Calibrate::default(), Some(options))?;
        let held = images.hold(py)?;
        let view = held.view()?;
        let monitor = self.inner.clone();
        let inner = run(py, move || {
            let images = view.images(monitor.framing())?;
            monitor.calibrate(images, &config, &mut Told::new(progress))
        })?;
        Ok(Self { inner })
    }

    /// The outcome of each batch, and the alarm over all as it is then.
    #[pyo3(signature = (images, batch_size=None, alarm=None, progress=None))]
    fn detect<'py>(
        &self,
        py: Python<'py>,
        images: &Source,
        batch_size: Option<usize>,
        alarm: Option<&Alarm>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Object<'py>, Option<Alarm>)> {
        if batch_size == Some(0) {
            return Err(refuse("batch_size is 0; it must be at least 1"));
        }
        let held = images.hold(py)?;
        let view = held.view()?;
        let test = alarm.map(|alarm| alarm.test.clone());
        let (outcomes, test) = run(py, move || {
            let mut told = Told::new(progress);
            let images = view.images(self.inner.framing())?;
            begin(&mut told, &images);
            let mut batches = self.inner.detect_batches(images, batch_size.unwrap_or(usize::MAX));
            if let Some(test) = test {
                batches = batches.continue_from(test);
            }
            let (mut outcomes, mut scored) = (Vec::new(), 0);
            while let Some(outcome) = batches.next() {
                outcomes.push(outcome?);
                riptide::files::Progress::advance(&mut told, (batches.scored() - scored) as u64);
                scored = batches.scored();
            }
            riptide::files::Progress::end(&mut told);
            let test = batches.sequential().cloned();
            Ok((outcomes, test))
        })?;
        Ok((pythonize(py, &outcomes)?, test.map(|test| Alarm { test })))
    }

    /// One outcome for each value of a column, each span of time, or both.
    #[pyo3(signature = (images, group_by=None, time=None, every=None, progress=None))]
    fn detect_windows<'py>(
        &self,
        py: Python<'py>,
        images: &Source,
        group_by: Option<String>,
        time: Option<String>,
        every: Option<String>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Object<'py>> {
        let windows = match (time, every) {
            (Some(time), Some(every)) => Some(Windows::by_time(time, &every).map_err(|error| from(py, error))?),
            (None, None) => None,
            _ => {
                return Err(refuse(
                    "time and every belong together: a column of times, and a span such as 1h",
                ));
            }
        };
        let windows = match (windows, group_by) {
            (Some(windows), Some(column)) => windows.group_by(column),
            (None, Some(column)) => Windows::by_group(column),
            (Some(windows), None) => windows,
            (None, None) => return Err(refuse("give group_by, or time and every")),
        };
        let held = images.hold(py)?;
        let view = held.view()?;
        let outcomes = run(py, move || {
            let mut told = Told::new(progress);
            let images = view.images(self.inner.framing())?;
            begin(&mut told, &images);
            self.inner.detect_windows_with(images, &windows, &mut told)
        })?;
        Ok(pythonize(py, &outcomes)?)
    }

    /// The outcome for scores that are known already.
    fn detect_scores<'py>(&self, py: Python<'py>, scores: Vec<f64>) -> PyResult<Object<'py>> {
        let outcome = run(py, move || self.inner.detect_scores(&scores))?;
        Ok(pythonize(py, &outcome)?)
    }

    /// Scores, predictions, confidences and error probabilities as arrays; the probabilities of both networks if wanted.
    #[pyo3(signature = (images, probabilities=false, progress=None))]
    fn score<'py>(
        &self,
        py: Python<'py>,
        images: &Source,
        probabilities: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let held = images.hold(py)?;
        let view = held.view()?;
        let (scores, rows) = run(py, move || {
            let mut told = Told::new(progress);
            let images = view.images(self.inner.framing())?;
            begin(&mut told, &images);
            let mut rows = (Vec::new(), Vec::new());
            let scores = self.inner.score_and(images, &mut told, |chunk| {
                if probabilities {
                    rows.0.extend_from_slice(&chunk.probabilities.classifier);
                    rows.1.extend_from_slice(&chunk.probabilities.distilled);
                }
                Ok(())
            })?;
            Ok((scores, rows))
        })?;
        let found = PyDict::new(py);
        let files: Option<Vec<String>> = scores
            .files
            .as_ref()
            .map(|files| files.iter().map(|file| file.display().to_string()).collect());
        let shape = [scores.len(), self.inner.n_classes()];
        found.set_item("scores", scores.scores.into_pyarray(py))?;
        found.set_item("predictions", scores.predictions.into_pyarray(py))?;
        found.set_item("confidences", scores.confidences.into_pyarray(py))?;
        let errors = scores.error_probabilities.map(|errors| errors.into_pyarray(py));
        found.set_item("error_probabilities", errors)?;
        found.set_item("files", files)?;
        found.set_item("class_names", scores.class_names)?;
        let (classifier, distilled) = rows;
        let rows = |rows: Vec<f32>| match probabilities {
            true => rows.into_pyarray(py).reshape(shape).map(Some),
            false => Ok(None),
        };
        found.set_item("probabilities", rows(classifier)?)?;
        found.set_item("distilled_probabilities", rows(distilled)?)?;
        Ok(found)
    }

    /// Which images are flagged.
    fn predict<'py>(&self, py: Python<'py>, images: &Source) -> PyResult<Object<'py>> {
        let held = images.hold(py)?;
        let view = held.view()?;
        let decisions = run(py, move || self.inner.predict(view.images(self.inner.framing())?))?;
        Ok(pythonize(py, &decisions)?)
    }

    /// Where the harm sits, with the pixels of the most harmful images and a contact sheet of them as PNG.
    #[pyo3(signature = (images, n_images=24, progress=None))]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        images: &Source,
        n_images: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Object<'py>, Vec<Object<'py>>, Bound<'py, PyBytes>)> {
        let held = images.hold(py)?;
        let view = held.view()?;
        let (found, sheet) = run(py, move || {
            let mut told = Told::new(progress);
            let images = view.images(self.inner.framing())?;
            begin(&mut told, &images);
            let how = Explain::default().n_images(n_images);
            let found = self.inner.explain_with(images, &how, &mut told)?;
            let sheet = if found.images.is_empty() {
                Vec::new()
            } else {
                found.contact_sheet()?
            };
            Ok((found, sheet))
        })?;
        let pictures = found.images.iter().map(|image| {
            let pixels = PyArray1::from_slice(py, &image.pixels);
            Ok(pixels.reshape([image.height, image.width, 3])?.into_any())
        });
        let pictures = pictures.collect::<PyResult<_>>()?;
        Ok((pythonize(py, &found)?, pictures, PyBytes::new(py, &sheet)))
    }

    /// The certificate, what it does not show of a requirement, and its page.
    #[pyo3(signature = (require=None, options=None))]
    fn certify<'py>(
        &self,
        py: Python<'py>,
        require: Option<&str>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<(Object<'py>, Vec<String>, String)> {
        let required: Option<Requirement> = require
            .map(str::parse)
            .transpose()
            .map_err(|error: riptide::Error| from(py, error))?;
        let mut config = over(&self.inner.certify_config(), options)?;
        if let Some(required) = &required {
            config = required.asked_of(config);
        }
        let (certificate, page) = run(py, move || {
            let certificate = self.inner.certify(&config)?;
            let page = certificate_page(&self.inner, &certificate)?;
            Ok((certificate, page))
        })?;
        let unmet = required
            .map(|required| required.unmet(&certificate))
            .unwrap_or_default();
        Ok((pythonize(py, &certificate)?, unmet, page))
    }

    /// A batch to be audited.
    fn audit(&self, py: Python<'_>, images: &Source) -> PyResult<Audit> {
        let held = images.hold(py)?;
        let view = held.view()?;
        let inner = run(py, move || self.inner.audit(view.images(self.inner.framing())?))?;
        Ok(Audit { inner })
    }

    /// A new alarm over batches.
    fn alarm(&self, py: Python<'_>) -> PyResult<Alarm> {
        let test = self.inner.sequential().map_err(|error| from(py, error))?;
        Ok(Alarm { test })
    }

    /// What it was fitted with.
    #[getter]
    fn facts<'py>(&self, py: Python<'py>) -> PyResult<Object<'py>> {
        Ok(pythonize(py, self.inner.facts())?)
    }

    /// How it judges scores.
    #[getter]
    fn options<'py>(&self, py: Python<'py>) -> PyResult<Object<'py>> {
        Ok(pythonize(py, self.inner.options())?)
    }

    /// The scores of the reference, float64.
    #[getter]
    fn reference_scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        PyArray1::from_slice(py, self.inner.reference_scores())
    }

    /// The score above which a single image is flagged.
    #[getter]
    fn threshold(&self) -> f64 {
        self.inner.threshold()
    }

    /// What there is to say about the calibration.
    #[getter]
    fn note(&self) -> Option<&str> {
        self.inner.note()
    }

    /// The distilled network.
    #[getter]
    fn distilled(&self) -> PyNetwork {
        PyNetwork {
            inner: self.inner.distilled().clone(),
        }
    }
}

fn begin(told: &mut Told, images: &riptide::Images<'_>) {
    let unit = riptide::files::Unit::Images;
    riptide::files::Progress::begin(told, "scoring", images.remaining(), unit);
}
