//! Networks that Riptide scores images with: a classifier, and the small network that is distilled from it.
//!
//! A [`Network`] takes raw images, u8 (N, H, W, 3), or preprocessed ones, f32 (N, 3, H, W), and gives class probabilities,
//! f32 (N, n_classes). It implements candle's [`Module`](candle_core::Module), so anything that takes a candle model takes it. A
//! [`NetworkPair`] runs a classifier and its distilled network in one pass and is what `riptide-detectors` scores images with.
//!
//! | kind | what it is | read from |
//! | --- | --- | --- |
//! | [`ResNetConfig`] | residual network for small images (He et al. 2015) | a folder, a Keras `.h5` file |
//! | [`DistilledCnnConfig`] | the published distilled network | a folder, a Keras `.h5` file |
//! | [`OnnxConfig`] | any image classifier | an `.onnx` file, a folder |
//!
//! A folder holds `config.json` and `model.safetensors` (or `model.onnx`); [`Network::save`] writes it.
//!
//! ```
//! # #[cfg(feature = "train")] {
//! use candle_core::{DType, Device, Module, Tensor};
//! use riptide_models::{DistilledCnnConfig, Network};
//!
//! // An untrained network; `Network::load("path/to/folder or model.h5")` gives a trained one.
//! let network = Network::random(DistilledCnnConfig::default(), 7)?;
//! let images = Tensor::zeros((1, 32, 32, 3), DType::U8, &Device::Cpu)?;
//! let probabilities = network.forward(&images)?.to_vec2::<f32>()?;
//! assert!((probabilities[0].iter().sum::<f32>() - 1.0).abs() < 1e-5);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it is built
//!
//! Each network is described once, as a list of its layers. From this description follow the names and shapes of its parameters, the
//! forward pass in candle, the layers to look for in a Keras file, the [plan] that runs it on the CPU, and its training.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `train` | yes | the module `train`, and random initial values (`Network::random`, `Weights::random`) |
//! | `keras` | yes | reading Keras `.h5` files |
//! | `onnx` | no | reading ONNX files (tract, pure Rust) |
//! | `onnxruntime` | no | running them with ONNX Runtime, whose library is found when it is needed |
//!
//! Without a feature, reading such a file gives [`ModelError::FeatureMissing`], which names the feature.

#![forbid(unsafe_code)]

mod architecture;
mod config;
mod error;
mod formats;
mod forward;
#[cfg(feature = "train")]
mod initial;
mod input;
mod network;
pub mod onnx;
mod pair;
pub mod plan;
pub mod preprocess;
mod shrink;
#[cfg(feature = "train")]
pub mod train;
mod weights;

pub use architecture::{Parameter, ParameterKind};
pub use config::{DistilledCnnConfig, NetworkConfig, OnnxConfig, OnnxOptions, ResNetConfig};
pub use error::ModelError;
pub use formats::{CONFIG_FILE, ONNX_FILE, WEIGHTS_FILE};
pub use network::Network;
pub use onnx::OnnxClassifier;
pub use pair::NetworkPair;
pub use weights::Weights;
