//! Configurations of the networks: which sizes they have, and from these the names and shapes of all their parameters.

use candle_core::Shape;
use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::onnx::OnnxConfig;
use crate::preprocess::Preprocessing;

/// The configuration of a [`ResNet`](crate::ResNet) for small images (He et al. 2015, section 4.2, "CIFAR-10 and analysis").
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

/// The configuration of a [`DistilledCnn`](crate::DistilledCnn).
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

/// The configuration of either network, as it stands in `config.json` under the tag `architecture`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "snake_case")]
pub enum NetworkConfig {
    /// A [`ResNet`](crate::ResNet).
    #[serde(rename = "resnet")]
    ResNet(ResNetConfig),
    /// A [`DistilledCnn`](crate::DistilledCnn).
    #[serde(rename = "distilled_cnn")]
    DistilledCnn(DistilledCnnConfig),
    /// An [`OnnxClassifier`](crate::OnnxClassifier), whose parameters are known to its file alone.
    #[serde(rename = "onnx")]
    Onnx(OnnxConfig),
}

/// What a parameter is for, which decides how it is initialised and whether it is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// A convolution's kernel, (out, in, kernel height, kernel width).
    Kernel,
    /// A dense layer's weight, (out, in).
    Dense,
    /// A bias of a convolution, a dense layer or a batch normalisation.
    Bias,
    /// The factor of a batch normalisation.
    Scale,
    /// The running mean of a batch normalisation: a statistic, not trained by gradient.
    RunningMean,
    /// The running variance of a batch normalisation: a statistic, not trained by gradient.
    RunningVariance,
}

/// The canonical name, shape and purpose of one parameter of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The canonical name, such as `res2_block0_branch2a.weight`.
    pub name: String,
    /// The shape; kernels are (out, in, height, width), dense weights (out, in).
    pub shape: Shape,
    /// What it is for.
    pub kind: ParameterKind,
}

impl Parameter {
    fn new(name: String, shape: impl Into<Shape>, kind: ParameterKind) -> Self {
        Self {
            name,
            shape: shape.into(),
            kind,
        }
    }
}

/// The largest value that a size in a configuration may have.
const MAX_SIZE: usize = 1 << 16;
/// The largest number of values that a network's parameters may have together.
const MAX_PARAMETERS: usize = 1 << 31;

fn check_range(field: &'static str, value: usize, min: usize, max: usize) -> Result<(), ModelError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ModelError::Config {
        field,
        value: value.to_string(),
        expected: format!("between {min} and {max}"),
    })
}

fn check_total(parameters: &[Parameter]) -> Result<(), ModelError> {
    let total = parameters.iter().try_fold(0usize, |sum, parameter| {
        let count = parameter
            .shape
            .dims()
            .iter()
            .try_fold(1usize, |product, &dim| product.checked_mul(dim))?;
        sum.checked_add(count)
    });
    match total {
        Some(total) if total <= MAX_PARAMETERS => Ok(()),
        _ => Err(ModelError::Config {
            field: "the number of parameters",
            value: total.map_or_else(|| "beyond counting".into(), |total| total.to_string()),
            expected: format!("at most {MAX_PARAMETERS}"),
        }),
    }
}

/// The size that a convolution with `same` padding gives: `ceil(size / stride)`.
pub(crate) const fn same_output(size: usize, stride: usize) -> usize {
    size.div_ceil(stride)
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
        check_range("depth", self.depth, 8, 1202)?;
        if self.depth % 6 != 2 {
            return Err(ModelError::Config {
                field: "depth",
                value: self.depth.to_string(),
                expected: "6n + 2: 8, 14, 20, 26, 32, ...".into(),
            });
        }
        check_range("n_classes", self.n_classes, 2, MAX_SIZE)?;
        check_range("n_filters1", self.n_filters1, 1, MAX_SIZE / 4)?;
        check_range("height", self.height, 1, MAX_SIZE)?;
        check_range("width", self.width, 1, MAX_SIZE)?;
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
        check_total(&self.parameters())
    }

    /// The parameters of the network in the order of its layers.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut list = Vec::new();
        conv_bn(&mut list, "conv1", "bn_conv1", (self.n_filters1, 3, 3));
        for stage in 0..3 {
            let filters = self.n_filters(stage);
            for block in 0..self.n_blocks() {
                let inputs = if block > 0 {
                    filters
                } else {
                    self.n_filters(stage.saturating_sub(1))
                };
                for (branch, inputs, kernel) in [("2a", inputs, 3), ("2b", filters, 3), ("1", inputs, 1)] {
                    if branch == "1" && block > 0 {
                        continue;
                    }
                    let name = format!("{}_block{block}_branch{branch}", stage + 2);
                    conv_bn(
                        &mut list,
                        &format!("res{name}"),
                        &format!("bn{name}"),
                        (filters, inputs, kernel),
                    );
                }
            }
        }
        dense(&mut list, "fc10", self.n_classes, self.n_filters(2));
        list
    }
}

impl DistilledCnnConfig {
    /// The convolutions in order: (input channels, filters, kernel size).
    pub fn convolutions(&self) -> Vec<(usize, usize, usize)> {
        let mut inputs = 3;
        [self.kernel1, self.kernel2, self.kernel3]
            .into_iter()
            .take(self.n_conv_layers)
            .enumerate()
            .map(|(layer, kernel)| {
                let filters = self.n_filters1 >> layer;
                (std::mem::replace(&mut inputs, filters), filters, kernel)
            })
            .collect()
    }

    /// The number of values of the last convolution's output for one image, which the first dense layer takes in the order (height, width,
    /// channels).
    pub fn flat_size(&self) -> usize {
        let size = |size| (0..self.n_conv_layers.min(3)).fold(size, |size, _| same_output(size, 2));
        let filters = self.n_filters1 >> self.n_conv_layers.saturating_sub(1).min(2);
        size(self.height)
            .saturating_mul(size(self.width))
            .saturating_mul(filters)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`ModelError::Config`], naming the field, its value and what it may be.
    pub fn validate(&self) -> Result<(), ModelError> {
        check_range("n_conv_layers", self.n_conv_layers, 1, 3)?;
        check_range("n_filters1", self.n_filters1, 1 << (self.n_conv_layers - 1), MAX_SIZE)?;
        check_range("n_dense", self.n_dense, 1, MAX_SIZE)?;
        check_range("kernel1", self.kernel1, 1, 31)?;
        check_range("kernel2", self.kernel2, 1, 31)?;
        check_range("kernel3", self.kernel3, 1, 31)?;
        check_range("n_classes", self.n_classes, 2, MAX_SIZE)?;
        check_range("height", self.height, 1, MAX_SIZE)?;
        check_range("width", self.width, 1, MAX_SIZE)?;
        self.preprocessing.validate()?;
        check_total(&self.parameters())
    }

    /// The parameters of the network in the order of its layers.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut list = Vec::new();
        for (index, (inputs, filters, kernel)) in self.convolutions().into_iter().enumerate() {
            let name = format!("conv{}", index + 1);
            let shape = (filters, inputs, kernel, kernel);
            list.push(Parameter::new(format!("{name}.weight"), shape, ParameterKind::Kernel));
            list.push(Parameter::new(format!("{name}.bias"), filters, ParameterKind::Bias));
        }
        dense(&mut list, "dense1", self.n_dense, self.flat_size());
        dense(&mut list, "dense2", self.n_classes, self.n_dense);
        list
    }
}

fn conv_bn(list: &mut Vec<Parameter>, conv: &str, bn: &str, (filters, inputs, kernel): (usize, usize, usize)) {
    let shape = (filters, inputs, kernel, kernel);
    list.push(Parameter::new(format!("{conv}.weight"), shape, ParameterKind::Kernel));
    for (array, kind) in [
        ("weight", ParameterKind::Scale),
        ("bias", ParameterKind::Bias),
        ("running_mean", ParameterKind::RunningMean),
        ("running_var", ParameterKind::RunningVariance),
    ] {
        list.push(Parameter::new(format!("{bn}.{array}"), filters, kind));
    }
}

fn dense(list: &mut Vec<Parameter>, name: &str, outputs: usize, inputs: usize) {
    list.push(Parameter::new(
        format!("{name}.weight"),
        (outputs, inputs),
        ParameterKind::Dense,
    ));
    list.push(Parameter::new(format!("{name}.bias"), outputs, ParameterKind::Bias));
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
            Self::Onnx(config) => config.preprocessing.validate(),
        }
    }

    /// The parameters of the network in the order of its layers; none for an ONNX file.
    pub fn parameters(&self) -> Vec<Parameter> {
        match self {
            Self::ResNet(config) => config.parameters(),
            Self::DistilledCnn(config) => config.parameters(),
            Self::Onnx(_) => Vec::new(),
        }
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
