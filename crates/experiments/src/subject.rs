//! What is put to the test: a classifier and its distilled network, and the images they are tried on.

use std::sync::Arc;

use riptide_corruptions::{Corruption, Corruptor, Severity};
use riptide_datasets::ImageSet;
use riptide_datasets::cifar10_c::Cifar10C;
use riptide_detectors::{Probabilities, ScoringNetworks};
use riptide_models::{Network, NetworkPair};
use sha2::{Digest, Sha256};

use crate::ExperimentError;

/// A classifier and its distilled network, as the detectors want them.
#[derive(Debug)]
pub struct Networks {
    pair: NetworkPair,
    n_classes: usize,
    input: (usize, usize),
    digest: String,
}

impl Networks {
    /// Puts two networks side by side.
    ///
    /// # Errors
    /// [`ExperimentError::Model`] where their classes or their input sizes differ.
    pub fn new(classifier: Network, distilled: Network) -> Result<Self, ExperimentError> {
        let n_classes = classifier.n_classes();
        let input = classifier.input_size();
        let digest = sha256(&[classifier.digest().as_bytes(), distilled.digest().as_bytes()]);
        Ok(Self {
            pair: NetworkPair::new(classifier, distilled)?,
            n_classes,
            input,
            digest,
        })
    }

    /// The two networks.
    pub fn pair(&self) -> &NetworkPair {
        &self.pair
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// SHA-256 over both networks' digests, hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Class probabilities of both networks for every image, a bounded number of images at a time.
    ///
    /// `progress` is told the number of images after each chunk.
    ///
    /// # Errors
    /// [`ExperimentError::Mismatch`] for images of another size than the networks take.
    pub fn probabilities(
        &self,
        images: &ImageSet,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Probabilities, ExperimentError> {
        const CHUNK: usize = 512;
        let (height, width) = (images.height(), images.width());
        if (height, width) != self.input {
            return Err(ExperimentError::Mismatch(format!(
                "the images are {height}x{width}, the networks take {}x{}; resize the images when loading them",
                self.input.0, self.input.1
            )));
        }
        let size = height * width * 3;
        let mut all = Probabilities {
            n_classes: self.n_classes,
            ..Default::default()
        };
        for chunk in images.pixels().chunks(CHUNK * size) {
            let n = chunk.len() / size;
            let (classifier, distilled) = self.pair.predict_proba(chunk, [n, height, width])?;
            all.classifier.extend_from_slice(&classifier);
            all.distilled.extend_from_slice(&distilled);
            progress(n);
        }
        Ok(all)
    }
}

impl ScoringNetworks for Networks {
    fn n_classes(&self) -> usize {
        self.n_classes
    }

    fn predict_proba(
        &self,
        images: &[u8],
        shape: [usize; 3],
    ) -> Result<Probabilities, Box<dyn std::error::Error + Send + Sync>> {
        let (classifier, distilled) = self.pair.predict_proba(images, shape)?;
        Ok(Probabilities {
            classifier,
            distilled,
            n_classes: self.n_classes,
        })
    }
}

/// Clean, labelled test images and where their corrupted twins come from.
#[derive(Debug)]
pub struct TestImages {
    name: String,
    clean: Arc<ImageSet>,
    digest: String,
    corrupted: Corrupted,
}

#[derive(Debug)]
enum Corrupted {
    Generated(Corruptor),
    Published(Cifar10C),
}

impl TestImages {
    /// Clean images whose corrupted twins are made by `corruptor`.
    ///
    /// # Errors
    /// [`ExperimentError::Unlabelled`] where the images have no labels.
    pub fn generated(name: impl Into<String>, clean: ImageSet, corruptor: Corruptor) -> Result<Self, ExperimentError> {
        Self::new(name.into(), clean, Corrupted::Generated(corruptor))
    }

    /// The CIFAR-10 test images with the published CIFAR-10-C files as their twins.
    ///
    /// # Errors
    /// [`ExperimentError::Unlabelled`] where the images have no labels, [`ExperimentError::Mismatch`] where CIFAR-10-C
    /// holds another number of images.
    pub fn published(name: impl Into<String>, clean: ImageSet, cifar10_c: Cifar10C) -> Result<Self, ExperimentError> {
        Self::new(name.into(), clean, Corrupted::Published(cifar10_c))
    }

    fn new(name: String, clean: ImageSet, corrupted: Corrupted) -> Result<Self, ExperimentError> {
        if clean.labels().is_none() {
            return Err(ExperimentError::Unlabelled(name));
        }
        Ok(Self {
            name,
            digest: clean.digest(),
            clean: Arc::new(clean),
            corrupted,
        })
    }

    /// The dataset's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The clean images.
    pub fn clean(&self) -> &ImageSet {
        &self.clean
    }

    /// SHA-256 of the clean images and labels, hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The labels, one an image.
    pub fn labels(&self) -> &[u32] {
        self.clean.labels().unwrap_or_default()
    }

    /// One sentence on where the corrupted images come from.
    pub fn provenance(&self) -> String {
        match &self.corrupted {
            Corrupted::Generated(corruptor) => format!(
                "Corruptions were applied to the clean test images by Riptide, seed {}.",
                corruptor.seed()
            ),
            Corrupted::Published(_) => "Corrupted images are the published CIFAR-10-C files.".to_owned(),
        }
    }

    /// The corrupted twins of the clean images, in the same order.
    ///
    /// # Errors
    /// As the corruption's or the file's own; [`ExperimentError::Mismatch`] where a file holds another number of images.
    pub fn corrupted(&self, corruption: Corruption, severity: Severity) -> Result<ImageSet, ExperimentError> {
        let images = match &self.corrupted {
            Corrupted::Generated(corruptor) => corruptor.apply(&self.clean, corruption, severity)?,
            Corrupted::Published(files) => files.severity(corruption.name(), severity.get())?,
        };
        if images.len() != self.clean.len() {
            return Err(ExperimentError::Mismatch(format!(
                "{corruption} at severity {severity} holds {} images, the clean test set {}; they must be twins",
                images.len(),
                self.clean.len()
            )));
        }
        Ok(images)
    }

    /// The corrupted twin of one clean image, alone.
    pub(crate) fn twin(
        &self,
        image: usize,
        corruption: Corruption,
        severity: Severity,
    ) -> Result<Vec<u8>, ExperimentError> {
        match &self.corrupted {
            Corrupted::Generated(corruptor) => {
                let clean = self.clean.slice(image..image + 1)?;
                let twin = corruptor.apply_from(&clean, image as u64, corruption, severity)?;
                Ok(twin.into_pixels())
            }
            Corrupted::Published(files) => {
                let images = files.severity(corruption.name(), severity.get())?;
                Ok(images.image(image).unwrap_or_default().to_vec())
            }
        }
    }

    /// What identifies the images of one set before they are made: two sets with the same identity hold the same bytes.
    pub(crate) fn identity(&self, corruption: Corruption, severity: Severity) -> Result<String, ExperimentError> {
        Ok(match &self.corrupted {
            Corrupted::Generated(corruptor) => {
                let recipe = format!(
                    "riptide {} {corruption} {severity} seed {}",
                    env!("CARGO_PKG_VERSION"),
                    corruptor.seed()
                );
                sha256(&[self.digest.as_bytes(), recipe.as_bytes()])
            }
            Corrupted::Published(files) => files.severity(corruption.name(), severity.get())?.digest(),
        })
    }
}

/// SHA-256 over several parts, each preceded by its length, hexadecimal.
pub(crate) fn sha256(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
