//! Corrupts image sets, in parallel and reproducibly.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use riptide_datasets::ImageSet;

use crate::effect::{CHANNELS, Effect, Scratch, Size};
use crate::weather::{Fog, Frost, Snow, Spatter};
use crate::{Corruption, CorruptionError, Family, FrostTextures, Severity, blur, digital, noise};

/// Makes the corruptions of one seed.
///
/// The random numbers of an image depend on the seed, the kind of damage, the severity and the image's index, and on nothing
/// else: any subset, any order and any number of threads give the same bytes.
///
/// ```
/// use riptide_corruptions::{Corruption, Corruptor, Severity};
/// use riptide_datasets::shapes::Shapes;
///
/// let images = Shapes::new(1).generate(0, 8);
/// let corruptor = Corruptor::new(7);
/// let severity = Severity::new(3)?;
/// let noisy = corruptor.apply(&images, Corruption::GaussianNoise, severity)?;
/// assert_eq!(noisy.shape(), images.shape());
/// assert_eq!(noisy.labels(), images.labels());
///
/// // A part of the same images, with its place in the whole.
/// let rest = corruptor.apply_from(&images.slice(5..8)?, 5, Corruption::GaussianNoise, severity)?;
/// assert_eq!(rest.pixels(), noisy.slice(5..8)?.pixels());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Corruptor {
    seed: u64,
    frost: FrostTextures,
}

impl Corruptor {
    /// A corruptor with the procedural frost textures.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            frost: FrostTextures::procedural(),
        }
    }

    /// The same corruptor with other frost textures.
    #[must_use]
    pub fn with_frost(self, frost: FrostTextures) -> Self {
        Self { frost, ..self }
    }

    /// The seed.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The frost textures; their [`source`](FrostTextures::source) belongs beside every result made with frost.
    pub const fn frost(&self) -> &FrostTextures {
        &self.frost
    }

    /// Corrupts every image of `images`, (N, H, W, 3) of any H and W. Order, labels and class names stay.
    ///
    /// Image i has index i; see [`apply_from`](Self::apply_from) for parts of a larger set.
    ///
    /// # Errors
    /// Returns [`CorruptionError::TooLarge`] if the images have more than about 100 million pixels.
    pub fn apply(
        &self,
        images: &ImageSet,
        family: impl Into<Family>,
        severity: Severity,
    ) -> Result<ImageSet, CorruptionError> {
        self.apply_from(images, 0, family, severity)
    }

    /// Corrupts images that are a part of a larger set: image i has index `first_index + i`.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_from(
        &self,
        images: &ImageSet,
        first_index: u64,
        family: impl Into<Family>,
        severity: Severity,
    ) -> Result<ImageSet, CorruptionError> {
        let prepared = self.prepare(family.into(), severity, images.height(), images.width())?;
        let mut pixels = vec![0; images.pixels().len()];
        prepared.apply(images.pixels(), first_index, &mut pixels);
        Ok(images.with_pixels(pixels)?)
    }

    /// Everything that does not depend on the single image, for images of one size.
    pub(crate) fn prepare(
        &self,
        family: Family,
        severity: Severity,
        height: usize,
        width: usize,
    ) -> Result<Prepared, CorruptionError> {
        /// Keeps positions within 32-bit integers and working memory within reason, whatever the corruption.
        const MOST_PIXELS: usize = 100_000_000;
        let size = Size { height, width };
        // Fog works on the square over the longer side.
        let longer = height.max(width).checked_next_power_of_two();
        let pixels = longer
            .and_then(|side| side.checked_mul(side))
            .zip(height.checked_mul(width));
        if pixels.is_none_or(|(square, pixels)| {
            pixels > MOST_PIXELS || (family == Family::Published(Corruption::Fog) && square > 4 * MOST_PIXELS)
        }) {
            return Err(CorruptionError::TooLarge { height, width });
        }
        let effect = match family {
            Family::Published(corruption) => self.published(corruption, severity, size),
            Family::Extended(kind) => kind.prepare(severity, size),
        };
        Ok(Prepared {
            effect,
            stream: Stream {
                seed: self.seed,
                family,
                severity,
            },
            size,
        })
    }

    fn published(&self, corruption: Corruption, severity: Severity, size: Size) -> Box<dyn Effect> {
        match corruption {
            Corruption::GaussianNoise => Box::new(noise::GaussianNoise::new(severity)),
            Corruption::ShotNoise => Box::new(noise::ShotNoise::new(severity)),
            Corruption::ImpulseNoise => Box::new(noise::ImpulseNoise::new(severity)),
            Corruption::DefocusBlur => Box::new(blur::DefocusBlur::new(severity, size)),
            Corruption::GlassBlur => Box::new(blur::GlassBlur::new(severity, size)),
            Corruption::MotionBlur => Box::new(blur::MotionBlur::new(severity, size)),
            Corruption::ZoomBlur => Box::new(blur::ZoomBlur::new(severity, size)),
            Corruption::Snow => Box::new(Snow::new(severity, size)),
            Corruption::Frost => Box::new(Frost::new(severity, size, self.frost.clone())),
            Corruption::Fog => Box::new(Fog::new(severity, size)),
            Corruption::Brightness => Box::new(digital::Brightness::new(severity)),
            Corruption::Contrast => Box::new(digital::Contrast::new(severity)),
            Corruption::ElasticTransform => Box::new(digital::ElasticTransform::new(severity, size)),
            Corruption::Pixelate => Box::new(digital::Pixelate::new(severity, size)),
            Corruption::JpegCompression => Box::new(digital::JpegCompression::new(severity, size)),
            Corruption::SpeckleNoise => Box::new(noise::SpeckleNoise::new(severity)),
            Corruption::GaussianBlur => Box::new(blur::GaussianBlur::new(severity, size)),
            Corruption::Spatter => Box::new(Spatter::new(severity, size)),
            Corruption::Saturate => Box::new(digital::Saturate::new(severity)),
        }
    }
}

/// One corruption at one severity for images of one size.
pub(crate) struct Prepared {
    effect: Box<dyn Effect>,
    stream: Stream,
    size: Size,
}

impl Prepared {
    /// Corrupts whole images: `pixels` and `out` have the same number of bytes.
    pub(crate) fn apply(&self, pixels: &[u8], first_index: u64, out: &mut [u8]) {
        /// Images that a thread takes at a time.
        const GROUP: usize = 16;
        let bytes = self.size.pixels() * CHANNELS;
        let groups = pixels
            .par_chunks(bytes * GROUP)
            .zip(out.par_chunks_mut(bytes * GROUP))
            .enumerate();
        groups.for_each_init(Scratch::default, |scratch, (group, (images, out))| {
            let pairs = images.chunks_exact(bytes).zip(out.chunks_exact_mut(bytes));
            for (i, (image, out)) in pairs.enumerate() {
                let index = first_index.wrapping_add((group * GROUP + i) as u64);
                self.effect.apply(image, out, &mut self.stream.rng(index), scratch);
            }
        });
    }
}

/// Where the random numbers of one corruption at one severity come from.
struct Stream {
    seed: u64,
    family: Family,
    severity: Severity,
}

impl Stream {
    /// The generator for one image: ChaCha8 with the four numbers as its 256-bit key.
    fn rng(&self, index: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        let numbers = [self.seed, self.family.stream(), u64::from(self.severity.get()), index];
        for (part, number) in key.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *part = number.to_le_bytes();
        }
        ChaCha8Rng::from_seed(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(n: usize, height: usize, width: usize) -> ImageSet {
        let pixels = (0..n * height * width * 3).map(|i| (i * 31 % 251) as u8).collect();
        ImageSet::unlabelled(pixels, height, width).unwrap()
    }

    #[test]
    fn any_part_and_any_number_of_threads_give_the_same_bytes() {
        let images = gradient(9, 32, 32);
        for corruption in Family::all() {
            let corruptor = Corruptor::new(3);
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| corruptor.apply(&images, corruption, Severity::ALL[2]).unwrap())
            };
            let whole = run(1);
            assert_eq!(whole.pixels(), run(7).pixels(), "{corruption}");
            let part = images.slice(4..6).unwrap();
            let part = corruptor.apply_from(&part, 4, corruption, Severity::ALL[2]).unwrap();
            assert_eq!(part.image(1), whole.image(5), "{corruption}");
        }
    }

    #[test]
    fn images_of_any_shape_come_out_in_their_shape() {
        for (height, width) in [(1, 1), (1, 7), (2, 3), (20, 45)] {
            let images = gradient(2, height, width);
            for corruption in Family::all() {
                for severity in Severity::ALL {
                    let out = Corruptor::new(0).apply(&images, corruption, severity).unwrap();
                    assert_eq!(out.shape(), images.shape(), "{corruption} {severity}");
                }
            }
        }
    }

    #[test]
    fn noise_differs_from_image_to_image_and_from_seed_to_seed() {
        let images = ImageSet::unlabelled(vec![128; 2 * 32 * 32 * 3], 32, 32).unwrap();
        let noisy = |seed| {
            Corruptor::new(seed)
                .apply(&images, Corruption::GaussianNoise, Severity::ALL[0])
                .unwrap()
        };
        assert_ne!(noisy(0).image(0), noisy(0).image(1));
        assert_ne!(noisy(0).image(0), noisy(1).image(0));
    }
}
