//! The configuration of the residual network for small images.

use serde::{Deserialize, Serialize};

use super::check;
use crate::architecture::{Architecture, Block, Conv, Dense, Norm, Residual};
use crate::error::ModelError;
use crate::preprocess::Preprocessing;

/// The configuration of a residual network for small images (He et al. 2015, section 4.2, "CIFAR-10 and analysis").
///
/// The network is a 3x3 convolution, three stages of `(depth - 2) / 6` blocks of two 3x3 convolutions each with `n_filters1`, 2 and 4 times
/// `n_filters1` filters, a global mean pool and a dense layer. The second and third stage halve height and width. The first block of every
/// stage has a 1x1 convolution and a batch normalisation on its shortcut. The default is ResNet-32 on 32x32 images with 10 classes.
///
/// ```
/// use riptide_models::ResNetConfig;
/// let config = ResNetConfig { depth: 8, ..Default::default() };
/// assert_eq!(config.n_blocks(), 1);
/// assert!(ResNetConfig { depth: 9, ..config }.validate().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResNetConfig {
    /// Number of layers with weights on the longest path: 8, 14, 20, 26, 32, ... (6n + 2).
    pub depth: usize,
    /// Number of classes, at least 2.
    pub n_classes: usize,
    /// Filters of the first convolution and the first stage.
    pub n_filters1: usize,
    /// Height of the images in pixels.
    pub height: usize,
    /// Width of the images in pixels.
    pub width: usize,
    /// Added to the variance in every batch normalisation.
    pub bn_epsilon: f64,
    /// How much of the running statistics a training step keeps: `running = momentum * running + (1 - momentum) * batch`.
    pub bn_momentum: f64,
    /// What raw images go through before the network.
    pub preprocessing: Preprocessing,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self {
            depth: 32,
            n_classes: 10,
            n_filters1: 16,
            height: 32,
            width: 32,
            bn_epsilon: 1e-5,
            bn_momentum: 0.997,
            preprocessing: Preprocessing::default(),
        }
    }
}

impl ResNetConfig {
    /// The number of blocks in each of the three stages, `(depth - 2) / 6`.
    pub fn n_blocks(&self) -> usize {
        self.depth.saturating_sub(2) / 6
    }

    /// The number of filters of stage 0, 1 or 2.
    pub fn n_filters(&self, stage: usize) -> usize {
        self.n_filters1 << stage.min(2)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`ModelError::Config`], naming the field, its value and what it may be.
    pub fn validate(&self) -> Result<(), ModelError> {
        check::range("depth", self.depth, 8, 1202)?;
        if self.depth % 6 != 2 {
            return Err(ModelError::Config {
                field: "depth",
                value: self.depth.to_string(),
                expected: "6n + 2: 8, 14, 20, 26, 32, ...".into(),
            });
        }
        check::range("n_classes", self.n_classes, 2, check::MAX_SIZE)?;
        check::range("n_filters1", self.n_filters1, 1, check::MAX_SIZE / 4)?;
        check::range("height", self.height, 1, check::MAX_SIZE)?;
        check::range("width", self.width, 1, check::MAX_SIZE)?;
        if !(self.bn_epsilon > 0.0 && self.bn_epsilon <= 1.0) {
            return Err(ModelError::Config {
                field: "bn_epsilon",
                value: self.bn_epsilon.to_string(),
                expected: "above 0 and at most 1".into(),
            });
        }
        if !(0.0..1.0).contains(&self.bn_momentum) {
            return Err(ModelError::Config {
                field: "bn_momentum",
                value: self.bn_momentum.to_string(),
                expected: "at least 0 and below 1".into(),
            });
        }
        self.preprocessing.validate()?;
        check::total(&self.architecture().parameters())
    }

    /// The layers.
    pub(crate) fn architecture(&self) -> Architecture {
        let conv = |[name, norm]: [String; 2], inputs: usize, outputs: usize, kernel, stride, size| Conv {
            name,
            norm: Some(Norm {
                name: norm,
                epsilon: self.bn_epsilon,
                momentum: self.bn_momentum,
            }),
            inputs,
            outputs,
            kernel,
            stride,
            size,
            is_rectified: false,
        };
        let stem = Conv {
            is_rectified: true,
            ..conv(
                ["conv1".into(), "bn_conv1".into()],
                3,
                self.n_filters1,
                3,
                1,
                [self.height, self.width],
            )
        };
        let (mut channels, mut size) = (stem.outputs, stem.output_size());
        let mut stages = Vec::new();
        for stage in 0..3 {
            let filters = self.n_filters(stage);
            let mut blocks = Vec::new();
            for block in 0..self.n_blocks() {
                // Stages are counted from 2, as in the published networks, where the stem is the first.
                let place = |branch: &str| format!("{}_block{block}_branch{branch}", stage + 2);
                let names = |branch: &str| [format!("res{}", place(branch)), format!("bn{}", place(branch))];
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let branch2a = Conv {
                    is_rectified: true,
                    ..conv(names("2a"), channels, filters, 3, stride, size)
                };
                let branch2b = conv(names("2b"), filters, filters, 3, 1, branch2a.output_size());
                let branch1 = (block == 0).then(|| conv(names("1"), channels, filters, 1, stride, size));
                (channels, size) = (filters, branch2b.output_size());
                blocks.push(Block {
                    branch2a,
                    branch2b,
                    branch1,
                });
            }
            stages.push(blocks);
        }
        let fc = Dense {
            name: "fc10".into(),
            inputs: channels,
            outputs: self.n_classes,
        };
        Architecture::Residual(Residual { stem, stages, fc })
    }
}
