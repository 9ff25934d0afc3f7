//! Gradients of a convolution's input and weights.

use super::super::winograd::{self, Scratch};
use super::{Layout, PackedWeights, TrainableConv, as_blocks, shape_error};
use crate::blocked::Shape;
use crate::error::{Result, check_len};
use crate::lanes::{Block, LANES, as_floats};
use crate::product::{Extent, Grid, Places, Product, TransposedProduct, Windows, floats};
use crate::simd::Simd;

impl TrainableConv {
    /// dx = the gradient of the input, or added to what `dx` holds. `dy` has the shape [`Self::output`], its halo zero; `dx_shape` is the input's
    /// with any halo.
    ///
    /// # Errors
    /// If a slice has another length than its shape says, or the input is interleaved.
    #[allow(clippy::too_many_arguments)]
    pub fn backward_input(
        &self,
        simd: Simd,
        weights: &PackedWeights,
        dy: &[Block],
        images: usize,
        dx: &mut [Block],
        dx_shape: Shape,
        accumulate: bool,
        scratch: &mut Scratch,
    ) -> Result<()> {
        if self.layout == Layout::Interleaved || dx_shape.with_halo(0) != self.input.with_halo(0) {
            return Err(shape_error(
                "the input gradient of a convolution",
                &format!("{:?}, blocked", self.input),
                &dx_shape,
            ));
        }
        check_len(
            "the output gradient of a convolution",
            images * self.output.len(),
            dy.len(),
        )?;
        check_len("the input gradient of a convolution", images * dx_shape.len(), dx.len())?;
        check_len(
            "the packed weights of a convolution",
            self.backward_blocks,
            weights.backward.len(),
        )?;
        if self.winograd {
            simd.run(winograd::Convolve {
                x: dy,
                x_shape: self.output,
                u: &weights.backward,
                y: dx,
                y_shape: dx_shape,
                images,
                accumulate,
                scratch,
            });
            return Ok(());
        }
        let stride = self.params.stride;
        let gradient = self.output;
        for phase in &self.phases {
            let extent = Extent {
                images,
                rows: (self.input.height + stride - 1 - phase.row) / stride,
                columns: (self.input.width + stride - 1 - phase.column) / stride,
            };
            // A residue that no tap reaches has a gradient of zero, which the product still has to write unless it adds.
            if phase.taps.is_empty() && accumulate {
                continue;
            }
            // Offsets are taken from the corner of the halo, so that none is negative.
            let mut runs = Vec::with_capacity(gradient.blocks() * phase.taps.len());
            for block in 0..gradient.blocks() {
                for &(_, _, dy, dx) in &phase.taps {
                    let row = gradient.halo.wrapping_add_signed(dy);
                    let column = gradient.halo.wrapping_add_signed(dx);
                    runs.push(floats(block * gradient.plane() + row * gradient.row() + column));
                }
            }
            simd.run(Product {
                windows: Windows {
                    extent,
                    x: as_floats(dy),
                    grid: Grid {
                        base: 0,
                        image: floats(gradient.len()),
                        row: floats(gradient.row()),
                        column: LANES,
                    },
                    runs: &runs,
                    run_len: LANES,
                },
                w: &weights.backward[phase.start..],
                out: dx,
                places: Places::of_shape(&dx_shape, stride).moved(phase.row * dx_shape.row() + phase.column),
                accumulate,
            });
        }
        Ok(())
    }

    /// Adds the gradient of the weights over `images` images to `dw` ([`Self::gradient_blocks`] blocks in the kernels' own order; see
    /// [`Self::plain_gradient`]).
    ///
    /// # Errors
    /// If a slice has another length than its shape says.
    #[allow(clippy::too_many_arguments)]
    pub fn backward_weights(
        &self,
        simd: Simd,
        x: &[f32],
        dy: &[Block],
        dy_shape: Shape,
        images: usize,
        dw: &mut [Block],
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.check_output(&dy_shape)?;
        check_len("the input of a convolution", images * self.input_floats(), x.len())?;
        check_len(
            "the output gradient of a convolution",
            images * dy_shape.len(),
            dy.len(),
        )?;
        check_len("the weight gradient of a convolution", self.gradient_blocks(), dw.len())?;
        if self.winograd {
            simd.run(winograd::WeightGradient {
                x: as_blocks(x)?,
                x_shape: self.input,
                dy,
                dy_shape,
                images,
                du: dw,
                scratch,
            });
        } else {
            simd.run(TransposedProduct {
                windows: self.windows(x, images),
                dy,
                places: Places::of_shape(&dy_shape, 1),
                dw,
            });
        }
        Ok(())
    }
}
