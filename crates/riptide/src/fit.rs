//! From a classifier and clean images to a monitor.

mod distil;
mod gather;
mod held_out;
mod spill;
mod split;

use std::path::PathBuf;

use riptide_datasets::ImageSet;
use riptide_detectors::{Answers, Probabilities, Score, ScoreKind};
use riptide_files::{Progress, Silent, Unit};
use riptide_models::Network;
use riptide_models::preprocess::Preprocessing;
use riptide_models::train::{Augmentation, Recipe};

use crate::classifier::{Classifier, Pair};
use crate::error::{Error, Result};
use crate::facts::TrainingFacts;
use crate::images::Images;
use crate::monitor::{Monitor, Parts, Probe, facts_of};
use crate::options::Options;
use crate::training::Epoch;
use gather::{Gather, Gathered};
pub use held_out::{FewImages, HeldOut};

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
            options: Options::default(),
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
        /// Sets how the monitor judges scores.
        options: Options;
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
    /// [`Error::Images`] and [`Error::ImageSize`] for images that cannot be read or have another size than the classifier
    /// takes, [`Error::TooFew`], [`Error::Classifier`] or [`Error::Network`] if a network fails or the training diverges,
    /// [`Error::NothingLearned`] if it ends clearly worse than it began, [`Error::Option`] for an option out of range.
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
        let images = spill::counted(images.into(), classifier.input_size())?;
        let split = self.split(&images, reference.is_none())?;
        let recipe = self.recipe(split.n_training());
        let gather = Gather {
            classifier: &classifier,
            config: &self.config(&classifier),
            recipe: &recipe,
            temperature: self.temperature,
            n_full: self.n_held_out.saturating_sub(split.n_reference()),
            split,
            folder: self.checkpoint.as_ref(),
        };
        let gathered = gather.run(images, progress)?;
        let (distilled, facts, epochs) = self.distil(&classifier, &gathered, recipe, progress)?;
        let Gathered {
            reference: own, others, ..
        } = gathered;
        let pair = Pair::new(classifier.clone(), distilled)?;
        let settings = Import {
            class_names: self.class_names.clone(),
            options: self.options.clone(),
        };
        let (monitor, reference) = match reference {
            Some(apart) => settings.judge(pair, apart, Some(facts), self.n_held_out, progress)?,
            None => (settings.judge(pair, (&own).into(), Some(facts), 0, progress)?.0, own),
        };
        Ok(Fitted {
            relative_cost: held_out::relative_cost(&classifier, monitor.pair(), &reference)?,
            few_images: FewImages::of(&monitor),
            held_out: HeldOut { reference, others },
            monitor,
            epochs,
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
    /// Clean images that the distilled network was not trained on.
    pub held_out: HeldOut,
    /// What the distilled network costs, as a share of the classifier's time, measured on a few images; none if the classifier
    /// takes no time that can be measured. A tenth or less is usual.
    pub relative_cost: Option<f64>,
    /// Says so if the networks agree too seldom because there were few images.
    pub few_images: Option<FewImages>,
}

/// Makes a [`Monitor`] of a classifier and a distilled network that already exist.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Import {
    /// The classes' names in the order of the classifier's outputs; by default those of the reference's images if the
    /// classifier gets most of them right, else numbers.
    pub class_names: Option<Vec<String>>,
    /// How the monitor judges scores.
    pub options: Options,
}

impl Import {
    setters! {
        /// Sets the classes' names.
        class_names: Option<Vec<String>>;
        /// Sets how the monitor judges scores.
        options: Options;
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
        let pair = Pair::new(classifier, distilled)?;
        Ok(self.judge(pair, reference.into(), None, 0, progress)?.0)
    }

    /// Scores the reference and puts the monitor together. Also gives an even sample of at most `n_kept` images.
    fn judge(
        &self,
        pair: Pair,
        mut reference: Images<'_>,
        training: Option<TrainingFacts>,
        n_kept: usize,
        progress: &mut dyn Progress,
    ) -> Result<(Monitor, ImageSet)> {
        let (height, width) = pair.input_size();
        let mut kept = ImageSet::unlabelled(Vec::new(), height, width)?;
        let total = reference.remaining().and_then(|n| usize::try_from(n).ok());
        let step = total.map_or(1, |n| n.div_ceil(n_kept.max(1))).max(1);
        let n_classes = pair.distilled().n_classes();
        let mut all = Probabilities {
            n_classes,
            ..Default::default()
        };
        let (mut labels, mut class_names, mut probe) = (Vec::new(), Vec::new(), None);
        progress.begin("scoring the reference", reference.remaining(), Unit::Images);
        while let Some((first, chunk)) = reference.next_chunk(pair.input_size())? {
            all.extend(&pair.probabilities(&chunk)?)?;
            progress.advance(chunk.len() as u64);
            labels.extend_from_slice(chunk.labels().unwrap_or_default());
            class_names = chunk.class_names().to_vec();
            if first == 0 {
                probe = Probe::of(&pair, &chunk)?;
                kept = chunk.slice(0..0)?;
            }
            let sample = (0..chunk.len()).filter(|index| (first + index).is_multiple_of(step));
            let sample: Vec<usize> = sample.take(n_kept - kept.len()).collect();
            kept.append(&chunk.select(&sample)?)?;
        }
        progress.end();
        if all.is_empty() {
            return Err(reference.none());
        }
        let answers = Answers::from(&all);
        // Folders are sorted by name; whether the classifier has its classes in that order, its answers tell.
        let right = answers
            .classifier
            .iter()
            .zip(&labels)
            .filter(|(a, b)| **a == **b as usize)
            .count();
        let of_images = Some(class_names).filter(|names| names.len() == n_classes && 2 * right > all.len());
        let class_names = match &self.class_names {
            Some(names) => names.clone(),
            None => of_images.unwrap_or_else(|| (0..n_classes).map(|class| class.to_string()).collect()),
        };
        let scores = ScoreKind::default().score((&all).into())?;
        let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
        let facts = facts_of(&pair, class_names, &scores, Some(&answers), probe.as_ref(), training);
        let monitor = Monitor::from_parts(Parts {
            facts,
            options: self.options.clone(),
            pair,
            scores,
            answers: Some(answers),
            probe,
        })?;
        Ok((monitor, kept))
    }
}

fn check_names(names: Option<&Vec<String>>, n_classes: usize) -> Result<()> {
    match names {
        Some(names) if names.len() != n_classes => Err(Error::mismatch("class names", n_classes, names.len())),
        _ => Ok(()),
    }
}
