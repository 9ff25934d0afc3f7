//! Training, epoch by epoch: of the distilled network on a classifier's outputs, and of a classifier on labels.
//!
//! [`Fit`](crate::Fit) trains with this; by itself it is for networks that are wanted without a monitor.

mod folder;
mod lesson;
mod validation;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Instant;

use riptide_datasets::ImageSet;
use riptide_files::lock::FolderLock;
use riptide_files::{Progress, Unit};
use riptide_models::Network;
use riptide_models::train::{Recipe, Targets, Trainer, TrainingSet};
use serde::{Deserialize, Serialize};

pub(crate) use folder::TEACHING;
pub use folder::has_checkpoint;
pub(crate) use lesson::temper;
use lesson::{Identity, no_labels};
use validation::validate;

use crate::classifier::Classifier;
use crate::error::{Error, Result};

/// How a network is trained.
///
/// The same network, recipe and images give the same weights, bit for bit, for any number of threads, and whether or not the
/// training was cut off between epochs and resumed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Training {
    /// Epochs, learning rates, regularisation, augmentation.
    pub recipe: Recipe,
    /// Temperature of the classifier's outputs that a distilled network learns from, positive; 1 by default.
    pub temperature: f64,
    /// Stop after so many epochs without a lower validation loss; by default all epochs are run.
    pub patience: Option<u32>,
    /// The folder that keeps the networks of the best and the last epoch, the figures of each epoch, a checkpoint and the
    /// classifier's outputs; by default nothing is kept.
    pub folder: Option<PathBuf>,
    /// Whether to go on from a checkpoint in the folder: not at all, if there is one, or in any case.
    pub resume: Resume,
    /// The title of the training curve.
    pub title: String,
}

/// What is done with a checkpoint in a training's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// There must be none.
    Never,
    /// The training goes on from it if there is one.
    IfPossible,
    /// There must be one.
    Always,
}

/// What a network learns from each image.
#[derive(Debug, Clone, Copy)]
pub enum Lesson<'a> {
    /// The image's label.
    Labels,
    /// The outputs of this classifier.
    Classifier(&'a Classifier),
    /// The outputs of a classifier that was asked before, at the temperature that they are learned at.
    Answers {
        /// For every version of the training images that the recipe's augmentation asks about, row-major
        /// (versions, n, n_classes).
        training: &'a [f32],
        /// For the validation images, row-major (n, n_classes); empty if there are none.
        validation: &'a [f32],
    },
}

/// What an epoch came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Epoch {
    /// Its number, counted from 1.
    pub epoch: u32,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// Mean loss over its images, without regularisation.
    pub loss: f64,
    /// Share of its images whose most probable class was the target's.
    pub accuracy: f64,
    /// Mean loss over the validation images; not a number if there are none.
    #[serde(with = "folder::not_a_number")]
    pub validation_loss: f64,
    /// Share of the validation images whose most probable class is the target's; not a number if there are none.
    #[serde(with = "folder::not_a_number")]
    pub validation_accuracy: f64,
    /// How long it took.
    pub seconds: f64,
}

/// A trained network.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Trained {
    /// The network of the epoch with the least validation loss, the earliest of equals; of the last epoch if there were no
    /// validation images.
    pub best: Network,
    /// The number of that epoch.
    pub best_epoch: u32,
    /// The network of the last epoch.
    pub last: Network,
    /// Every epoch.
    pub epochs: Vec<Epoch>,
}

impl Training {
    /// A training by a recipe.
    #[must_use]
    pub fn new(recipe: Recipe) -> Self {
        Self {
            recipe,
            temperature: 1.0,
            patience: None,
            folder: None,
            resume: Resume::Never,
            title: "Training".into(),
        }
    }

    /// Sets the temperature of the classifier's outputs.
    #[must_use]
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Stops after so many epochs without a lower validation loss.
    #[must_use]
    pub fn patience(mut self, patience: impl Into<Option<u32>>) -> Self {
        self.patience = patience.into();
        self
    }

    /// Keeps everything in a folder, and says what is done with a checkpoint that is there.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>, resume: Resume) -> Self {
        self.folder = Some(folder.into());
        self.resume = resume;
        self
    }

    /// Sets the title of the training curve.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Trains `network`; `on_epoch` is told each epoch that is done, those of an earlier run included.
    ///
    /// # Errors
    /// [`Error::Option`] for an option out of range, [`Error::Mismatch`] for images without labels if these are the lesson or
    /// for validation images that are missing while patience asks for them, [`Error::Malformed`] if the folder holds a
    /// checkpoint that must not be there or none that must, [`Error::Network`] if the training diverges or the checkpoint is
    /// of another training, [`Error::NothingLearned`] if a network that learns from a classifier is clearly further from it at
    /// the end than at the start.
    pub fn run(
        &self,
        network: &Network,
        images: &ImageSet,
        validation: Option<&ImageSet>,
        lesson: Lesson<'_>,
        progress: &mut dyn Progress,
        mut on_epoch: impl FnMut(&Epoch),
    ) -> Result<Trained> {
        self.check(validation)?;
        let Identity { asked, data } = self.identity(network, images, validation, lesson)?;
        let mut trainer = Trainer::new(network, self.recipe.clone())?;
        let mut epochs = self.resumed(&mut trainer, &data)?;
        // Two trainings in one folder would mix their epochs.
        let _lock = self.folder.as_ref().map(FolderLock::acquire).transpose()?;
        let targets = self.targets(images, validation, lesson, &asked, progress)?;
        let set = TrainingSet {
            pixels: images.pixels(),
            targets: match &targets.training {
                Some(rows) => Targets::Probabilities(rows),
                None => Targets::Labels(images.labels().ok_or_else(|| no_labels("the training images"))?),
            },
        };
        let mut best: Option<(f64, u32, Network)> = self.kept_best(&epochs)?;
        epochs.iter().for_each(&mut on_epoch);
        let of = self.recipe.epochs;
        let total = images.len() as u64 * u64::from(of).saturating_sub(epochs.len() as u64);
        progress.begin("training", Some(total), Unit::Images);
        while !trainer.is_finished() && !self.is_stalled(&epochs) {
            let start = Instant::now();
            let mut told = 0;
            let summary = trainer.epoch(set, |now| {
                progress.advance((now.images - told) as u64);
                told = now.images;
                progress.message(&format!("epoch {}/{of}, loss {:.4}", now.epoch, now.loss));
            })?;
            let network = trainer.network()?;
            let (validation_loss, validation_accuracy) = match validation {
                None => (f64::NAN, f64::NAN),
                Some(images) => validate(&network, images, targets.validation.as_deref())?,
            };
            let epoch = Epoch {
                epoch: summary.epoch,
                learning_rate: summary.learning_rate,
                loss: summary.loss,
                accuracy: summary.accuracy,
                validation_loss,
                validation_accuracy,
                seconds: start.elapsed().as_secs_f64(),
            };
            let is_best = best
                .as_ref()
                .is_none_or(|(least, ..)| validation_loss.is_nan() || validation_loss < *least);
            epochs.push(epoch);
            self.keep(&network, is_best, &epochs, &trainer, &data)?;
            if is_best {
                best = Some((validation_loss, epoch.epoch, network));
            }
            on_epoch(&epoch);
        }
        progress.end();
        let last = trainer.network()?;
        let (best_epoch, best) = match best {
            Some((_, epoch, network)) => (epoch, network),
            None => (epochs.len() as u32, last.clone()),
        };
        if targets.training.is_some() {
            targets.check_learned(network, [&best, &last], images)?;
        }
        Ok(Trained {
            best,
            best_epoch,
            last,
            epochs,
        })
    }

    fn check(&self, validation: Option<&ImageSet>) -> Result<()> {
        self.recipe.validate()?;
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(Error::option("temperature", self.temperature, "above 0 and finite"));
        }
        if self.patience.is_some() && validation.is_none() {
            return Err(Error::mismatch(
                "validation images, which patience looks at",
                "at least 1",
                0,
            ));
        }
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        if folder.exists() && !folder.is_dir() {
            return Err(Error::malformed(folder, "is a file; name a folder"));
        }
        match (self.resume, has_checkpoint(folder)) {
            (Resume::Never, true) => Err(Error::malformed(
                folder,
                "holds a training; resume it, or name another folder",
            )),
            (Resume::Always, false) => Err(Error::malformed(folder, "holds no checkpoint to resume from")),
            _ => Ok(()),
        }
    }

    fn is_stalled(&self, epochs: &[Epoch]) -> bool {
        let best = best_of(epochs).map_or(0, |best| best.epoch as usize);
        self.patience
            .is_some_and(|patience| !epochs.is_empty() && epochs.len().saturating_sub(best) >= patience.max(1) as usize)
    }
}

/// The epoch with the least validation loss, the earliest of equals; the last if there were no validation images.
fn best_of(epochs: &[Epoch]) -> Option<&Epoch> {
    match epochs.last()?.validation_loss.is_nan() {
        true => epochs.last(),
        false => epochs
            .iter()
            .min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss)),
    }
}

/// The classifier's outputs, tempered.
#[derive(Default)]
struct Outputs<'a> {
    /// For every version of the training images.
    training: Option<Cow<'a, [f32]>>,
    /// For the validation images, (n, n_classes).
    validation: Option<Cow<'a, [f32]>>,
}
