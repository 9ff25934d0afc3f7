//! The product of two layers with fixed weights.

use std::ops::Range;

use super::super::image::{ImageConv, ImageShape, Variant, pixels};
use super::super::taps::variants;
use super::super::{ConvParams, Padding};
use super::Axis;
use crate::blocked::Shape;
use crate::error::Result;
use crate::lanes::{Block, LANES, pack_bias};

/// The sizes, weights and bias of a layer.
type Layer<'a> = (ConvParams, &'a [f32], Option<&'a [f32]>);

impl ImageConv {
    /// Two convolutions without an activation between them as one, whose kernel is their product: (weights, bias) of each as for [`ImageConv::new`].
    /// Near the border, where the second layer's padding cuts the product, pixels have kernels of their own, so the result is that of the two layers.
    ///
    /// # Errors
    /// As [`ImageConv::new`], and if the second layer takes other channels than the first gives.
    pub fn composed(
        input: ImageShape,
        first: (ConvParams, &[f32], Option<&[f32]>),
        second: (ConvParams, &[f32], Option<&[f32]>),
    ) -> Result<Self> {
        first.0.check(first.1, first.2)?;
        second.0.check(second.1, second.2)?;
        let middle = first.0.output(input.blocked(), 1)?;
        let output = second.0.output(middle, 1)?;
        let (params, list) = compose(input, middle, output, first, second);
        Self::checked(input, output, params, list)
    }
}

/// The sizes of the product and its kernels, for images of this shape. Sums are in f64.
fn compose(
    input: ImageShape,
    middle: Shape,
    output: Shape,
    first: Layer<'_>,
    second: Layer<'_>,
) -> (ConvParams, Vec<Variant>) {
    let ((p1, w1, b1), (p2, w2, b2)) = (first, second);
    let sizes = ([input.height, input.width], [middle.height, middle.width]);
    let [rows, columns] = Axis::both(&p1, &p2, sizes.0, sizes.1);
    // Products come first, variants after: every variant is a sum of the same products, shifted, so that the long sums over the middle channels are
    // taken only once. They are in f64, because the composed weights are rounded once and then serve every image.
    // The products of the single taps of w2 with all of w1 (and b1, as one more value): [tap of w2][out channel][in channel, row, column | bias].
    let (taps1, taps2) = (p1.kernel[0] * p1.kernel[1], p2.kernel[0] * p2.kernel[1]);
    let inner = p1.in_channels * taps1;
    let mut products = vec![0f64; taps2 * p2.out_channels * (inner + 1)];
    for (i, product) in products.chunks_exact_mut(inner + 1).enumerate() {
        let (tap, o) = (i / p2.out_channels, i % p2.out_channels);
        for m in 0..p2.in_channels {
            let w = f64::from(w2[(o * p2.in_channels + m) * taps2 + tap]);
            for (sum, w1) in product.iter_mut().zip(&w1[m * inner..(m + 1) * inner]) {
                *sum += w * f64::from(*w1);
            }
            product[inner] += w * b1.map_or(0.0, |b1| f64::from(b1[m]));
        }
    }
    let mut list = Vec::new();
    for (y, ys) in variants(output.height, |y| rows.variant(y)) {
        for (x, xs) in variants(output.width, |x| columns.variant(x)) {
            let blocks = p2.out_channels.div_ceil(LANES);
            let size = y.1.len() * x.1.len() * p1.in_channels;
            let mut weights = vec![Block::ZERO; blocks * size];
            let mut bias = vec![0f32; p2.out_channels];
            let mut sums = vec![0f64; size];
            for o in 0..p2.out_channels {
                sums.fill(0.0);
                let mut constant = b2.map_or(0.0, |b2| f64::from(b2[o]));
                for (ky, kx) in y.0.clone().flat_map(|ky| x.0.clone().map(move |kx| (ky, kx))) {
                    let start = ((ky * p2.kernel[1] + kx) * p2.out_channels + o) * (inner + 1);
                    let product = &products[start..start + inner + 1];
                    constant += product[inner];
                    let corner = (ky * p1.stride, kx * p1.stride);
                    add_taps(&mut sums, product, &p1, corner, (&y.1, &x.1));
                }
                bias[o] = constant as f32;
                for (at, sum) in sums.iter().enumerate() {
                    weights[o / LANES * size + at].0[o % LANES] = *sum as f32;
                }
            }
            let bias = pack_bias(Some(&bias), blocks);
            list.push(Variant {
                rows: y.1.clone(),
                columns: x.1,
                weights,
                bias,
                pixels: pixels(&ys, &xs),
            });
        }
    }
    let stride = p1.stride * p2.stride;
    let after =
        |size: usize, out: usize, axis: &Axis| ((out - 1) * stride + axis.taps()).saturating_sub(size + axis.padding());
    let padding = Padding {
        top: rows.padding(),
        bottom: after(input.height, output.height, &rows),
        left: columns.padding(),
        right: after(input.width, output.width, &columns),
    };
    let kernel = [rows.taps(), columns.taps()];
    (
        ConvParams {
            in_channels: p1.in_channels,
            out_channels: p2.out_channels,
            kernel,
            stride,
            padding,
        },
        list,
    )
}

/// Adds the first layer's kernel, times one tap of the second, to the product [row][column][in channel] whose first tap is at `corner`.
fn add_taps(
    sums: &mut [f64],
    product: &[f64],
    p1: &ConvParams,
    corner: (usize, usize),
    range: (&Range<usize>, &Range<usize>),
) {
    let [k1y, k1x] = p1.kernel;
    for (c, kernel) in product.chunks_exact(k1y * k1x).take(p1.in_channels).enumerate() {
        for (tap, value) in kernel.iter().enumerate() {
            let (y, x) = (corner.0 + tap / k1x, corner.1 + tap % k1x);
            if range.0.contains(&y) && range.1.contains(&x) {
                let pixel = (y - range.0.start) * range.1.len() + x - range.1.start;
                sums[pixel * p1.in_channels + c] += value;
            }
        }
    }
}
