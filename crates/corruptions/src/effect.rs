//! What the corruptions have in common: one prepared effect for each corruption, severity and size of image, and the
//! working memory that it uses image after image.

use rand_chacha::ChaCha8Rng;

/// Values a pixel: red, green, blue.
pub(crate) const CHANNELS: usize = 3;

/// `v / 255` in double precision for every byte, as the published generator scales its images.
pub(crate) const UNIT: [f64; 256] = {
    let mut table = [0.0; 256];
    let mut value = 0;
    while value < 256 {
        table[value] = value as f64 / 255.0;
        value += 1;
    }
    table
};

/// One corruption at one severity, prepared for images of one size.
pub(crate) trait Effect: Send + Sync {
    /// Corrupts one image: `image` and `out` are (H, W, 3), row-major, of the size that the effect was prepared for;
    /// every byte of `out` is written. Random numbers come from `rng` alone.
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, scratch: &mut Scratch);
}

/// Rows and columns of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Size {
    /// Pixels, which is also the length of a single-channel field.
    pub(crate) const fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Bytes of an RGB image.
    pub(crate) const fn bytes(self) -> usize {
        self.pixels() * CHANNELS
    }
}

/// Working memory, kept by each thread from image to image, so that nothing is allocated for a single image.
///
/// The fields are interchangeable; an effect and the filters that it calls must merely not use the same one at once.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// For the effects: whole images and fields.
    pub(crate) image: Vec<f64>,
    pub(crate) field: Vec<f64>,
    pub(crate) field2: Vec<f64>,
    pub(crate) sum: Vec<f32>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) bytes2: Vec<u8>,
    pub(crate) ints: Vec<i32>,
    pub(crate) ints2: Vec<i32>,
    /// For the filters of [`crate::filter`] and the blurs that other effects use.
    pub(crate) padded: Vec<f64>,
    pub(crate) rows: Vec<f64>,
}

/// The first `len` elements of `buffer`, which grows when it is too short; what they hold is left over from before.
pub(crate) fn take<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}

/// Each value through its channel's table.
pub(crate) fn by_table(image: &[u8], out: &mut [u8], tables: &[[u8; 256]; CHANNELS]) {
    let pixels = image.as_chunks::<CHANNELS>().0;
    for (out, pixel) in out.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(pixels) {
        *out = std::array::from_fn(|channel| tables[channel][usize::from(pixel[channel])]);
    }
}

/// A value in units of 0..=1 as a byte: clipped, times 255, truncated (not rounded), as in the published generator.
pub(crate) fn level(value: f64) -> u8 {
    truncate(value.clamp(0.0, 1.0) * 255.0)
}

/// A value within 0..256 truncated to a byte. Goes through `i32`, for which processors have an instruction.
pub(crate) fn truncate(value: f64) -> u8 {
    value as i32 as u8
}
