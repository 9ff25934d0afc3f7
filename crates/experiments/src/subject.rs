//! The images that a classifier and its distilled network are tried on.

use std::borrow::Cow;
use std::sync::Arc;

use riptide_corruptions::{Corruption, Corruptor, Extended, Family, Severity};
use riptide_datasets::ImageSet;
use riptide_datasets::cifar10_c::Cifar10C;
use riptide_files::digest;

use crate::error::ExperimentError;

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
    /// [`ExperimentError::Unlabelled`] if the images have no labels.
    pub fn generated(name: impl Into<String>, clean: ImageSet, corruptor: Corruptor) -> Result<Self, ExperimentError> {
        Self::new(name.into(), clean, Corrupted::Generated(corruptor))
    }

    /// The CIFAR-10 test images with the published CIFAR-10-C files as their twins.
    ///
    /// # Errors
    /// [`ExperimentError::Unlabelled`] if the images have no labels, [`ExperimentError::Mismatch`] if CIFAR-10-C
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
    /// As the corruption's or the file's own; [`ExperimentError::Mismatch`] if a file holds another number of images.
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

    /// The clean images under damage of our own, which no published file holds, in the same order.
    pub(crate) fn declared(&self, kind: Extended, severity: Severity) -> Result<ImageSet, ExperimentError> {
        Ok(self.corruptor().apply(&self.clean, kind, severity)?)
    }

    /// What makes damage of our own; beside published files, of seed 0.
    fn corruptor(&self) -> Cow<'_, Corruptor> {
        match &self.corrupted {
            Corrupted::Generated(corruptor) => Cow::Borrowed(corruptor),
            Corrupted::Published(_) => Cow::Owned(Corruptor::new(0)),
        }
    }

    /// The corrupted twin of one clean image.
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
            Corrupted::Generated(_) => self.made(corruption.into(), severity),
            Corrupted::Published(files) => files.severity(corruption.name(), severity.get())?.digest(),
        })
    }

    /// The same for images that Riptide makes.
    pub(crate) fn made(&self, family: Family, severity: Severity) -> String {
        let recipe = format!(
            "riptide {} {family} {severity} seed {}",
            env!("CARGO_PKG_VERSION"),
            self.corruptor().seed()
        );
        digest::of_parts(&[self.digest.as_bytes(), recipe.as_bytes()])
    }
}
