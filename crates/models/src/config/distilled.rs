//! The configuration of the network that a classifier is distilled into.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::check;
use crate::architecture::{Architecture, Conv, Dense, Plain};
use crate::error::ModelError;
use crate::preprocess::Preprocessing;
use crate::shrink::Shrink;

/// Most units of its first dense layer: beyond them the layer would be the larger part of the network.
const MOST_UNITS: usize = 512;

/// The configuration of a distilled network: the small convolutional network that model distillation trains to mimic a classifier.
///
/// The network is one to three convolutions of stride 2 with `n_filters1`, `n_filters1 / 2` and `n_filters1 / 4` filters (the first with no
/// activation, the others with ReLU), a dense layer of `n_dense` units with no activation, and a dense layer of `n_classes` units. The
/// default is the distilled network of the published model distillation example.
///
/// Images that are larger than those of the published example can be made smaller first, see [`Self::shrink`].
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
    /// By how much images are made smaller before anything else: height and width are divided by this number and rounded up, and each
    /// value becomes the mean over the area that it covers. 1, the default, leaves them as they are, and is not written to `config.json`.
    #[serde(skip_serializing_if = "is_one")]
    pub shrink: usize,
    /// What raw images go through before the network, after they were made smaller.
    pub preprocessing: Preprocessing,
}

/// Networks of the time before `shrink` have no such key, and their digests are to stay.
fn is_one(shrink: &usize) -> bool {
    *shrink == 1
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
            shrink: 1,
            preprocessing: Preprocessing::default(),
        }
    }
}

impl DistilledCnnConfig {
    /// A network sized by its images and classes, with all else as published.
    ///
    /// Images are made smaller by the whole factor that brings their longer side nearest to the published 32 pixels: three small kernels see
    /// 22 pixels together, which of a larger image is too small a part. The first dense layer has a unit for each class, at least the published 40 and at most 512, because no
    /// activation follows it: with fewer units than classes the network could not give all classes independent answers. For 32 x 32 pixels
    /// and up to 40 classes this is the published network.
    ///
    /// ```
    /// use riptide_models::DistilledCnnConfig;
    /// assert_eq!(DistilledCnnConfig::sized(10, (32, 32)), DistilledCnnConfig::default());
    /// let large = DistilledCnnConfig::sized(1000, (224, 224));
    /// assert_eq!((large.shrink, large.inner_size(), large.n_dense), (7, (32, 32), 512));
    /// ```
    #[must_use]
    pub fn sized(n_classes: usize, (height, width): (usize, usize)) -> Self {
        let published = Self::default();
        Self {
            n_classes,
            height,
            width,
            shrink: (height.max(width) + published.width / 2)
                .div_euclid(published.width)
                .max(1),
            n_dense: n_classes.clamp(published.n_dense, MOST_UNITS),
            ..published
        }
    }

    /// Height and width of the images after they were made smaller: what the first convolution sees.
    #[must_use]
    pub fn inner_size(&self) -> (usize, usize) {
        self.shrunk().output_size()
    }

    /// The network behind the shrinking: the same layers, for images that [`Self::shrink_images`] made smaller. Both take the same
    /// parameters, so one can be trained in place of the other.
    #[must_use]
    pub fn inner(&self) -> Self {
        let (height, width) = self.inner_size();
        Self {
            height,
            width,
            shrink: 1,
            ..self.clone()
        }
    }

    /// Makes raw images smaller as the network does: u8 (n, `height`, `width`, 3) to u8 (n, inner height, inner width, 3), row-major.
    ///
    /// # Errors
    /// [`ModelError::Images`] if the bytes are not a whole number of images.
    pub fn shrink_images(&self, pixels: &[u8]) -> Result<Vec<u8>, ModelError> {
        let shrink = self.shrunk();
        let (from, to) = (shrink.input_len().max(1), shrink.output_len().max(1));
        if !pixels.len().is_multiple_of(from) {
            return Err(ModelError::Images {
                found: format!("slice of {} bytes", pixels.len()),
                expected: format!("a multiple of the {from} bytes of an image"),
            });
        }
        let mut small = vec![0; pixels.len() / from * to];
        let images = small.par_chunks_exact_mut(to).zip(pixels.par_chunks_exact(from));
        images.for_each(|(small, image)| shrink.apply(image, small));
        Ok(small)
    }

    /// How raw images become smaller.
    pub(super) fn shrunk(&self) -> Shrink {
        Shrink {
            height: self.height,
            width: self.width,
            factor: self.shrink.max(1),
        }
    }

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
        check::range("shrink", self.shrink, 1, check::MAX_SIZE)?;
        self.preprocessing.validate()?;
        check::total(&self.architecture().parameters())
    }

    fn convs(&self) -> Vec<Conv> {
        let (mut inputs, mut size) = (3, <[usize; 2]>::from(self.inner_size()));
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
