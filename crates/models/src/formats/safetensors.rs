//! Safetensors files of f32 arrays.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use riptide_files::{FileError, atomic};
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
        let bytes = std::fs::read(path).map_err(FileError::on("read", path))?;
        let file = SafeTensors::deserialize(&bytes).map_err(fault(path))?;
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
}

/// A name, a shape and little-endian f32 values.
pub(crate) type Array<'a> = (&'a str, Vec<usize>, Vec<u8>);

/// Writes arrays as one file, with one entry of metadata at most.
pub(crate) fn write(path: &Path, arrays: &[Array<'_>], metadata: Option<(&str, String)>) -> Result<(), ModelError> {
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
