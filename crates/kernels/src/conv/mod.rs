//! Convolutions over the blocked layout, with bias, residual sum and ReLU fused into the store.

mod composed;
mod direct;
mod image;
mod taps;
mod trainable;
mod winograd;

pub use composed::{ComposedConv, ComposedWeights};
pub use direct::DirectConv;
pub use image::{ImageConv, ImageShape};
pub use trainable::{Layout, PackedWeights, TrainableConv};
pub use winograd::{Scratch, WinogradConv};

use crate::blocked::Shape;
use crate::error::{KernelError, Result, check_eq, check_len};
use crate::lanes::{Block, Lanes};

/// Zeros around the input of a convolution. Keras's `same` is asymmetric if the total is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// The same number of zeros on the four sides.
    pub const fn all(pad: usize) -> Self {
        Self {
            top: pad,
            bottom: pad,
            left: pad,
            right: pad,
        }
    }

    /// `same` padding as TensorFlow has it: the output has ceil(size / stride) pixels; if the total is odd, the extra zero is after.
    pub const fn same(kernel: [usize; 2], stride: usize, height: usize, width: usize) -> Self {
        const fn total(size: usize, kernel: usize, stride: usize) -> usize {
            ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size)
        }
        let (rows, columns) = (total(height, kernel[0], stride), total(width, kernel[1], stride));
        Self {
            top: rows / 2,
            bottom: rows - rows / 2,
            left: columns / 2,
            right: columns - columns / 2,
        }
    }

    /// The largest of the four sides: the halo that the input needs.
    pub const fn halo(&self) -> usize {
        let rows = if self.top > self.bottom { self.top } else { self.bottom };
        let columns = if self.left > self.right { self.left } else { self.right };
        if rows > columns { rows } else { columns }
    }
}

/// The sizes of a convolution layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvParams {
    /// Channels in.
    pub in_channels: usize,
    /// Channels out.
    pub out_channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Step between output pixels, in input pixels, both ways.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
}

impl ConvParams {
    /// Floats of the weights (out, in, kernel rows, kernel columns).
    pub const fn weights(&self) -> usize {
        self.out_channels * self.in_channels * self.kernel[0] * self.kernel[1]
    }

    /// The shape that the convolution gives for an input, with the given halo.
    ///
    /// # Errors
    /// If the input has other channels or is smaller than the kernel, or the stride is zero.
    pub fn output(&self, input: Shape, halo: usize) -> Result<Shape> {
        let Padding {
            top,
            bottom,
            left,
            right,
        } = self.padding;
        let (rows, columns) = (input.height + top + bottom, input.width + left + right);
        if self.stride == 0 {
            return Err(self.size_of_zero());
        }
        if input.channels != self.in_channels || rows < self.kernel[0] || columns < self.kernel[1] {
            return Err(KernelError::Shape {
                what: "the input of a convolution",
                expected: format!(
                    "{} channels, at least {:?} pixels with padding",
                    self.in_channels, self.kernel
                ),
                got: format!("{} channels, [{rows}, {columns}] pixels with padding", input.channels),
            });
        }
        let height = (rows - self.kernel[0]) / self.stride + 1;
        let width = (columns - self.kernel[1]) / self.stride + 1;
        Ok(Shape {
            channels: self.out_channels,
            height,
            width,
            halo,
        })
    }

    /// Checks the sizes, the weights and the bias.
    pub(crate) fn check(&self, weights: &[f32], bias: Option<&[f32]>) -> Result<()> {
        let sizes = [
            self.in_channels,
            self.out_channels,
            self.kernel[0],
            self.kernel[1],
            self.stride,
        ];
        if sizes.contains(&0) {
            return Err(self.size_of_zero());
        }
        check_len("the weights of a convolution", self.weights(), weights.len())?;
        bias.map_or(Ok(()), |bias| {
            check_len("the bias of a convolution", self.out_channels, bias.len())
        })
    }

    fn size_of_zero(&self) -> KernelError {
        KernelError::Shape {
            what: "the sizes of a convolution",
            expected: "all at least 1".into(),
            got: format!("{self:?}"),
        }
    }

    /// Checks the blocked images of a run against each other and returns how many images there are.
    pub(crate) fn check_run(
        &self,
        in_shape: Shape,
        input: &[Block],
        out_shape: Shape,
        output: &[Block],
    ) -> Result<usize> {
        check_eq(
            "the output of a convolution",
            self.output(in_shape, out_shape.halo)?,
            out_shape,
        )?;
        if in_shape.halo < self.padding.halo() {
            return Err(KernelError::Shape {
                what: "the halo of a convolution's input",
                expected: format!("at least {}", self.padding.halo()),
                got: in_shape.halo.to_string(),
            });
        }
        let images = input.len() / in_shape.len().max(1);
        check_len("the input of a convolution", images * in_shape.len(), input.len())?;
        check_len("the output of a convolution", images * out_shape.len(), output.len())?;
        Ok(images)
    }
}

/// The function at the end of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// The value itself.
    #[default]
    Linear,
    /// max(x, 0)
    Relu,
}

/// What is fused into the store of a convolution, after the bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epilogue {
    /// Whether what the output holds is added, the residual of a shortcut: act(output + x) instead of act(x).
    pub accumulate: bool,
    /// What comes last.
    pub activation: Activation,
}

impl Epilogue {
    /// act(x)
    pub const fn new(activation: Activation) -> Self {
        Self {
            accumulate: false,
            activation,
        }
    }

    /// act(output + x)
    pub const fn onto_output(activation: Activation) -> Self {
        Self {
            accumulate: true,
            activation,
        }
    }

    /// Writes the value of the pixel at `at` to the output.
    ///
    /// # Safety
    /// `at` is inside the output.
    #[inline(always)]
    pub(crate) unsafe fn store<L: Lanes>(&self, l: L, value: L::V, output: &mut [Block], at: usize) {
        let mut value = value;
        if self.accumulate {
            // SAFETY: the caller says that the pixel is inside.
            value = l.add(value, unsafe { l.at(output, at) });
        }
        if self.activation == Activation::Relu {
            value = l.max(value, l.zero());
        }
        // SAFETY: the caller says that the pixel is inside.
        unsafe { l.put(value, output, at) };
    }
}
