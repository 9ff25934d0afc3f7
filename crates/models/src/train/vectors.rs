//! Files of f32 vectors: checkpoints and kept answers.

use std::path::Path;

use riptide_files::FileError;
use safetensors::{Dtype, SafeTensors};

use crate::error::ModelError;
use crate::formats::safetensors::{Array, fault};

/// A vector, as [`write`](crate::formats::safetensors::write) takes it.
pub(super) fn vector<'a>(name: &'a str, values: &[f32]) -> Array<'a> {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    (name, vec![values.len()], bytes)
}

/// The bytes of a file of f32 vectors.
pub(super) struct Vectors<'a> {
    path: &'a Path,
    bytes: Vec<u8>,
}

impl<'a> Vectors<'a> {
    pub(super) fn read(path: &'a Path) -> Result<Self, ModelError> {
        let bytes = std::fs::read(path).map_err(FileError::on("read", path))?;
        Ok(Self { path, bytes })
    }

    /// An entry of the metadata, if it is there.
    pub(super) fn metadata(&self, key: &str) -> Result<Option<String>, ModelError> {
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).map_err(fault(self.path))?;
        Ok(metadata.metadata().as_ref().and_then(|all| all.get(key)).cloned())
    }

    /// The vectors of these names, in the order of the names; `None` if one is not of f32.
    pub(super) fn floats(&self, names: &[&str]) -> Result<Option<Vec<Vec<f32>>>, ModelError> {
        let file = SafeTensors::deserialize(&self.bytes).map_err(fault(self.path))?;
        let mut vectors = Vec::new();
        for name in names {
            let view = file.tensor(name).map_err(fault(self.path))?;
            if view.dtype() != Dtype::F32 {
                return Ok(None);
            }
            let values = view.data().as_chunks::<4>().0.iter();
            vectors.push(values.map(|bytes| f32::from_le_bytes(*bytes)).collect());
        }
        Ok(Some(vectors))
    }
}
