//! What can go wrong in an experiment.

use thiserror::Error;

/// What went wrong in an experiment, where, and what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// An option of the protocol cannot be used.
    #[error("{option}: {reason}")]
    Option {
        /// The field of [`ProtocolParams`](crate::ProtocolParams).
        option: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The clean test images carry no labels, so nothing can be called harmful.
    #[error("the test images of {0} carry no labels; harm is measured against labels, so the experiment needs them")]
    Unlabelled(String),
    /// A network and the images do not belong together.
    #[error("the networks and the images disagree: {0}")]
    Mismatch(String),
    /// Too few images for what was asked.
    #[error("{what} needs {needed} images but there are {available}; {advice}")]
    TooFew {
        /// What the images were for.
        what: &'static str,
        /// How many are needed.
        needed: usize,
        /// How many there are.
        available: usize,
        /// What to change.
        advice: &'static str,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] riptide_files::FileError),
    /// A figure could not be drawn.
    #[error("figure {figure}: {source}")]
    Figure {
        /// Which figure.
        figure: String,
        /// Why.
        source: riptide_draw::DrawError,
    },
    /// A picture for a figure or the report could not be encoded.
    #[error(transparent)]
    Draw(#[from] riptide_draw::DrawError),
    /// A table could not be written as CSV.
    #[error("CSV: {0}")]
    Csv(#[from] csv::Error),
    /// The report's page could not be made.
    #[error("report.html: {0}")]
    Report(#[from] minijinja::Error),
    /// A result could not be written as JSON.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The images could not be read.
    #[error(transparent)]
    Dataset(#[from] riptide_datasets::DatasetError),
    /// A corruption could not be applied.
    #[error(transparent)]
    Corruption(#[from] riptide_corruptions::CorruptionError),
    /// A network could not be loaded or run.
    #[error(transparent)]
    Model(#[from] riptide_models::ModelError),
    /// A score or a test failed.
    #[error(transparent)]
    Detector(#[from] riptide_detectors::DetectorError),
    /// A statistic could not be computed.
    #[error(transparent)]
    Stats(#[from] riptide_stats::StatsError),
}

impl ExperimentError {
    pub(crate) fn option(option: &'static str, reason: impl Into<String>) -> Self {
        Self::Option {
            option,
            reason: reason.into(),
        }
    }
}
