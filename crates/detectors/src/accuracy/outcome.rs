//! What a batch was found to be.

use riptide_stats::Interval;
use serde::{Deserialize, Serialize};

/// The verdict on a batch against a tolerated drop of accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// The accuracy has fallen by more than is tolerated.
    Harmful,
    /// The accuracy has fallen by less than is tolerated, if at all.
    Fit,
    /// The batch is too small to tell; [`AccuracyOutcome::n_needed`] says how many images would.
    Undecided,
    /// The batch lies outside what was declared: neither "fit" nor an estimate would rest on anything.
    Outside,
}

impl Verdict {
    /// `harmful`, `fit`, `undecided` or `outside`, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Harmful => "harmful",
            Self::Fit => "fit",
            Self::Undecided => "undecided",
            Self::Outside => "outside",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a figure rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Assumption {
    /// **A**: no shift. The batch is drawn as the reference was; the level of a test is then exact.
    A,
    /// **B**: the shift, if any, is exchangeable with the declared families of corruptions.
    B,
    /// **C**: none. Only labels of a random audit give that.
    C,
}

/// Why a batch lies outside what was declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
#[non_exhaustive]
pub enum Outside {
    /// A mean over the batch's images lies beyond all declared sets.
    Range {
        /// Which mean: `error probability`, `confidence` or `agreement`.
        quantity: String,
        /// Its value in the batch.
        value: f64,
        /// The least value of a declared set.
        lower: f64,
        /// The largest value of a declared set.
        upper: f64,
    },
    /// A mean does not go together with the others as it does in the declared sets.
    Relation {
        /// Which mean: `error probability`, `confidence` or `agreement`.
        quantity: String,
        /// Its value in the batch.
        value: f64,
        /// Its value in the nearest mixture of a declared set with clean images.
        expected: f64,
        /// How far the batch lies from the declared sets.
        distance: f64,
        /// The largest distance that is still inside.
        limit: f64,
    },
    /// The classifier's answers are distributed as in no declared set.
    Classes {
        /// The class whose share grew most.
        class: usize,
        /// Its share of the batch, 0..=1.
        share: f64,
        /// Its share of the reference, 0..=1.
        reference: f64,
    },
}

impl std::fmt::Display for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Range {
                quantity,
                value,
                lower,
                upper,
            } => write!(
                f,
                "the mean {quantity} is {value:.3}; the declared sets span {lower:.3} to {upper:.3}"
            ),
            Self::Relation {
                quantity,
                value,
                expected,
                distance,
                limit,
            } => write!(
                f,
                "the mean {quantity} is {value:.3} where {expected:.3} would go with the rest in the nearest declared set \
                 (distance {distance:.1}, limit {limit:.1})"
            ),
            Self::Classes {
                class,
                share,
                reference,
            } => write!(
                f,
                "{:.0} % of the answers are class {class}, {:.0} % in the reference: answers so distributed were not declared",
                100.0 * share,
                100.0 * reference
            ),
        }
    }
}

/// Has the accuracy fallen at all? The same test with a tolerated drop of 0, and under assumption A.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fallen {
    /// The one-sided p-value, 0..=1: how often a batch drawn as the reference was has a mean error probability this large.
    pub p_value: f64,
    /// Whether it is below the level.
    pub is_significant: bool,
}

/// What [`AccuracyModel::judge`](super::AccuracyModel::judge) found out about a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AccuracyOutcome {
    /// Number of images.
    pub n: u64,
    /// The verdict against the tolerated drop.
    pub verdict: Verdict,
    /// Estimated accuracy of the batch, 0..=1, with its interval. It means what [`Target`](super::Target) says.
    pub accuracy: Interval,
    /// Accuracy on the reference, 0..=1.
    pub reference: f64,
    /// By how much the accuracy is below the reference's, with its interval; negative if it is above.
    pub drop: Interval,
    /// What estimate, interval and verdict rest on: [`Assumption::B`].
    pub assumption: Assumption,
    /// The tolerated drop that the verdict is against.
    pub tolerated_drop: f64,
    /// One-sided p-value of "the drop is at most the tolerated one", 0..=1: small if the batch is harmful.
    pub p_value: f64,
    /// One-sided p-value of "the drop is at least the tolerated one", 0..=1: small if the batch is fit.
    pub p_value_fit: f64,
    /// Has the accuracy fallen at all?
    pub fallen: Fallen,
    /// How many images would decide, if the batch is undecided and went on as it is; none if no number would.
    pub n_needed: Option<u64>,
    /// Why the batch lies outside what was declared, if it does.
    pub outside: Option<Outside>,
    /// Mean error probability of the batch, 0..=1.
    pub mean_error: f64,
    /// Mean error probability of the reference, 0..=1.
    pub mean_error_reference: f64,
    /// The level that p-values were compared with.
    pub level: f64,
    /// The confidence level of the intervals.
    pub confidence: f64,
}
