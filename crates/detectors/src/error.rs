//! What can go wrong in this crate.

use riptide_stats::StatsError;

/// An error from outside this crate: what a network or a closure returned.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Every error of this crate: what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectorError {
    /// Two lengths or shapes that must agree do not.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// What has the wrong shape.
        what: &'static str,
        /// The shape that was needed.
        expected: String,
        /// The shape that was given.
        found: String,
    },

    /// There is nothing to work on.
    #[error("{what} is empty: give at least one {unit}")]
    Empty {
        /// What is empty.
        what: &'static str,
        /// What it is made of.
        unit: &'static str,
    },

    /// A class probability is negative, infinite or not a number.
    #[error(
        "the {network} gave {value} as the probability of class {class} for instance {instance}: probabilities lie in 0..=1"
    )]
    InvalidProbability {
        /// Which network: `classifier` or `distilled network`.
        network: &'static str,
        /// Row, counted from 0.
        instance: usize,
        /// Column, counted from 0.
        class: usize,
        /// The value found.
        value: f32,
    },

    /// A logit is infinite or not a number.
    #[error("logit {class} of instance {instance} is {value}: logits must be finite")]
    InvalidLogit {
        /// Row, counted from 0.
        instance: usize,
        /// Column, counted from 0.
        class: usize,
        /// The value found.
        value: f32,
    },

    /// A row of class probabilities does not sum to 1.
    #[error(
        "the {network}'s probabilities of instance {instance} sum to {sum}, not 1: apply a softmax if these are logits"
    )]
    NotNormalized {
        /// Which network: `classifier` or `distilled network`.
        network: &'static str,
        /// Row, counted from 0.
        instance: usize,
        /// The sum found.
        sum: f64,
    },

    /// An option is outside its range.
    #[error("{option} is {value}; it must be {expected}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// The value given.
        value: String,
        /// The range allowed.
        expected: &'static str,
    },

    /// A name that no variant has.
    #[error("unknown {what} `{name}`; known: {known}")]
    UnknownName {
        /// What was being named.
        what: &'static str,
        /// The name given.
        name: String,
        /// The names that exist, comma separated.
        known: String,
    },

    /// `predict` was called before a threshold was set.
    #[error("the detector has no threshold: call infer_threshold on clean images, or set_threshold, before predict")]
    NoThreshold,

    /// The energy score was asked for, but only probabilities are at hand.
    #[error(
        "the energy score needs the classifier's logits, which its probabilities do not determine: pass them with ScoreInput::with_logits, or choose another score"
    )]
    NoLogits,

    /// A scoring network failed.
    #[error("the networks failed on a batch of {n} images: {source}")]
    Networks {
        /// Number of images in the batch.
        n: usize,
        /// What they said.
        source: BoxError,
    },

    /// The preprocessing function failed.
    #[error("preprocessing of the {what} failed: {source}")]
    Preprocess {
        /// `reference` or `batch`.
        what: &'static str,
        /// What it said.
        source: BoxError,
    },

    /// A statistical test refused its input.
    #[error(transparent)]
    Stats(#[from] StatsError),

    /// A model could not be fitted.
    #[error("the accuracy model could not be fitted: {reason}")]
    NoFit {
        /// Why, and what to do.
        reason: String,
    },

    /// The saved state of a drift test contradicts itself, or is another test's.
    #[error("the saved drift test {reason}")]
    BadState {
        /// What is wrong with it and what to do.
        reason: String,
    },
}

impl DetectorError {
    pub(crate) fn shape(what: &'static str, expected: impl ToString, found: impl ToString) -> Self {
        Self::Shape {
            what,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    pub(crate) fn option(option: &'static str, value: impl ToString, expected: &'static str) -> Self {
        Self::InvalidOption {
            option,
            value: value.to_string(),
            expected,
        }
    }
}
