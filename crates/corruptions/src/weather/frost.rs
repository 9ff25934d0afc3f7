//! Frost.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::textures::FrostTextures;
use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, truncate};
use crate::filter::Border;

/// A random part of a random ice texture laid over the image: `a * image + b * texture`, with (a, b) = (1, .2) (1, .3)
/// (.9, .4) (.85, .4) (.75, .45).
///
/// If an image is larger than the texture, the texture is continued as in a mirror.
pub(crate) struct Frost {
    weights: (f64, f64),
    textures: FrostTextures,
    size: Size,
}

impl Frost {
    pub(crate) fn new(severity: Severity, size: Size, textures: FrostTextures) -> Self {
        let weights = severity.of([(1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)]);
        Self {
            weights,
            textures,
            size,
        }
    }
}

impl Effect for Frost {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let textures = self.textures.all();
        let texture = &textures[rng.random_range(0..textures.len())];
        // The last possible start is left out, as in the published generator.
        let mut start = |have: usize, need: usize| rng.random_range(0..have.checked_sub(need).unwrap_or(have).max(1));
        let top = start(texture.height(), self.size.height);
        let left = start(texture.width(), self.size.width);
        let (a, b) = self.weights;
        let row = self.size.width * CHANNELS;
        for (y, (image, out)) in image.chunks_exact(row).zip(out.chunks_exact_mut(row)).enumerate() {
            let ice = texture.row(Border::HalfSample.index((top + y) as isize, texture.height()));
            let mix = |value: u8, ice: u8| truncate((a * f64::from(value) + b * f64::from(ice)).min(255.0));
            if left + self.size.width <= texture.width() {
                for ((out, &value), &ice) in out.iter_mut().zip(image).zip(&ice[left * CHANNELS..]) {
                    *out = mix(value, ice);
                }
                continue;
            }
            let pixels = image
                .as_chunks::<CHANNELS>()
                .0
                .iter()
                .zip(out.as_chunks_mut::<CHANNELS>().0);
            for (x, (pixel, out)) in pixels.enumerate() {
                let column = Border::HalfSample.index((left + x) as isize, texture.width()) * CHANNELS;
                for channel in 0..CHANNELS {
                    out[channel] = mix(pixel[channel], ice[column + channel]);
                }
            }
        }
    }
}
