//! Training, epoch by epoch: of the distilled network on a classifier's outputs, and of a classifier on labels.
//!
//! [`Fit`](crate::Fit) trains with this; by itself it is for networks that are wanted without a monitor.

use std::path::{Path, PathBuf};
use std::time::Instant;

use riptide_datasets::ImageSet;
use riptide_detectors::argmax;
use riptide_detectors::distillation::tempered;
use riptide_draw::{CurvePoint, png, training_curve};
use riptide_files::{FileError, Progress, Unit, atomic, digest};
use riptide_models::Network;
use riptide_models::train::{Recipe, Targets, Teaching, Trainer, TrainingSet};
use serde::{Deserialize, Serialize};

use crate::classifier::Classifier;
use crate::error::{Error, Result};

const CHECKPOINT: &str = "checkpoint.safetensors";
const TEACHING: &str = "teaching.safetensors";
const METRICS: &str = "metrics.json";
const TABLE: &str = "metrics.csv";

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
    #[serde(with = "not_a_number")]
    pub validation_loss: f64,
    /// Share of the validation images whose most probable class is the target's; not a number if there are none.
    #[serde(with = "not_a_number")]
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
        match (self.resume, folder.join(CHECKPOINT).exists()) {
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

    /// The epochs of an earlier run, whose state the trainer takes up.
    fn resumed(&self, trainer: &mut Trainer, data: &str) -> Result<Vec<Epoch>> {
        let Some(folder) = &self.folder else {
            return Ok(Vec::new());
        };
        let checkpoint = folder.join(CHECKPOINT);
        if self.resume == Resume::Never || !checkpoint.exists() {
            return Ok(Vec::new());
        }
        trainer.resume(&checkpoint, data)?;
        let path = folder.join(METRICS);
        let json = std::fs::read(&path).map_err(FileError::on("read", &path))?;
        let mut epochs: Vec<Epoch> = serde_json::from_slice(&json)
            .map_err(|error| Error::malformed(&path, format!("belongs to the checkpoint, but is damaged: {error}")))?;
        // A run that was killed may have written an epoch's figures and not yet its checkpoint.
        epochs.truncate(trainer.history().len());
        Ok(epochs)
    }

    /// The best network of the epochs so far.
    fn kept_best(&self, epochs: &[Epoch]) -> Result<Option<(f64, u32, Network)>> {
        let Some((folder, best)) = self.folder.as_ref().zip(best_of(epochs)) else {
            return Ok(None);
        };
        Ok(Some((
            best.validation_loss,
            best.epoch,
            Network::load(folder.join("best"))?,
        )))
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
                let ask = |pixels: &[u8]| {
                    let set = ImageSet::unlabelled(pixels.to_vec(), size.0, size.1)?;
                    classifier.predict_proba(&set, |n| progress.advance(n as u64))
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
            Some(images) => Some(temper(&classifier.predict_proba(images, |_| ())?)?),
        };
        Ok(Outputs {
            teaching: Some(teaching),
            validation,
        })
    }

    /// Writes everything that is kept of an epoch; the checkpoint last, since it says that the rest is there.
    fn keep(&self, network: &Network, is_best: bool, epochs: &[Epoch], trainer: &Trainer, data: &str) -> Result<()> {
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

/// Mean loss, and the share of images whose most probable class is the target's: the label, or the classifier's answer.
fn validate(network: &Network, images: &ImageSet, outputs: Option<&[f32]>) -> Result<(f64, f64)> {
    let classes = network.n_classes();
    let rows = network.predict_proba(images.pixels(), |_| ())?;
    let rows = rows.chunks_exact(classes);
    let (mut loss, mut right) = (0.0, 0);
    match outputs {
        Some(outputs) => {
            for (p, y) in rows.zip(outputs.chunks_exact(classes)) {
                for (y, p) in y.iter().zip(p).filter(|(y, _)| **y > 0.0) {
                    loss += f64::from(*y) * (f64::from(*y).ln() - f64::from(*p).max(1e-30).ln());
                }
                right += usize::from(argmax(p) == argmax(y));
            }
        }
        None => {
            for (p, label) in rows.zip(images.labels().unwrap_or_default()) {
                let label = *label as usize;
                loss -= f64::from(p.get(label).copied().unwrap_or_default()).max(1e-30).ln();
                right += usize::from(argmax(p) == label);
            }
        }
    }
    let n = images.len() as f64;
    Ok((loss / n, f64::from(right as u32) / n))
}

fn no_labels(what: &str) -> Error {
    Error::mismatch("labels to learn from", format!("one for each of {what}"), "none")
}

/// JSON has no NaN: it stands as null.
mod not_a_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Some(*value).filter(|value| !value.is_nan()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
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

/// Whether a folder keeps a training that can be resumed.
#[must_use]
pub fn has_checkpoint(folder: &Path) -> bool {
    folder.join(CHECKPOINT).exists()
}
