//! What a distilled network starts from and what it learns.

use std::path::Path;

use rayon::prelude::*;

use super::recipe::Recipe;
use super::sample::Variation;
use super::trainer::Targets;
use super::vectors::{Vectors, vector};
use crate::error::ModelError;
use crate::formats::safetensors::write_sealed;
use crate::network::Network;

const DATA: &str = "riptide.data";
const NAME: &str = "probabilities";

/// What the classifier, as the teacher, answers: class probabilities for images in every version in which a recipe shows them.
///
/// ```
/// use riptide_models::train::{Recipe, Teaching, Trainer, TrainingSet};
/// use riptide_models::{DistilledCnnConfig, Network, ResNetConfig};
///
/// let config = ResNetConfig { depth: 8, n_filters1: 4, height: 8, width: 8, n_classes: 2, ..Default::default() };
/// let classifier = Network::random(config, 0)?;
/// let pixels: Vec<u8> = (0..20 * 8 * 8 * 3).map(|i| (i % 251) as u8).collect();
/// let recipe = Recipe::distilled(1);
/// let teaching = Teaching::new(&classifier, &pixels, &recipe, |_images| ())?;
/// let config = DistilledCnnConfig { n_filters1: 8, height: 8, width: 8, n_classes: 2, ..Default::default() };
/// let mut trainer = Trainer::new(&Network::random(config, 0)?, recipe)?;
/// trainer.epoch(TrainingSet { pixels: &pixels, targets: teaching.targets() }, |_| ())?;
/// # Ok::<(), riptide_models::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Teaching {
    /// Row-major (versions, n, n_classes); versions as [`Augmentation::versions`] counts them.
    ///
    /// [`Augmentation::versions`]: super::Augmentation::versions
    pub probabilities: Vec<f32>,
}

impl Teaching {
    /// Asks a network about raw images, u8 (n, height, width, 3); `progress` is told the number of images after each part,
    /// every version counted.
    ///
    /// # Errors
    /// [`ModelError::Config`] if the recipe's versions are too many, and those of [`Network::predict_proba`].
    pub fn new(
        classifier: &Network,
        pixels: &[u8],
        recipe: &Recipe,
        mut progress: impl FnMut(usize),
    ) -> Result<Self, ModelError> {
        Self::from_fn(classifier.input_size(), pixels, recipe, |pixels| {
            classifier.predict_proba(pixels, &mut progress)
        })
    }

    /// Asks any classifier about raw images, u8 (n, height, width, 3), of `size` (height, width): `predict` is given images as
    /// bytes, a bounded number at a time, and gives class probabilities, row-major (n, n_classes).
    ///
    /// # Errors
    /// [`ModelError::Config`] if the recipe's versions are too many, and whatever `predict` says.
    pub fn from_fn<E: From<ModelError>>(
        (height, width): (usize, usize),
        pixels: &[u8],
        recipe: &Recipe,
        mut predict: impl FnMut(&[u8]) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        const CHUNK: usize = 4096;
        let versions = recipe.augmentation.versions().ok_or_else(|| ModelError::Config {
            field: "augmentation",
            value: "crop-flip".into(),
            expected: "none, flip or shift-flip for a network that learns from another".into(),
        })?;
        let bytes = (3 * height * width).max(1);
        let mut probabilities = Vec::new();
        for version in 0..versions {
            let variation = Variation::of(version);
            for chunk in pixels.chunks(CHUNK * bytes) {
                let mut varied = chunk.to_vec();
                let images = varied.par_chunks_exact_mut(bytes).zip(chunk.par_chunks_exact(bytes));
                images.for_each(|(out, image)| variation.apply(image, height, width, out));
                probabilities.extend(predict(&varied)?);
            }
        }
        Ok(Self { probabilities })
    }

    /// Writes the answers as one safetensors file, atomically. `data` says whose answers they are, and to what; [`Teaching::load`] asks for the same.
    ///
    /// # Errors
    /// [`ModelError::File`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>, data: &str) -> Result<(), ModelError> {
        let path = path.as_ref();
        write_sealed(path, &[vector(NAME, &self.probabilities)], (DATA, data.to_owned()))
    }

    /// The answers that were [saved](Teaching::save) for the same data; `None` if the file is missing or holds others.
    ///
    /// # Errors
    /// [`ModelError::File`] and [`ModelError::Safetensors`] if a file is there but cannot be read, [`ModelError::Changed`]
    /// if it is not as it was written.
    pub fn load(path: impl AsRef<Path>, data: &str) -> Result<Option<Self>, ModelError> {
        let path = path.as_ref();
        if !path.exists() {
            return Ok(None);
        }
        let file = Vectors::read(path, DATA)?;
        if file.entry() != data {
            return Ok(None);
        }
        let probabilities = file.floats(&[NAME])?.and_then(|mut read| read.pop());
        Ok(probabilities.map(|probabilities| Self { probabilities }))
    }

    /// The answers, as the targets of a training.
    pub fn targets(&self) -> Targets<'_> {
        Targets::Probabilities(&self.probabilities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ResNetConfig;

    #[test]
    fn every_version_has_answers_of_its_own() {
        let config = ResNetConfig {
            depth: 8,
            n_filters1: 4,
            height: 8,
            width: 8,
            n_classes: 2,
            ..Default::default()
        };
        let classifier = Network::random(config, 0).unwrap();
        let (n, bytes) = (3, 3 * 8 * 8);
        let pixels: Vec<u8> = (0..(n * bytes) as u32).map(|i| (i * i % 251) as u8).collect();
        let mut asked = 0;
        let recipe = Recipe::distilled(1);
        let versions = recipe.augmentation.versions().unwrap();
        let teaching = Teaching::new(&classifier, &pixels, &recipe, |n| asked += n).unwrap();
        assert_eq!((asked, teaching.probabilities.len()), (versions * n, versions * n * 2));
        let plain = Teaching::new(&classifier, &pixels, &Recipe::published_distilled(), |_| ()).unwrap();
        assert_eq!(plain.probabilities, classifier.predict_proba(&pixels, |_| ()).unwrap());
        for (version, answers) in teaching.probabilities.chunks_exact(n * 2).enumerate() {
            let mut varied = pixels.clone();
            for (out, image) in varied.chunks_exact_mut(bytes).zip(pixels.chunks_exact(bytes)) {
                Variation::of(version).apply(image, 8, 8, out);
            }
            assert_eq!(answers, classifier.predict_proba(&varied, |_| ()).unwrap());
            assert!(version == 0 || answers != plain.probabilities);
        }
        assert!(Teaching::new(&classifier, &pixels[1..], &recipe, |_| ()).is_err());
        assert!(Teaching::new(&classifier, &pixels, &Recipe::classifier(1), |_| ()).is_err());
    }

    #[test]
    fn kept_answers_are_those_of_the_same_data() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("teaching.safetensors");
        let teaching = Teaching {
            probabilities: vec![0.25, 0.75, 1.0, 0.0],
        };
        assert_eq!(Teaching::load(&path, "these").unwrap(), None);
        teaching.save(&path, "these").unwrap();
        assert_eq!(Teaching::load(&path, "these").unwrap(), Some(teaching));
        assert_eq!(Teaching::load(&path, "those").unwrap(), None);
        std::fs::write(&path, b"no safetensors").unwrap();
        assert!(Teaching::load(&path, "these").is_err());
    }
}
