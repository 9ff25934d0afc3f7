//! The harm-directed test.

use riptide_stats::Interval;
use riptide_stats::ks::{Alternative, Method, Reference};
use serde::{Deserialize, Serialize};

use super::config::HarmConfig;
use super::fraction::excess_fraction;
use crate::drift::Meta;
use crate::error::DetectorError;

/// The findings of a [`HarmTest`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HarmData {
    /// Whether the batch is significantly worse than the reference and its excess fraction reaches the least one.
    pub is_harmful: bool,
    /// Whether the p-value is below the level.
    pub is_significant: bool,
    /// The one-sided Kolmogorov-Smirnov statistic: the largest F_ref − F.
    pub distance: f64,
    /// Its p-value, 0..=1.
    pub p_value: f64,
    /// The significance level that the p-value was compared with.
    pub level: f64,
    /// The excess fraction with its interval, all within 0..=1.
    pub excess_fraction: Interval,
    /// The two-sided confidence level of that interval, corrected for the choice among several scores.
    pub confidence: f64,
    /// The least excess fraction that counts as harm.
    pub min_fraction: f64,
    /// The score c at which the excess fraction is judged.
    pub cut: f64,
    /// The quantile of the reference's scores that c is.
    pub quantile: f64,
}

/// What a [`HarmTest`] found out about a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HarmOutcome {
    /// Which detector spoke.
    pub meta: Meta,
    /// What it found.
    pub data: HarmData,
}

/// The harm-directed decision; see the [module](super) for what it estimates and assumes.
///
/// ```
/// use riptide_detectors::HarmTest;
/// use riptide_detectors::harm::HarmConfig;
/// let reference: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
/// let test = HarmTest::new(&reference, HarmConfig::default())?;
/// // A batch of which every third instance scores beyond anything in the reference.
/// let batch: Vec<f64> = (0..300).map(|i| if i % 3 == 0 { 2.0 } else { f64::from(i) / 300.0 }).collect();
/// let outcome = test.test(&batch)?;
/// assert!(outcome.data.is_harmful);
/// let excess = outcome.data.excess_fraction;
/// assert!(excess.lower < 1.0 / 3.0 && 1.0 / 3.0 < excess.upper);
/// // An easier batch never alarms.
/// let easier: Vec<f64> = (0..300).map(|i| f64::from(i) / 900.0).collect();
/// assert!(!test.test(&easier)?.data.is_harmful);
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
#[derive(Debug, Clone)]
pub struct HarmTest {
    config: HarmConfig,
    reference: Reference,
    /// Where the excess fraction is judged; at least one place, by rising quantile.
    cuts: Vec<Cut>,
}

/// A score at which the excess fraction is judged.
#[derive(Debug, Clone, Copy)]
struct Cut {
    quantile: f64,
    score: f64,
    reference_below: usize,
}

impl HarmTest {
    /// Makes a test against the scores of clean images.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option out of range, [`DetectorError::Stats`] for a reference that is
    /// empty or holds NaN.
    pub fn new(reference: &[f64], config: HarmConfig) -> Result<Self, DetectorError> {
        config.check()?;
        let reference = Reference::new(reference)?;
        let sorted = reference.sorted();
        let mut cuts: Vec<Cut> = Vec::new();
        for quantile in config.quantiles() {
            let rank = ((quantile * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
            let score = sorted[rank - 1];
            // A short reference has one score at several quantiles; judging there twice would only cost level.
            if cuts.last().is_none_or(|last| last.score < score) {
                cuts.push(Cut {
                    quantile,
                    score,
                    reference_below: sorted.partition_point(|&other| other <= score),
                });
            }
        }
        Ok(Self {
            config,
            cuts,
            reference,
        })
    }

    /// Tests the scores of a batch. The reference never changes.
    ///
    /// # Errors
    /// [`DetectorError::Stats`] for a batch that is empty or holds NaN.
    pub fn test(&self, batch: &[f64]) -> Result<HarmOutcome, DetectorError> {
        let HarmConfig {
            level,
            min_fraction,
            confidence,
            ..
        } = self.config;
        let ks = self.reference.test(batch, Alternative::Greater, Method::Auto)?;
        let each = 1.0 - (1.0 - confidence) / self.cuts.len() as f64;
        let mut found: Option<(Cut, Interval)> = None;
        for &cut in &self.cuts {
            let below = batch.iter().filter(|&&score| score <= cut.score).count();
            let n_reference = self.reference.len();
            let interval = excess_fraction(below, batch.len(), cut.reference_below, n_reference, each)?;
            if found.is_none_or(|(_, best)| interval.lower > best.lower) {
                found = Some((cut, interval));
            }
        }
        // A reference has at least one score, so there is at least one cut.
        let (cut, excess_fraction) = found.ok_or(DetectorError::Empty {
            what: "the reference",
            unit: "score",
        })?;
        let is_significant = ks.p_value < level;
        Ok(HarmOutcome {
            meta: Meta::new("HarmTest", "drift", None),
            data: HarmData {
                is_harmful: is_significant && excess_fraction.estimate >= min_fraction,
                is_significant,
                distance: ks.statistic,
                p_value: ks.p_value,
                level,
                excess_fraction,
                confidence,
                min_fraction,
                cut: cut.score,
                quantile: cut.quantile,
            },
        })
    }

    /// The options.
    #[must_use]
    pub fn config(&self) -> &HarmConfig {
        &self.config
    }
}
