//! The options of a drift detector and the decision rule.

use riptide_stats::multiple_testing::{Threshold, benjamini_hochberg, bonferroni};
use serde::{Deserialize, Serialize};

use super::outcome::{Decision, FeatureScore};
use super::update::ReferenceUpdate;
use crate::error::DetectorError;

/// How p-values of several features become one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Drift when any p < p_val / n_features: bounds the chance of one false alarm.
    #[default]
    Bonferroni,
    /// Drift when any sorted p_(i) < p_val · i / n_features (Benjamini & Hochberg 1995): bounds the false discovery rate.
    Fdr,
}

/// Whether the batch or each feature is decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftType {
    /// One decision, with the [`Correction`].
    #[default]
    Batch,
    /// One decision a feature, p < p_val each, uncorrected.
    Feature,
}

/// The options that every drift detector shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftConfig {
    /// Significance level, strictly between 0 and 1.
    pub p_val: f64,
    /// Correction for several features.
    pub correction: Correction,
    /// What is decided on.
    pub drift_type: DriftType,
    /// Whether `predict` changes the reference, and how.
    pub update_x_ref: Option<ReferenceUpdate>,
    /// Whether the reference was preprocessed before it was given.
    pub x_ref_preprocessed: bool,
    /// Whether a raw reference is preprocessed once, when the detector is built, or again at each call.
    pub preprocess_at_init: bool,
    /// The kind of data, repeated in the outcome's meta.
    pub data_type: Option<String>,
}

impl Default for DriftConfig {
    fn default() -> Self {
        Self {
            p_val: 0.05,
            correction: Correction::default(),
            drift_type: DriftType::default(),
            update_x_ref: None,
            x_ref_preprocessed: false,
            preprocess_at_init: true,
            data_type: None,
        }
    }
}

impl DriftConfig {
    pub(crate) fn check(&self) -> Result<(), DetectorError> {
        check_p_val(self.p_val)?;
        self.update_x_ref.map_or(Ok(()), |update| update.check())
    }
}

/// Errors unless 0 < p_val < 1.
pub(crate) fn check_p_val(p_val: f64) -> Result<(), DetectorError> {
    if p_val > 0.0 && p_val < 1.0 {
        return Ok(());
    }
    Err(DetectorError::option("p_val", p_val, "between 0 and 1, both excluded"))
}

/// Decision and threshold for the features' p-values.
pub(crate) fn decide(scores: &[FeatureScore], config: &DriftConfig) -> Result<(Decision, Threshold), DetectorError> {
    let p_val = config.p_val;
    if config.drift_type == DriftType::Feature {
        let decisions = scores.iter().map(|score| score.p_val < p_val).collect();
        return Ok((Decision::Feature(decisions), Threshold::Single(p_val)));
    }
    let p_values: Vec<f64> = scores.iter().map(|score| score.p_val).collect();
    let decision = match config.correction {
        Correction::Bonferroni => bonferroni(&p_values, p_val)?,
        Correction::Fdr => benjamini_hochberg(&p_values, p_val)?,
    };
    Ok((Decision::Batch(decision.is_rejected), decision.threshold))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide_on(p: &[f64], correction: Correction, drift_type: DriftType) -> (Decision, Threshold) {
        let scores: Vec<_> = p.iter().map(|&p_val| FeatureScore { distance: 0.1, p_val }).collect();
        decide(
            &scores,
            &DriftConfig {
                correction,
                drift_type,
                ..DriftConfig::default()
            },
        )
        .unwrap()
    }

    #[test]
    fn bonferroni_divides_the_level() {
        let p = [0.03, 0.5, 0.9, 0.7];
        let (decision, threshold) = decide_on(&p, Correction::Bonferroni, DriftType::Batch);
        assert_eq!(
            (decision, threshold),
            (Decision::Batch(false), Threshold::Single(0.0125))
        );
        let (decision, _) = decide_on(&[0.0125, 0.5, 0.9, 0.7], Correction::Bonferroni, DriftType::Batch);
        assert_eq!(decision, Decision::Batch(false), "the comparison is strict");
        let (decision, _) = decide_on(&[0.012, 0.5, 0.9, 0.7], Correction::Bonferroni, DriftType::Batch);
        assert_eq!(decision, Decision::Batch(true));
    }

    #[test]
    fn fdr_reports_the_largest_bound_passed_or_all() {
        let (decision, threshold) = decide_on(&[0.9, 0.03, 0.02, 0.5], Correction::Fdr, DriftType::Batch);
        assert_eq!(decision, Decision::Batch(false));
        assert_eq!(
            threshold,
            Threshold::PerRank(vec![0.0125, 0.025, 0.05 * 3.0 / 4.0, 0.05])
        );
        let (decision, threshold) = decide_on(&[0.9, 0.02, 0.02, 0.5], Correction::Fdr, DriftType::Batch);
        assert_eq!((decision, threshold), (Decision::Batch(true), Threshold::Single(0.025)));
    }

    #[test]
    fn features_are_decided_one_by_one() {
        let (decision, threshold) = decide_on(&[0.04, 0.05, 0.06], Correction::Bonferroni, DriftType::Feature);
        assert_eq!(
            (decision, threshold),
            (Decision::Feature(vec![true, false, false]), Threshold::Single(0.05))
        );
    }
}
