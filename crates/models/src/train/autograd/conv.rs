//! A convolution as an operation of candle.

use candle_core::{CpuStorage, CustomOp2, DType, Device, Layout, Shape, Tensor};
use rayon::prelude::*;
use riptide_kernels::lanes::as_floats;
use riptide_kernels::training::{self, PackedWeights, Scratch, TrainableConv};
use riptide_kernels::{Block, Blocked, ConvParams, Padding, Simd};

use super::floats;
use crate::error::ModelError;
use crate::train::engine::{GROUP, sum_groups};

/// A two-dimensional convolution whose gradients are this crate's kernels.
///
/// f32 tensors on the CPU go through the kernels, forward and backward, with the same bits for any number of threads; others through candle's own
/// convolution.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use riptide_models::train::autograd::{Conv2d, Padding};
///
/// let weight = Var::ones((8, 3, 3, 3), candle_core::DType::F32, &Device::Cpu)?;
/// let images = Tensor::ones((2, 3, 6, 6), candle_core::DType::F32, &Device::Cpu)?;
/// let conv = Conv2d::new(1, Padding::all(1))?;
/// let y = conv.apply(&images, &weight, None)?;
/// assert_eq!(y.dims(), [2, 8, 6, 6]);
/// let gradients = y.sum_all()?.backward()?;
/// assert_eq!(gradients.get(&weight).map(Tensor::dims), Some(&[8, 3, 3, 3][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Conv2d {
    stride: usize,
    padding: Padding,
    simd: Simd,
}

impl Conv2d {
    /// A convolution of the given stride and padding, on the best kernels of this machine.
    ///
    /// # Errors
    /// [`ModelError::Kernel`] where `RIPTIDE_KERNEL` names kernels that cannot run.
    pub fn new(stride: usize, padding: Padding) -> Result<Self, ModelError> {
        Ok(Self::with_kernels(stride, padding, Simd::current()?))
    }

    /// Like [`Self::new`], on the given kernels.
    pub fn with_kernels(stride: usize, padding: Padding, simd: Simd) -> Self {
        Self { stride, padding, simd }
    }

    /// conv(x, weight) + bias, of shape (N, out, H', W'): x is (N, in, H, W), weight (out, in, kernel height, kernel width), bias (out).
    ///
    /// # Errors
    /// [`ModelError::Kernel`] where the shapes disagree or a size is zero, [`ModelError::Candle`] where an operation fails.
    pub fn apply(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, ModelError> {
        let is_ours = |tensor: &Tensor| tensor.dtype() == DType::F32 && tensor.device().is_cpu();
        let y = if is_ours(x) && is_ours(weight) {
            let op = ConvOp::new(self, x, weight)?;
            x.contiguous()?.apply_op2(&weight.contiguous()?, op)?
        } else {
            let Padding {
                top,
                bottom,
                left,
                right,
            } = self.padding;
            let x = x.pad_with_zeros(2, top, bottom)?.pad_with_zeros(3, left, right)?;
            x.conv2d(weight, 0, self.stride, 1, 1)?
        };
        Ok(match bias {
            Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?,
            None => y,
        })
    }
}

/// (x, weight) to the convolution.
#[derive(Debug)]
struct ConvOp {
    simd: Simd,
    conv: TrainableConv,
    images: usize,
}

/// The gradients of x and weight, where they were asked for.
type Gradients = (Option<Vec<f32>>, Option<Vec<f32>>);

impl ConvOp {
    fn new(layer: &Conv2d, x: &Tensor, weight: &Tensor) -> Result<Self, ModelError> {
        let (images, channels, height, width) = x.dims4()?;
        let (out_channels, in_channels, rows, columns) = weight.dims4()?;
        let params = ConvParams {
            in_channels,
            out_channels,
            kernel: [rows, columns],
            stride: layer.stride,
            padding: layer.padding,
        };
        let input = riptide_kernels::Shape::new(channels, height, width).with_halo(layer.padding.halo());
        Ok(Self {
            simd: layer.simd,
            conv: TrainableConv::new(params, training::Layout::Blocked, input)?,
            images,
        })
    }

    fn packed(&self, weight: &[f32]) -> Result<PackedWeights, ModelError> {
        let mut packed = PackedWeights::default();
        self.conv.pack(self.simd, weight, &mut packed)?;
        Ok(packed)
    }

    fn forward(&self, x: &[f32], weight: &[f32]) -> Result<Vec<f32>, ModelError> {
        let (conv, packed) = (&self.conv, self.packed(weight)?);
        let (input, output) = (conv.input(), conv.output().with_halo(0));
        let groups = x.par_chunks(GROUP * input.floats()).map(|x| {
            let n = x.len() / input.floats();
            let x = Blocked::from_nchw(x, n, input)?;
            let mut y = Blocked::zeros(output, n);
            let mut scratch = Scratch::default();
            conv.forward(
                self.simd,
                &packed,
                as_floats(x.data()),
                n,
                y.data_mut(),
                output,
                &mut scratch,
            )?;
            Ok(y.to_nchw())
        });
        Ok(groups.collect::<Result<Vec<_>, ModelError>>()?.concat())
    }

    /// The gradients of x and weight, each where it is asked for.
    fn backward(
        &self,
        x: &[f32],
        weight: &[f32],
        dy: &[f32],
        (of_x, of_weight): (bool, bool),
    ) -> Result<Gradients, ModelError> {
        let (conv, packed) = (&self.conv, self.packed(weight)?);
        let (input, output) = (conv.input(), conv.output());
        let groups = x
            .par_chunks(GROUP * input.floats())
            .zip(dy.par_chunks(GROUP * output.floats()))
            .map(|(x, dy)| {
                let n = x.len() / input.floats();
                let dy = Blocked::from_nchw(dy, n, output)?;
                let mut scratch = Scratch::default();
                let mut plain = Vec::new();
                if of_weight {
                    let x = Blocked::from_nchw(x, n, input)?;
                    let (x, mut sums) = (as_floats(x.data()), vec![Block::ZERO; conv.gradient_blocks()]);
                    conv.backward_weights(self.simd, x, dy.data(), output, n, &mut sums, &mut scratch)?;
                    plain.resize(conv.plain_blocks(), Block::ZERO);
                    conv.plain_gradient(self.simd, &sums, &mut plain)?;
                }
                let mut dx = Vec::new();
                if of_x {
                    let shape = input.with_halo(0);
                    let mut blocked = Blocked::zeros(shape, n);
                    let (dy, to) = (dy.data(), blocked.data_mut());
                    conv.backward_input(self.simd, &packed, dy, n, to, shape, false, &mut scratch)?;
                    dx = blocked.to_nchw();
                }
                Ok((dx, plain))
            });
        let (dx, plain): (Vec<_>, Vec<_>) = groups.collect::<Result<Vec<_>, ModelError>>()?.into_iter().unzip();
        let dw = if of_weight {
            let (mut plain, mut dw) = (plain.concat(), vec![0.0; weight.len()]);
            // Without images there is no group to sum.
            plain.resize(plain.len().max(conv.plain_blocks()), Block::ZERO);
            sum_groups(&mut plain, conv.plain_blocks());
            conv.unpack_gradient(&plain[..conv.plain_blocks()], &mut dw)?;
            Some(dw)
        } else {
            None
        };
        Ok((of_x.then(|| dx.concat()), dw))
    }
}

impl CustomOp2 for ConvOp {
    fn name(&self) -> &'static str {
        "riptide-conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let y = self.forward(floats(x, x_layout)?, floats(weight, weight_layout)?)?;
        let output = self.conv.output();
        let shape = (self.images, output.channels, output.height, output.width);
        Ok((CpuStorage::F32(y), shape.into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let asked = (x.track_op(), weight.track_op());
        let (dx, dw) = self.backward(&values(x)?, &values(weight)?, &values(grad_res)?, asked)?;
        let tensor = |values: Option<Vec<f32>>, like: &Tensor| {
            values
                .map(|values| Tensor::from_vec(values, like.shape(), &Device::Cpu))
                .transpose()
        };
        Ok((tensor(dx, x)?, tensor(dw, weight)?))
    }
}
