//! Trainings on disk, to be taken up again.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::recipe::Recipe;
use super::trainer::{EpochSummary, Trainer};
use crate::config::NetworkConfig;
use crate::error::ModelError;
use crate::weights::write_atomically;

const VERSION: u32 = 1;
const KEY: &str = "riptide";

/// What a checkpoint belongs to, and how far it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    network: NetworkConfig,
    recipe: Recipe,
    /// Whatever the caller wants to be the same when the training is taken up: the data's digest, say.
    data: String,
    history: Vec<EpochSummary>,
}

impl Trainer {
    /// Writes everything that the training needs to go on, as one safetensors file, atomically. `data` says what it is trained on;
    /// [`Trainer::resume`] wants the same.
    ///
    /// # Errors
    /// [`ModelError::Io`] where the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>, data: &str) -> Result<(), ModelError> {
        let path = path.as_ref();
        let header = Header {
            version: VERSION,
            network: self.config.clone(),
            recipe: self.recipe.clone(),
            data: data.to_owned(),
            history: self.history.clone(),
        };
        let json = |source| ModelError::ConfigFile {
            path: path.into(),
            source,
        };
        let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(&header).map_err(json)?)]);
        let file = |source| ModelError::Safetensors {
            path: path.into(),
            source,
        };
        let bytes: Vec<(&str, Vec<u8>)> = self
            .arrays()
            .into_iter()
            .map(|(name, values)| (name, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
            .collect();
        let mut views = Vec::new();
        for (name, bytes) in &bytes {
            views.push((
                *name,
                TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).map_err(file)?,
            ));
        }
        write_atomically(path, &safetensors::serialize(views, Some(metadata)).map_err(file)?)
    }

    /// Goes on from a checkpoint of the same network, recipe and data.
    ///
    /// # Errors
    /// [`ModelError::Io`] and [`ModelError::Safetensors`] where it cannot be read, [`ModelError::Checkpoint`] where it belongs to another
    /// training.
    pub fn resume(&mut self, path: impl AsRef<Path>, data: &str) -> Result<(), ModelError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| ModelError::io("read", path, source))?;
        let file = |source| ModelError::Safetensors {
            path: path.into(),
            source,
        };
        let other = |what: &'static str| ModelError::Checkpoint {
            path: path.into(),
            what,
        };
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(file)?;
        let text = metadata.metadata().as_ref().and_then(|all| all.get(KEY));
        let text = text.ok_or_else(|| other("format"))?;
        let header: Header = serde_json::from_str(text).map_err(|_| other("format"))?;
        if header.version != VERSION {
            return Err(other("format"));
        }
        if header.network != self.config {
            return Err(other("network"));
        }
        if header.recipe != self.recipe {
            return Err(other("recipe"));
        }
        if header.data != data {
            return Err(other("data"));
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(file)?;
        let mut read = Vec::new();
        for (name, values) in self.arrays() {
            let view = tensors.tensor(name).map_err(file)?;
            let floats: Vec<f32> = view
                .data()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect();
            if view.dtype() != Dtype::F32 || floats.len() != values.len() {
                return Err(other("network"));
            }
            read.push(floats);
        }
        if let Ok([first, second, parameters, statistics]) = <[Vec<f32>; 4]>::try_from(read) {
            (self.state, self.parameters, self.statistics) = ([first, second], parameters, statistics);
        }
        self.history = header.history;
        Ok(())
    }

    fn arrays(&self) -> [(&'static str, &[f32]); 4] {
        [
            ("optimizer.0", &self.state[0]),
            ("optimizer.1", &self.state[1]),
            ("parameters", &self.parameters),
            ("statistics", &self.statistics),
        ]
    }
}
