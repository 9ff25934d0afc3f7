//! The configuration of the network that a classifier is distilled into.

use serde::{Deserialize, Serialize};

use super::check;
use crate::architecture::{Architecture, Conv, Dense, Plain};
use crate::error::ModelError;
use crate::preprocess::Preprocessing;

/// The configuration of a distilled network: the small convolutional network that model distillation trains to mimic a classifier.
///
/// The network is one to three convolutions of stride 2 with `n_filters1`, `n_filters1 / 2` and `n_filters1 / 4` filters (the first with no
/// activation, the others with ReLU), a dense layer of `n_dense` units with no activation, and a dense layer of `n_classes` units. The
/// default is the distilled network of the published model distillation example.
///
/// ```
/// use riptide_models::DistilledCnnConfig;
/// let config = DistilledCnnConfig { n_conv_layers: 2, n_filters1: 32, ..Default::default() };
/// assert_eq!(config.flat_size(), 8 * 8 * 16);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistilledCnnConfig {
    /// Number of convolutions, 1 to 3.
    pub n_conv_layers: usize,
    /// Filters of the first convolution; the second has half of them, the third a quarter.
    pub n_filters1: usize,
    /// Units of the first dense layer.
    pub n_dense: usize,
    /// Height and width of the first convolution's kernel.
    pub kernel1: usize,
    /// Height and width of the second convolution's kernel.
    pub kernel2: usize,
    /// Height and width of the third convolution's kernel.
    pub kernel3: usize,
    /// Number of classes, at least 2.
    pub n_classes: usize,
    /// Height of the images in pixels.
    pub height: usize,
    /// Width of the images in pixels.
    pub width: usize,
    /// What raw images go through before the network.
    pub preprocessing: Preprocessing,
}

impl Default for DistilledCnnConfig {
    fn default() -> Self {
        Self {
            n_conv_layers: 3,
            n_filters1: 256,
            n_dense: 40,
            kernel1: 4,
            kernel2: 4,
            kernel3: 4,
            n_classes: 10,
            height: 32,
            width: 32,
            preprocessing: Preprocessing::default(),
        }
    }
}

impl DistilledCnnConfig {
    /// The number of values of the last convolution's output for one image, which the first dense layer takes in the order (height, width,
    /// channels).
    pub fn flat_size(&self) -> usize {
        let last = self.convs().pop();
        last.map_or(0, |conv| {
            let [height, width] = conv.output_size();
            height.saturating_mul(width).saturating_mul(conv.outputs)
        })
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`ModelError::Config`], naming the field, its value and what it may be.
    pub fn validate(&self) -> Result<(), ModelError> {
        check::range("n_conv_layers", self.n_conv_layers, 1, 3)?;
        let halvings = self.n_conv_layers - 1;
        check::range("n_filters1", self.n_filters1, 1 << halvings, check::MAX_SIZE)?;
        check::range("n_dense", self.n_dense, 1, check::MAX_SIZE)?;
        check::range("kernel1", self.kernel1, 1, 31)?;
        check::range("kernel2", self.kernel2, 1, 31)?;
        check::range("kernel3", self.kernel3, 1, 31)?;
        check::range("n_classes", self.n_classes, 2, check::MAX_SIZE)?;
        check::range("height", self.height, 1, check::MAX_SIZE)?;
        check::range("width", self.width, 1, check::MAX_SIZE)?;
        self.preprocessing.validate()?;
        check::total(&self.architecture().parameters())
    }

    fn convs(&self) -> Vec<Conv> {
        let (mut inputs, mut size) = (3, [self.height, self.width]);
        let kernels = [self.kernel1, self.kernel2, self.kernel3];
        let layers = kernels.into_iter().take(self.n_conv_layers).enumerate();
        layers
            .map(|(layer, kernel)| {
                let conv = Conv {
                    name: format!("conv{}", layer + 1),
                    norm: None,
                    inputs,
                    outputs: self.n_filters1 >> layer,
                    kernel,
                    stride: 2,
                    size,
                    // The published network has no activation after its first convolution; plans and training compose the first two.
                    is_rectified: layer > 0,
                };
                (inputs, size) = (conv.outputs, conv.output_size());
                conv
            })
            .collect()
    }

    /// The layers.
    pub(crate) fn architecture(&self) -> Architecture {
        let dense = |name: &str, inputs, outputs| Dense {
            name: name.into(),
            inputs,
            outputs,
        };
        Architecture::Plain(Plain {
            convs: self.convs(),
            hidden: dense("dense1", self.flat_size(), self.n_dense),
            last: dense("dense2", self.n_dense, self.n_classes),
        })
    }
}
