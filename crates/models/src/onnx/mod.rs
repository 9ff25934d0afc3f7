//! Classifiers from ONNX files (the feature `onnx` of this crate).
//!
//! An image classifier is a model with one input of images, (N, 3, H, W) or (N, H, W, 3), of 32-bit or 16-bit floats or uint8, and an output of class
//! scores, (N, n_classes). The number of images may be fixed or open. Weights may be inside the file or in files beside it, as PyTorch's second exporter
//! keeps them; [`Network::save`](crate::Network::save) puts them inside.
//!
//! # Engines
//!
//! [tract](https://docs.rs/tract-onnx) (pure Rust) is built in. [ONNX Runtime](https://onnxruntime.ai) runs a file if its library is installed (feature
//! `onnxruntime`): the file that [`OnnxOptions::library`] names, or the variable `ORT_DYLIB_PATH`, or that of the Python package `onnxruntime` in the
//! active virtual environment, in the environments whose `bin` is on the `PATH`, or in the user's own. The library is code, which loading runs.
//! [`OnnxClassifier::verify`] compares the two.
//!
//! [`supported_operators`] lists what tract reads; an operator that neither engine has is refused by its name. Refused, too, are loops, sparse weights,
//! and whatever would need more than 2^26 numbers in one computed value: the sizes are computed before anything is allocated.
//!
//! # The output
//!
//! What the numbers of the output are is measured on images ([`Output`]): rows between 0 and 1 that add up to 1 are probabilities, rows whose exponentials do
//! are their logarithms, others are logits. One number an image is the logit, or behind a sigmoid the probability, of class 1 of two. Independent sigmoids
//! (several labels an image) are refused.

#[cfg(not(feature = "onnx"))]
mod absent;
#[cfg(feature = "onnx")]
mod classifier;
#[cfg(feature = "onnx")]
mod file;
#[cfg(feature = "onnx")]
mod graph;
#[cfg(feature = "onnx")]
mod guard;
#[cfg(feature = "onnxruntime")]
mod library;
#[cfg(feature = "onnx")]
mod limits;
#[cfg(feature = "onnx")]
mod output;
#[cfg(feature = "onnx")]
mod rewrite;
#[cfg(feature = "onnx")]
mod run;
#[cfg(feature = "onnxruntime")]
mod runtime;
#[cfg(feature = "onnx")]
mod source;
#[cfg(feature = "onnx")]
mod tensor;
#[cfg(feature = "onnx")]
mod tract;
#[cfg(feature = "onnx")]
mod verify;
#[cfg(feature = "onnx")]
mod wire;

use serde::{Deserialize, Serialize};

#[cfg(not(feature = "onnx"))]
pub use absent::OnnxClassifier;
#[cfg(feature = "onnx")]
pub use classifier::OnnxClassifier;

pub use crate::config::{Device, Engine, InputType, Layout, OnnxConfig, OnnxOptions, Output};

/// What [`OnnxClassifier::verify`] found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Check {
    /// What the output is.
    pub output: Output,
    /// What runs the file.
    pub engine: Engine,
    /// How the engine was checked.
    pub against: Against,
    /// Number of images.
    pub n_images: usize,
    /// The largest difference of a probability.
    pub largest_difference: f32,
    /// Why the other engine was not compared, if it was not.
    pub note: Option<String>,
}

/// What an engine's probabilities were compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Against {
    /// tract's.
    Tract,
    /// ONNX Runtime's.
    #[serde(rename = "onnxruntime")]
    OnnxRuntime,
    /// The same engine's: images alone, and with tract the graph without optimisations.
    Itself,
}

/// The names of the standard ONNX operators that tract reads, in alphabetical order; empty without the feature `onnx`.
pub fn supported_operators() -> Vec<String> {
    #[cfg(feature = "onnx")]
    return tract::operators();
    #[cfg(not(feature = "onnx"))]
    Vec::new()
}
