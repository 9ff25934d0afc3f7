//! The convolutions of the distilled network in training.

use std::ops::Range;

use riptide_kernels::training::{
    Affine, ComposedConv, ComposedWeights, Layout, PackedWeights, Planes, Scratch, TrainableConv,
};
use riptide_kernels::{Block, Shape, Simd};

use super::super::flat::FlatLayout;
use super::super::memory::{GROUP, grow, images};
use super::super::norm::sum_groups;
use crate::architecture::Conv;
use crate::error::ModelError;

/// Convolutions with their bias and what follows them.
#[derive(Debug)]
pub(super) struct ConvLayer {
    pub(super) kernel: Kernel,
    pub(super) is_rectified: bool,
    /// Where the bias that is added last is among the parameters.
    pub(super) bias: Range<usize>,
    pub(super) affine: Affine,
    /// The layer's output for the whole batch.
    pub(super) output: Vec<Block>,
    /// The shape of an image in [`Self::output`].
    pub(super) shape: Shape,
    /// The gradient of the weights, for each group.
    pub(super) plain: Vec<Block>,
}

/// One convolution, or two of an image with nothing between them.
#[derive(Debug)]
pub(super) enum Kernel {
    Single {
        conv: TrainableConv,
        weight: Range<usize>,
        packed: PackedWeights,
    },
    Composed {
        conv: ComposedConv,
        /// Weights and bias of the first, which follow each other.
        first: [Range<usize>; 2],
        second: [Range<usize>; 2],
        packed: ComposedWeights,
    },
}

impl ConvLayer {
    /// One layer. It takes the output of the layer below, or the images; its own output gets a halo.
    pub(super) fn single(
        layout: &FlatLayout,
        conv: &Conv,
        images: Shape,
        below: Option<Shape>,
        halo: usize,
    ) -> Result<Self, ModelError> {
        let (order, input) = match below {
            Some(shape) => (Layout::Blocked, shape),
            None => (Layout::Interleaved, images),
        };
        let [weight, bias] = places(layout, conv)?;
        let kernel = Kernel::Single {
            conv: TrainableConv::new(conv.params(), order, input)?,
            weight,
            packed: PackedWeights::default(),
        };
        Ok(Self::new(kernel, conv.is_rectified, bias, halo))
    }

    /// The first two layers as one, if that is less work for a group of images and nothing stands between them.
    pub(super) fn composed(
        layout: &FlatLayout,
        layers: &[Conv],
        input: Shape,
        halo: usize,
    ) -> Result<Option<Self>, ModelError> {
        let [first, second, ..] = layers else {
            return Ok(None);
        };
        if first.is_rectified {
            return Ok(None);
        }
        let conv = ComposedConv::new(first.params(), second.params(), input)?;
        let (product, apart) = conv.multiply_adds();
        // The product is taken anew for every batch, because the weights have moved; a batch has one group at least.
        if GROUP * product + conv.composing() >= GROUP * apart {
            return Ok(None);
        }
        let is_rectified = second.is_rectified;
        let [first, second] = [places(layout, first)?, places(layout, second)?];
        let bias = second[1].clone();
        let packed = ComposedWeights::default();
        let kernel = Kernel::Composed {
            conv,
            first,
            second,
            packed,
        };
        Ok(Some(Self::new(kernel, is_rectified, bias, halo)))
    }

    fn new(kernel: Kernel, is_rectified: bool, bias: Range<usize>, halo: usize) -> Self {
        Self {
            shape: kernel.output().with_halo(halo),
            kernel,
            is_rectified,
            bias,
            affine: Affine::default(),
            output: Vec::new(),
            plain: Vec::new(),
        }
    }

    /// Packs the weights and makes room for `n` images.
    pub(super) fn prepare(&mut self, simd: Simd, parameters: &[f32], n: usize) -> Result<(), ModelError> {
        let of = |range: &Range<usize>| &parameters[range.clone()];
        let bias = of(&self.bias);
        match &mut self.kernel {
            Kernel::Single { conv, weight, packed } => {
                conv.pack(simd, of(weight), packed)?;
                self.affine = Affine::from_fn(bias.len(), |c| (1.0, bias[c]));
            }
            Kernel::Composed {
                conv,
                first: [w1, b1],
                second: [w2, b2],
                packed,
            } => {
                conv.pack(simd, (of(w1), of(b1)), (of(w2), of(b2)), packed)?;
                // The product has the bias inside: at the border, the first layer's bias reaches fewer positions of the second.
                self.affine = Affine::from_fn(bias.len(), |_| (1.0, 0.0));
            }
        }
        grow(&mut self.output, n * self.shape.len());
        grow(&mut self.plain, n.div_ceil(GROUP) * self.kernel.plain_blocks());
        Ok(())
    }

    /// The layer's outputs of images `first..first + count`.
    pub(super) fn planes(&self, first: usize, count: usize) -> Planes<'_> {
        Planes::new(images(&self.output, self.shape, first, count), self.shape)
    }

    /// Writes the gradient of the weights from the sums of all groups.
    pub(super) fn write_gradient(&mut self, simd: Simd, n: usize, gradient: &mut [f32]) -> Result<(), ModelError> {
        let len = self.kernel.plain_blocks();
        sum_groups(&mut self.plain[..n.div_ceil(GROUP) * len], len);
        let plain = &self.plain[..len];
        match &self.kernel {
            Kernel::Single { conv, weight, .. } => conv.unpack_gradient(plain, &mut gradient[weight.clone()])?,
            Kernel::Composed {
                conv,
                first: [w1, b1],
                second: [w2, _],
                packed,
            } => {
                // Both layers' weights come from one gradient, that of the product; the second bias is summed with the others.
                let (before, after) = gradient.split_at_mut(w2.start);
                let (d_w1, d_b1) = before[w1.start..b1.end].split_at_mut(w1.len());
                conv.gradient(simd, packed, plain, (d_w1, d_b1), &mut after[..w2.len()])?;
            }
        }
        Ok(())
    }
}

impl Kernel {
    /// The shape of the output's gradient.
    pub(super) fn output(&self) -> Shape {
        match self {
            Self::Single { conv, .. } => conv.output(),
            Self::Composed { conv, .. } => conv.output(),
        }
    }

    pub(super) fn input_floats(&self) -> usize {
        match self {
            Self::Single { conv, .. } => conv.input_floats(),
            Self::Composed { conv, .. } => conv.input_floats(),
        }
    }

    pub(super) fn gradient_blocks(&self) -> usize {
        match self {
            Self::Single { conv, .. } => conv.gradient_blocks(),
            Self::Composed { conv, .. } => conv.gradient_blocks(),
        }
    }

    pub(super) fn plain_blocks(&self) -> usize {
        match self {
            Self::Single { conv, .. } => conv.plain_blocks(),
            Self::Composed { conv, .. } => conv.gradient_blocks(),
        }
    }

    /// The output of a few images, without the bias of [`ConvLayer::affine`].
    pub(super) fn forward(
        &self,
        simd: Simd,
        x: &[f32],
        count: usize,
        y: &mut [Block],
        shape: Shape,
        scratch: &mut Scratch,
    ) -> Result<(), ModelError> {
        match self {
            Self::Single { conv, packed, .. } => conv.forward(simd, packed, x, count, y, shape, scratch)?,
            Self::Composed { conv, packed, .. } => conv.forward(simd, packed, x, count, y, shape)?,
        }
        Ok(())
    }

    /// Adds the gradient of the weights over a few images.
    pub(super) fn backward_weights(
        &self,
        simd: Simd,
        x: &[f32],
        dy: &[Block],
        count: usize,
        sums: &mut [Block],
        scratch: &mut Scratch,
    ) -> Result<(), ModelError> {
        let shape = self.output();
        match self {
            Self::Single { conv, .. } => conv.backward_weights(simd, x, dy, shape, count, sums, scratch)?,
            Self::Composed { conv, .. } => conv.backward_weights(simd, x, dy, shape, count, sums)?,
        }
        Ok(())
    }

    /// The gradient of the input of a few images. No gradient flows into images.
    pub(super) fn backward_input(
        &self,
        simd: Simd,
        dy: &[Block],
        count: usize,
        dx: &mut [Block],
        dx_shape: Shape,
        scratch: &mut Scratch,
    ) -> Result<(), ModelError> {
        if let Self::Single { conv, packed, .. } = self {
            conv.backward_input(simd, packed, dy, count, dx, dx_shape, false, scratch)?;
        }
        Ok(())
    }

    pub(super) fn plain_gradient(&self, simd: Simd, sums: &[Block], plain: &mut [Block]) -> Result<(), ModelError> {
        match self {
            Self::Single { conv, .. } => conv.plain_gradient(simd, sums, plain)?,
            Self::Composed { .. } => plain.copy_from_slice(sums),
        }
        Ok(())
    }
}

/// Where weights and bias of a layer are among the parameters.
fn places(layout: &FlatLayout, conv: &Conv) -> Result<[Range<usize>; 2], ModelError> {
    Ok([layout.find(&conv.name, "weight")?, layout.find(&conv.name, "bias")?])
}
