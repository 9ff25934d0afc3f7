//! What can go wrong in this crate.

use std::path::PathBuf;

use riptide_stats::StatsError;

/// An error of somebody else's making: a network, a closure, a store.
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

    /// Findings by class were asked of a detector that does not know what the networks answered to its reference.
    #[error("the detector was saved without the answers to its reference's images: fit or import it again")]
    NoAnswers,

    /// The energy score was asked for where only probabilities are at hand.
    #[error(
        "the energy score needs the classifier's logits, which cannot be had from its probabilities: pass them with ScoreInput::with_logits, or choose another score"
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

    /// The iterator that feeds a stream of batches failed.
    #[error("reading batch {index} of the stream failed: {source}")]
    Stream {
        /// Batch number, counted from 0.
        index: usize,
        /// What it said.
        source: BoxError,
    },

    /// The training loss became infinite or not a number.
    #[error(
        "the loss is {loss} at step {step} of epoch {epoch} (both counted from 1): lower the learning rate (it is {learning_rate}) or look for bad values among the images"
    )]
    NonFiniteLoss {
        /// Epoch, counted from 1.
        epoch: usize,
        /// Step in that epoch, counted from 1.
        step: usize,
        /// The loss found.
        loss: f32,
        /// The learning rate in force.
        learning_rate: f64,
    },

    /// A statistical test refused its input.
    #[error(transparent)]
    Stats(#[from] StatsError),

    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Candle(#[from] candle_core::Error),

    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, `rename`, ….
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// A saved detector is not what it should be.
    #[error("{}: {reason}", path.display())]
    BadFormat {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },

    /// A saved detector was written by a version that this one cannot read.
    #[error("{}: format version {found}; this program reads versions 1 to {supported}: {advice}", path.display())]
    UnsupportedVersion {
        /// The detector's JSON file.
        path: PathBuf,
        /// The version it says.
        found: u64,
        /// The newest version this program knows.
        supported: u64,
        /// What to do.
        advice: &'static str,
    },

    /// A file of a saved detector is not the one that was saved.
    #[error("{}: SHA-256 is {found}, detector.json says {expected}: the file was changed after the detector was saved; restore it or save the detector again", path.display())]
    DigestMismatch {
        /// Which file.
        path: PathBuf,
        /// The digest in detector.json.
        expected: String,
        /// The digest of the file.
        found: String,
    },

    /// Saving or loading one of the networks failed.
    #[error("cannot {action} the {network} in {}: {source}", path.display())]
    NetworkStore {
        /// `save` or `load`.
        action: &'static str,
        /// `classifier`, `distilled network` or `networks`.
        network: &'static str,
        /// The network's folder.
        path: PathBuf,
        /// What it said.
        source: BoxError,
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

    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
