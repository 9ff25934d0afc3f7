//! Files of f32 vectors: checkpoints and kept answers.

use std::path::Path;

use riptide_files::regular;
use safetensors::{Dtype, SafeTensors};

use crate::error::ModelError;
use crate::formats::safetensors::{Array, fault, unsealed};

/// A vector, as [`write_sealed`](crate::formats::safetensors::write_sealed) takes it.
pub(super) fn vector<'a>(name: &'a str, values: &[f32]) -> Array<'a> {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    (name, vec![values.len()], bytes)
}

/// The bytes of a file of f32 vectors.
pub(super) struct Vectors<'a> {
    path: &'a Path,
    bytes: Vec<u8>,
    entry: String,
}

impl<'a> Vectors<'a> {
    /// Reads a file that was written with this entry of metadata, and compares it with its digest.
    pub(super) fn read(path: &'a Path, key: &str) -> Result<Self, ModelError> {
        let bytes = regular::read(path, regular::NUMBERS)?;
        let entry = unsealed(&bytes, key, path)?;
        Ok(Self { path, bytes, entry })
    }

    /// The entry of metadata.
    pub(super) fn entry(&self) -> &str {
        &self.entry
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
