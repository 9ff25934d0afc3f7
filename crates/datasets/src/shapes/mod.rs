//! The embedded default data set: pictures of ten kinds of object, drawn from a seed.
//!
//! Every picture is 32x32 in colour, anti-aliased by exact area, and holds one object of one of [`CLASS_NAMES`]: turned,
//! sheared, tilted in depth, lit from one side, textured, over a textured background with clutter behind it and, often,
//! something in front of it. Some classes are easily taken for each other (a disk and a hexagon, a ring and a crescent,
//! a triangle and an arrow), so that a good classifier errs on a few pictures in a hundred and blur, noise and
//! pixelation hurt it, as they do on photographs.
//!
//! The same seed gives the same bytes on every platform: drawing uses IEEE addition, multiplication, division and
//! square roots only, and draws from ChaCha8 words. Each picture has its own stream, found from its index, so any
//! range of indices can be generated alone, in any order, by any number of threads.

use rayon::prelude::*;

use crate::ImageSet;
use random::{Purpose, Random};

mod outline;
mod random;
mod raster;
mod scene;
mod texture;

/// Width and height of a picture, in pixels.
pub const SIZE: usize = 32;

/// The classes, in the order of their labels.
pub const CLASS_NAMES: [&str; 10] = [
    "disk", "ring", "crescent", "triangle", "square", "hexagon", "star", "cross", "heart", "arrow",
];

/// The first index of the pictures meant for training: they run up to [`TEST_FIRST_INDEX`].
pub const TRAIN_FIRST_INDEX: u64 = 0;

/// The first index of the pictures meant for testing. No training set reaches it.
pub const TEST_FIRST_INDEX: u64 = 1_000_000_000_000;

const IMAGE_BYTES: usize = SIZE * SIZE * 3;

/// The generator of the embedded data set.
///
/// ```
/// use riptide_datasets::shapes::{CLASS_NAMES, Shapes, TEST_FIRST_INDEX};
///
/// let shapes = Shapes::new(0);
/// let test = shapes.generate(TEST_FIRST_INDEX, 20);
/// assert_eq!(test.shape(), [20, 32, 32, 3]);
/// assert_eq!(test.class_names(), CLASS_NAMES);
///
/// // A part of a range is the same as that part generated alone.
/// let part = shapes.generate(TEST_FIRST_INDEX + 5, 1);
/// assert_eq!(part.image(0), test.image(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Shapes {
    seed: u64,
}

impl Shapes {
    /// The generator of the pictures of one seed: another seed gives other pictures for every index.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The `n` pictures from `first_index` on, with labels and class names.
    ///
    /// Each ten pictures from an index divisible by ten hold each class once, in an order of their own. Indices wrap
    /// around at `u64::MAX`. The pictures are drawn in parallel, on rayon's current pool.
    pub fn generate(&self, first_index: u64, n: usize) -> ImageSet {
        let mut pixels = vec![0; n * IMAGE_BYTES];
        let labels = pixels
            .par_chunks_exact_mut(IMAGE_BYTES)
            .enumerate()
            .map(|(i, image)| {
                let index = first_index.wrapping_add(i as u64);
                let label = self.label(index);
                scene::draw(label, &mut Random::new(self.seed, Purpose::Picture, index), image);
                label
            })
            .collect();
        let class_names = CLASS_NAMES.map(String::from).to_vec();
        match ImageSet::new(pixels, SIZE, SIZE, labels, class_names) {
            Ok(images) => images,
            Err(error) => unreachable!("a label a picture, each under ten: {error}"),
        }
    }

    /// The label of the picture with this index: its place in the shuffled ten of its block.
    fn label(&self, index: u64) -> u32 {
        let mut random = Random::new(self.seed, Purpose::ClassOrder, index / 10);
        let mut order = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        for last in (1..10).rev() {
            order.swap(last, random.below(last as u32 + 1) as usize);
        }
        order[(index % 10) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ten_hold_each_class_once() {
        let set = Shapes::new(4).generate(40, 50);
        for ten in set.labels().unwrap().chunks(10) {
            let mut sorted = ten.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<u32>>());
        }
        assert_ne!(set.labels().unwrap()[..10], set.labels().unwrap()[10..20]);
    }

    #[test]
    fn any_subset_and_any_number_of_threads_give_the_same_bytes() {
        let shapes = Shapes::new(11);
        let whole = shapes.generate(TRAIN_FIRST_INDEX, 64);
        let part = shapes.generate(TRAIN_FIRST_INDEX + 17, 30);
        assert_eq!(part.digest(), whole.slice(17..47).unwrap().digest());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(
            pool.install(|| shapes.generate(TRAIN_FIRST_INDEX, 64)).digest(),
            whole.digest()
        );
    }

    #[test]
    fn seeds_and_indices_give_different_pictures() {
        let mut images: Vec<Vec<u8>> = Vec::new();
        for (seed, first) in [(0, 0), (1, 0), (0, TEST_FIRST_INDEX), (0, u64::MAX - 3)] {
            images.extend(Shapes::new(seed).generate(first, 8).images().map(<[u8]>::to_vec));
        }
        images.sort();
        images.dedup();
        // The last range wraps around: its last four pictures are the first four of seed 0.
        assert_eq!(images.len(), 28);
    }

    #[test]
    fn pictures_use_the_range_of_bytes_but_are_not_blown_out() {
        let set = Shapes::new(0).generate(0, 500);
        let pixels = set.pixels();
        let mean = pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / pixels.len() as f64;
        let full = pixels.iter().filter(|&&p| p == 255).count() as f64 / pixels.len() as f64;
        assert!((90.0..150.0).contains(&mean), "mean {mean}");
        assert!(full < 0.02, "{full} of all bytes are saturated");
        for image in set.images() {
            let (least, most) = (image.iter().min().unwrap(), image.iter().max().unwrap());
            assert!(most - least > 40, "a flat picture");
        }
    }

    #[test]
    fn no_images_is_an_empty_set() {
        assert!(Shapes::new(0).generate(3, 0).is_empty());
    }
}
