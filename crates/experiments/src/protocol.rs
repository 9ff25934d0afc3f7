//! The experiment's options, checked once.

use riptide_corruptions::{Corruption, Extended, Severity};
use riptide_detectors::ScoreKind;
use riptide_stats::ks::Alternative;
use serde::{Deserialize, Serialize};

use crate::comparison::ComparisonParams;
use crate::error::ExperimentError;

/// How reference and batches are drawn from the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// The reference is drawn without replacement and the clean part of a batch from the images outside it, so that
    /// reference and batch are independent and a clean batch's p-value is uniform.
    WithoutReplacement,
    /// Reference and batches are drawn with replacement from all clean test images, as the published example does.
    WithReplacement,
}

/// The options of an experiment, as a user gives them. [`ProtocolParams::check`] turns them into a [`Protocol`].
///
/// ```
/// use riptide_experiments::ProtocolParams;
///
/// let protocol = ProtocolParams { batch_size: 200, ..Default::default() }.check()?;
/// assert_eq!(protocol.params().n_ref, 1000);
/// # Ok::<(), riptide_experiments::ExperimentError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProtocolParams {
    /// Images in the reference.
    pub n_ref: usize,
    /// Images in a batch.
    pub batch_size: usize,
    /// Batches at each severity, kind and contamination.
    pub batches: usize,
    /// Contaminations: the fraction of a batch, 0 to 1, that is drawn from the corrupted images. The number of corrupted
    /// images is `round(fraction * batch_size)`: exact percentages, where the published example truncates
    /// `int(100 * (1 - p))` and so actually uses 61, 71, 81 and 91 % for the last four of its ten.
    pub fractions: Vec<f64>,
    /// Seed of every draw: corruptions, reference, batches, bootstrap.
    pub seed: u64,
    /// Significance level of the test: a batch alarms if its p-value is below it.
    pub level: f64,
    /// Alternative of the Kolmogorov-Smirnov test. The published example is two-sided; `greater` is the harmful
    /// direction.
    pub alternative: Alternative,
    /// How reference and batches are drawn.
    pub sampling: Sampling,
    /// Corruptions, stacked at each severity.
    pub corruptions: Vec<Corruption>,
    /// Severities, each swept by itself.
    pub severities: Vec<Severity>,
    /// Scores compared; the first is the one that the tables and figures lead with.
    pub scores: Vec<ScoreKind>,
    /// The comparison with the accuracy test; none to leave it out. It changes nothing else.
    #[serde(default)]
    pub comparison: Option<ComparisonParams>,
    /// 2 to pass the mirrored images through the networks too, for the accuracy test alone; 1 by default.
    #[serde(default = "one_view")]
    pub views: u8,
    /// Kinds of damage of our own that the accuracy test's models are fitted on too, as a calibrated monitor's are. Nothing is judged on
    /// them. None by default, since each costs a pass of all images at every severity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared: Vec<Extended>,
    /// Resamples of the bootstrap behind the areas under the ROC curve.
    pub resamples: usize,
}

impl Default for ProtocolParams {
    fn default() -> Self {
        Self {
            n_ref: 1000,
            batch_size: 100,
            batches: 100,
            fractions: (0..10).map(|tenth| f64::from(tenth) / 10.0).collect(),
            seed: 0,
            level: 0.05,
            alternative: Alternative::TwoSided,
            sampling: Sampling::WithoutReplacement,
            corruptions: Corruption::ALL.to_vec(),
            severities: Severity::ALL.to_vec(),
            scores: vec![ScoreKind::Distillation],
            comparison: Some(ComparisonParams::default()),
            views: one_view(),
            declared: Vec::new(),
            resamples: 200,
        }
    }
}

fn one_view() -> u8 {
    1
}

/// A protocol whose options have been checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Protocol(ProtocolParams);

impl ProtocolParams {
    /// Checks the options, and puts the contaminations in rising order.
    ///
    /// # Errors
    /// [`ExperimentError::Option`] for an empty list, a repeated entry, a count of zero, a fraction outside 0 to 1, or a
    /// level outside 0 to 1.
    pub fn check(mut self) -> Result<Protocol, ExperimentError> {
        let counts = [
            ("n_ref", self.n_ref, 2),
            ("batch_size", self.batch_size, 1),
            ("batches", self.batches, 1),
            ("resamples", self.resamples, 1),
        ];
        for (option, value, least) in counts {
            if value < least {
                return Err(ExperimentError::option(
                    option,
                    format!("{value} is too small; give at least {least}"),
                ));
            }
        }
        for &fraction in &self.fractions {
            if !(0.0..=1.0).contains(&fraction) {
                return Err(ExperimentError::option(
                    "fractions",
                    format!("{fraction} is not between 0 and 1"),
                ));
            }
        }
        if !matches!(self.views, 1 | 2) {
            return Err(ExperimentError::option(
                "views",
                format!("{} is not 1 or 2", self.views),
            ));
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(ExperimentError::option(
                "level",
                format!("{} is not between 0 and 1", self.level),
            ));
        }
        if self.scores.contains(&ScoreKind::Energy) {
            let possible = ScoreKind::FROM_PROBABILITIES.map(ScoreKind::name).join(", ");
            let reason = format!(
                "energy needs the classifier's logits, and a pass keeps class probabilities, from which they cannot be \
                 recovered; give any of {possible}"
            );
            return Err(ExperimentError::option("scores", reason));
        }
        if !self.declared.is_empty() {
            distinct("declared", &self.declared)?;
        }
        distinct("fractions", &self.fractions)?;
        self.fractions.sort_by(f64::total_cmp);
        distinct("corruptions", &self.corruptions)?;
        distinct("severities", &self.severities)?;
        distinct("scores", &self.scores)?;
        Ok(Protocol(self))
    }
}

fn distinct<T: PartialEq>(option: &'static str, values: &[T]) -> Result<(), ExperimentError> {
    if values.is_empty() {
        return Err(ExperimentError::option(option, "the list is empty; give at least one"));
    }
    let repeated = values
        .iter()
        .enumerate()
        .any(|(i, value)| values.iter().take(i).any(|other| other == value));
    if repeated {
        return Err(ExperimentError::option(option, "an entry is repeated; give each once"));
    }
    Ok(())
}

impl Protocol {
    /// The options.
    pub fn params(&self) -> &ProtocolParams {
        &self.0
    }

    /// Corrupted images in a batch at `fraction`: `round(fraction * batch_size)`.
    pub fn contaminated(&self, fraction: f64) -> usize {
        // A fraction of 0 to 1 of a batch size: non-negative and no larger than it.
        (fraction * self.0.batch_size as f64).round() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_published_protocol_with_exact_percentages() {
        let protocol = ProtocolParams::default().check().unwrap();
        let counts: Vec<usize> = protocol
            .params()
            .fractions
            .iter()
            .map(|&f| protocol.contaminated(f))
            .collect();
        assert_eq!(counts, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
    }

    #[test]
    fn contaminations_rise_in_whatever_order_they_are_given() {
        let params = ProtocolParams {
            fractions: vec![0.9, 0.0, 0.3],
            ..Default::default()
        };
        assert_eq!(params.check().unwrap().params().fractions, [0.0, 0.3, 0.9]);
    }

    #[test]
    fn energy_is_refused_with_what_to_give_instead() {
        let params = ProtocolParams {
            scores: vec![ScoreKind::Distillation, ScoreKind::Energy],
            ..Default::default()
        };
        let message = params.check().unwrap_err().to_string();
        assert!(
            message.starts_with("scores: energy needs") && message.ends_with("margin, surprise"),
            "{message}"
        );
        let every = ProtocolParams {
            scores: ScoreKind::FROM_PROBABILITIES.to_vec(),
            ..Default::default()
        };
        assert!(every.check().is_ok());
    }

    #[test]
    fn unusable_options_are_named() {
        let cases = [
            (
                ProtocolParams {
                    n_ref: 0,
                    ..Default::default()
                },
                "n_ref",
            ),
            (
                ProtocolParams {
                    batches: 0,
                    ..Default::default()
                },
                "batches",
            ),
            (
                ProtocolParams {
                    fractions: vec![1.5],
                    ..Default::default()
                },
                "fractions",
            ),
            (
                ProtocolParams {
                    fractions: vec![f64::NAN],
                    ..Default::default()
                },
                "fractions",
            ),
            (
                ProtocolParams {
                    level: 0.0,
                    ..Default::default()
                },
                "level",
            ),
            (
                ProtocolParams {
                    severities: vec![],
                    ..Default::default()
                },
                "severities",
            ),
            (
                ProtocolParams {
                    fractions: vec![0.1, 0.1],
                    ..Default::default()
                },
                "fractions",
            ),
        ];
        for (params, option) in cases {
            let message = params.check().unwrap_err().to_string();
            assert!(message.starts_with(option), "{message}");
        }
    }
}
