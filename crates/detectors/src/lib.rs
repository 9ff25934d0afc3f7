//! Tells whether the data that an image classifier sees have drifted in a way that hurts it, without labels.
//!
//! A small network is distilled from the classifier on clean images. If the two disagree about an image, the classifier is
//! likely to be wrong: the divergence between their answers is the harmfulness score of the image. A two-sample test then
//! compares the scores of a batch with those of a clean reference.
//!
//! | Question | Answered by |
//! | --- | --- |
//! | How harmful is this image? | [`ScoreKind`], or [`DistillationScore`] with its options |
//! | Is this image suspicious? | [`ModelDistillation::predict`], after [`infer_threshold`](ModelDistillation::infer_threshold) |
//! | Have the scores of this batch changed? | [`KsDrift`], [`CvmDrift`] |
//! | Has the accuracy fallen, and by how much? | [`AccuracyModel`], see [`accuracy`] |
//! | Does it fall over time? | [`SequentialTest`] |
//! | What do the labels of a few images say? | [`audit`] |
//! | What can be promised of these alarms? | [`certificate`] |
//! | Does this batch hold harmful images, and how many? | [`HarmTest`] |
//! | Which classes are they of? | [`harm::excess_by_class`], [`harm::excess_by_pair`] |
//! | How is a running drift test kept? | [`KsDrift::state`](drift::UnivariateDrift::state) |
//!
//! Slices and probabilities in, outcomes out: this crate runs no network, trains none and touches no file. Networks come in as
//! [`ScoringNetworks`], which a closure makes ([`networks_fn`]), or as [`Probabilities`] that are known already. The crate
//! `riptide-drift` puts networks, files and these tests together as one monitor.
//!
//! Options are structs with a `Default` and setters, read and written by serde and checked once, when they are used. There is
//! one default for what counts as drift: [`DriftConfig::alternative`](drift::DriftConfig::alternative).
//!
//! # Example
//!
//! ```
//! use riptide_detectors::drift::DriftConfig;
//! use riptide_detectors::harm::HarmConfig;
//! use riptide_detectors::{HarmTest, KsDrift, Probabilities, Score, ScoreKind};
//! use riptide_stats::ks::Alternative;
//!
//! /// Probabilities of two classes by brightness: the distilled network follows the classifier well in the middle, and badly
//! /// far out.
//! fn answers(brightness: impl Iterator<Item = f32> + Clone) -> Result<Probabilities, Box<dyn std::error::Error>> {
//!     let softmax = |slope: f32| {
//!         let first = brightness.clone().map(move |b| 1.0 / (1.0 + (-2.0 * slope * (b - 1.0)).exp()));
//!         first.flat_map(|p| [p, 1.0 - p]).collect::<Vec<f32>>()
//!     };
//!     Ok(Probabilities::new(softmax(3.0), softmax(1.0), 2)?)
//! }
//!
//! let clean = answers((0..400).map(|i| (108 + i % 41) as f32 / 128.0))?;
//! let batch = answers((0..100).map(|i| (90 + i % 77) as f32 / 128.0))?;
//! let reference = ScoreKind::Distillation.score((&clean).into())?;
//! let batch = ScoreKind::Distillation.score((&batch).into())?;
//!
//! let config = DriftConfig::default().level(0.05).alternative(Alternative::Greater);
//! let outcome = KsDrift::new(reference.clone(), config)?.predict(&batch)?;
//! assert!(outcome.is_drift());
//! println!("{}", serde_json::to_string_pretty(&outcome)?);
//!
//! let reference: Vec<f64> = reference.into_iter().map(f64::from).collect();
//! let batch: Vec<f64> = batch.into_iter().map(f64::from).collect();
//! let harm = HarmTest::new(&reference, HarmConfig::default())?.test(&batch)?;
//! assert!(harm.data.is_harmful && harm.data.excess_fraction.estimate > 0.3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # False alarms
//!
//! `cargo run --release -p riptide-detectors --example false_alarm_rates` prints this table. The central 99.9 % of a
//! binomial of 2,000 batches with chance 0.05 is 0.0345 to 0.0665.
//!
//! | test | n = 30 | n = 100 | n = 1000 |
//! | --- | --- | --- | --- |
//! | KsDrift, two-sided | 0.0430 | 0.0470 | 0.0390 |
//! | KsDrift, greater | 0.0530 | 0.0495 | 0.0435 |
//! | KsDrift, less | 0.0490 | 0.0445 | 0.0535 |
//! | KsDrift, 4 features, bonferroni | 0.0440 | 0.0495 | 0.0525 |
//! | KsDrift, 4 features, fdr | 0.0445 | 0.0505 | 0.0535 |
//! | CvmDrift | 0.0450 | 0.0545 | 0.0485 |
//! | HarmTest, significance alone | 0.0530 | 0.0495 | 0.0435 |
//! | HarmTest, significance and 10 % excess | 0.0515 | 0.0410 | 0.0070 |
//!
//! The last row is the point of [`HarmTest`]: the more is known of a batch, the less it alarms on nothing.

#![forbid(unsafe_code)]

pub mod accuracy;
mod answers;
pub mod audit;
pub mod certificate;
pub mod distillation;
pub mod drift;
mod error;
pub mod harm;
mod instance_score;
mod networks;
pub mod sequential;

pub use accuracy::{AccuracyModel, AccuracyOutcome, Verdict};
pub use answers::Answers;
pub use distillation::{Loss, ModelDistillation};
pub use drift::{CvmDrift, DriftOutcome, KsDrift, Samples};
pub use error::{BoxError, DetectorError};
pub use harm::{HarmOutcome, HarmTest};
pub use instance_score::{DistillationScore, Score, ScoreInput, ScoreKind};
pub use networks::{NetworksFn, Probabilities, ScoringNetworks, argmax, check_rows, networks_fn};
pub use sequential::SequentialTest;
