//! Batch normalisation in training (Ioffe and Szegedy 2015), fused with the residual sum and the ReLU, forward and backward.
//!
//! z = γ (y - μ) / sqrt(σ² + ε) + β with the mean and the population variance of the batch. Every pass goes over a group of images. Sums of a group are
//! f64, each over f32 sums of one row of pixels: rows are short enough for f32, and f64 lanes would take twice the
//! instructions.
//!
//! These passes do little arithmetic for each byte, so what counts is how often they read memory: normalisation, shortcut and ReLU are one pass, and the
//! gradient of the ReLU takes the sums for the normalisation's gradient on its way. Loops go image, block, row: the order of memory.

mod relu;

pub use relu::{Gate, relu_backward};

use crate::blocked::Shape;
use crate::error::{Result, check_eq, check_len};
use crate::lanes::{Block, Kernel, LANES, Lanes};
use crate::simd::Simd;

/// Two sums for each channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// Σ a
    pub first: Vec<f64>,
    /// Σ a b
    pub second: Vec<f64>,
}

impl Moments {
    /// Zeros for the channels of a shape (padded to blocks of 16).
    pub fn zeros(shape: &Shape) -> Self {
        let n = shape.blocks() * LANES;
        Self {
            first: vec![0.0; n],
            second: vec![0.0; n],
        }
    }

    /// Adds the sums of another group.
    pub fn add(&mut self, other: &Moments) {
        for (a, b) in self.first.iter_mut().zip(&other.first) {
            *a += b;
        }
        for (a, b) in self.second.iter_mut().zip(&other.second) {
            *a += b;
        }
    }

    fn check(&self, shape: &Shape) -> Result<()> {
        check_len("the moments", shape.blocks() * LANES, self.first.len())?;
        check_len("the moments", shape.blocks() * LANES, self.second.len())
    }

    /// Adds the sums of one row.
    #[inline(always)]
    fn push<L: Lanes>(&mut self, l: L, block: usize, first: L::V, second: L::V) {
        // Out of the lanes once a row: f64 sums in lanes would need two registers for each and a conversion for each pixel.
        let (mut a, mut b) = (Block::ZERO, Block::ZERO);
        l.store(first, &mut a);
        l.store(second, &mut b);
        let at = block * LANES;
        for (sum, x) in self.first[at..at + LANES].iter_mut().zip(a.0) {
            *sum += f64::from(x);
        }
        for (sum, x) in self.second[at..at + LANES].iter_mut().zip(b.0) {
            *sum += f64::from(x);
        }
    }
}

/// a * x + b for each channel, as blocks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Affine {
    /// a
    pub scale: Vec<Block>,
    /// b
    pub shift: Vec<Block>,
}

impl Affine {
    /// From functions of the channel; channels beyond `channels` are zero.
    pub fn from_fn(channels: usize, f: impl Fn(usize) -> (f32, f32)) -> Self {
        let blocks = channels.div_ceil(LANES);
        let mut affine = Self {
            scale: vec![Block::ZERO; blocks],
            shift: vec![Block::ZERO; blocks],
        };
        for c in 0..channels {
            let (a, b) = f(c);
            affine.scale[c / LANES].0[c % LANES] = a;
            affine.shift[c / LANES].0[c % LANES] = b;
        }
        affine
    }

    fn check(&self, shape: &Shape) -> Result<()> {
        check_len("the channels of a normalisation", shape.blocks(), self.scale.len())?;
        check_len("the channels of a normalisation", shape.blocks(), self.shift.len())
    }
}

/// Images with their shape.
#[derive(Debug, Clone, Copy)]
pub struct Planes<'a> {
    /// The images.
    pub data: &'a [Block],
    /// The shape of each.
    pub shape: Shape,
}

impl<'a> Planes<'a> {
    /// Images of the given shape.
    pub fn new(data: &'a [Block], shape: Shape) -> Self {
        Self { data, shape }
    }

    fn check(&self, what: &'static str, images: usize, like: &Shape) -> Result<()> {
        check_eq(what, like.with_halo(0), self.shape.with_halo(0))?;
        check_len(what, images * self.shape.len(), self.data.len())
    }
}

/// What is added to the normalised values before the ReLU.
#[derive(Debug, Clone, Copy)]
pub enum Shortcut<'a> {
    /// Nothing.
    None,
    /// The block's input.
    Identity(Planes<'a>),
    /// A normalised convolution of it.
    Projection(Planes<'a>, &'a Affine),
}

/// Adds Σ y and Σ y² over the images to `moments`.
///
/// # Errors
/// If a length disagrees with the shape.
pub fn add_moments(simd: Simd, y: Planes<'_>, images: usize, moments: &mut Moments) -> Result<()> {
    y.check("the values to normalise", images, &y.shape)?;
    moments.check(&y.shape)?;
    simd.run(AddMoments { y, images, moments });
    Ok(())
}

struct AddMoments<'a> {
    y: Planes<'a>,
    images: usize,
    moments: &'a mut Moments,
}

impl Kernel for AddMoments<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let shape = self.y.shape;
        for image in 0..self.images {
            for block in 0..shape.blocks() {
                for row in 0..shape.height {
                    let start = image * shape.len() + shape.index(block, row, 0);
                    let y = &self.y.data[start..start + shape.width];
                    // Even and odd pixels have sums of their own: one chain of additions would wait for each before the next.
                    let (mut first, mut second) = ([l.zero(); 2], [l.zero(); 2]);
                    for (i, y) in y.iter().enumerate() {
                        let y = l.load(y);
                        first[i % 2] = l.add(first[i % 2], y);
                        second[i % 2] = l.mul_add(y, y, second[i % 2]);
                    }
                    self.moments
                        .push(l, block, l.add(first[0], first[1]), l.add(second[0], second[1]));
                }
            }
        }
    }
}

/// out = max(0, scale * y + shift + shortcut), or without the ReLU. `out` has the shape of `y` with any halo, which stays as it is.
///
/// # Errors
/// If a shape or a length disagrees.
#[allow(clippy::too_many_arguments)]
pub fn normalise(
    simd: Simd,
    y: Planes<'_>,
    affine: &Affine,
    shortcut: Shortcut<'_>,
    relu: bool,
    images: usize,
    out: &mut [Block],
    out_shape: Shape,
) -> Result<()> {
    y.check("the values to normalise", images, &out_shape)?;
    check_len("the normalised values", images * out_shape.len(), out.len())?;
    affine.check(&y.shape)?;
    match shortcut {
        Shortcut::None => {}
        Shortcut::Identity(x) => x.check("the shortcut", images, &out_shape)?,
        Shortcut::Projection(x, affine) => {
            x.check("the shortcut", images, &out_shape)?;
            affine.check(&y.shape)?;
        }
    }
    simd.run(Normalise {
        y,
        affine,
        shortcut,
        relu,
        images,
        out,
        out_shape,
    });
    Ok(())
}

struct Normalise<'a> {
    y: Planes<'a>,
    affine: &'a Affine,
    shortcut: Shortcut<'a>,
    relu: bool,
    images: usize,
    out: &'a mut [Block],
    out_shape: Shape,
}

impl Kernel for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (shape, out_shape) = (self.y.shape, self.out_shape);
        // Without a ReLU the floor is -∞: one loop for both, without a branch for each pixel.
        let floor = l.splat(if self.relu { 0.0 } else { f32::NEG_INFINITY });
        for image in 0..self.images {
            for block in 0..shape.blocks() {
                let (a, b) = (l.load(&self.affine.scale[block]), l.load(&self.affine.shift[block]));
                for row in 0..shape.height {
                    // Slices of whole rows are checked once; the loops over them need no check for each pixel, and no `unsafe`.
                    let y = row_of(&self.y, image, block, row);
                    let start = image * out_shape.len() + out_shape.index(block, row, 0);
                    let out = &mut self.out[start..start + shape.width];
                    // The match is outside the loop over pixels: each kind of shortcut has a loop without branches.
                    match self.shortcut {
                        Shortcut::None => {
                            for (out, y) in out.iter_mut().zip(y) {
                                l.store(l.max(l.mul_add(l.load(y), a, b), floor), out);
                            }
                        }
                        Shortcut::Identity(x) => {
                            for ((out, y), x) in out.iter_mut().zip(y).zip(row_of(&x, image, block, row)) {
                                l.store(l.max(l.add(l.mul_add(l.load(y), a, b), l.load(x)), floor), out);
                            }
                        }
                        Shortcut::Projection(x, affine) => {
                            let (c, d) = (l.load(&affine.scale[block]), l.load(&affine.shift[block]));
                            for ((out, y), x) in out.iter_mut().zip(y).zip(row_of(&x, image, block, row)) {
                                let sum = l.add(l.mul_add(l.load(y), a, b), l.mul_add(l.load(x), c, d));
                                l.store(l.max(sum, floor), out);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One row of pixels.
#[inline(always)]
fn row_of<'a>(planes: &Planes<'a>, image: usize, block: usize, row: usize) -> &'a [Block] {
    let start = image * planes.shape.len() + planes.shape.index(block, row, 0);
    &planes.data[start..start + planes.shape.width]
}

/// The gradient through a normalisation: dy = a dz + b y + c for each channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NormGradient {
    dz: Vec<Block>,
    y: Vec<Block>,
    constant: Vec<Block>,
    /// dL/dγ
    pub gamma: Vec<f32>,
    /// dL/dβ
    pub beta: Vec<f32>,
}

impl NormGradient {
    /// From Σ dz and Σ dz (y - mean) over the batch (`moments`), `count` values a channel.
    ///
    /// dy = γ/s (dz - Σdz/m - x̂ Σ(dz x̂)/m), x̂ = (y - mean)/s.
    ///
    /// # Panics
    /// If `mean`, `inverse_std` or `moments` have fewer channels than `gamma`.
    pub fn new(gamma: &[f32], mean: &[f32], inverse_std: &[f32], moments: &Moments, count: usize) -> Self {
        let channels = gamma.len();
        let blocks = channels.div_ceil(LANES);
        let zeros = vec![Block::ZERO; blocks];
        let mut out = Self {
            dz: zeros.clone(),
            y: zeros.clone(),
            constant: zeros,
            ..Self::default()
        };
        // Once for each channel, so f64 costs nothing here, and only the result is rounded.
        for c in 0..channels {
            let (first, inverse) = (moments.first[c], f64::from(inverse_std[c]));
            let second = moments.second[c] * inverse;
            let a = f64::from(gamma[c]) * inverse;
            let b = -a * inverse * second / count as f64;
            out.dz[c / LANES].0[c % LANES] = a as f32;
            out.y[c / LANES].0[c % LANES] = b as f32;
            out.constant[c / LANES].0[c % LANES] = (-a * first / count as f64 - b * f64::from(mean[c])) as f32;
            out.gamma.push(second as f32);
            out.beta.push(first as f32);
        }
        out
    }
}

/// dy = the gradient before the normalisation; `dy` has the shape of `y` with any halo, which stays as it is.
///
/// # Errors
/// If a shape or a length disagrees.
#[allow(clippy::too_many_arguments)]
pub fn normalise_backward(
    simd: Simd,
    dz: Planes<'_>,
    y: Planes<'_>,
    gradient: &NormGradient,
    images: usize,
    dy: &mut [Block],
    dy_shape: Shape,
) -> Result<()> {
    dz.check("the gradient of a normalisation", images, &dy_shape)?;
    y.check("the values of a normalisation", images, &dy_shape)?;
    check_len(
        "the gradient of a normalisation's input",
        images * dy_shape.len(),
        dy.len(),
    )?;
    check_len("the channels of a normalisation", y.shape.blocks(), gradient.dz.len())?;
    simd.run(NormaliseBackward {
        dz,
        y,
        gradient,
        images,
        dy,
        dy_shape,
    });
    Ok(())
}

struct NormaliseBackward<'a> {
    dz: Planes<'a>,
    y: Planes<'a>,
    gradient: &'a NormGradient,
    images: usize,
    dy: &'a mut [Block],
    dy_shape: Shape,
}

impl Kernel for NormaliseBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let shape = self.dy_shape;
        for image in 0..self.images {
            for block in 0..shape.blocks() {
                let (a, b) = (l.load(&self.gradient.dz[block]), l.load(&self.gradient.y[block]));
                let c = l.load(&self.gradient.constant[block]);
                for row in 0..shape.height {
                    let start = image * shape.len() + shape.index(block, row, 0);
                    let dz = row_of(&self.dz, image, block, row);
                    let y = row_of(&self.y, image, block, row);
                    for ((out, dz), y) in self.dy[start..start + shape.width].iter_mut().zip(dz).zip(y) {
                        l.store(l.mul_add(l.load(dz), a, l.mul_add(l.load(y), b, c)), out);
                    }
                }
            }
        }
    }
}
