//! Networks that Riptide scores images with: a residual network for small images as the classifier, and the small convolutional network that
//! is distilled from it.
//!
//! Both take raw images (u8, (N, H, W, 3)) or preprocessed ones (f32, (N, 3, H, W)) and give class probabilities (f32, (N, n_classes)). They
//! are read from a folder with `config.json` and `model.safetensors` or from the `.h5` file of a Keras model, and they implement candle's
//! [`Module`](candle_core::Module), so anything that takes a candle model takes them.
//!
//! ```
//! use candle_core::{Device, Module, Tensor};
//! use riptide_models::{DistilledCnn, DistilledCnnConfig, Network};
//!
//! // An untrained network; `Network::load("path/to/folder or model.h5")` gives a trained one.
//! let network = Network::from(DistilledCnn::random(DistilledCnnConfig::default(), 7)?);
//! let images = Tensor::zeros((1, 32, 32, 3), candle_core::DType::U8, &Device::Cpu)?;
//! let probabilities = network.forward(&images)?.to_vec2::<f32>()?;
//! assert!((probabilities[0].iter().sum::<f32>() - 1.0).abs() < 1e-5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod distilled;
mod error;
mod forward;
pub mod import;
mod layers;
mod network;
pub mod onnx;
mod pair;
pub mod plan;
pub mod preprocess;
mod resnet;
pub mod train;
mod weights;

pub use config::{DistilledCnnConfig, NetworkConfig, Parameter, ParameterKind, ResNetConfig};
pub use distilled::DistilledCnn;
pub use error::ModelError;
pub use layers::same_padding;
pub use network::{CONFIG_FILE, Network, ONNX_FILE, WEIGHTS_FILE};
pub use onnx::{OnnxClassifier, OnnxConfig, OnnxOptions};
pub use pair::NetworkPair;
pub use resnet::ResNet;
pub use weights::Weights;
