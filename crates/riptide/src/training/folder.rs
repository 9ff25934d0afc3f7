//! What is kept of a training: the networks of the best and the last epoch, each epoch's figures, a checkpoint, and the
//! classifier's outputs.

use std::path::Path;

use riptide_draw::{CurvePoint, png, training_curve};
use riptide_files::{atomic, regular};
use riptide_models::Network;
use riptide_models::train::Trainer;

use super::{Epoch, Resume, Training, best_of};
use crate::error::{Error, Result};

const CHECKPOINT: &str = "checkpoint.safetensors";
pub(crate) const TEACHING: &str = "teaching.safetensors";
const METRICS: &str = "metrics.json";
const TABLE: &str = "metrics.csv";

/// Whether a folder keeps a training that can be resumed.
#[must_use]
pub fn has_checkpoint(folder: &Path) -> bool {
    folder.join(CHECKPOINT).exists()
}

impl Training {
    /// The epochs of an earlier run, whose state the trainer takes up.
    pub(super) fn resumed(&self, trainer: &mut Trainer, data: &str) -> Result<Vec<Epoch>> {
        let Some(folder) = &self.folder else {
            return Ok(Vec::new());
        };
        let checkpoint = folder.join(CHECKPOINT);
        if self.resume == Resume::Never || !checkpoint.exists() {
            return Ok(Vec::new());
        }
        trainer.resume(&checkpoint, data)?;
        let path = folder.join(METRICS);
        let json = regular::read(&path, regular::TEXT)?;
        let mut epochs: Vec<Epoch> = serde_json::from_slice(&json)
            .map_err(|error| Error::malformed(&path, format!("belongs to the checkpoint, but is damaged: {error}")))?;
        // A run that was killed may have written an epoch's figures and not yet its checkpoint.
        epochs.truncate(trainer.history().len());
        Ok(epochs)
    }

    /// The best network of the epochs so far.
    pub(super) fn kept_best(&self, epochs: &[Epoch]) -> Result<Option<(f64, u32, Network)>> {
        let Some((folder, best)) = self.folder.as_ref().zip(best_of(epochs)) else {
            return Ok(None);
        };
        Ok(Some((
            best.validation_loss,
            best.epoch,
            Network::load(folder.join("best"))?,
        )))
    }

    /// Writes everything that is kept of an epoch; the checkpoint last, since it says that the rest is there.
    pub(super) fn keep(
        &self,
        network: &Network,
        is_best: bool,
        epochs: &[Epoch],
        trainer: &Trainer,
        data: &str,
    ) -> Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        if is_best {
            network.save(folder.join("best"))?;
        }
        network.save(folder.join("last"))?;
        let path = folder.join(METRICS);
        let json = serde_json::to_vec_pretty(epochs).map_err(|error| Error::malformed(&path, error.to_string()))?;
        atomic::write(&path, &json)?;
        let path = folder.join(TABLE);
        let table = table(epochs).map_err(|error| Error::malformed(&path, error.to_string()))?;
        atomic::write(&path, &table)?;
        let points: Vec<CurvePoint> = epochs.iter().map(Epoch::point).collect();
        let curve = training_curve(&self.title, &points);
        atomic::write(folder.join("curve.svg"), curve.as_bytes())?;
        atomic::write(folder.join("curve.png"), &png(&curve)?)?;
        Ok(trainer.save(folder.join(CHECKPOINT), data)?)
    }
}

impl Epoch {
    fn point(&self) -> CurvePoint {
        CurvePoint {
            epoch: self.epoch,
            learning_rate: self.learning_rate,
            loss: self.loss,
            accuracy: self.accuracy,
            validation_loss: self.validation_loss,
            validation_accuracy: self.validation_accuracy,
        }
    }
}

fn table(epochs: &[Epoch]) -> csv::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for epoch in epochs {
        writer.serialize(epoch)?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// JSON has no NaN: it stands as null.
pub(super) mod not_a_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Some(*value).filter(|value| !value.is_nan()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}
