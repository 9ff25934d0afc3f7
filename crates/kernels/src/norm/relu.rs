//! The gradient through a ReLU, with the sums that the normalisations before it need.

use super::{Affine, Moments, Planes, row_of};
use crate::blocked::Shape;
use crate::error::{Result, check_eq, check_len};
use crate::lanes::{Block, Kernel, Lanes};
use crate::simd::Simd;

/// Which values a ReLU let through.
#[derive(Debug, Clone, Copy)]
pub enum Gate<'a> {
    /// Those with a positive output.
    Output(Planes<'a>),
    /// Those with a positive scale * y + shift, y being the first of the `values`.
    Affine(&'a Affine),
}

/// dz = g if the ReLU was open, else 0, in place, with Σ dz and Σ dz (y - mean) for each of the one or two normalisations whose sum this is:
/// `values` are (y, mean in blocks, sums to add to).
///
/// # Errors
/// If a shape or a length disagrees.
pub fn relu_backward(
    simd: Simd,
    g: &mut [Block],
    g_shape: Shape,
    extra: Option<Planes<'_>>,
    gate: Gate<'_>,
    images: usize,
    values: &mut [(Planes<'_>, &[Block], &mut Moments)],
) -> Result<()> {
    check_len("the gradient of a ReLU", images * g_shape.len(), g.len())?;
    if let Some(extra) = extra {
        extra.check("the gradient of a shortcut", images, &g_shape)?;
    }
    match gate {
        Gate::Output(out) => out.check("the output of a ReLU", images, &g_shape)?,
        Gate::Affine(affine) => affine.check(&g_shape)?,
    }
    for (y, mean, moments) in values.iter() {
        y.check("the values of a normalisation", images, &g_shape)?;
        check_len("the means of a normalisation", g_shape.blocks(), mean.len())?;
        moments.check(&g_shape)?;
    }
    let (first, other) = match values {
        [first] => (first, None),
        [first, other] => (first, Some((other.0, other.1, &mut *other.2))),
        _ => {
            let got = values.len().to_string();
            return check_eq("the normalisations before a ReLU", "1 or 2".to_owned(), got);
        }
    };
    simd.run(ReluBackward {
        g,
        g_shape,
        extra,
        gate,
        images,
        y: first.0,
        mean: first.1,
        moments: &mut *first.2,
        other,
    });
    Ok(())
}

struct ReluBackward<'a> {
    g: &'a mut [Block],
    g_shape: Shape,
    extra: Option<Planes<'a>>,
    gate: Gate<'a>,
    images: usize,
    y: Planes<'a>,
    mean: &'a [Block],
    moments: &'a mut Moments,
    other: Option<(Planes<'a>, &'a [Block], &'a mut Moments)>,
}

impl Kernel for ReluBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        let shape = self.g_shape;
        for image in 0..self.images {
            for block in 0..shape.blocks() {
                let mean = l.load(&self.mean[block]);
                for row in 0..shape.height {
                    let start = image * shape.len() + shape.index(block, row, 0);
                    let g = &mut self.g[start..start + shape.width];
                    // A pass of its own over a row that stays in the first-level cache: fused, it would double the number of loops below.
                    if let Some(extra) = &self.extra {
                        for (g, x) in g.iter_mut().zip(row_of(extra, image, block, row)) {
                            l.store(l.add(l.load(g), l.load(x)), g);
                        }
                    }
                    let y = row_of(&self.y, image, block, row);
                    let (mut first, mut second) = ([l.zero(); 2], [l.zero(); 2]);
                    match self.gate {
                        Gate::Output(out) => {
                            let out = row_of(&out, image, block, row);
                            for (i, ((g, y), out)) in g.iter_mut().zip(y).zip(out).enumerate() {
                                let dz = l.keep_positive(l.load(g), l.load(out));
                                l.store(dz, g);
                                first[i % 2] = l.add(first[i % 2], dz);
                                second[i % 2] = l.mul_add(dz, l.sub(l.load(y), mean), second[i % 2]);
                            }
                        }
                        Gate::Affine(affine) => {
                            let (a, b) = (l.load(&affine.scale[block]), l.load(&affine.shift[block]));
                            for (i, (g, y)) in g.iter_mut().zip(y).enumerate() {
                                let y = l.load(y);
                                let dz = l.keep_positive(l.load(g), l.mul_add(y, a, b));
                                l.store(dz, g);
                                first[i % 2] = l.add(first[i % 2], dz);
                                second[i % 2] = l.mul_add(dz, l.sub(y, mean), second[i % 2]);
                            }
                        }
                    }
                    self.moments
                        .push(l, block, l.add(first[0], first[1]), l.add(second[0], second[1]));
                    // The second normalisation, of a projected shortcut, comes after the first: the row's gradient is still in the cache.
                    if let Some((y, mean, moments)) = &mut self.other {
                        let mean = l.load(&mean[block]);
                        let (mut first, mut second) = (l.zero(), l.zero());
                        for (dz, y) in g.iter().zip(row_of(y, image, block, row)) {
                            let dz = l.load(dz);
                            first = l.add(first, dz);
                            second = l.mul_add(dz, l.sub(l.load(y), mean), second);
                        }
                        moments.push(l, block, first, second);
                    }
                }
            }
        }
    }
}
