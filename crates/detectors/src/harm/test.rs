//! The harm-directed test.

use riptide_stats::ks::{Alternative, Method, Reference};
use serde::{Deserialize, Serialize};

use super::fraction::{ExcessFraction, check_confidence, excess_fraction};
use crate::drift::{Meta, check_p_val};
use crate::error::DetectorError;

/// The options of a [`HarmTest`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HarmConfig {
    /// Significance level of the one-sided test, strictly between 0 and 1.
    pub p_val: f64,
    /// The least excess fraction that counts as harm, 0..=1; 0 leaves significance alone to decide.
    pub min_fraction: f64,
    /// Two-sided confidence level of the interval, strictly between 0 and 1.
    pub confidence: f64,
    /// The quantile of the reference's scores at which the excess fraction is judged, strictly between 0 and 1.
    pub quantile: f64,
}

impl Default for HarmConfig {
    fn default() -> Self {
        Self {
            p_val: 0.05,
            min_fraction: 0.1,
            confidence: 0.95,
            quantile: 0.5,
        }
    }
}

/// The findings of a [`HarmTest`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HarmData {
    /// Whether the batch is significantly worse than the reference and its excess fraction reaches the least one.
    pub is_harmful: bool,
    /// Whether p_val is below the threshold.
    pub is_significant: bool,
    /// The one-sided Kolmogorov-Smirnov statistic: the largest F_ref − F.
    pub distance: f64,
    /// Its p-value, 0..=1.
    pub p_val: f64,
    /// The significance level that p_val was compared with.
    pub threshold: f64,
    /// The excess fraction with its interval.
    pub excess_fraction: ExcessFraction,
    /// The least excess fraction that counts as harm.
    pub min_fraction: f64,
    /// The score c at which the excess fraction is judged.
    pub cut: f64,
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
/// let reference: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
/// let test = HarmTest::builder(reference).min_fraction(0.1).build()?;
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
    cut: f64,
    reference_below: usize,
}

/// Collects the options of a [`HarmTest`].
#[derive(Debug, Clone)]
#[must_use]
pub struct HarmTestBuilder {
    config: HarmConfig,
    reference: Vec<f64>,
}

impl HarmTestBuilder {
    /// Significance level of the one-sided test; 0.05 by default.
    pub fn p_val(mut self, p_val: f64) -> Self {
        self.config.p_val = p_val;
        self
    }

    /// The least excess fraction that counts as harm, 0..=1; 0.1 by default.
    pub fn min_fraction(mut self, min_fraction: f64) -> Self {
        self.config.min_fraction = min_fraction;
        self
    }

    /// Two-sided confidence level of the interval; 0.95 by default.
    pub fn confidence(mut self, confidence: f64) -> Self {
        self.config.confidence = confidence;
        self
    }

    /// The quantile of the reference's scores at which the excess fraction is judged; the median, 0.5, by default.
    pub fn quantile(mut self, quantile: f64) -> Self {
        self.config.quantile = quantile;
        self
    }

    /// All options at once.
    pub fn config(mut self, config: HarmConfig) -> Self {
        self.config = config;
        self
    }

    /// Checks the options and prepares the reference.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option out of range, [`DetectorError::Stats`] for a reference that is
    /// empty or holds NaN.
    pub fn build(self) -> Result<HarmTest, DetectorError> {
        let HarmConfig {
            p_val,
            min_fraction,
            confidence,
            quantile,
        } = self.config;
        check_p_val(p_val)?;
        check_confidence(confidence)?;
        if !(0.0..=1.0).contains(&min_fraction) {
            return Err(DetectorError::option("min_fraction", min_fraction, "between 0 and 1"));
        }
        if !(quantile > 0.0 && quantile < 1.0) {
            return Err(DetectorError::option(
                "quantile",
                quantile,
                "between 0 and 1, both excluded",
            ));
        }
        let reference = Reference::new(&self.reference)?;
        let sorted = reference.sorted();
        let rank = ((quantile * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
        let cut = sorted[rank - 1];
        let reference_below = sorted.partition_point(|&score| score <= cut);
        Ok(HarmTest {
            config: self.config,
            cut,
            reference_below,
            reference,
        })
    }
}

impl HarmTest {
    /// Starts a test against the scores of clean images.
    pub fn builder(reference: impl Into<Vec<f64>>) -> HarmTestBuilder {
        HarmTestBuilder {
            config: HarmConfig::default(),
            reference: reference.into(),
        }
    }

    /// Tests the scores of a batch. The reference never changes.
    ///
    /// # Errors
    /// [`DetectorError::Stats`] for a batch that is empty or holds NaN.
    pub fn test(&self, batch: &[f64]) -> Result<HarmOutcome, DetectorError> {
        let HarmConfig {
            p_val: threshold,
            min_fraction,
            confidence,
            ..
        } = self.config;
        let ks = self.reference.test(batch, Alternative::Greater, Method::Auto)?;
        let batch_below = batch.iter().filter(|&&score| score <= self.cut).count();
        let excess_fraction = excess_fraction(
            batch_below,
            batch.len(),
            self.reference_below,
            self.reference.len(),
            confidence,
        )?;
        let is_significant = ks.p_value < threshold;
        Ok(HarmOutcome {
            meta: Meta::new("HarmTest", "drift", None),
            data: HarmData {
                is_harmful: is_significant && excess_fraction.estimate >= min_fraction,
                is_significant,
                distance: ks.statistic,
                p_val: ks.p_value,
                threshold,
                excess_fraction,
                min_fraction,
                cut: self.cut,
            },
        })
    }

    /// The options.
    #[must_use]
    pub fn config(&self) -> &HarmConfig {
        &self.config
    }
}
