//! Reading and writing networks: folders of this crate, Keras files, ONNX files.

#[cfg(feature = "keras")]
mod keras;
pub(crate) mod safetensors;

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::Path;

use riptide_files::{FileError, atomic, regular};

use crate::config::{NetworkConfig, OnnxOptions};
use crate::error::ModelError;
use crate::onnx::OnnxClassifier;
use crate::weights::Weights;

/// The name of the configuration in a network's folder.
pub const CONFIG_FILE: &str = "config.json";
/// The name of the parameters in a network's folder.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The name of an ONNX classifier in a network's folder.
pub const ONNX_FILE: &str = "model.onnx";

/// The first bytes of every HDF5 file that Keras writes.
const HDF5_SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// What was read.
pub(crate) enum Contents {
    /// With the digest that the network had when it was saved, if the file says it.
    Layers(NetworkConfig, Weights, Option<String>),
    Onnx(OnnxClassifier),
}

/// Reads a folder, a Keras file or an ONNX file.
pub(crate) fn read(path: &Path) -> Result<Contents, ModelError> {
    let metadata = fs::metadata(path).map_err(FileError::on("read", path))?;
    if metadata.is_dir() {
        return read_folder(path);
    }
    let named = |known: &[&str]| {
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        known.iter().any(|known| extension.eq_ignore_ascii_case(known))
    };
    if named(&["h5", "hdf5", "keras_h5"]) || is_hdf5(path)? {
        return read_keras(path);
    }
    if named(&["onnx"]) {
        return OnnxClassifier::load(path, OnnxOptions::default()).map(Contents::Onnx);
    }
    Err(ModelError::NotANetwork {
        path: path.into(),
        message: format!(
            "is not a network; give a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, a Keras .h5 file, or an .onnx file"
        ),
    })
}

/// Whether the file begins as HDF5 files do.
fn is_hdf5(path: &Path) -> Result<bool, ModelError> {
    let mut start = Vec::new();
    let (file, _) = regular::open(path)?;
    file.take(HDF5_SIGNATURE.len() as u64)
        .read_to_end(&mut start)
        .map_err(FileError::on("read", path))?;
    Ok(start == HDF5_SIGNATURE)
}

#[cfg(feature = "keras")]
fn read_keras(path: &Path) -> Result<Contents, ModelError> {
    if !is_hdf5(path)? {
        return Err(ModelError::NotHdf5 { path: path.into() });
    }
    let (config, weights) = keras::read(path)?;
    Ok(Contents::Layers(config, weights, None))
}

#[cfg(not(feature = "keras"))]
fn read_keras(path: &Path) -> Result<Contents, ModelError> {
    Err(ModelError::FeatureMissing {
        path: path.into(),
        what: "a Keras file",
        feature: "keras",
    })
}

fn read_folder(folder: &Path) -> Result<Contents, ModelError> {
    let path = folder.join(CONFIG_FILE);
    if !path.exists() {
        return Err(ModelError::NotANetwork {
            path: folder.into(),
            message: format!("is a folder without {CONFIG_FILE}, so it does not hold a network"),
        });
    }
    let json = regular::read(&path, regular::TEXT)?;
    match parse_config(&json, &path)? {
        NetworkConfig::Onnx(config) => OnnxClassifier::load_as(&folder.join(ONNX_FILE), config).map(Contents::Onnx),
        config => {
            let (weights, seal) = Weights::load_sealed(&folder.join(WEIGHTS_FILE))?;
            Ok(Contents::Layers(config, weights, seal))
        }
    }
}

/// The configuration in the bytes of `config.json`; `path` stands in errors.
pub(crate) fn parse_config(json: &[u8], path: &Path) -> Result<NetworkConfig, ModelError> {
    let config: NetworkConfig = serde_json::from_slice(json).map_err(|source| ModelError::ConfigFile {
        path: path.into(),
        source,
    })?;
    config.validate().map_err(|error| ModelError::InConfigFile {
        path: path.into(),
        source: Box::new(error),
    })?;
    Ok(config)
}

/// Makes the folder of a network, for the file of its parameters; [`write_config`] completes it.
pub(crate) fn create(folder: &Path) -> Result<(), ModelError> {
    Ok(fs::create_dir_all(folder).map_err(FileError::on("create", folder))?)
}

/// Writes the configuration. It comes last, because a folder with a configuration is taken for a network.
pub(crate) fn write_config(folder: &Path, config: &NetworkConfig) -> Result<(), ModelError> {
    let path = folder.join(CONFIG_FILE);
    let mut json = serde_json::to_vec_pretty(config).map_err(|source| ModelError::ConfigFile {
        path: path.clone(),
        source,
    })?;
    json.push(b'\n');
    Ok(atomic::write(&path, &json)?)
}
