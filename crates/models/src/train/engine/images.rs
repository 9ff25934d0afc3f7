//! The images of a batch.

use rayon::prelude::*;
use riptide_kernels::Shape;

use super::memory::GROUP;

/// A batch of preprocessed images, channels of a pixel beside each other, in a halo of zeros.
#[derive(Debug, Clone)]
pub(crate) struct Images {
    pub(super) n: usize,
    pub(super) shape: Shape,
    floats: Vec<f32>,
}

impl Images {
    pub(super) fn new(height: usize, width: usize, halo: usize) -> Self {
        Self {
            n: 0,
            shape: Shape::new(3, height, width).with_halo(halo),
            floats: Vec::new(),
        }
    }

    /// Makes room for `n` images; halos are zero, and stay so, because only pixels are ever written.
    pub(crate) fn resize(&mut self, n: usize) {
        self.n = n;
        self.floats.resize(n * self.image_len(), 0.0);
    }

    fn image_len(&self) -> usize {
        self.shape.plane() * self.shape.channels
    }

    /// The images of a group.
    pub(super) fn group(&self, group: usize) -> &[f32] {
        &self.floats[group * GROUP * self.image_len()..self.n.min((group + 1) * GROUP) * self.image_len()]
    }

    /// The images, one slice each; write them with [`write_image`].
    pub(crate) fn images_mut(&mut self) -> (Shape, impl IndexedParallelIterator<Item = &mut [f32]>) {
        let len = self.image_len();
        (self.shape, self.floats[..self.n * len].par_chunks_exact_mut(len))
    }

    /// Takes f32 (N, 3, H, W), row-major.
    #[cfg(test)]
    pub(crate) fn set_nchw(&mut self, n: usize, values: &[f32]) {
        self.resize(n);
        let (shape, images) = self.images_mut();
        let plane = shape.height * shape.width;
        images.zip(values.par_chunks_exact(3 * plane)).for_each(|(out, image)| {
            write_image(&shape, out, |y, x, c| image[c * plane + y * shape.width + x]);
        });
    }
}

/// Writes the pixels of one image, given as a function of row, column and channel.
pub(crate) fn write_image(shape: &Shape, out: &mut [f32], pixel: impl Fn(usize, usize, usize) -> f32) {
    for y in 0..shape.height {
        let start = shape.index(0, y, 0) * shape.channels;
        let row = &mut out[start..start + shape.width * shape.channels];
        for (x, channels) in row.chunks_exact_mut(shape.channels).enumerate() {
            for (c, value) in channels.iter_mut().enumerate() {
                *value = pixel(y, x, c);
            }
        }
    }
}
