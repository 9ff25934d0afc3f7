//! From a classifier and clean images to a monitor.

mod distil;
mod gather;
mod held_out;
mod spill;
mod split;

use std::path::PathBuf;

use riptide_files::{Progress, Silent};
use riptide_models::onnx::Check;
use riptide_models::preprocess::Preprocessing;
use riptide_models::train::{Augmentation, Recipe};

use crate::calibration::Calibrate;
use crate::classifier::Classifier;
use crate::error::Result;
use crate::images::Images;
use crate::monitor::Monitor;
use crate::options::Options;
use crate::pair::Pair;
use crate::pipeline::{InputCheck, vet};
use crate::training::Epoch;
use gather::{Gather, Gathered};
pub use held_out::{FewImages, HeldOut};
pub use import::Import;
use import::{Source, check_names};

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
    /// Images that are kept apart to see how well the network does on others, for patience and for what is
    /// [handed on](Fitted::held_out). By default a tenth of all, but at
    /// least 100 unless that is more than a fifth, and at most 1,000.
    pub n_validation: Option<usize>,
    /// Images that [`Fitted::held_out`] holds at most, at their full size; 2,000 by default. The reference is held in any case if it
    /// is part of the images.
    pub n_held_out: usize,
    /// Passes over the images. By default 20, and 60 if fewer than 10,000 images are learned from.
    pub epochs: Option<u32>,
    /// Whether the network of the epoch with the least validation loss is taken, and not that of the last epoch. By default only with
    /// patience: on CIFAR-10 the last epoch's scores told harm better even from 2,000 images, because a network that is surer of itself
    /// disagrees more strongly if the classifier errs (docs/method.md).
    pub best_epoch: Option<bool>,
    /// Images of a training step; 128 by default.
    pub batch_size: usize,
    /// The largest learning rate; 0.001 by default.
    pub learning_rate: f64,
    /// Temperature of the classifier's outputs that the distilled network learns from; 1 by default.
    pub temperature: f64,
    /// How images are varied. By default they are mirrored, and also shifted (with the classifier's outputs for the unshifted image) if
    /// fewer than 10,000 are learned from. Crops are too many for the classifier's outputs to be kept.
    pub augmentation: Option<Augmentation>,
    /// Stop after so many epochs without a lower validation loss; by default all epochs are run.
    pub patience: Option<u32>,
    /// Filters of the distilled network's first convolution; the next have half and a quarter of them. This and the next three
    /// follow by default from the images' size and the number of classes, see [`DistilledCnnConfig::sized`](riptide_models::DistilledCnnConfig::sized).
    pub filters: Option<usize>,
    /// Convolutions of the distilled network, 1 to 3.
    pub conv_layers: Option<usize>,
    /// Units of the distilled network's first dense layer.
    pub dense: Option<usize>,
    /// By how much images are made smaller before the distilled network; 1 leaves them as they are.
    pub shrink: Option<usize>,
    /// What raw images go through before the distilled network; by default what they go through before the classifier, in
    /// [moderate](Preprocessing::moderate) numbers, or scaling by instance if that is a function.
    pub preprocessing: Option<Preprocessing>,
    /// Decides the initial weights, the order of the images and which are kept apart.
    pub seed: u64,
    /// The classes' names in the order of the classifier's outputs; by default those of the images if the classifier gets most
    /// of them right, else numbers.
    pub class_names: Option<Vec<String>>,
    /// Whether a classifier of [low accuracy](crate::pipeline::Accuracy::is_low) on the images' labels is taken all the same.
    pub force: bool,
    /// How the monitor judges scores.
    pub options: Options,
    /// How the monitor is calibrated, on the images that validate the epochs; `None` leaves it without a calibration.
    pub calibration: Option<Calibrate>,
    /// A folder that keeps a checkpoint after each epoch; a fit that was stopped goes on from it.
    pub checkpoint: Option<PathBuf>,
}

impl Default for Fit {
    fn default() -> Self {
        let recipe = Recipe::distilled(1);
        Self {
            n_reference: 1000,
            n_validation: None,
            n_held_out: 2000,
            epochs: None,
            best_epoch: None,
            batch_size: recipe.batch_size,
            learning_rate: recipe.learning_rate,
            temperature: 1.0,
            augmentation: None,
            patience: None,
            filters: None,
            conv_layers: None,
            dense: None,
            shrink: None,
            preprocessing: None,
            seed: recipe.seed,
            class_names: None,
            force: false,
            options: Options::default(),
            calibration: Some(Calibrate::default()),
            checkpoint: None,
        }
    }
}

/// One setter a field; what may be left to the library takes a value or `None`.
macro_rules! setters {
    () => {};
    ($(#[$doc:meta])* $name:ident: Option<$type:ty>; $($rest:tt)*) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: impl Into<Option<$type>>) -> Self {
            self.$name = $name.into();
            self
        }
        setters! { $($rest)* }
    };
    ($(#[$doc:meta])* $name:ident: $type:ty; $($rest:tt)*) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        }
        setters! { $($rest)* }
    };
}

// Behind the macro, which it uses.
mod import;

impl Fit {
    setters! {
        /// Sets how many images are kept apart as the reference.
        n_reference: usize;
        /// Sets how many images are kept apart to validate the epochs.
        n_validation: Option<usize>;
        /// Sets how many images are handed on at their full size, at most.
        n_held_out: usize;
        /// Sets the number of passes over the images.
        epochs: Option<u32>;
        /// Sets whether the epoch with the least validation loss is taken.
        best_epoch: Option<bool>;
        /// Sets the number of images of a training step.
        batch_size: usize;
        /// Sets the largest learning rate.
        learning_rate: f64;
        /// Sets the temperature of the classifier's outputs.
        temperature: f64;
        /// Sets how images are varied.
        augmentation: Option<Augmentation>;
        /// Stops after so many epochs without a lower validation loss.
        patience: Option<u32>;
        /// Sets the filters of the distilled network's first convolution.
        filters: Option<usize>;
        /// Sets the number of the distilled network's convolutions.
        conv_layers: Option<usize>;
        /// Sets the units of the distilled network's first dense layer.
        dense: Option<usize>;
        /// Sets by how much images are made smaller before the distilled network.
        shrink: Option<usize>;
        /// Sets what raw images go through before the distilled network.
        preprocessing: Option<Preprocessing>;
        /// Sets what decides every random choice.
        seed: u64;
        /// Sets the classes' names.
        class_names: Option<Vec<String>>;
        /// Sets whether a classifier of low accuracy is taken all the same.
        force: bool;
        /// Sets how the monitor judges scores.
        options: Options;
        /// Sets how the monitor is calibrated, or that it is not.
        calibration: Option<Calibrate>;
        /// Sets the folder that keeps checkpoints.
        checkpoint: Option<PathBuf>;
    }

    /// Fits a monitor to a classifier on clean images, part of which are kept apart as its reference.
    ///
    /// The images are read once, a chunk at a time, and may be more than fit into memory: what is held of each is the size that
    /// the distilled network sees (about 32 x 32 pixels by default) and the classifier's outputs. Only those that are kept apart
    /// are held at their full size. A stream that does not say how many images it has goes through a temporary file.
    ///
    /// # Errors
    /// [`Error::Images`](crate::Error::Images) and [`Error::ImageSize`](crate::Error::ImageSize) for images that cannot be read or have another size than the classifier
    /// takes, [`Error::TooFew`](crate::Error::TooFew), [`Error::Classifier`](crate::Error::Classifier) or [`Error::Network`](crate::Error::Network) if a network fails or the training diverges,
    /// [`Error::NothingLearned`](crate::Error::NothingLearned) if it ends clearly worse than it began, [`Error::Answer`](crate::Error::Answer) if a network gives no probabilities,
    /// [`Error::Undecided`](crate::Error::Undecided) if what images go through before the classifier is not known and labels do not tell,
    /// [`Error::LowAccuracy`](crate::Error::LowAccuracy) if it is hardly ever right about the images' labels, [`Error::Option`](crate::Error::Option) for an option out of range.
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
        if let Some(config) = &self.calibration {
            config.check()?;
        }
        let images = images.into();
        let framing = images.framing();
        let name = images.name().to_owned();
        let vetted = vet(classifier, &images, self.class_names.as_deref(), self.force);
        let (mut classifier, input) = vetted.map_err(|error| error.of_input(&name))?;
        let check = images.verify(&mut classifier)?;
        let images = spill::counted(images, classifier.input_size())?;
        let split = self.split(&images, reference.is_none())?;
        let recipe = self.recipe(split.n_training());
        let indices = split.reference_indices();
        let gather = Gather {
            classifier: &classifier,
            config: &self.config(&classifier),
            recipe: &recipe,
            temperature: self.temperature,
            n_full: self.n_held_out.saturating_sub(split.n_reference()),
            split,
            folder: self.checkpoint.as_ref(),
        };
        let gathered = gather.run(images, progress).map_err(|error| error.of_input(&name))?;
        let (distilled, facts, epochs) = self.distil(&classifier, &gathered, recipe, progress)?;
        let Gathered {
            reference: own,
            reference_files: files,
            others,
            ..
        } = gathered;
        let pair = Pair::new(classifier.clone(), distilled)?;
        let settings = Import {
            class_names: self
                .class_names
                .clone()
                .or_else(|| classifier.class_names().map(<[_]>::to_vec)),
            options: self.options.clone(),
            calibration: self.calibration.clone(),
        };
        let (mut monitor, reference) = match reference {
            Some(apart) => settings.judge(
                pair,
                apart,
                Some(facts),
                Source::Others(&others, self.n_held_out),
                progress,
            )?,
            None => {
                let from = Source::Others(&others, 0);
                let judged = settings.judge(pair, (&own).into(), Some(facts), from, progress);
                let place = |image: usize| indices.get(image).copied().unwrap_or(image);
                (
                    judged
                        .map_err(|error| error.at(place, |image| files.get(image).cloned()))?
                        .0,
                    own,
                )
            }
        };
        monitor.set_framing(framing);
        Ok(Fitted {
            relative_cost: held_out::relative_cost(&classifier, monitor.pair(), &reference)?,
            few_images: FewImages::of(&monitor),
            held_out: HeldOut { reference, others },
            monitor,
            epochs,
            input,
            check,
        })
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
    /// What labelled images said about the classifier's input.
    pub input: InputCheck,
    /// How a classifier from an ONNX file was checked; `None` for other classifiers, and for images that cannot be read twice.
    pub check: Option<Check>,
    /// Clean images that the distilled network was not trained on.
    pub held_out: HeldOut,
    /// What the distilled network costs, as a share of the classifier's time, measured on a few images; none if the classifier
    /// takes no time that can be measured. A tenth or less is usual.
    pub relative_cost: Option<f64>,
    /// Says so if the networks agree too seldom because there were few images.
    pub few_images: Option<FewImages>,
}
