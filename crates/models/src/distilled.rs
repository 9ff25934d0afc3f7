//! The small convolutional network that a classifier is distilled into.

use candle_core::{Device, Module, Tensor};

use crate::config::DistilledCnnConfig;
use crate::error::ModelError;
use crate::forward;
use crate::layers::{Conv, Dense, flatten_nhwc};
use crate::plan::{Lazy, Plan};
use crate::weights::Weights;

/// The small convolutional network that model distillation trains to mimic a classifier.
///
/// [`Module::forward`] takes u8 (N, H, W, 3) raw images, which it preprocesses as the configuration says, or f32 (N, 3, H, W) preprocessed
/// ones, and gives class probabilities, f32 (N, n_classes).
///
/// ```
/// use candle_core::{DType, Device, Module, Tensor};
/// use riptide_models::{DistilledCnn, DistilledCnnConfig};
///
/// let network = DistilledCnn::random(DistilledCnnConfig { n_filters1: 16, ..Default::default() }, 0)?;
/// let images = Tensor::zeros((2, 32, 32, 3), DType::U8, &Device::Cpu)?;
/// assert_eq!(network.forward(&images)?.dims(), [2, 10]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct DistilledCnn {
    config: DistilledCnnConfig,
    weights: Weights,
    convolutions: Vec<Conv>,
    dense1: Dense,
    dense2: Dense,
    plan: Lazy<Plan>,
}

impl DistilledCnn {
    /// Builds the network from its parameters, which must be exactly those that [`DistilledCnnConfig::parameters`] lists.
    ///
    /// # Errors
    /// Those of [`DistilledCnnConfig::validate`] and [`Weights::check`].
    pub fn new(config: DistilledCnnConfig, weights: Weights) -> Result<Self, ModelError> {
        config.validate()?;
        weights.check(&config.clone().into())?;
        let layers = 1..=config.n_conv_layers;
        Ok(Self {
            convolutions: layers
                .map(|layer| Conv::new(&weights, &format!("conv{layer}"), 2, true))
                .collect::<Result<_, _>>()?,
            dense1: Dense::new(&weights, "dense1")?,
            dense2: Dense::new(&weights, "dense2")?,
            config,
            weights,
            plan: Lazy::default(),
        })
    }

    /// Builds the network with the initial values of [`Weights::random`].
    ///
    /// # Errors
    /// Those of [`DistilledCnnConfig::validate`].
    pub fn random(config: DistilledCnnConfig, seed: u64) -> Result<Self, ModelError> {
        let weights = Weights::random(&config.clone().into(), seed)?;
        Self::new(config, weights)
    }

    /// The configuration.
    pub fn config(&self) -> &DistilledCnnConfig {
        &self.config
    }

    /// The parameters by canonical name.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// A copy on another device.
    ///
    /// # Errors
    /// [`ModelError::Candle`] where the device refuses.
    pub fn to_device(&self, device: &Device) -> Result<Self, ModelError> {
        Self::new(self.config.clone(), self.weights.to_device(device)?)
    }

    /// What the last layer gives before softmax: f32 (N, n_classes), for the same images as [`Module::forward`] takes.
    ///
    /// # Errors
    /// [`ModelError::Images`] where the images have another layout or size, [`ModelError::Candle`] where an operation fails.
    pub fn logits(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        forward::logits(self, images)
    }
}

impl forward::Architecture for DistilledCnn {
    fn input(&self) -> forward::Input {
        let DistilledCnnConfig {
            height,
            width,
            n_classes,
            preprocessing,
            ..
        } = self.config;
        forward::Input {
            height,
            width,
            n_classes,
            preprocessing,
        }
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn plan(&self) -> Result<&Plan, ModelError> {
        self.plan
            .get_or_compile(|| Plan::distilled(&self.config, &self.weights))
    }

    fn layers(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = x.clone();
        for (index, convolution) in self.convolutions.iter().enumerate() {
            x = convolution.forward(&x)?;
            if index > 0 {
                x = x.relu()?;
            }
        }
        self.dense2.forward(&self.dense1.forward(&flatten_nhwc(&x)?)?)
    }
}

impl Module for DistilledCnn {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        Ok(forward::probabilities(self, images)?)
    }
}
