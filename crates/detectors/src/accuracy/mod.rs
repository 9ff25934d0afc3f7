//! Has the accuracy fallen? An estimate without labels, its interval, and a verdict against a tolerated drop.

mod config;
mod evidence;
mod features;
mod fit;
mod judge;
mod line;
mod logistic;
mod model;
mod outcome;
mod region;
mod residuals;
mod set;
mod temperature;
mod window;

pub use config::{AccuracyConfig, AccuracyOptions};
pub use evidence::{FamilyEvidence, SetEvidence};
pub use fit::Calibrated;
pub use model::AccuracyModel;
pub use outcome::{AccuracyOutcome, Assumption, Fallen, Outside, Verdict};
pub use set::{CLEAN, DeclaredSet, DescribedSet, Target};
pub use window::WindowValue;
