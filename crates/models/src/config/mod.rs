//! Configurations of the networks: their sizes, and from these the description of their layers.

mod check;
mod distilled;
mod onnx;
mod resnet;

pub use distilled::DistilledCnnConfig;
pub use onnx::{Device, Engine, InputType, Layout, OnnxConfig, OnnxOptions, Output};
pub use resnet::ResNetConfig;

use serde::{Deserialize, Serialize};

use crate::architecture::{Architecture, Parameter};
use crate::error::ModelError;
use crate::input::Input;
use crate::preprocess::Preprocessing;
use crate::shrink::Shrink;

/// The configuration of any network, as `config.json` holds it under the tag `architecture`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "snake_case")]
pub enum NetworkConfig {
    /// A residual network for small images.
    #[serde(rename = "resnet")]
    ResNet(ResNetConfig),
    /// A distilled network.
    #[serde(rename = "distilled_cnn")]
    DistilledCnn(DistilledCnnConfig),
    /// A classifier from an ONNX file; only the file knows its parameters.
    #[serde(rename = "onnx")]
    Onnx(OnnxConfig),
}

impl NetworkConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ModelError::Config`], naming the field, its value and what it may be.
    pub fn validate(&self) -> Result<(), ModelError> {
        match self {
            Self::ResNet(config) => config.validate(),
            Self::DistilledCnn(config) => config.validate(),
            Self::Onnx(config) => config.validate(),
        }
    }

    /// The parameters of the network in the order of its layers; none for an ONNX file.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.architecture().map_or_else(Vec::new, |known| known.parameters())
    }

    /// The layers; `None` for an ONNX file.
    pub(crate) fn architecture(&self) -> Option<Architecture> {
        match self {
            Self::ResNet(config) => Some(config.architecture()),
            Self::DistilledCnn(config) => Some(config.architecture()),
            Self::Onnx(_) => None,
        }
    }

    /// What the network takes and gives.
    pub(crate) fn input(&self) -> Input {
        let (height, width, n_classes, preprocessing) = match self {
            Self::ResNet(c) => (c.height, c.width, c.n_classes, c.preprocessing),
            Self::DistilledCnn(c) => (c.height, c.width, c.n_classes, c.preprocessing),
            Self::Onnx(c) => (c.height, c.width, c.n_classes, c.preprocessing),
        };
        Input {
            height,
            width,
            shrink: match self {
                Self::DistilledCnn(config) => config.shrunk(),
                _ => Shrink::none(height, width),
            },
            channels: match self {
                Self::Onnx(config) => config.channels,
                _ => 3,
            },
            n_classes,
            preprocessing,
        }
    }

    /// The same network with another preprocessing.
    pub(crate) fn with_preprocessing(mut self, preprocessing: Preprocessing) -> Self {
        let place = match &mut self {
            Self::ResNet(config) => &mut config.preprocessing,
            Self::DistilledCnn(config) => &mut config.preprocessing,
            Self::Onnx(config) => &mut config.preprocessing,
        };
        *place = preprocessing;
        self
    }
}

impl From<ResNetConfig> for NetworkConfig {
    fn from(config: ResNetConfig) -> Self {
        Self::ResNet(config)
    }
}

impl From<DistilledCnnConfig> for NetworkConfig {
    fn from(config: DistilledCnnConfig) -> Self {
        Self::DistilledCnn(config)
    }
}
