//! Training, epoch by epoch: of the distilled network on a classifier's outputs, and of a classifier on labels.
//!
//! [`Fit`](crate::Fit) trains with this; by itself it is for networks that are wanted without a monitor.

mod folder;
mod validation;

use std::path::PathBuf;
use std::time::Instant;

use riptide_datasets::ImageSet;
use riptide_detectors::distillation::tempered;
use riptide_files::{FileError, Progress, Unit, digest};
use riptide_models::Network;
use riptide_models::train::{Recipe, Targets, Teaching, Trainer, TrainingSet};
use serde::{Deserialize, Serialize};

use folder::TEACHING;
pub use folder::has_checkpoint;
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
    /// of another training.
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
        if let Some(folder) = &self.folder {
            std::fs::create_dir_all(folder).map_err(FileError::on("create", folder))?;
        }
        let targets = self.targets(images, validation, lesson, &asked, progress)?;
        let set = TrainingSet {
            pixels: images.pixels(),
            targets: match &targets.teaching {
                Some(teaching) => teaching.targets(),
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

    /// Which network learns what from which images, so that neither a checkpoint nor kept outputs are taken up with others.
    fn identity(
        &self,
        network: &Network,
        images: &ImageSet,
        validation: Option<&ImageSet>,
        lesson: Lesson<'_>,
    ) -> Result<Identity> {
        let validation = validation.map(ImageSet::digest).unwrap_or_default();
        let classifier = match lesson {
            Lesson::Labels => String::new(),
            Lesson::Classifier(classifier) => classifier.identity(images)?,
        };
        let asked = digest::of_parts(&[images.digest().as_bytes(), classifier.as_bytes()]);
        let data = digest::of_parts(&[
            asked.as_bytes(),
            validation.as_bytes(),
            &self.temperature.to_le_bytes(),
            network.digest().as_bytes(),
        ]);
        Ok(Identity { asked, data })
    }

    fn is_stalled(&self, epochs: &[Epoch]) -> bool {
        let best = best_of(epochs).map_or(0, |best| best.epoch as usize);
        self.patience
            .is_some_and(|patience| !epochs.is_empty() && epochs.len().saturating_sub(best) >= patience.max(1) as usize)
    }

    /// What is to be learned, and what the validation images are compared with.
    fn targets(
        &self,
        images: &ImageSet,
        validation: Option<&ImageSet>,
        lesson: Lesson<'_>,
        asked: &str,
        progress: &mut dyn Progress,
    ) -> Result<Outputs> {
        let Lesson::Classifier(classifier) = lesson else {
            if let Some(validation) = validation.filter(|set| set.labels().is_none()) {
                return Err(no_labels(&format!("{} validation images", validation.len())));
            }
            return Ok(Outputs::default());
        };
        let versions = self.recipe.augmentation.versions().unwrap_or(1);
        let kept = self.folder.as_ref().map(|folder| folder.join(TEACHING));
        let data = format!("{asked} versions {versions}");
        let known = match &kept {
            Some(path) => Teaching::load(path, &data)?,
            None => None,
        };
        let mut teaching = match known {
            Some(teaching) => teaching,
            None => {
                let total = (versions * images.len()) as u64;
                progress.begin("asking the classifier", Some(total), Unit::Images);
                let size = (images.height(), images.width());
                let mut asked = 0;
                let ask = |pixels: &[u8]| {
                    let set = ImageSet::unlabelled(pixels.to_vec(), size.0, size.1)?;
                    // Every version is of all images, in order.
                    let first = asked % images.len().max(1);
                    asked += set.len();
                    let rows = classifier.predict_proba(&set, |n| progress.advance(n as u64));
                    rows.map_err(|error| error.after(first, None))
                };
                let teaching = Teaching::from_fn(size, images.pixels(), &self.recipe, ask)?;
                progress.end();
                if let Some(path) = &kept {
                    teaching.save(path, &data)?;
                }
                teaching
            }
        };
        let temper = |rows: &[f32]| tempered(rows, classifier.n_classes(), self.temperature);
        teaching.probabilities = temper(&teaching.probabilities)?;
        let validation = match validation {
            None => None,
            Some(validation) => {
                let rows = classifier.predict_proba(validation, |_| ());
                // They count after the images that are trained on.
                let rows = rows.map_err(|error| error.after(images.len(), None))?;
                Some(temper(&rows)?)
            }
        };
        Ok(Outputs {
            teaching: Some(teaching),
            validation,
        })
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

/// Whose work it is.
struct Identity {
    /// Which classifier is asked about which images.
    asked: String,
    /// Which network learns what from which images.
    data: String,
}

/// The classifier's outputs, tempered.
#[derive(Default)]
struct Outputs {
    /// For every version of the training images.
    teaching: Option<Teaching>,
    /// For the validation images, (n, n_classes).
    validation: Option<Vec<f32>>,
}

fn no_labels(what: &str) -> Error {
    Error::mismatch("labels to learn from", format!("one for each of {what}"), "none")
}

impl Classifier {
    /// Tells classifiers apart: a network by its digest, a function by what it answers to a few images.
    fn identity(&self, images: &ImageSet) -> Result<String> {
        if let Some(network) = self.network() {
            return Ok(network.digest());
        }
        let few = images.slice(0..images.len().min(16))?;
        let rows = self.predict_proba(&few, |_| ())?;
        let bytes: Vec<u8> = rows.iter().flat_map(|p| p.to_le_bytes()).collect();
        Ok(digest::of_bytes(&bytes))
    }
}
