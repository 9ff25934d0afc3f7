//! What a monitor can promise about its own alarms, measured on corruptions that its model did not see.

use riptide_stats::Interval;
use serde::{Deserialize, Serialize};

use crate::accuracy::{AccuracyOptions, FamilyEvidence};
use crate::error::DetectorError;
use crate::sequential::SequentialConfig;

/// The options of a [`Certificate`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CertifyConfig {
    /// Batch sizes, each at least 2; 50, 100, 200, 500 and 1000 by default.
    pub sizes: Vec<usize>,
    /// The share of a batch that is corrupted, the rest being clean, each above 0 and at most 1; 0.25, 0.5 and 1 by default.
    pub contaminations: Vec<f64>,
    /// Batches drawn for every set, contamination and size; 400 by default.
    pub batches: usize,
    /// The power that counts as found, strictly between 0 and 1; 0.95 by default.
    pub power: f64,
    /// How batches are judged.
    pub options: AccuracyOptions,
    /// The sequential test.
    pub sequential: SequentialConfig,
    /// Streams drawn for every set to count the images to an alarm; 100 by default.
    pub streams: usize,
    /// Length of each stream, in images; 3000 by default.
    pub stream_length: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for CertifyConfig {
    fn default() -> Self {
        Self {
            sizes: vec![50, 100, 200, 500, 1000],
            contaminations: vec![0.25, 0.5, 1.0],
            batches: 400,
            power: 0.95,
            options: AccuracyOptions::default(),
            sequential: SequentialConfig::default(),
            streams: 100,
            stream_length: 3000,
            seed: 0,
        }
    }
}

impl CertifyConfig {
    /// Sets the batch sizes.
    #[must_use]
    pub fn sizes(self, sizes: Vec<usize>) -> Self {
        Self { sizes, ..self }
    }

    /// Sets the contaminations.
    #[must_use]
    pub fn contaminations(self, contaminations: Vec<f64>) -> Self {
        Self { contaminations, ..self }
    }

    /// Sets the number of batches.
    #[must_use]
    pub fn batches(self, batches: usize) -> Self {
        Self { batches, ..self }
    }

    /// Sets how batches are judged.
    #[must_use]
    pub fn options(self, options: AccuracyOptions) -> Self {
        Self { options, ..self }
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// A declared set, or a mixture of it with clean images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    /// The kind of corruption.
    pub family: String,
    /// The severity.
    pub severity: u8,
    /// The share of corrupted images, 0..=1.
    pub contamination: f64,
}

/// How often batches of one size from one mixture were called what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertificateCell {
    /// Where the batches came from.
    pub mixture: Mixture,
    /// Images in a batch.
    pub n: usize,
    /// True drop of accuracy in the mixture, against the clean images.
    pub drop: f64,
    /// Batches that alarmed: harmful, or outside what was declared. With Clopper and Pearson's 95 % limits.
    pub alarms: Interval,
    /// Batches that were called harmful, likewise.
    pub harmful: Interval,
    /// Batches that were called fit, likewise.
    pub fit: Interval,
    /// Batches that were called outside, likewise.
    pub outside: Interval,
}

/// What the certificate says about one batch size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SizeSummary {
    /// Images in a batch.
    pub n: usize,
    /// The least drop d such that every mixture with a drop of d or more is found with a lower limit of at least the power
    /// asked for; none if the mixture with the largest drop is not.
    pub least_detectable_drop: Option<f64>,
    /// The worst rate of alarms among mixtures whose drop is at most the tolerated one; none if there is none.
    pub false_alarms: Option<Interval>,
    /// The mixture with that rate.
    pub false_alarms_in: Option<Mixture>,
    /// The rate of alarms on clean batches.
    pub clean_alarms: Interval,
    /// Mixtures with a drop above the tolerated one that are missed: the lower limit of alarms is below the power. Largest drop
    /// first.
    pub missed: Vec<Mixture>,
    /// Mixtures with a drop of at most the tolerated one that alarm significantly more often than the level. Most alarms first.
    pub alarming: Vec<Mixture>,
}

/// How many images the sequential test takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamSummary {
    /// Where the images came from.
    pub mixture: Mixture,
    /// True drop of accuracy in the mixture.
    pub drop: f64,
    /// Streams that alarmed before their end, with Clopper and Pearson's 95 % limits.
    pub alarms: Interval,
    /// Median number of images to the alarm; none if fewer than half of the streams alarmed.
    pub median_images: Option<u64>,
}

/// The certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Certificate {
    /// The options that it was made with.
    pub config: CertifyConfig,
    /// Accuracy on the clean images, 0..=1.
    pub accuracy: f64,
    /// The families declared.
    pub families: Vec<String>,
    /// One entry a batch size, in the order asked for.
    pub sizes: Vec<SizeSummary>,
    /// Every mixture and size.
    pub cells: Vec<CertificateCell>,
    /// Every mixture under the sequential test.
    pub streams: Vec<StreamSummary>,
}

/// Certifies a fitted model from what it kept; no network is run. Each family is judged by the model that did not see it.
///
/// # Errors
/// [`DetectorError::Empty`] without evidence, [`DetectorError::Shape`] for arrays of different lengths,
/// [`DetectorError::InvalidOption`] for an option out of range.
pub fn certify(evidence: &[FamilyEvidence], config: &CertifyConfig) -> Result<Certificate, DetectorError> {
    Err(DetectorError::option(
        "evidence",
        format!("{} families, {} sizes", evidence.len(), config.sizes.len()),
        "finished",
    ))
}
