//! The blocked layout: images as planes of 16 neighbouring channels, each plane inside a halo of zeros.
//!
//! A pixel of a block is one AVX-512 register and one cache line, so a convolution loads and stores whole lines, and its output channels are the lanes: no
//! sum ever crosses lanes.

use crate::error::{Result, check_eq, check_len};
use crate::lanes::{Block, LANES};

/// The shape of one image in the blocked layout.
///
/// Channels are in blocks of 16 (the last one padded with zeros); each block is a plane of (height + 2 halo) rows of (width + 2 halo) pixels, where
/// a pixel is one [`Block`]. The halo and the padding channels hold zeros, so a convolution reads its padding instead of branching for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Channels C.
    pub channels: usize,
    /// Rows H, without the halo.
    pub height: usize,
    /// Columns W, without the halo.
    pub width: usize,
    /// Pixels of zeros around each plane.
    pub halo: usize,
}

impl Shape {
    /// A shape with the usual halo of one pixel.
    pub const fn new(channels: usize, height: usize, width: usize) -> Self {
        Self {
            channels,
            height,
            width,
            halo: 1,
        }
    }

    /// The same shape with another halo.
    pub const fn with_halo(self, halo: usize) -> Self {
        Self { halo, ..self }
    }

    /// Blocks of channels: C / 16, rounded up.
    pub const fn blocks(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Pixels from one row to the next.
    pub const fn row(&self) -> usize {
        self.width + 2 * self.halo
    }

    /// Pixels from one block of channels to the next.
    pub const fn plane(&self) -> usize {
        (self.height + 2 * self.halo) * self.row()
    }

    /// Pixels (each a [`Block`]) of one image.
    pub const fn len(&self) -> usize {
        self.blocks() * self.plane()
    }

    /// Whether an image holds nothing.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the pixel (y, x) of a block of channels is, in an image. `y` and `x` are without the halo.
    pub const fn index(&self, block: usize, y: usize, x: usize) -> usize {
        block * self.plane() + (y + self.halo) * self.row() + x + self.halo
    }

    /// Floats of one image without halo and padding: C * H * W.
    pub const fn floats(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// Images in the blocked layout, with their own aligned memory.
///
/// ```
/// use riptide_kernels::{Blocked, Shape};
/// let nchw: Vec<f32> = (0..2 * 3 * 4 * 4).map(|i| i as f32).collect();
/// let blocked = Blocked::from_nchw(&nchw, 2, Shape::new(3, 4, 4))?;
/// assert_eq!(blocked.to_nchw(), nchw);
/// # Ok::<(), riptide_kernels::KernelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Blocked {
    shape: Shape,
    images: usize,
    data: Vec<Block>,
}

impl Blocked {
    /// Images of zeros.
    pub fn zeros(shape: Shape, images: usize) -> Self {
        Self {
            shape,
            images,
            data: vec![Block::ZERO; images * shape.len()],
        }
    }

    /// Packs f32 (N, C, H, W), row-major.
    ///
    /// # Errors
    /// If the slice holds another number of floats than `images` of the shape.
    pub fn from_nchw(floats: &[f32], images: usize, shape: Shape) -> Result<Self> {
        let mut blocked = Self::zeros(shape, images);
        blocked.pack_nchw(floats)?;
        Ok(blocked)
    }

    /// Packs f32 (N, H, W, C), row-major.
    ///
    /// # Errors
    /// If the slice holds another number of floats than `images` of the shape.
    pub fn from_nhwc(floats: &[f32], images: usize, shape: Shape) -> Result<Self> {
        check_len("the (N, H, W, C) images", images * shape.floats(), floats.len())?;
        let mut blocked = Self::zeros(shape, images);
        if shape.floats() == 0 {
            return Ok(blocked);
        }
        for (n, image) in floats.chunks_exact(shape.floats()).enumerate() {
            let out = blocked.image_mut(n);
            for (i, pixel) in image.chunks_exact(shape.channels).enumerate() {
                for (c, x) in pixel.iter().enumerate() {
                    out[shape.index(c / LANES, i / shape.width, i % shape.width)].0[c % LANES] = *x;
                }
            }
        }
        Ok(blocked)
    }

    /// Packs f32 (N, C, H, W) over the present images; the halo stays as it is.
    ///
    /// # Errors
    /// If the slice holds another number of floats than the images.
    pub fn pack_nchw(&mut self, floats: &[f32]) -> Result<()> {
        let shape = self.shape;
        check_len("the (N, C, H, W) images", self.images * shape.floats(), floats.len())?;
        if shape.floats() == 0 {
            return Ok(());
        }
        for (n, image) in floats.chunks_exact(shape.floats()).enumerate() {
            let out = self.image_mut(n);
            for (c, plane) in image.chunks_exact(shape.height * shape.width).enumerate() {
                for (y, row) in plane.chunks_exact(shape.width).enumerate() {
                    let start = shape.index(c / LANES, y, 0);
                    for (pixel, x) in out[start..start + shape.width].iter_mut().zip(row) {
                        pixel.0[c % LANES] = *x;
                    }
                }
            }
        }
        Ok(())
    }

    /// Unpacks to f32 (N, C, H, W), row-major.
    pub fn to_nchw(&self) -> Vec<f32> {
        let shape = self.shape;
        let mut floats = Vec::with_capacity(self.images * shape.floats());
        for n in 0..self.images {
            let image = self.image(n);
            for c in 0..shape.channels {
                for y in 0..shape.height {
                    let start = shape.index(c / LANES, y, 0);
                    floats.extend(image[start..start + shape.width].iter().map(|pixel| pixel.0[c % LANES]));
                }
            }
        }
        floats
    }

    /// The shape of each image.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How many images there are.
    pub fn images(&self) -> usize {
        self.images
    }

    /// All images, one after the other.
    pub fn data(&self) -> &[Block] {
        &self.data
    }

    /// All images, one after the other. Keep the halo and the padding channels at zero: convolutions read them as their padding.
    pub fn data_mut(&mut self) -> &mut [Block] {
        &mut self.data
    }

    /// Image `n`, halo included.
    ///
    /// # Panics
    /// If there is no image `n`.
    pub fn image(&self, n: usize) -> &[Block] {
        &self.data[n * self.shape.len()..(n + 1) * self.shape.len()]
    }

    /// Image `n`, halo included.
    ///
    /// # Panics
    /// If there is no image `n`.
    pub fn image_mut(&mut self, n: usize) -> &mut [Block] {
        &mut self.data[n * self.shape.len()..(n + 1) * self.shape.len()]
    }

    /// Sets everything to zero.
    pub fn clear(&mut self) {
        self.data.fill(Block::ZERO);
    }

    /// Checks the shape and the number of the images.
    pub(crate) fn check(&self, what: &'static str, shape: Shape, images: usize) -> Result<()> {
        check_eq(what, (shape, images), (self.shape, self.images))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_known_pixel_is_where_the_layout_says() {
        let shape = Shape::new(20, 3, 5);
        let mut nchw = vec![0.0; 2 * shape.floats()];
        nchw[((20 + 17) * 3 + 2) * 5 + 4] = 7.0; // image 1, channel 17, row 2, column 4
        let blocked = Blocked::from_nchw(&nchw, 2, shape).unwrap();
        let at = blocked.data().iter().position(|block| *block != Block::ZERO).unwrap();
        // image 1 of 2 blocks of 5 x 7 pixels; block 1; row 2 + 1; column 4 + 1
        assert_eq!(at, 70 + 35 + 3 * 7 + 5);
        assert_eq!(blocked.data()[at].0[1], 7.0);
        assert_eq!(blocked.to_nchw(), nchw);
    }

    #[test]
    fn both_orders_pack_alike() {
        let (n, c, h, w) = (2, 18, 3, 4);
        let shape = Shape::new(c, h, w).with_halo(2);
        let nchw: Vec<f32> = (0..n * c * h * w).map(|i| i as f32).collect();
        let mut nhwc = vec![0.0; nchw.len()];
        for (i, x) in nchw.iter().enumerate() {
            let (image, channel, pixel) = (i / (c * h * w), i / (h * w) % c, i % (h * w));
            nhwc[(image * h * w + pixel) * c + channel] = *x;
        }
        let blocked = Blocked::from_nhwc(&nhwc, n, shape).unwrap();
        assert_eq!(blocked, Blocked::from_nchw(&nchw, n, shape).unwrap());
        assert!(Blocked::from_nchw(&nchw[1..], n, shape).is_err());
    }
}
