//! What a network learns from each image, and whether it learned it.

use std::borrow::Cow;

use riptide_datasets::ImageSet;
use riptide_detectors::distillation::tempered;
use riptide_files::{Progress, Unit, digest};
use riptide_models::Network;
use riptide_models::train::Teaching;

use super::folder::TEACHING;
use super::validation::validate;
use super::{Lesson, Outputs, Training};
use crate::classifier::Classifier;
use crate::error::{Error, Result};

/// Whose work a training is.
pub(super) struct Identity {
    /// Which classifier is asked about which images.
    pub(super) asked: String,
    /// Which network learns what from which images.
    pub(super) data: String,
}

impl Training {
    /// Which network learns what from which images, so that neither a checkpoint nor kept outputs are taken up with others.
    pub(super) fn identity(
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
            Lesson::Answers { training, validation } => {
                let mut hasher = digest::Hasher::default();
                for part in training.chunks(4096).chain(validation.chunks(4096)) {
                    let bytes: Vec<u8> = part.iter().flat_map(|p| p.to_le_bytes()).collect();
                    hasher.update(bytes);
                }
                hasher.finish()
            }
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

    /// What is to be learned, and what the validation images are compared with.
    pub(super) fn targets<'a>(
        &self,
        images: &ImageSet,
        validation: Option<&ImageSet>,
        lesson: Lesson<'a>,
        asked: &str,
        progress: &mut dyn Progress,
    ) -> Result<Outputs<'a>> {
        let classifier = match lesson {
            Lesson::Labels => {
                return match validation.filter(|set| set.labels().is_none()) {
                    Some(validation) => Err(no_labels(&format!("{} validation images", validation.len()))),
                    None => Ok(Outputs::default()),
                };
            }
            Lesson::Answers { training, validation } => {
                return Ok(Outputs {
                    training: Some(Cow::Borrowed(training)),
                    validation: (!validation.is_empty()).then_some(Cow::Borrowed(validation)),
                });
            }
            Lesson::Classifier(classifier) => classifier,
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
        let n_classes = classifier.n_classes();
        temper(&mut teaching.probabilities, n_classes, self.temperature)?;
        let validation = match validation {
            None => None,
            Some(validation) => {
                // They count after the images that are trained on.
                let rows = classifier.predict_proba(validation, |_| ());
                let mut rows = rows.map_err(|error| error.after(images.len(), None))?;
                temper(&mut rows, n_classes, self.temperature)?;
                Some(Cow::Owned(rows))
            }
        };
        Ok(Outputs {
            training: Some(Cow::Owned(teaching.probabilities)),
            validation,
        })
    }
}

impl Outputs<'_> {
    /// Returns an error if a network is clearly further from the classifier's answers than the one before the training was, on some of the
    /// images that they were trained on. A learning rate far too large leaves finite weights that say nothing.
    pub(super) fn check_learned(&self, before: &Network, after: [&Network; 2], images: &ImageSet) -> Result<()> {
        const SOME: usize = 512;
        /// After very few steps a loss may be a little above that of the start.
        const CLEARLY: f64 = 1.25;
        let some = images.slice(0..images.len().min(SOME))?;
        // The first version of an image is the image itself.
        let n = some.len() * before.n_classes();
        let Some(rows) = self.training.as_ref().and_then(|rows| rows.get(..n)) else {
            return Ok(());
        };
        let (began, _) = validate(before, &some, Some(rows))?;
        for network in after {
            let (ended, _) = validate(network, &some, Some(rows))?;
            // Not a number is no learning either.
            if ended > CLEARLY * began || ended.is_nan() {
                return Err(Error::NothingLearned { began, ended });
            }
        }
        Ok(())
    }
}

/// Puts rows of probabilities at a temperature, in place, and checks each.
pub(crate) fn temper(rows: &mut [f32], n_classes: usize, temperature: f64) -> Result<()> {
    // A part at a time, so that the rows are not in memory twice.
    for part in rows.chunks_mut(4096 * n_classes.max(1)) {
        let changed = tempered(part, n_classes, temperature)?;
        part.copy_from_slice(&changed);
    }
    Ok(())
}

pub(super) fn no_labels(what: &str) -> Error {
    Error::mismatch("labels to learn from", format!("one for each of {what}"), "none")
}

impl Classifier {
    /// Tells classifiers apart: a network by its digest, a function by what it answers to a few images.
    pub(crate) fn identity(&self, images: &ImageSet) -> Result<String> {
        if let Some(network) = self.network() {
            return Ok(network.digest());
        }
        let few = images.slice(0..images.len().min(16))?;
        let rows = self.predict_proba(&few, |_| ())?;
        let bytes: Vec<u8> = rows.iter().flat_map(|p| p.to_le_bytes()).collect();
        Ok(digest::of_bytes(&bytes))
    }
}
