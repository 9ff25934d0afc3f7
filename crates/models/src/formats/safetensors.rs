//! Safetensors files of f32 arrays.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use riptide_files::{atomic, digest, regular};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::error::ModelError;
use crate::weights::Weights;

impl Weights {
    /// Reads a safetensors file. Parameters of f16, bf16 and f64 become f32.
    ///
    /// # Errors
    /// [`ModelError::File`] if the file cannot be read, [`ModelError::Safetensors`] if it is truncated or something else,
    /// [`ModelError::ParameterType`] for integers.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        Ok(Self::load_sealed(path)?.0)
    }

    /// The parameters, and what a network that was saved says its digest is.
    pub(crate) fn load_sealed(path: &Path) -> Result<(Self, Option<String>), ModelError> {
        let bytes = regular::read(path, regular::NUMBERS)?;
        Ok((Self::parse(&bytes, path)?, metadata(&bytes, NETWORK, path)?))
    }

    /// The parameters in the bytes of a safetensors file; `path` stands in errors.
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Self, ModelError> {
        let file = SafeTensors::deserialize(bytes).map_err(fault(path))?;
        let mut weights = Self::default();
        for (name, view) in file.iter() {
            let dtype = match view.dtype() {
                Dtype::F32 => DType::F32,
                Dtype::F16 => DType::F16,
                Dtype::BF16 => DType::BF16,
                Dtype::F64 => DType::F64,
                other => {
                    return Err(ModelError::ParameterType {
                        name: name.into(),
                        found: other.to_string(),
                    });
                }
            };
            let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)?;
            weights.insert(name, tensor.to_dtype(DType::F32)?);
        }
        Ok(weights)
    }

    /// Writes a safetensors file: first a temporary file beside it, then a rename, so that no half-written file ever has the name.
    ///
    /// # Errors
    /// [`ModelError::File`] if the folder does not exist or the disk is full.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ModelError> {
        let arrays = self.to_bytes()?;
        write(path.as_ref(), &arrays, None)
    }

    /// As [`save`](Self::save), with the digest of the network beside the parameters.
    pub(crate) fn save_sealed(&self, path: &Path, digest: String) -> Result<(), ModelError> {
        let arrays = self.to_bytes()?;
        write(path, &arrays, Some((NETWORK, digest)))
    }
}

/// A name, a shape and little-endian f32 values.
pub(crate) type Array<'a> = (&'a str, Vec<usize>, Vec<u8>);

/// The entry of the metadata that has the digest of the network: of its configuration, too.
pub(crate) const NETWORK: &str = "riptide.network";

/// Writes arrays as one file, with an entry of metadata, before which the digest of all stands. It is one entry, since the order of
/// several is not the same in every run.
pub(crate) fn write_sealed(path: &Path, arrays: &[Array<'_>], (key, entry): (&str, String)) -> Result<(), ModelError> {
    let parts = arrays.iter().map(|(name, _, bytes)| (*name, bytes.as_slice()));
    let seal = seal(parts.collect(), &entry);
    write(path, arrays, Some((key, format!("{seal} {entry}"))))
}

/// The entry of metadata in the bytes of a file that [`write_sealed`] wrote, if they are as they were written.
pub(crate) fn unsealed(bytes: &[u8], key: &str, path: &Path) -> Result<String, ModelError> {
    let file = SafeTensors::deserialize(bytes).map_err(fault(path))?;
    let views = file.iter().collect::<Vec<_>>();
    let parts = views.iter().map(|(name, view)| (*name, view.data())).collect();
    let text = metadata(bytes, key, path)?.unwrap_or_default();
    let (found, entry) = text.split_once(' ').unwrap_or_default();
    if found == seal(parts, entry) {
        return Ok(entry.to_owned());
    }
    Err(ModelError::Changed {
        path: path.into(),
        what: "it has another digest, or none; delete it, and it is made again",
    })
}

fn seal(mut parts: Vec<(&str, &[u8])>, entry: &str) -> String {
    parts.sort_unstable_by_key(|(name, _)| *name);
    let all = parts.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes]);
    digest::of_parts(&all.chain([entry.as_bytes()]).collect::<Vec<_>>())
}

/// An entry of the metadata, if it is there.
pub(crate) fn metadata(bytes: &[u8], key: &str, path: &Path) -> Result<Option<String>, ModelError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(fault(path))?;
    Ok(metadata.metadata().as_ref().and_then(|all| all.get(key)).cloned())
}

/// Writes arrays as one file, with one entry of metadata at most.
fn write(path: &Path, arrays: &[Array<'_>], metadata: Option<(&str, String)>) -> Result<(), ModelError> {
    let mut views = Vec::new();
    for (name, shape, bytes) in arrays {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(fault(path))?;
        views.push((*name, view));
    }
    let metadata = metadata.map(|(key, value)| [(key.to_owned(), value)].into());
    let file = ::safetensors::serialize(views, metadata).map_err(fault(path))?;
    Ok(atomic::write(path, &file)?)
}

/// For `map_err`: the error of a file.
pub(crate) fn fault(path: &Path) -> impl Fn(SafeTensorError) -> ModelError + '_ {
    |source| ModelError::Safetensors {
        path: path.into(),
        source,
    }
}
