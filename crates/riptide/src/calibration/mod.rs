//! Calibration: what a monitor learns from clean images that are corrupted in declared ways, so that it can tell how accurate
//! the classifier is on a batch without labels.

mod clean;
mod declare;
mod files;
mod labels;

use std::path::PathBuf;

use riptide_corruptions::Family;
use riptide_datasets::ImageSet;
use riptide_detectors::accuracy::{AccuracyConfig, AccuracyModel, FamilyEvidence, Target};
use riptide_detectors::{DetectorError, Probabilities};
use riptide_files::{Progress, digest};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::facts::CalibrationFacts;
use crate::pair::Pair;

pub(crate) use clean::{Clean, Sampling};
pub(crate) use declare::mirrored;
pub(crate) use files::{CalibrationFiles, EVIDENCE_WIDTH};

/// Images that a calibration takes at least, unless it is [required](Calibrate::required): the accuracy of fewer is known
/// to no better than three points.
const ENOUGH: usize = 200;
/// Images that it takes at least even then.
const LEAST: usize = 20;

/// How a monitor is calibrated.
///
/// Clean images that neither network was trained on are split, image by image, into those that the calibration is fitted
/// on and the reference. The former are corrupted by each family at five severities and passed once through both networks. With
/// labels, the calibration learns where the classifier is wrong; without, where its answer differs from its answer to the
/// clean image.
///
/// ```
/// use riptide::Calibrate;
/// use riptide::corruptions::Corruption;
///
/// let weather = [Corruption::Fog, Corruption::Snow, Corruption::Frost].map(Into::into);
/// let calibrate = Calibrate::default().n_images(500).families(weather.to_vec());
/// assert_eq!((calibrate.views, calibrate.families.len()), (1, 3));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Calibrate {
    /// Images that are corrupted, at most; 1,000 by default.
    pub n_images: usize,
    /// The families of corruptions; all thirty-five by default. An interval of 95 % needs at least nineteen.
    pub families: Vec<Family>,
    /// 1, or 2 if the classifier also sees each image mirrored, which costs one more pass of the classifier per image from then
    /// on and tells a little more; 1 by default.
    pub views: u8,
    /// What the calibration learns to foresee; by default the classifier's errors if the images are labelled in its classes, else
    /// changed answers.
    pub target: Option<Target>,
    /// Whether it is an error if there are too few images or if labels that were asked for cannot be used. Otherwise the monitor
    /// is left without a calibration and [says why](crate::Monitor::note). False by default.
    pub required: bool,
    /// Decides which images are corrupted and the random numbers of the corruptions.
    pub seed: u64,
    /// A folder that keeps the answers to each corrupted set; a calibration that was stopped goes on from it.
    pub checkpoint: Option<PathBuf>,
}

impl Default for Calibrate {
    fn default() -> Self {
        Self {
            n_images: 1000,
            families: Family::all().collect(),
            views: 1,
            target: None,
            required: false,
            seed: 0,
            checkpoint: None,
        }
    }
}

impl Calibrate {
    /// Sets how many images are corrupted, at most.
    #[must_use]
    pub fn n_images(self, n_images: usize) -> Self {
        Self { n_images, ..self }
    }

    /// Sets the families of corruptions.
    #[must_use]
    pub fn families(self, families: Vec<Family>) -> Self {
        Self { families, ..self }
    }

    /// Sets how many views of an image the classifier sees, 1 or 2.
    #[must_use]
    pub fn views(self, views: u8) -> Self {
        Self { views, ..self }
    }

    /// Sets what the calibration learns to foresee.
    #[must_use]
    pub fn target(self, target: Option<Target>) -> Self {
        Self { target, ..self }
    }

    /// Sets whether it is an error if the monitor cannot be calibrated.
    #[must_use]
    pub fn required(self, required: bool) -> Self {
        Self { required, ..self }
    }

    /// Sets what decides every random choice.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets the folder that keeps the answers to each corrupted set.
    #[must_use]
    pub fn checkpoint(self, checkpoint: Option<PathBuf>) -> Self {
        Self { checkpoint, ..self }
    }

    /// Checks what can be checked before any image is read.
    pub(crate) fn check(&self) -> Result<()> {
        if !(1..=2).contains(&self.views) {
            return Err(Error::option("views", self.views, "1 or 2"));
        }
        let mut families = self.families.clone();
        families.sort_unstable();
        families.dedup();
        if families.len() < 3 || families.len() < self.families.len() {
            let given: Vec<&str> = self.families.iter().map(|family| family.name()).collect();
            return Err(Error::option("families", given.join(","), "at least three, each once"));
        }
        if self.n_images < LEAST {
            return Err(Error::option("n_images", self.n_images, "at least 20"));
        }
        Ok(())
    }

    /// Images that a calibration takes at least.
    pub(crate) fn least(&self) -> usize {
        if self.required { LEAST } else { ENOUGH }
    }
}

/// What a calibrated monitor knows: how to estimate the accuracy of a batch, and the evidence of how well that goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    pub(crate) model: AccuracyModel,
    pub(crate) evidence: Vec<FamilyEvidence>,
}

impl Calibration {
    /// The model that judges batches.
    #[must_use]
    pub fn model(&self) -> &AccuracyModel {
        &self.model
    }

    /// What a model that did not see a family says of that family, for each; what a certificate is made from.
    #[must_use]
    pub fn evidence(&self) -> &[FamilyEvidence] {
        &self.evidence
    }
}

/// A calibration, what it was made with, and what there is to say about it.
pub(crate) struct Calibrated {
    pub(crate) calibration: Calibration,
    pub(crate) facts: CalibrationFacts,
    pub(crate) note: Option<String>,
}

/// Clean images with everything that was answered to them.
pub(crate) struct Seen {
    pub(crate) probabilities: Probabilities,
    /// The classifier's answers to the mirrored images, with two views.
    pub(crate) mirrored: Option<Vec<f32>>,
    /// Labels in the classifier's classes, unless the images have none.
    pub(crate) labels: Option<Vec<u32>>,
}

/// The seam between fitting and calibrating: corrupts `images`, and fits the model on them and on `reference`, which holds none
/// of them. `labels` are those of `images`, in the classifier's classes.
pub(crate) fn calibrate(
    pair: &Pair,
    images: &ImageSet,
    labels: Option<Vec<u32>>,
    reference: &Seen,
    config: &Calibrate,
    progress: &mut dyn Progress,
) -> Result<Calibrated> {
    config.check()?;
    let labels = labels.zip(reference.labels.as_deref());
    let target = match (config.target, &labels) {
        (Some(Target::Errors), None) => {
            let reason = "the calibration needs labels of all images, reference included, in the classifier's classes";
            return Err(Error::Calibration { reason: reason.into() });
        }
        (Some(target), _) => target,
        (None, Some(_)) => Target::Errors,
        (None, None) => Target::Flips,
    };
    let accuracy = AccuracyConfig::default().target(target);
    let declared = declare::Declared {
        pair,
        images,
        labels: labels
            .as_ref()
            .map(|(labels, _)| labels.as_slice())
            .filter(|_| target == Target::Errors),
        config,
        accuracy: &accuracy,
    };
    let (clean, sets) = declared.describe(progress)?;
    let wrong = match (&labels, target) {
        (Some((_, labels)), Target::Errors) => declare::errors(&reference.probabilities, labels),
        _ => vec![false; reference.probabilities.len()],
    };
    let reference = declare::described(
        None,
        reference.probabilities.clone(),
        reference.mirrored.clone(),
        wrong,
        &accuracy,
    )?;
    let fitted = AccuracyModel::fit(&reference, &clean, &sets, &accuracy)?;
    let calibration = Calibration {
        model: fitted.model,
        evidence: fitted.evidence.into_iter().map(files::rounded).collect(),
    };
    let files = CalibrationFiles::of(&calibration)?;
    let facts = CalibrationFacts {
        n_images: images.len(),
        n_reference: reference.len(),
        families: config.families.clone(),
        views: config.views,
        target,
        accuracy: calibration.model.reference_accuracy(),
        seed: config.seed,
        model: digest::of_bytes(&files.model),
        evidence: digest::of_bytes(&files.evidence),
    };
    Ok(Calibrated {
        calibration,
        facts,
        note: None,
    })
}

/// Whether an error says that these images cannot be calibrated on, rather than that something broke.
pub(crate) fn is_about_images(error: &Error) -> bool {
    matches!(
        error,
        Error::Calibration { .. } | Error::TooFew { .. } | Error::Detector(DetectorError::NoFit { .. })
    )
}
