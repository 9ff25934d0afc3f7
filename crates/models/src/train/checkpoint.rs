//! Trainings on disk, to be resumed.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::recipe::Recipe;
use super::trainer::{EpochSummary, Trainer};
use super::vectors::{Vectors, vector};
use crate::config::NetworkConfig;
use crate::error::ModelError;
use crate::formats::safetensors::write_sealed;

const VERSION: u32 = 1;
const KEY: &str = "riptide";

/// What a checkpoint belongs to, and how far it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    network: NetworkConfig,
    recipe: Recipe,
    /// What the caller wants to be the same when the training is resumed, such as the digest of the data.
    data: String,
    history: Vec<EpochSummary>,
}

impl Trainer {
    /// Writes everything that the training needs to go on, as one safetensors file, atomically. `data` says what it is trained on;
    /// [`Trainer::resume`] asks for the same.
    ///
    /// # Errors
    /// [`ModelError::File`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>, data: &str) -> Result<(), ModelError> {
        let path = path.as_ref();
        let header = Header {
            version: VERSION,
            network: self.config.clone(),
            recipe: self.recipe.clone(),
            data: data.to_owned(),
            history: self.history.clone(),
        };
        let json = serde_json::to_string(&header).map_err(|source| ModelError::ConfigFile {
            path: path.into(),
            source,
        })?;
        write_sealed(
            path,
            &self.vectors().map(|(name, values)| vector(name, values)),
            (KEY, json),
        )
    }

    /// Goes on from a checkpoint of the same network, recipe and data.
    ///
    /// # Errors
    /// [`ModelError::File`] and [`ModelError::Safetensors`] if it cannot be read, [`ModelError::Changed`] if it is not as it was written, [`ModelError::Checkpoint`] if it belongs to another
    /// training.
    pub fn resume(&mut self, path: impl AsRef<Path>, data: &str) -> Result<(), ModelError> {
        let path = path.as_ref();
        let file = Vectors::read(path, KEY)?;
        let other = |what: &'static str| ModelError::Checkpoint {
            path: path.into(),
            what,
        };
        let header: Header = serde_json::from_str(file.entry()).map_err(|_| other("format"))?;
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
        let expected = self.vectors();
        let read = file.floats(&expected.map(|(name, _)| name))?;
        let lengths = expected.map(|(_, values)| values.len());
        let read = read.and_then(|read| <[Vec<f32>; 4]>::try_from(read).ok());
        let read = read.filter(|read| read.each_ref().map(Vec::len) == lengths);
        let [first, second, parameters, statistics] = read.ok_or_else(|| other("network"))?;
        (self.state, self.parameters, self.statistics) = ([first, second], parameters, statistics);
        self.history = header.history;
        Ok(())
    }

    fn vectors(&self) -> [(&'static str, &[f32]); 4] {
        [
            ("optimizer.0", &self.state[0]),
            ("optimizer.1", &self.state[1]),
            ("parameters", &self.parameters),
            ("statistics", &self.statistics),
        ]
    }
}
