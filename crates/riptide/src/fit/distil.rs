//! The distilled network of a fit: which images it learns from, its layers, its training.

use riptide_datasets::ImageSet;
use riptide_files::Progress;
use riptide_models::preprocess::Preprocessing;
use riptide_models::train::{Augmentation, Recipe};
use riptide_models::{DistilledCnnConfig, Network};

use super::Fit;
use super::gather::Gathered;
use super::split::{Split, usual_validation};
use crate::classifier::Classifier;
use crate::error::{Error, Result};
use crate::facts::TrainingFacts;
use crate::images::Images;
use crate::training::{Epoch, Lesson, Resume, Training};

/// Fewer images than this to learn from are few: a network of the published size learns them by heart.
const FEW: usize = 10_000;
const EPOCHS: u32 = 20;
const EPOCHS_OF_FEW: u32 = 60;

impl Fit {
    /// Which images are kept apart.
    pub(super) fn split(&self, images: &Images<'_>, with_reference: bool) -> Result<Split> {
        let n = usize::try_from(images.remaining().unwrap_or_default()).unwrap_or(usize::MAX);
        let n_reference = match with_reference {
            true => self.n_reference.min(n / 5),
            false => 0,
        };
        let n_validation = self.n_validation.unwrap_or_else(|| usual_validation(n));
        let too_few = |what: &str| Error::TooFew {
            name: images.name().to_owned(),
            reason: format!("{n} images are too few to keep {what} apart; give more images"),
        };
        if n == 0 {
            return Err(images.none());
        }
        if with_reference && n_reference == 0 {
            return Err(too_few("a reference"));
        }
        if n_reference.saturating_add(n_validation) >= n {
            return Err(too_few(&format!("{n_validation} validation images")));
        }
        Ok(Split::new(n, n_reference, n_validation, self.seed))
    }

    /// How the network is trained on so many images.
    pub(super) fn recipe(&self, n_training: usize) -> Recipe {
        let (epochs, augmentation) = match n_training < FEW {
            true => (EPOCHS_OF_FEW, Augmentation::JitterFlip),
            false => (EPOCHS, Augmentation::Flip),
        };
        Recipe {
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            augmentation: self.augmentation.unwrap_or(augmentation),
            seed: self.seed,
            ..Recipe::distilled(self.epochs.unwrap_or(epochs))
        }
    }

    /// The distilled network's layers.
    pub(super) fn config(&self, classifier: &Classifier) -> DistilledCnnConfig {
        let sized = DistilledCnnConfig::sized(classifier.n_classes(), classifier.input_size());
        DistilledCnnConfig {
            n_filters1: self.filters.unwrap_or(sized.n_filters1),
            n_conv_layers: self.conv_layers.unwrap_or(sized.n_conv_layers),
            n_dense: self.dense.unwrap_or(sized.n_dense),
            shrink: self.shrink.unwrap_or(sized.shrink),
            preprocessing: self
                .preprocessing
                .or_else(|| classifier.preprocessing().map(Preprocessing::moderate))
                .unwrap_or_default(),
            ..sized
        }
    }

    /// The distilled network before its training: this fit's layers and seed, the classifier's images and classes.
    ///
    /// # Errors
    /// [`Error::Network`] if there can be no such network.
    pub fn untrained(&self, classifier: &Classifier) -> Result<Network> {
        Ok(Network::random(self.config(classifier), self.seed)?)
    }

    pub(super) fn distil(
        &self,
        classifier: &Classifier,
        gathered: &Gathered,
        recipe: Recipe,
        progress: &mut dyn Progress,
    ) -> Result<(Network, TrainingFacts, Vec<Epoch>)> {
        let config = self.config(classifier);
        let mut training = Training::new(recipe)
            .temperature(self.temperature)
            .patience(self.patience);
        if let Some(folder) = &self.checkpoint {
            training = training.folder(folder, Resume::IfPossible).title("Distilled network");
        }
        let lesson = Lesson::Answers {
            training: &gathered.training_rows,
            validation: &gathered.validation_rows,
        };
        // What is trained are the layers behind the shrinking, on images that are small already.
        let trained = training.run(
            &Network::random(config.inner(), self.seed)?,
            &gathered.training,
            gathered.validation.as_ref(),
            lesson,
            progress,
            |_| (),
        )?;
        // A training that was to stop early stopped because what followed the best epoch was worse.
        let is_best = self.best_epoch.unwrap_or(self.patience.is_some());
        let (network, epoch) = match (is_best, trained.epochs.last()) {
            (false, Some(last)) => (trained.last, last.epoch),
            _ => (trained.best, trained.best_epoch),
        };
        let taken = trained.epochs.iter().find(|other| other.epoch == epoch);
        let facts = TrainingFacts {
            n_images: gathered.training.len(),
            n_validation: gathered.validation.as_ref().map_or(0, ImageSet::len),
            epoch,
            temperature: self.temperature,
            loss: taken.map_or(0.0, |taken| taken.loss),
            agreement: taken.map_or(0.0, |taken| taken.accuracy),
            seed: self.seed,
        };
        let network = Network::new(config, network.weights().clone())?;
        Ok((network, facts, trained.epochs))
    }
}
