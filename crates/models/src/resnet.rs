//! The residual network for small images.

use candle_core::{Device, Module, Tensor};

use crate::config::ResNetConfig;
use crate::error::ModelError;
use crate::forward;
use crate::layers::{ConvBn, Dense, global_mean_pool};
use crate::plan::{Lazy, Plan};
use crate::weights::Weights;

/// A residual network for small images (He et al. 2015), with a projection on the first shortcut of every stage.
///
/// [`Module::forward`] takes u8 (N, H, W, 3) raw images, which it preprocesses as the configuration says, or f32 (N, 3, H, W) preprocessed
/// ones, and gives class probabilities, f32 (N, n_classes).
///
/// ```
/// use candle_core::{DType, Device, Module, Tensor};
/// use riptide_models::{ResNet, ResNetConfig};
///
/// let network = ResNet::random(ResNetConfig { depth: 8, n_filters1: 4, ..Default::default() }, 0)?;
/// let images = Tensor::zeros((2, 32, 32, 3), DType::U8, &Device::Cpu)?;
/// assert_eq!(network.forward(&images)?.dims(), [2, 10]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ResNet {
    config: ResNetConfig,
    weights: Weights,
    stem: ConvBn,
    blocks: Vec<Block>,
    fc: Dense,
    plan: Lazy<Plan>,
}

/// Two 3x3 convolutions beside a shortcut.
#[derive(Debug, Clone)]
struct Block {
    branch2a: ConvBn,
    branch2b: ConvBn,
    branch1: Option<ConvBn>,
}

impl Block {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let shortcut = match &self.branch1 {
            Some(branch1) => branch1.forward(x)?,
            None => x.clone(),
        };
        let y = self.branch2b.forward(&self.branch2a.forward(x)?.relu()?)?;
        (y + shortcut)?.relu()
    }
}

impl ResNet {
    /// Builds the network from its parameters, which must be exactly those that [`ResNetConfig::parameters`] lists.
    ///
    /// # Errors
    /// Those of [`ResNetConfig::validate`] and [`Weights::check`].
    pub fn new(config: ResNetConfig, weights: Weights) -> Result<Self, ModelError> {
        config.validate()?;
        weights.check(&config.clone().into())?;
        let epsilon = config.bn_epsilon;
        let mut blocks = Vec::new();
        for stage in 0..3 {
            for block in 0..config.n_blocks() {
                let layer = |branch: &str, stride| {
                    let name = format!("{}_block{block}_branch{branch}", stage + 2);
                    ConvBn::new(&weights, &format!("res{name}"), &format!("bn{name}"), stride, epsilon)
                };
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                blocks.push(Block {
                    branch2a: layer("2a", stride)?,
                    branch2b: layer("2b", 1)?,
                    branch1: if block == 0 { Some(layer("1", stride)?) } else { None },
                });
            }
        }
        Ok(Self {
            stem: ConvBn::new(&weights, "conv1", "bn_conv1", 1, epsilon)?,
            blocks,
            fc: Dense::new(&weights, "fc10")?,
            config,
            weights,
            plan: Lazy::default(),
        })
    }

    /// Builds the network with the initial values of [`Weights::random`].
    ///
    /// # Errors
    /// Those of [`ResNetConfig::validate`].
    pub fn random(config: ResNetConfig, seed: u64) -> Result<Self, ModelError> {
        let weights = Weights::random(&config.clone().into(), seed)?;
        Self::new(config, weights)
    }

    /// The configuration.
    pub fn config(&self) -> &ResNetConfig {
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

impl forward::Architecture for ResNet {
    fn input(&self) -> forward::Input {
        let ResNetConfig {
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
        self.plan.get_or_compile(|| Plan::resnet(&self.config, &self.weights))
    }

    fn layers(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = self.stem.forward(x)?.relu()?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        self.fc.forward(&global_mean_pool(&x)?)
    }
}

impl Module for ResNet {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        Ok(forward::probabilities(self, images)?)
    }
}
