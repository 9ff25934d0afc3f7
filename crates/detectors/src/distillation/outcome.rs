//! What a user reads after single images were judged.

use serde::{Deserialize, Serialize};

use crate::drift::Meta;

/// The decision on each image.
///
/// Its JSON has alibi-detect's keys, so that readers of alibi-detect's outcomes can read it: `is_adversarial`,
/// `instance_score` and `threshold`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DistillationData {
    /// For each image, whether its score is above the threshold, strictly; `is_adversarial` in JSON.
    #[serde(rename = "is_adversarial")]
    pub flagged: Vec<bool>,
    /// The score of each image, if it was asked for; `instance_score` in JSON.
    #[serde(rename = "instance_score")]
    pub scores: Option<Vec<f32>>,
    /// The score above which an image is flagged.
    pub threshold: f64,
}

/// What [`ModelDistillation`](super::ModelDistillation) found out about a batch of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DistillationOutcome {
    /// Which detector spoke.
    pub meta: Meta,
    /// What it found.
    pub data: DistillationData,
}
