//! From a classifier and clean images to a monitor.

use std::path::PathBuf;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use riptide_datasets::ImageSet;
use riptide_detectors::{Answers, Score, ScoreKind};
use riptide_files::{Progress, Silent};
use riptide_models::preprocess::Preprocessing;
use riptide_models::train::{Augmentation, Recipe};
use riptide_models::{DistilledCnnConfig, Network};

use crate::batch::confidences;
use crate::calibration::{Calibrate, Clean, Sampling, is_about_images};
use crate::classifier::{Classifier, Pair};
use crate::error::{Error, Result};
use crate::facts::TrainingFacts;
use crate::images::Images;
use crate::monitor::{Monitor, Parts, facts_of};
use crate::options::Options;
use crate::training::{Epoch, Lesson, Resume, Training};

/// Distils a small network from a classifier and makes a [`Monitor`] of both.
///
/// ```
/// use riptide::prelude::*;
///
/// # let classifier = Classifier::from_fn(2, (8, 8), |images| {
/// #     let mean = |image: &[u8]| image.iter().map(|&v| f32::from(v)).sum::<f32>() / (255.0 * image.len() as f32);
/// #     Ok(images.images().flat_map(|image| [mean(image), 1.0 - mean(image)]).collect())
/// # });
/// # let pixels = (0..60 * 8 * 8 * 3).map(|i: u32| (i * i % 251) as u8).collect();
/// # let images = ImageSet::unlabelled(pixels, 8, 8)?;
/// let monitor = Fit::default().epochs(2).filters(8).run(classifier, &images)?;
/// assert_eq!(monitor.reference_scores().len(), 12);
/// # Ok::<(), riptide::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fit {
    /// Images that are kept apart as the reference, at most a fifth of all; 1,000 by default.
    pub n_reference: usize,
    /// Images that are kept apart to choose the best epoch; by default none, and the last epoch is taken.
    pub n_validation: usize,
    /// Passes over the images; 20 by default.
    pub epochs: u32,
    /// Images of a training step; 128 by default.
    pub batch_size: usize,
    /// The largest learning rate; 0.001 by default.
    pub learning_rate: f64,
    /// Temperature of the classifier's outputs that the distilled network learns from; 1 by default.
    pub temperature: f64,
    /// How images are varied; mirrored by default. Crops are too many for the classifier's outputs to be kept.
    pub augmentation: Augmentation,
    /// Stop after so many epochs without a lower validation loss; by default all epochs are run.
    pub patience: Option<u32>,
    /// Filters of the distilled network's first convolution; the next have half and a quarter of them. 256 by default.
    pub filters: usize,
    /// Convolutions of the distilled network, 1 to 3; 3 by default.
    pub conv_layers: usize,
    /// Units of the distilled network's first dense layer; 40 by default.
    pub dense: usize,
    /// What raw images go through before the distilled network; by default what they go through before the classifier, or
    /// scaling by instance if that is a function.
    pub preprocessing: Option<Preprocessing>,
    /// Decides the initial weights, the order of the images and which are kept apart.
    pub seed: u64,
    /// The classes' names in the order of the classifier's outputs; by default those of the images if the classifier gets most
    /// of them right, else numbers.
    pub class_names: Option<Vec<String>>,
    /// How the monitor judges scores.
    pub options: Options,
    /// How the monitor is calibrated; the images for it are kept apart, at most a fifth of all. `None` leaves it without a calibration.
    pub calibration: Option<Calibrate>,
    /// A folder that keeps a checkpoint after each epoch; a fit that was stopped goes on from it.
    pub checkpoint: Option<PathBuf>,
}

impl Default for Fit {
    fn default() -> Self {
        let recipe = Recipe::distilled(20);
        let sizes = DistilledCnnConfig::default();
        Self {
            n_reference: 1000,
            n_validation: 0,
            epochs: recipe.epochs,
            batch_size: recipe.batch_size,
            learning_rate: recipe.learning_rate,
            temperature: 1.0,
            augmentation: recipe.augmentation,
            patience: None,
            filters: sizes.n_filters1,
            conv_layers: sizes.n_conv_layers,
            dense: sizes.n_dense,
            preprocessing: None,
            seed: recipe.seed,
            class_names: None,
            options: Options::default(),
            calibration: Some(Calibrate::default()),
            checkpoint: None,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        }
    )*};
}

impl Fit {
    setters! {
        /// Sets how many images are kept apart as the reference.
        n_reference: usize;
        /// Sets how many images are kept apart to choose the best epoch.
        n_validation: usize;
        /// Sets the number of passes over the images.
        epochs: u32;
        /// Sets the number of images of a training step.
        batch_size: usize;
        /// Sets the largest learning rate.
        learning_rate: f64;
        /// Sets the temperature of the classifier's outputs.
        temperature: f64;
        /// Sets how images are varied.
        augmentation: Augmentation;
        /// Stops after so many epochs without a lower validation loss.
        patience: Option<u32>;
        /// Sets the filters of the distilled network's first convolution.
        filters: usize;
        /// Sets the number of the distilled network's convolutions.
        conv_layers: usize;
        /// Sets the units of the distilled network's first dense layer.
        dense: usize;
        /// Sets what raw images go through before the distilled network.
        preprocessing: Option<Preprocessing>;
        /// Sets what decides every random choice.
        seed: u64;
        /// Sets the classes' names.
        class_names: Option<Vec<String>>;
        /// Sets how the monitor judges scores.
        options: Options;
        /// Sets how the monitor is calibrated, or that it is not.
        calibration: Option<Calibrate>;
        /// Sets the folder that keeps checkpoints.
        checkpoint: Option<PathBuf>;
    }

    /// Fits a monitor to a classifier on clean images, part of which are kept apart as its reference.
    ///
    /// The images are held in memory.
    ///
    /// # Errors
    /// [`Error::Images`] and [`Error::ImageSize`] for images that cannot be read or have another size than the classifier
    /// takes, [`Error::TooFew`], [`Error::Classifier`] or [`Error::Network`] if a network fails or the training diverges,
    /// [`Error::Option`] for an option out of range.
    pub fn run<'a>(&self, classifier: impl Into<Classifier>, images: impl Into<Images<'a>>) -> Result<Monitor> {
        Ok(self.run_with(classifier, images, None, &mut Silent)?.monitor)
    }

    /// As [`run`](Self::run), with the reference given apart, if it is, and with progress. Also tells what each epoch came to.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with<'a>(
        &self,
        classifier: impl Into<Classifier>,
        images: impl Into<Images<'a>>,
        reference: Option<Images<'a>>,
        progress: &mut dyn Progress,
    ) -> Result<Fitted> {
        let classifier = classifier.into();
        check_names(self.class_names.as_ref(), classifier.n_classes())?;
        let images: Images<'a> = images.into();
        let name = images.name().to_owned();
        let images = images.read_all(classifier.input_size())?;
        let n_reference = match reference {
            Some(_) => 0,
            None => self.n_reference.min(images.len() / 5),
        };
        let n_calibration = self.n_calibration(images.len())?;
        let too_few = |what: &str| Error::TooFew {
            name: name.clone(),
            reason: format!(
                "{} images are too few to keep {what} apart; give more images",
                images.len()
            ),
        };
        if reference.is_none() && n_reference == 0 {
            return Err(too_few("a reference"));
        }
        if n_reference + self.n_validation + n_calibration >= images.len() {
            return Err(too_few(&format!("{} validation images", self.n_validation)));
        }
        let mut order: Vec<usize> = (0..images.len()).collect();
        if reference.is_none() || self.n_validation > 0 || n_calibration > 0 {
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(self.seed));
        }
        let (kept, rest) = order.split_at(n_reference);
        let (validation, rest) = rest.split_at(self.n_validation);
        let (training, calibration) = rest.split_at(rest.len() - n_calibration);
        let held_out = match calibration {
            [] => None,
            chosen => Some(images.select(chosen)?),
        };
        let reference = match reference {
            Some(reference) => reference,
            None => images.select(kept)?.into(),
        };
        let validation = match validation {
            [] => None,
            chosen => Some(images.select(chosen)?),
        };
        // Nothing was kept apart, so the images need not be copied.
        let training = match training.len() == images.len() {
            true => images,
            false => images.select(training)?,
        };
        let (distilled, facts, epochs) = self.distil(&classifier, &training, validation.as_ref(), progress)?;
        let pair = Pair::new(classifier, distilled)?;
        let settings = Import {
            class_names: self.class_names.clone(),
            options: self.options.clone(),
            calibration: self.calibration.clone(),
        };
        let monitor = settings.judge(pair, reference, (Some(facts), Apart::Here(held_out)), progress)?;
        Ok(Fitted { monitor, epochs })
    }

    /// Images that are kept apart for the calibration: none if there would be too few, unless they are required.
    fn n_calibration(&self, n_images: usize) -> Result<usize> {
        let Some(config) = &self.calibration else {
            return Ok(0);
        };
        config.check()?;
        let n = config.n_images.min(n_images / 5);
        Ok(if n < config.least() { 0 } else { n })
    }

    /// The distilled network before its training: this fit's layers and seed, the classifier's images and classes.
    ///
    /// # Errors
    /// [`Error::Network`] if there can be no such network.
    pub fn untrained(&self, classifier: &Classifier) -> Result<Network> {
        let (height, width) = classifier.input_size();
        let config = DistilledCnnConfig {
            n_classes: classifier.n_classes(),
            height,
            width,
            n_filters1: self.filters,
            n_conv_layers: self.conv_layers,
            n_dense: self.dense,
            preprocessing: self
                .preprocessing
                .or_else(|| classifier.preprocessing())
                .unwrap_or_default(),
            ..Default::default()
        };
        Ok(Network::random(config, self.seed)?)
    }

    fn distil(
        &self,
        classifier: &Classifier,
        images: &ImageSet,
        validation: Option<&ImageSet>,
        progress: &mut dyn Progress,
    ) -> Result<(Network, TrainingFacts, Vec<Epoch>)> {
        let untrained = self.untrained(classifier)?;
        let recipe = Recipe {
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            augmentation: self.augmentation,
            seed: self.seed,
            ..Recipe::distilled(self.epochs)
        };
        let mut training = Training::new(recipe)
            .temperature(self.temperature)
            .patience(self.patience);
        if let Some(folder) = &self.checkpoint {
            training = training.folder(folder, Resume::IfPossible).title("Distilled network");
        }
        let trained = training.run(
            &untrained,
            images,
            validation,
            Lesson::Classifier(classifier),
            progress,
            |_| (),
        )?;
        let best = trained.epochs.iter().find(|epoch| epoch.epoch == trained.best_epoch);
        let facts = TrainingFacts {
            n_images: images.len(),
            n_validation: validation.map_or(0, ImageSet::len),
            epoch: trained.best_epoch,
            temperature: self.temperature,
            loss: best.map_or(0.0, |best| best.loss),
            agreement: best.map_or(0.0, |best| best.accuracy),
            seed: self.seed,
        };
        Ok((trained.best, facts, trained.epochs))
    }
}

/// A fitted monitor, and how its distilled network came to be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fitted {
    /// The monitor.
    pub monitor: Monitor,
    /// What each epoch of the training came to.
    pub epochs: Vec<Epoch>,
}

/// Makes a [`Monitor`] of a classifier and a distilled network that already exist.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Import {
    /// The classes' names in the order of the classifier's outputs; by default those of the reference's images if the
    /// classifier gets most of them right, else numbers.
    pub class_names: Option<Vec<String>>,
    /// How the monitor judges scores.
    pub options: Options,
    /// How the monitor is calibrated, on a part of the reference's images; `None` leaves it without a calibration.
    pub calibration: Option<Calibrate>,
}

impl Default for Import {
    fn default() -> Self {
        Self {
            class_names: None,
            options: Options::default(),
            calibration: Some(Calibrate::default()),
        }
    }
}

/// The images that a monitor is calibrated on.
enum Apart {
    /// These, or there were too few.
    Here(Option<ImageSet>),
    /// A part of the reference.
    OfReference,
}

impl Import {
    setters! {
        /// Sets the classes' names.
        class_names: Option<Vec<String>>;
        /// Sets how the monitor judges scores.
        options: Options;
        /// Sets how the monitor is calibrated, or that it is not.
        calibration: Option<Calibrate>;
    }

    /// Scores a reference of clean images that the distilled network was not trained on.
    ///
    /// # Errors
    /// [`Error::Network`] or [`Error::Mismatch`] if the networks do not belong together, and as [`Fit::run`].
    pub fn run<'a>(
        &self,
        classifier: impl Into<Classifier>,
        distilled: Network,
        reference: impl Into<Images<'a>>,
        progress: &mut dyn Progress,
    ) -> Result<Monitor> {
        let classifier = classifier.into();
        check_names(self.class_names.as_ref(), classifier.n_classes())?;
        if let Some(config) = &self.calibration {
            config.check()?;
        }
        let pair = Pair::new(classifier, distilled)?;
        self.judge(pair, reference.into(), (None, Apart::OfReference), progress)
    }

    /// Scores the reference, puts the monitor together and calibrates it.
    fn judge(
        &self,
        pair: Pair,
        reference: Images<'_>,
        (training, apart): (Option<TrainingFacts>, Apart),
        progress: &mut dyn Progress,
    ) -> Result<Monitor> {
        let n_classes = pair.distilled().n_classes();
        let config = self.calibration.as_ref();
        let sampling = match apart {
            Apart::OfReference => config.map(Sampling::of),
            Apart::Here(_) => None,
        };
        let views = config.map_or(1, |config| config.views);
        let mut clean = Clean::read(&pair, reference, views, sampling, "scoring the reference", progress)?;
        let all = &clean.probabilities;
        let answers = Answers::from(all);
        // Folders are sorted by name; whether the classifier has its classes in that order, its answers tell.
        let right = answers
            .classifier
            .iter()
            .zip(&clean.labels)
            .filter(|(a, b)| **a == **b as usize)
            .count();
        let of_images = Some(&clean.class_names).filter(|names| names.len() == n_classes && 2 * right > all.len());
        let class_names = match &self.class_names {
            Some(names) => names.clone(),
            None => of_images
                .cloned()
                .unwrap_or_else(|| (0..n_classes).map(|class| class.to_string()).collect()),
        };
        let scores = ScoreKind::default().score(all.into())?;
        let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
        let certain: Vec<f32> = confidences(&all.classifier, n_classes).collect();
        let probe = clean.probe.take();
        let facts = facts_of(
            &pair,
            class_names.clone(),
            &scores,
            Some(&answers),
            Some(&certain),
            probe.as_ref(),
            training,
        );
        let monitor = Monitor::from_parts(Parts {
            facts,
            options: self.options.clone(),
            pair,
            scores,
            answers: Some(answers),
            confidences: Some(certain),
            calibration: None,
            probe,
        })?;
        let Some(config) = config else {
            return Ok(monitor);
        };
        let calibrated = match apart {
            Apart::OfReference => clean.calibrate(monitor.pair(), Some(&class_names), config, progress),
            Apart::Here(images) => clean.calibrate_on(monitor.pair(), images, Some(&class_names), config, progress),
        };
        match calibrated {
            Ok(calibrated) => monitor.with_calibration(calibrated),
            Err(error) if !config.required && is_about_images(&error) => Ok(monitor.with_note(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

fn check_names(names: Option<&Vec<String>>, n_classes: usize) -> Result<()> {
    match names {
        Some(names) if names.len() != n_classes => Err(Error::mismatch("class names", n_classes, names.len())),
        _ => Ok(()),
    }
}
