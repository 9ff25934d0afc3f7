//! Has the distribution of one or several features changed?
//!
//! [`KsDrift`] and [`CvmDrift`] test every feature of a batch against a reference and correct for the number of features, as
//! alibi-detect's univariate drift detectors do. Outcomes serialise with alibi-detect's keys; [`DriftState`] keeps a running
//! test.

mod config;
mod cvm;
mod ks;
mod outcome;
mod samples;
mod state;
mod univariate;
mod update;

pub(crate) use config::check_level;
pub use config::{Correction, DriftConfig, DriftType};
pub use cvm::{CramerVonMises, CvmDrift};
pub use ks::{KolmogorovSmirnov, KsDrift};
pub use outcome::{Decision, DriftData, DriftOutcome, FeatureScore, Meta};
pub use riptide_stats::multiple_testing::Level;
pub use samples::Samples;
pub use state::DriftState;
pub use univariate::{FeatureTest, Preprocess, UnivariateDrift};
pub use update::ReferenceUpdate;
