//! One description of each network, from which everything else follows: the names and shapes of the parameters, the forward pass in
//! candle, the layers to look for in a Keras file, the planned inference and the training.
//!
//! The plans and the training engines order their work by hand, because that decides their speed; which layers there are, what they
//! are called and how large they are, they take from here.

use candle_core::Shape;
use riptide_kernels::{ConvParams, Padding};

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

impl ParameterKind {
    /// Whether gradients train it; the running statistics follow the batches instead.
    pub fn is_trained(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVariance)
    }
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

/// A network whose layers are known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Architecture {
    /// The residual network for small images.
    Residual(Residual),
    /// The small network that a classifier is distilled into.
    Plain(Plain),
}

/// A convolution with a ReLU, stages of residual blocks, the mean over the pixels, and a dense layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Residual {
    pub(crate) stem: Conv,
    /// Every stage has at least one block.
    pub(crate) stages: Vec<Vec<Block>>,
    pub(crate) fc: Dense,
}

/// relu(branch2b(relu(branch2a(x))) + shortcut(x)).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    pub(crate) branch2a: Conv,
    pub(crate) branch2b: Conv,
    /// The projection on the shortcut; without one, the shortcut is the block's input.
    pub(crate) branch1: Option<Conv>,
}

/// Convolutions one after the other, then dense layers with nothing between them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plain {
    /// At least one.
    pub(crate) convs: Vec<Conv>,
    /// Takes the last convolution's output in the order (height, width, channels), as Keras flattens it.
    pub(crate) hidden: Dense,
    pub(crate) last: Dense,
}

/// A convolution with a square kernel and `same` padding. It has a bias if no batch normalisation follows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Conv {
    pub(crate) name: String,
    pub(crate) norm: Option<Norm>,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    /// Height and width of the input.
    pub(crate) size: [usize; 2],
    /// Whether a ReLU follows, before anything is added.
    pub(crate) is_rectified: bool,
}

/// A batch normalisation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Norm {
    pub(crate) name: String,
    /// Added to the variance.
    pub(crate) epsilon: f64,
    /// How much of the running statistics a training step keeps.
    pub(crate) momentum: f64,
}

/// A dense layer with a bias.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dense {
    pub(crate) name: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

/// Any layer with parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layer<'a> {
    Conv(&'a Conv),
    Dense(&'a Dense),
}

impl Conv {
    /// Height and width of the output: `ceil(size / stride)`.
    pub(crate) fn output_size(&self) -> [usize; 2] {
        self.size.map(|size| size.div_ceil(self.stride))
    }

    /// The sizes, as the kernels take them.
    pub(crate) fn params(&self) -> ConvParams {
        let [height, width] = self.size;
        ConvParams {
            in_channels: self.inputs,
            out_channels: self.outputs,
            kernel: [self.kernel; 2],
            stride: self.stride,
            padding: Padding::same([self.kernel; 2], self.stride, height, width),
        }
    }

    fn parameters(&self, list: &mut Vec<Parameter>) {
        let kernel = (self.outputs, self.inputs, self.kernel, self.kernel);
        list.push(parameter(&self.name, "weight", kernel, ParameterKind::Kernel));
        let Some(norm) = &self.norm else {
            list.push(parameter(&self.name, "bias", self.outputs, ParameterKind::Bias));
            return;
        };
        for (array, kind) in [
            ("weight", ParameterKind::Scale),
            ("bias", ParameterKind::Bias),
            ("running_mean", ParameterKind::RunningMean),
            ("running_var", ParameterKind::RunningVariance),
        ] {
            list.push(parameter(&norm.name, array, self.outputs, kind));
        }
    }
}

impl Dense {
    fn parameters(&self, list: &mut Vec<Parameter>) {
        let weight = (self.outputs, self.inputs);
        list.push(parameter(&self.name, "weight", weight, ParameterKind::Dense));
        list.push(parameter(&self.name, "bias", self.outputs, ParameterKind::Bias));
    }
}

impl Architecture {
    /// All layers in the order of their parameters.
    pub(crate) fn layers(&self) -> Vec<Layer<'_>> {
        match self {
            Self::Residual(Residual { stem, stages, fc }) => {
                let mut layers = vec![Layer::Conv(stem)];
                for block in stages.iter().flatten() {
                    let convs = [&block.branch2a, &block.branch2b].into_iter().chain(&block.branch1);
                    layers.extend(convs.map(Layer::Conv));
                }
                layers.push(Layer::Dense(fc));
                layers
            }
            Self::Plain(Plain { convs, hidden, last }) => {
                let dense = [hidden, last].map(Layer::Dense);
                convs.iter().map(Layer::Conv).chain(dense).collect()
            }
        }
    }

    /// The parameters in the order of the layers. Random initial values are drawn in this order.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let mut list = Vec::new();
        for layer in self.layers() {
            match layer {
                Layer::Conv(conv) => conv.parameters(&mut list),
                Layer::Dense(dense) => dense.parameters(&mut list),
            }
        }
        list
    }
}

fn parameter(layer: &str, array: &str, shape: impl Into<Shape>, kind: ParameterKind) -> Parameter {
    Parameter {
        name: format!("{layer}.{array}"),
        shape: shape.into(),
        kind,
    }
}
