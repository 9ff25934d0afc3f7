//! Options that come from Python as dicts: the library's own, with what is given put over what there is.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pythonize::{depythonize, pythonize};
use riptide::{Calibrate, Fit, Options};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors::refuse;

/// `base` with the entries of `given` put over it; an unknown entry is an error.
pub fn over<T: Serialize + DeserializeOwned>(base: &T, given: Option<&Bound<'_, PyDict>>) -> PyResult<T> {
    let py = match given {
        Some(given) => given.py(),
        None => return Python::attach(|py| Ok(depythonize(&pythonize(py, base)?)?)),
    };
    let all = pythonize(py, base)?.cast_into::<PyDict>()?;
    for (name, value) in given.into_iter().flatten() {
        if !all.contains(&name)? {
            let known: Vec<String> = all.keys().iter().map(|key| key.to_string()).collect();
            return Err(PyTypeError::new_err(format!(
                "unknown option {name}; there are {}",
                known.join(", ")
            )));
        }
        all.set_item(name, value)?;
    }
    depythonize(&all).map_err(|error| refuse(error.to_string()))
}

/// A calibration: `None` leaves the monitor without one.
pub fn calibration(given: Option<&Bound<'_, PyDict>>) -> PyResult<Option<Calibrate>> {
    given.map(|given| over(&Calibrate::default(), Some(given))).transpose()
}

/// A fit, from its options by name.
pub fn fit(given: &Bound<'_, PyDict>) -> PyResult<Fit> {
    let mut fit = Fit::default();
    for (name, value) in given.iter() {
        let name: String = name.extract()?;
        fit = set(fit, &name, &value).map_err(|error| {
            if error.is_instance_of::<PyTypeError>(value.py()) {
                return error;
            }
            refuse(format!("{name}: {error}"))
        })?;
    }
    Ok(fit)
}

fn set(fit: Fit, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Fit> {
    Ok(match name {
        "n_reference" => fit.n_reference(value.extract()?),
        "n_validation" => fit.n_validation(value.extract::<Option<usize>>()?),
        "n_held_out" => fit.n_held_out(value.extract()?),
        "epochs" => fit.epochs(value.extract::<Option<u32>>()?),
        "best_epoch" => fit.best_epoch(value.extract::<Option<bool>>()?),
        "batch_size" => fit.batch_size(value.extract()?),
        "learning_rate" => fit.learning_rate(value.extract()?),
        "temperature" => fit.temperature(value.extract()?),
        "augmentation" => fit.augmentation(depythonize::<Option<_>>(value)?),
        "patience" => fit.patience(value.extract::<Option<u32>>()?),
        "filters" => fit.filters(value.extract::<Option<usize>>()?),
        "conv_layers" => fit.conv_layers(value.extract::<Option<usize>>()?),
        "dense" => fit.dense(value.extract::<Option<usize>>()?),
        "shrink" => fit.shrink(value.extract::<Option<usize>>()?),
        "seed" => fit.seed(value.extract()?),
        "class_names" => fit.class_names(value.extract::<Option<Vec<String>>>()?),
        "force" => fit.force(value.extract()?),
        "checkpoint" => fit.checkpoint(value.extract::<Option<std::path::PathBuf>>()?),
        "options" => fit.options(over(&Options::default(), Some(value.cast::<PyDict>()?))?),
        "calibration" => {
            let given: Option<Bound<'_, PyDict>> = value.extract()?;
            fit.calibration(calibration(given.as_ref())?)
        }
        unknown => return Err(PyTypeError::new_err(format!("unknown option {unknown}"))),
    })
}
