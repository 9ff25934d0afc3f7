//! Has the accuracy fallen? An estimate without labels, its interval, and a verdict against a tolerated drop.

mod config;
mod evidence;
mod features;
mod model;
mod outcome;
mod set;
mod window;

pub use config::{AccuracyConfig, AccuracyOptions};
pub use evidence::{FamilyEvidence, SetEvidence};
pub use model::{AccuracyModel, Calibrated};
pub use outcome::{AccuracyOutcome, Assumption, Fallen, Outside, Verdict};
pub use set::{CLEAN, DeclaredSet, DescribedSet, Target};
pub use window::WindowValue;
