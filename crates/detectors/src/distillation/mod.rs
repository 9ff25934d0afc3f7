//! Model distillation: the score, the detector over it, and how the distilled network is fitted.
//!
//! A small network, distilled from the classifier on clean data, follows it well there and badly where the classifier's
//! answers have changed. The divergence between the two is the harmfulness score (after Vacanti & Van Looveren 2020,
//! "Adversarial Detection and Correction by Matching Prediction Distributions").

mod adam;
mod detector;
mod fit;
mod loss;
mod stream;

pub use detector::{DistillationData, DistillationOutcome, ModelDistillation, ModelDistillationBuilder};
pub use fit::{Distiller, EpochReport, FitOptions, FitReport, Scale, TrainableNetwork, teacher_probabilities};
pub use loss::{Loss, score, tempered};
