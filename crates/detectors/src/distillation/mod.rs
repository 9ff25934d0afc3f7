//! Model distillation: the score, and a detector over it that flags single images.
//!
//! A small network, distilled from the classifier on clean data, follows it well there and badly on images that change the
//! classifier's answers. The divergence between the two is the harmfulness score (after Vacanti & Van Looveren 2020,
//! "Adversarial Detection and Correction by Matching Prediction Distributions").

mod config;
mod detector;
mod loss;
mod outcome;

pub use config::DistillationConfig;
pub use detector::ModelDistillation;
pub use loss::{Loss, score, tempered};
pub use outcome::{DistillationData, DistillationOutcome};
