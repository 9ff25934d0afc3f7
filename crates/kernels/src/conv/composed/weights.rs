//! The product of both layers' weights, and the way back from its gradient.

use rayon::prelude::*;

use super::trainable::{ComposedConv, ComposedWeights, Part};
use crate::error::{Result, check_len};
use crate::lanes::{Block, LANES, add, as_floats};
use crate::product::{Places, Product, Windows, floats};
use crate::simd::Simd;

/// Rows of the first layer's gradient that one task sums: few enough for all cores to have work. Each task sums its rows over all taps in order, so the
/// bits do not depend on the number of threads.
const ROWS: usize = 13;

impl ComposedConv {
    /// Calls `f` with the row of a part's weights and the weight of the first layer, for every product of that weight with a tap of the second layer.
    fn for_each_product(&self, part: &Part, tap: usize, mut f: impl FnMut(usize, usize)) {
        let [k1y, k1x] = self.first.kernel;
        let (ky, kx) = (tap / self.second.kernel[1], tap % self.second.kernel[1]);
        if !part.row_taps.0.contains(&ky) || !part.column_taps.0.contains(&kx) {
            return;
        }
        let channels = self.first.in_channels;
        for at in 0..k1y * k1x {
            let (y, x) = (ky * self.first.stride + at / k1x, kx * self.first.stride + at % k1x);
            if part.row_taps.1.contains(&y) && part.column_taps.1.contains(&x) {
                let row = (y - part.row_taps.1.start) * part.run_len + (x - part.column_taps.1.start) * channels;
                for c in 0..channels {
                    f(row + c, c * k1y * k1x + at);
                }
            }
        }
        f(part.taps(), self.inner());
    }

    /// Packs the weights (out, in, kernel rows, kernel columns) and biases (out) of both layers, and their product.
    ///
    /// # Errors
    /// If a slice has another length.
    pub fn pack(
        &self,
        simd: Simd,
        first: (&[f32], &[f32]),
        second: (&[f32], &[f32]),
        packed: &mut ComposedWeights,
    ) -> Result<()> {
        for (params, (weights, bias)) in [(&self.first, first), (&self.second, second)] {
            check_len("the weights of a convolution", params.weights(), weights.len())?;
            check_len("the bias of a convolution", params.out_channels, bias.len())?;
        }
        let (inner, taps) = (self.inner(), self.taps());
        let (middle, out) = (self.second.in_channels, self.second.out_channels);
        let (m, k) = (middle.div_ceil(LANES), self.output.blocks());
        // The first layer is needed both ways round: (middle channel, weight) for the gradient of the second layer, and turned for the product. The bias is
        // one more weight, so that both products carry it along.
        packed.first.clear();
        let mut turned = vec![0.0; (inner + 1) * middle];
        for (channel, (weights, bias)) in first.0.chunks_exact(inner).zip(first.1).enumerate() {
            packed.first.extend_from_slice(weights);
            packed.first.push(*bias);
            for (i, w) in weights.iter().chain([bias]).enumerate() {
                turned[i * middle + channel] = *w;
            }
        }
        packed.second.resize(taps * floats(k) * m, Block::ZERO);
        let mut products = vec![Block::ZERO; taps * (inner + 1) * k];
        let tasks = products
            .par_chunks_mut((inner + 1) * k)
            .zip(packed.second.par_chunks_mut(floats(k) * m));
        // One task for each tap of the second layer: tasks share no sums, so the bits do not depend on the number of threads.
        tasks.enumerate().for_each(|(tap, (product, rows))| {
            let mut columns = vec![Block::ZERO; middle * k];
            for o in 0..out {
                for i in 0..middle {
                    let w = second.0[(o * middle + i) * taps + tap];
                    columns[i * k + o / LANES].0[o % LANES] = w;
                    rows[o * m + i / LANES].0[i % LANES] = w;
                }
            }
            simd.run(rows_by_matrix(&turned, middle, &columns, k, product, false));
        });
        packed.product.resize(self.gradient_blocks, Block::ZERO);
        let mut pieces = Vec::with_capacity(self.parts.len());
        let mut rest = packed.product.as_mut_slice();
        for part in &self.parts {
            let (piece, after) = rest.split_at_mut((part.taps() + 1) * k);
            pieces.push((part, piece));
            rest = after;
        }
        // Neighbouring taps of the second layer overlap in the product, so a part sums over all taps, in order, within one task.
        pieces.into_par_iter().for_each(|(part, weights)| {
            weights.fill(Block::ZERO);
            for (o, b) in second.1.iter().enumerate() {
                weights[part.taps() * k + o / LANES].0[o % LANES] = *b;
            }
            for (tap, product) in products.chunks_exact((inner + 1) * k).enumerate() {
                self.for_each_product(part, tap, |row, i| {
                    add(&mut weights[row * k..(row + 1) * k], &product[i * k..(i + 1) * k]);
                });
            }
        });
        Ok(())
    }

    /// From the gradient of the product, summed over all images, to those of the layers: weights and bias of the first, weights of the second. (The
    /// second's bias has the sum of the output's gradient.)
    ///
    /// # Errors
    /// If a slice has another length.
    pub fn gradient(
        &self,
        simd: Simd,
        weights: &ComposedWeights,
        dw: &[Block],
        first: (&mut [f32], &mut [f32]),
        second: &mut [f32],
    ) -> Result<()> {
        let (inner, taps, middle) = (self.inner(), self.taps(), self.second.in_channels);
        let (m, k) = (middle.div_ceil(LANES), self.output.blocks());
        check_len("the weight gradient of a convolution", self.gradient_blocks, dw.len())?;
        check_len("the weights of a convolution", self.first.weights(), first.0.len())?;
        check_len("the bias of a convolution", middle, first.1.len())?;
        check_len("the weights of a convolution", self.second.weights(), second.len())?;
        let size = taps * floats(k) * m;
        check_len("the packed weights of a convolution", size, weights.second.len())?;
        // For every tap of the second layer: the gradient of its product with the first (inner + 1, out blocks), and its own (middle channels, out blocks).
        let mut products = vec![Block::ZERO; taps * (inner + 1) * k];
        let mut own = vec![Block::ZERO; taps * middle * k];
        let tasks = products
            .par_chunks_mut((inner + 1) * k)
            .zip(own.par_chunks_mut(middle * k));
        tasks.enumerate().for_each(|(tap, (product, own))| {
            for part in &self.parts {
                let dw = &dw[part.start..];
                self.for_each_product(part, tap, |row, i| {
                    add(&mut product[i * k..(i + 1) * k], &dw[row * k..(row + 1) * k]);
                });
            }
            simd.run(rows_by_matrix(&weights.first, inner + 1, product, k, own, false));
        });
        let own = as_floats(&own);
        second.par_chunks_mut(middle * taps).enumerate().for_each(|(o, row)| {
            for (at, d) in row.iter_mut().enumerate() {
                let (i, tap) = (at / taps, at % taps);
                *d = own[(tap * middle + i) * floats(k) + o];
            }
        });
        let mut turned = vec![Block::ZERO; (inner + 1) * m];
        turned.par_chunks_mut(ROWS * m).enumerate().for_each(|(piece, sums)| {
            for tap in 0..taps {
                let product = &products[(tap * (inner + 1) + piece * ROWS) * k..][..sums.len() / m * k];
                let w = &weights.second[tap * floats(k) * m..][..floats(k) * m];
                simd.run(rows_by_matrix(as_floats(product), floats(k), w, m, sums, true));
            }
        });
        let turned = as_floats(&turned);
        for (channel, (d, bias)) in first.0.chunks_exact_mut(inner).zip(first.1).enumerate() {
            for (i, d) in d.iter_mut().chain([bias]).enumerate() {
                *d = turned[i * floats(m) + channel];
            }
        }
        Ok(())
    }
}

/// out = rows w, or added to what is there: rows of `len` floats by a matrix (len, blocks).
fn rows_by_matrix<'a>(
    rows: &'a [f32],
    len: usize,
    w: &'a [Block],
    blocks: usize,
    out: &'a mut [Block],
    accumulate: bool,
) -> Product<'a> {
    Product {
        windows: Windows::vectors(rows, len, out.len() / blocks.max(1)),
        w,
        out,
        places: Places::vectors(blocks),
        accumulate,
    }
}
