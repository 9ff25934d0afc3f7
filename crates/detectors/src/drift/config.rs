//! The options of a drift test and the decision rule.

use riptide_stats::ks::Alternative;
use riptide_stats::multiple_testing::{Level, benjamini_hochberg, bonferroni};
use serde::{Deserialize, Serialize};

use super::outcome::{Decision, FeatureScore};
use super::update::ReferenceUpdate;
use crate::error::DetectorError;

/// How p-values of several features become one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Drift if any p < level / n_features: bounds the chance of one false alarm.
    #[default]
    Bonferroni,
    /// Drift if any sorted p_(i) < level · i / n_features (Benjamini & Hochberg 1995): bounds the false discovery rate.
    Fdr,
}

/// Whether the batch or each feature is decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftType {
    /// One decision, with the [`Correction`].
    #[default]
    Batch,
    /// One decision a feature, p < level each, uncorrected.
    Feature,
}

/// The options of a drift test, checked when the test is made.
///
/// ```
/// use riptide_detectors::drift::{Correction, DriftConfig};
/// use riptide_stats::ks::Alternative;
/// let config = DriftConfig::default().level(0.01).alternative(Alternative::Greater).correction(Correction::Fdr);
/// assert_eq!(config.level, 0.01);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DriftConfig {
    /// Significance level, strictly between 0 and 1; 0.05 by default. Earlier files call it `p_val`.
    #[serde(alias = "p_val")]
    pub level: f64,
    /// What counts as drift. By default [`Alternative::default`], two-sided as in the published example: the one place that
    /// says so. With harmfulness scores, `greater` is the harmful direction: the batch's scores are larger.
    pub alternative: Alternative,
    /// Correction for several features; Bonferroni by default.
    pub correction: Correction,
    /// What is decided on; the whole batch by default.
    pub drift_type: DriftType,
    /// Whether `predict` changes the reference, and how; by default it stays as it is.
    #[serde(alias = "update_x_ref")]
    pub reference_update: Option<ReferenceUpdate>,
    /// Whether the reference was preprocessed before it was given; batches still are. False by default.
    #[serde(alias = "x_ref_preprocessed")]
    pub reference_is_preprocessed: bool,
    /// Whether a raw reference is preprocessed once, when the test is made (the default), or again at each call.
    pub preprocess_at_init: bool,
    /// The kind of data, repeated in the outcome's meta; none by default.
    pub data_type: Option<String>,
}

impl Default for DriftConfig {
    fn default() -> Self {
        Self {
            level: 0.05,
            alternative: Alternative::default(),
            correction: Correction::default(),
            drift_type: DriftType::default(),
            reference_update: None,
            reference_is_preprocessed: false,
            preprocess_at_init: true,
            data_type: None,
        }
    }
}

impl DriftConfig {
    /// Sets the significance level.
    #[must_use]
    pub fn level(self, level: f64) -> Self {
        Self { level, ..self }
    }

    /// Sets what counts as drift.
    #[must_use]
    pub fn alternative(self, alternative: Alternative) -> Self {
        Self { alternative, ..self }
    }

    /// Sets the correction for several features.
    #[must_use]
    pub fn correction(self, correction: Correction) -> Self {
        Self { correction, ..self }
    }

    /// Sets what is decided on.
    #[must_use]
    pub fn drift_type(self, drift_type: DriftType) -> Self {
        Self { drift_type, ..self }
    }

    /// Lets `predict` renew the reference.
    #[must_use]
    pub fn reference_update(self, update: ReferenceUpdate) -> Self {
        let reference_update = Some(update);
        Self {
            reference_update,
            ..self
        }
    }

    /// Says whether the reference given has been preprocessed already.
    #[must_use]
    pub fn reference_is_preprocessed(self, reference_is_preprocessed: bool) -> Self {
        Self {
            reference_is_preprocessed,
            ..self
        }
    }

    /// Sets whether a raw reference is preprocessed once or at each call.
    #[must_use]
    pub fn preprocess_at_init(self, preprocess_at_init: bool) -> Self {
        Self {
            preprocess_at_init,
            ..self
        }
    }

    /// Sets the kind of data, repeated in the outcome's meta.
    #[must_use]
    pub fn data_type(self, data_type: impl Into<String>) -> Self {
        let data_type = Some(data_type.into());
        Self { data_type, ..self }
    }

    pub(super) fn check(&self) -> Result<(), DetectorError> {
        check_level(self.level)?;
        self.reference_update.map_or(Ok(()), |update| update.check())
    }
}

/// Returns an error unless 0 < level < 1.
pub(crate) fn check_level(level: f64) -> Result<(), DetectorError> {
    if level > 0.0 && level < 1.0 {
        return Ok(());
    }
    Err(DetectorError::option("level", level, "between 0 and 1, both excluded"))
}

/// The decision, and the levels that the features' p-values were compared with.
pub(super) fn decide(scores: &[FeatureScore], config: &DriftConfig) -> Result<(Decision, Level), DetectorError> {
    let level = config.level;
    if config.drift_type == DriftType::Feature {
        let decisions = scores.iter().map(|score| score.p_value < level).collect();
        return Ok((Decision::Feature(decisions), Level::Single(level)));
    }
    let p_values: Vec<f64> = scores.iter().map(|score| score.p_value).collect();
    let decision = match config.correction {
        Correction::Bonferroni => bonferroni(&p_values, level)?,
        Correction::Fdr => benjamini_hochberg(&p_values, level)?,
    };
    Ok((Decision::Batch(decision.is_rejected), decision.level))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide_on(p: &[f64], correction: Correction, drift_type: DriftType) -> (Decision, Level) {
        let scores: Vec<_> = p
            .iter()
            .map(|&p_value| FeatureScore { distance: 0.1, p_value })
            .collect();
        let config = DriftConfig::default().correction(correction).drift_type(drift_type);
        decide(&scores, &config).unwrap()
    }

    #[test]
    fn bonferroni_divides_the_level() {
        let p = [0.03, 0.5, 0.9, 0.7];
        let (decision, level) = decide_on(&p, Correction::Bonferroni, DriftType::Batch);
        assert_eq!((decision, level), (Decision::Batch(false), Level::Single(0.0125)));
        let (decision, _) = decide_on(&[0.0125, 0.5, 0.9, 0.7], Correction::Bonferroni, DriftType::Batch);
        assert_eq!(decision, Decision::Batch(false), "the comparison is strict");
        let (decision, _) = decide_on(&[0.012, 0.5, 0.9, 0.7], Correction::Bonferroni, DriftType::Batch);
        assert_eq!(decision, Decision::Batch(true));
    }

    #[test]
    fn fdr_reports_the_largest_bound_passed_or_all() {
        let (decision, level) = decide_on(&[0.9, 0.03, 0.02, 0.5], Correction::Fdr, DriftType::Batch);
        assert_eq!(decision, Decision::Batch(false));
        assert_eq!(level, Level::PerRank(vec![0.0125, 0.025, 0.05 * 3.0 / 4.0, 0.05]));
        let (decision, level) = decide_on(&[0.9, 0.02, 0.02, 0.5], Correction::Fdr, DriftType::Batch);
        assert_eq!((decision, level), (Decision::Batch(true), Level::Single(0.025)));
    }

    #[test]
    fn features_are_decided_one_by_one() {
        let (decision, level) = decide_on(&[0.04, 0.05, 0.06], Correction::Bonferroni, DriftType::Feature);
        assert_eq!(
            (decision, level),
            (Decision::Feature(vec![true, false, false]), Level::Single(0.05))
        );
    }

    /// A misspelt option must not silently become the default.
    #[test]
    fn options_are_read_by_name() {
        let read = |json| serde_json::from_str::<DriftConfig>(json);
        assert_eq!(read("{}").unwrap(), DriftConfig::default());
        assert_eq!(read(r#"{"p_val": 0.01}"#).unwrap(), DriftConfig::default().level(0.01));
        assert!(read(r#"{"levle": 0.01}"#).is_err());
    }
}
