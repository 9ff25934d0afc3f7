//! Has the accuracy fallen? An estimate without labels, its interval, and a verdict against a tolerated drop.
//!
//! A drift test says that a distribution changed. What matters is whether the classifier errs more often, and by how much. At
//! fit, images whose answers are known ([`Target`]) are corrupted in declared ways, several families of corruptions at several
//! severities, and pass through the networks once. From them, [`AccuracyModel::fit`] learns
//!
//! 1. the **error probability** e(x) of an image: ridge logistic regression on what both networks answered;
//! 2. the **curve** from a batch's mean confidence, at the temperature at which it says best whether an answer is right, and the
//!    agreement of the networks if that helps, to the batch's drop of accuracy;
//! 3. how far **left-out families** are from what is said of them by a model that did not see them. From this come the interval
//!    (group-conformal, Dunn, Wasserman and Ramdas 2022), the margins of the verdict, and the limit of what counts as declared.
//!
//! A batch is reduced to sums ([`WindowValue`]) that merge exactly, and judged from them ([`AccuracyModel::judge`]):
//! [`Verdict::Harmful`], [`Verdict::Fit`], [`Verdict::Undecided`] with the number of images that would decide, or
//! [`Verdict::Outside`]: like nothing that was declared, so that no estimate would rest on anything.
//!
//! # What a figure rests on
//!
//! - **A**, no shift: a batch drawn as the clean images were. Then "has it fallen at all" ([`Fallen`]) alarms at its level.
//! - **B**, a shift that is to the declared families as each of them is to the others. Estimate, interval and verdict rest on it.
//! - **C**, anything: only labels can tell ([`audit`](crate::audit)). If the images look alike and their right answers have
//!   changed, nothing here sees it.
//!
//! # Example
//!
//! ```
//! use riptide_detectors::accuracy::{AccuracyConfig, AccuracyModel, AccuracyOptions, CLEAN, DeclaredSet};
//! use riptide_detectors::{Probabilities, Verdict};
//!
//! /// Two classes told apart by brightness; a veil of some strength pulls all images towards the middle.
//! fn set(family: &str, severity: u8, first: u32, veil: f64) -> Result<DeclaredSet, Box<dyn std::error::Error>> {
//!     let brightness = |i: u32| f64::from(i.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 23) - 1.0;
//!     let seen = |i: u32| brightness(i) * (1.0 - veil) + veil * brightness(i + 7919);
//!     let softmax = |slope: f64| {
//!         let first = (first..first + 300).map(move |i| 1.0 / (1.0 + (-slope * seen(i)).exp()) as f32);
//!         first.flat_map(|p| [p, 1.0 - p]).collect::<Vec<f32>>()
//!     };
//!     let wrong = (first..first + 300).map(|i| (seen(i) > 0.0) != (brightness(i) > 0.0)).collect();
//!     let probabilities = Probabilities::new(softmax(12.0), softmax(5.0), 2)?;
//!     Ok(DeclaredSet { family: family.to_owned(), severity, probabilities, mirrored: None, wrong })
//! }
//!
//! let config = AccuracyConfig::default();
//! let mut sets = Vec::new();
//! for (family, unit) in [("mist", 0.05), ("fog", 0.1), ("smoke", 0.12), ("dust", 0.08)] {
//!     for severity in 1..=5 {
//!         sets.push(set(family, severity, 0, unit * f64::from(severity))?.describe(&config)?);
//!     }
//! }
//! let (reference, clean) = (set(CLEAN, 0, 5000, 0.0)?, set(CLEAN, 0, 0, 0.0)?);
//! let fitted = AccuracyModel::fit(&reference.describe(&config)?, &clean.describe(&config)?, &sets, &config)?;
//!
//! let batch = set("haze", 3, 9000, 0.5)?;
//! let window = fitted.model.window(&batch.probabilities, None)?;
//! let outcome = fitted.model.judge(&window, &AccuracyOptions::default())?;
//! assert_ne!(outcome.verdict, Verdict::Fit);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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

pub use config::{AccuracyConfig, AccuracyOptions, Target};
pub use evidence::{FamilyEvidence, SetEvidence};
pub use fit::Calibrated;
pub use model::AccuracyModel;
pub use outcome::{AccuracyOutcome, Assumption, Fallen, Outside, Verdict};
pub use set::{CLEAN, DeclaredSet, DescribedSet};
pub use window::WindowValue;
