//! Tells whether the data that an image classifier sees have drifted in a way that hurts it, without labels.
//!
//! A small network is distilled from the classifier on clean images. Where the two disagree, the classifier is likely to be
//! wrong: the divergence between their answers is the harmfulness score of an image. A two-sample test then compares
//! the scores of a batch with those of a clean reference.
//!
//! | Question | Answered by |
//! | --- | --- |
//! | How harmful is this image? | [`ModelDistillation::score`], or another [`ScoreKind`] |
//! | Is this image suspicious? | [`ModelDistillation::predict`], after [`infer_threshold`](ModelDistillation::infer_threshold) |
//! | Have the scores of this batch changed? | [`KsDrift`], [`CvmDrift`] |
//! | Does this batch hold harmful images, and how many? | [`HarmTest`] |
//! | Which classes are they of? | [`harm::excess_by_class`], [`harm::excess_by_pair`] |
//! | How is the distilled network made? | [`distillation::Distiller`] |
//! | How is all of that kept? | [`Detector`] |
//!
//! Any classifier will do that gives class probabilities: every candle module is a [`Classifier`], and two of them make the
//! [`ScoringNetworks`] that a detector asks.
//!
//! # Example
//!
//! ```
//! use candle_core::{DType, Module, Result, Tensor};
//! use riptide_detectors::{ClassifierPair, HarmTest, Images, KsDrift, ModelDistillation};
//! use riptide_stats::ks::Alternative;
//!
//! /// Two classes by brightness: a softmax over ±`slope` times the mean pixel.
//! struct Brightness { slope: f64 }
//! impl Module for Brightness {
//!     fn forward(&self, images: &Tensor) -> Result<Tensor> {
//!         let brightness = (images.to_dtype(DType::F32)?.flatten_from(1)?.mean_keepdim(1)? / 128.0)?;
//!         let logit = ((brightness - 1.0)? * self.slope)?;
//!         candle_nn::ops::softmax_last_dim(&Tensor::cat(&[&logit, &logit.neg()?], 1)?)
//!     }
//! }
//!
//! /// Grey images of 4 x 4 pixels.
//! fn grey(levels: impl Iterator<Item = u8>) -> Images<'static> {
//!     let pixels: Vec<u8> = levels.flat_map(|level| [level; 48]).collect();
//!     let n = pixels.len() / 48;
//!     Images::new(pixels, [n, 4, 4]).expect("48 values an image")
//! }
//!
//! // The distilled network follows the classifier well in the middle, and badly far out.
//! let networks = ClassifierPair::new(Brightness { slope: 3.0 }, Brightness { slope: 1.0 }, 2)?;
//! let detector = ModelDistillation::builder(networks).build()?;
//!
//! let reference = detector.score(&grey((0..400).map(|i| 108 + (i % 41) as u8)))?;
//! let batch = detector.score(&grey((0..100).map(|i| 90 + (i % 77) as u8)))?;
//!
//! let mut drift = KsDrift::builder(reference.clone()).p_val(0.05).alternative(Alternative::Greater).build()?;
//! let outcome = drift.predict(&batch)?;
//! assert!(outcome.is_drift());
//! println!("{}", serde_json::to_string_pretty(&outcome)?);
//!
//! let reference: Vec<f64> = reference.into_iter().map(f64::from).collect();
//! let batch: Vec<f64> = batch.into_iter().map(f64::from).collect();
//! let harm = HarmTest::builder(reference).build()?.test(&batch)?;
//! assert!(harm.data.is_harmful && harm.data.excess_fraction.estimate > 0.3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # False alarms
//!
//! `cargo run --release -p riptide-detectors --example false_alarm_rates` prints this table. The central 99.9 % of a
//! binomial of 2,000 batches with chance 0.05 is 0.0345 to 0.0665.
//!
//! | detector | n = 30 | n = 100 | n = 1000 |
//! | --- | --- | --- | --- |
//! | KsDrift, two-sided | 0.0430 | 0.0470 | 0.0390 |
//! | KsDrift, greater | 0.0530 | 0.0495 | 0.0435 |
//! | KsDrift, less | 0.0490 | 0.0445 | 0.0535 |
//! | KsDrift, 4 features, bonferroni | 0.0440 | 0.0495 | 0.0525 |
//! | KsDrift, 4 features, fdr | 0.0445 | 0.0505 | 0.0535 |
//! | CvmDrift | 0.0450 | 0.0545 | 0.0485 |
//! | HarmTest, significance alone | 0.0530 | 0.0495 | 0.0435 |
//! | HarmTest, significance and 10 % excess | 0.0500 | 0.0400 | 0.0080 |
//!
//! The last row is the point of [`HarmTest`]: the more is known of a batch, the less it alarms on nothing.

pub mod distillation;
pub mod drift;
mod error;
pub mod harm;
mod images;
mod instance_score;
mod networks;
pub mod saving;

pub use distillation::{Loss, ModelDistillation};
pub use drift::{CvmDrift, DriftOutcome, KsDrift, Samples};
pub use error::{BoxError, DetectorError};
pub use harm::{HarmOutcome, HarmTest};
pub use images::Images;
pub use instance_score::{DistillationScore, Score, ScoreInput, ScoreKind};
pub use networks::{Classifier, ClassifierPair, Probabilities, ScoringNetworks};
pub use saving::{Answers, Detector, DetectorSettings};
