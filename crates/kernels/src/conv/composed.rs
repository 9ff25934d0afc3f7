//! Two convolutions without an activation between them as one.
//!
//! With z = w1 * x + b1 and y = w2 * z + b2, the kernel of y over x is the product of both, with a stride that is the product of both strides. The second
//! layer's padding puts zeros around z, not what the first layer would give there, so an output pixel whose window overlaps it has a kernel of its own:
//! the product over the taps of w2 that are inside of z.

use std::ops::Range;

use super::direct::pack_bias;
use super::image::{ImageShape, Variant, pixels};
use super::{ConvParams, Padding};
use crate::blocked::Shape;
use crate::lanes::{Block, LANES};

/// The sizes, weights and bias of a layer.
type Layer<'a> = (ConvParams, &'a [f32], Option<&'a [f32]>);

/// Groups the output positions 0..n, in one dimension, by what `f` says of them, in the order of their first.
pub(crate) fn variants<T: PartialEq>(n: usize, f: impl Fn(usize) -> T) -> Vec<(T, Vec<usize>)> {
    let mut groups: Vec<(T, Vec<usize>)> = Vec::new();
    for at in 0..n {
        let key = f(at);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(at),
            None => groups.push((key, vec![at])),
        }
    }
    groups
}

/// The taps of output position `at` that are inside of an input of `size`, in one dimension.
pub(super) fn inside(at: usize, stride: usize, before: usize, taps: usize, size: usize) -> Range<usize> {
    let start = at * stride;
    before.saturating_sub(start).min(taps)..(size + before).saturating_sub(start).min(taps)
}

/// One dimension of both layers.
pub(crate) struct Axis {
    /// Taps, stride and padding before, of the first layer.
    first: (usize, usize, usize),
    /// The same of the second.
    second: (usize, usize, usize),
    /// Size of the image.
    input: usize,
    /// Size between the layers.
    middle: usize,
}

/// The taps of the second layer that are inside of its input, and the taps of the product that they and the image leave.
pub(crate) type Taps = (Range<usize>, Range<usize>);

impl Axis {
    /// Rows and columns of two layers, for an image and what is between the layers, each (height, width).
    pub(crate) fn both(first: &ConvParams, second: &ConvParams, input: [usize; 2], middle: [usize; 2]) -> [Self; 2] {
        let before = |params: &ConvParams| [params.padding.top, params.padding.left];
        [0, 1].map(|d| Self {
            first: (first.kernel[d], first.stride, before(first)[d]),
            second: (second.kernel[d], second.stride, before(second)[d]),
            input: input[d],
            middle: middle[d],
        })
    }

    fn taps(&self) -> usize {
        (self.second.0 - 1) * self.first.1 + self.first.0
    }

    /// Zeros before the image that the first window takes.
    pub(crate) fn padding(&self) -> usize {
        self.second.2 * self.first.1 + self.first.2
    }

    /// What the window of an output position leaves.
    pub(crate) fn variant(&self, at: usize) -> Taps {
        let (k2, s2, p2) = self.second;
        let valid = inside(at, s2, p2, k2, self.middle);
        let image = inside(at, s2 * self.first.1, self.padding(), self.taps(), self.input);
        let reached = valid.start * self.first.1..(valid.end.max(1) - 1) * self.first.1 + self.first.0;
        let start = image.start.max(reached.start);
        (valid, start..image.end.min(reached.end).max(start))
    }
}

/// The sizes of the product and its kernels, for images of this shape. Sums are in f64.
pub(super) fn compose(
    input: ImageShape,
    middle: Shape,
    output: Shape,
    first: Layer<'_>,
    second: Layer<'_>,
) -> (ConvParams, Vec<Variant>) {
    let ((p1, w1, b1), (p2, w2, b2)) = (first, second);
    let sizes = ([input.height, input.width], [middle.height, middle.width]);
    let [rows, columns] = Axis::both(&p1, &p2, sizes.0, sizes.1);
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
