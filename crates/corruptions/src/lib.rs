//! The nineteen corruptions of CIFAR-10-C and sixteen of our own, seeded and parallel, for any images.
//!
//! Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations" (2019),
//! measure a classifier on images damaged in nineteen ways at five severities. This crate makes the same damage from any
//! images: an [`ImageSet`](riptide_datasets::ImageSet) in, an `ImageSet` out.
//!
//! ```
//! use riptide_corruptions::{Corruption, Corruptor, Severity};
//! use riptide_datasets::shapes::{Shapes, TEST_FIRST_INDEX};
//!
//! let clean = Shapes::new(0).generate(TEST_FIRST_INDEX, 4);
//! let blurred = Corruptor::new(7).apply(&clean, Corruption::MotionBlur, Severity::new(3)?)?;
//! assert_eq!(blurred.labels(), clean.labels());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Parameters, kernels, borders and rounding are those of the published CIFAR-10-C generator. They were chosen for images
//! of 32 x 32 pixels: lengths in pixels (radii, displacements, the grain of noise) stay what they are for larger images
//! and so look finer there, while factors (zoom, pixelation) scale along.
//!
//! [`Extended`] has sixteen further kinds of damage that are our own and no part of CIFAR-10-C; [`Family`] is any of the
//! thirty-five.
//!
//! Random numbers depend on the seed, the corruption, the severity and the image's index alone: see [`Corruptor`].
//! [`Cifar10cWriter`] writes a folder that readers of CIFAR-10-C accept.

#![forbid(unsafe_code)]

mod blur;
mod corruption;
mod corruptor;
mod digital;
mod effect;
mod error;
mod extended;
mod family;
mod filter;
mod noise;
mod severity;
mod weather;
mod writer;

pub use corruption::{Corruption, Group};
pub use corruptor::Corruptor;
pub use error::CorruptionError;
pub use extended::Extended;
pub use family::Family;
pub use severity::Severity;
pub use weather::{FrostSource, FrostTextures};
pub use writer::Cifar10cWriter;

/// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
