//! The harmful-drift experiment: does a drift detector find the drift that hurts, and stay quiet about the drift that
//! does not?
//!
//! [`run`] follows the protocol of the published example of distillation drift detection on CIFAR-10: labelled clean test
//! images, their corrupted twins, a classifier and the small network distilled from it. Every image passes through both
//! networks once. A corrupted image is *harmful* if the classifier is right on the clean image and wrong on its twin,
//! *harmless* if it is right on both. Batches are then contaminated with a rising fraction of one kind or the other,
//! and each batch's scores are compared with those of a clean reference by a two-sample Kolmogorov-Smirnov test.
//!
//! What it writes: a report of one page, its figures, and every number as CSV, JSON and `.npy` ([`run`] lists the files). What
//! it gives: a [`Summary`], which [`table`] shows in a terminal.
//!
//! The options are plain fields, checked once:
//!
//! ```
//! use riptide_experiments::{Protocol, ProtocolParams};
//! use riptide_corruptions::Corruption;
//!
//! let protocol: Protocol = ProtocolParams {
//!     corruptions: vec![Corruption::GaussianNoise, Corruption::Brightness],
//!     batches: 50,
//!     ..Default::default()
//! }
//! .check()?;
//! assert_eq!(protocol.contaminated(0.3), 30);
//! # Ok::<(), riptide_experiments::ExperimentError>(())
//! ```

#![forbid(unsafe_code)]

pub mod accuracy;
mod comparison;
mod contamination;
mod error;
mod excess;
mod export;
mod figures;
mod format;
mod harmfulness;
mod protocol;
mod random;
mod reading;
mod report;
mod roc;
mod run;
mod store;
mod subject;
mod summary;
mod table;

pub use accuracy::Comparison;
pub use comparison::ComparisonParams;
pub use error::ExperimentError;
pub use excess::HarmCell;
pub use harmfulness::Kind;
pub use protocol::{Protocol, ProtocolParams, Sampling};
pub use run::{Timings, run};
pub use subject::TestImages;
pub use summary::{Accuracy, Cell, Moments, ScoreSummary, SeveritySummary, Summary};
pub use table::table;
