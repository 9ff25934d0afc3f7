//! Two-sample tests, corrections for multiple testing and intervals.
//!
//! Slices in, p-values out. A monitor holds the scores of a reference and asks, for every batch of new ones, whether they
//! still come from the same distribution:
//!
//! ```
//! use riptide_stats::ks::{Alternative, Method, Reference};
//! use riptide_stats::multiple_testing::bonferroni;
//!
//! let reference = Reference::new(&(0..500).map(|i| (f64::from(i) * 0.37).sin()).collect::<Vec<_>>())?;
//!
//! let same: Vec<f64> = (0..80).map(|i| (f64::from(i) * 0.91).sin()).collect();
//! let larger: Vec<f64> = same.iter().map(|score| score + 0.4).collect();
//! let p_values = [
//!     reference.test(&same, Alternative::Greater, Method::Auto)?.p_value,
//!     reference.test(&larger, Alternative::Greater, Method::Auto)?.p_value,
//! ];
//! assert!(p_values[0] > 0.05 && p_values[1] < 0.001);
//! assert!(bonferroni(&p_values, 0.05)?.is_rejected);
//! # Ok::<(), riptide_stats::StatsError>(())
//! ```
//!
//! - [`ks`]: the Kolmogorov-Smirnov test of one and of two samples, exact and asymptotic, and its distributions.
//! - [`cvm`]: the two-sample Cramér-von Mises test.
//! - [`multiple_testing`]: Bonferroni's and Benjamini and Hochberg's corrections.
//! - [`proportions`]: Fisher's exact test.
//! - [`means`]: Welch's test, and Hoeffding's bound for small samples.
//! - [`betting`]: tests of a bounded mean that hold however long they run.
//! - [`Interval`], [`wilson`] and [`clopper_pearson`]: proportions with their uncertainty.
//! - [`summary`]: mean, standard deviation, percentiles.
//!
//! The tests give scipy's numbers, to 1e-15 in the statistic and 1e-10 of the p-value; if scipy approximates, they
//! are as close to the exact value. NaN and empty samples are errors, infinities and ties are ordinary input.

#![forbid(unsafe_code)]

pub mod betting;
pub mod cvm;
mod error;
mod interval;
pub mod ks;
pub mod means;
pub mod multiple_testing;
pub mod proportions;
pub mod summary;

pub use error::StatsError;
pub use interval::{Interval, clopper_pearson, wilson};
