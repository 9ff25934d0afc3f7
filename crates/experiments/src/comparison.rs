//! The options of the comparison of the published decision with the accuracy test.

use riptide_detectors::accuracy::{AccuracyConfig, AccuracyOptions};
use serde::{Deserialize, Serialize};

use crate::error::ExperimentError;

/// The options of the comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ComparisonParams {
    /// How many times images are split anew into fit, reference and test; at least 1, 10 by default.
    pub references: usize,
    /// Batches of each cell under each reference.
    pub batches: usize,
    /// Sizes of the batches of naturally corrupted images.
    pub natural_sizes: Vec<usize>,
    /// Such batches of each set and size under each reference.
    pub natural_batches: usize,
    /// Streams of each set under each reference.
    pub streams: usize,
    /// Images of each stream.
    pub stream_length: usize,
    /// Level of the sequential test.
    pub stream_level: f64,
    /// How batches are judged; with intervals of 90 % by default, since 18 of the 19 families allow no more.
    pub options: AccuracyOptions,
    /// How the models are fitted.
    pub fit: AccuracyConfig,
}

impl Default for ComparisonParams {
    fn default() -> Self {
        Self {
            references: 10,
            batches: 100,
            natural_sizes: vec![100, 500],
            natural_batches: 20,
            streams: 4,
            stream_length: 3000,
            stream_level: 0.01,
            // With one of nineteen families left out there are eighteen, and no interval of 95 % from so few is finite.
            options: AccuracyOptions::default().confidence(0.9),
            fit: AccuracyConfig::default().max_images(30_000),
        }
    }
}

impl ComparisonParams {
    pub(crate) fn check(&self) -> Result<(), ExperimentError> {
        let counts = [
            ("references", self.references),
            ("batches", self.batches),
            ("natural_batches", self.natural_batches),
            ("streams", self.streams),
            ("stream_length", self.stream_length),
        ];
        for (option, count) in counts {
            if count == 0 {
                return Err(ExperimentError::option(option, "0 is too small; give at least 1"));
            }
        }
        Ok(())
    }

    /// Sets how many times images are split anew.
    #[must_use]
    pub fn references(self, references: usize) -> Self {
        Self { references, ..self }
    }

    /// Sets how batches are judged.
    #[must_use]
    pub fn options(self, options: AccuracyOptions) -> Self {
        Self { options, ..self }
    }

    /// Sets the batches of each cell under each reference.
    #[must_use]
    pub fn batches(self, batches: usize) -> Self {
        Self { batches, ..self }
    }
}
