//! Has the distribution of one or several features changed?

mod config;
mod cvm;
mod ks;
mod outcome;
mod samples;
mod univariate;
mod update;

pub(crate) use config::check_p_val;
pub use config::{Correction, DriftConfig, DriftType};
pub use cvm::{CvmDrift, CvmFeatureTest};
pub use ks::{KsDrift, KsFeatureTest};
pub use outcome::{Decision, DriftData, DriftOutcome, FeatureScore, Meta};
pub use riptide_stats::multiple_testing::Threshold;
pub use samples::Samples;
pub use univariate::{FeatureTest, Preprocess, UnivariateDrift, UnivariateDriftBuilder};
pub use update::ReferenceUpdate;
