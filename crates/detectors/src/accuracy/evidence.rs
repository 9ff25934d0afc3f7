//! What the certificate is made from.

use serde::{Deserialize, Serialize};

use super::model::AccuracyModel;

/// What a model says of each image of a set. One entry an image in every array.
///
/// The arrays are public so that they can be saved compactly; `error` and `confidence` may be rounded to 1/65535.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SetEvidence {
    /// The severity; 0 for clean images.
    pub severity: u8,
    /// Error probability, 0..=1.
    pub error: Vec<f32>,
    /// Temperature-scaled largest probability, 0..=1.
    pub confidence: Vec<f32>,
    /// Whether both networks give the same class; true without a distilled network.
    pub agree: Vec<bool>,
    /// The class that the classifier gives.
    pub class: Vec<u32>,
    /// Whether the classifier's answer is wrong.
    pub wrong: Vec<bool>,
}

/// How a model that did not see a family of corruptions judges that family: honest evidence of what the deployed model does
/// with corruptions that were not declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FamilyEvidence {
    /// The family that was left out.
    pub family: String,
    /// The model without it.
    pub model: AccuracyModel,
    /// What that model says of the clean images.
    pub clean: SetEvidence,
    /// What it says of the family's sets, in the order they were given.
    pub sets: Vec<SetEvidence>,
}
