//! Which images are for what.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Kept apart: batches are compared with it.
    Reference,
    /// Kept apart: it validates the epochs.
    Validation,
    /// Learned from.
    Training,
}

/// Images, each by its index among all, in an order drawn from a seed: first the reference, then those that validate the epochs, then those
/// that are learned from.
#[derive(Debug)]
pub(super) struct Split {
    /// The place of each image.
    places: Vec<usize>,
    n_reference: usize,
    n_validation: usize,
    seed: u64,
}

impl Split {
    /// A split of `n` images. If nothing is kept apart, they stay in their order.
    pub(super) fn new(n: usize, n_reference: usize, n_validation: usize, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..n).collect();
        if n_reference + n_validation > 0 {
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        }
        let mut places = vec![0; n];
        for (place, &index) in order.iter().enumerate() {
            places[index] = place;
        }
        Self {
            places,
            n_reference,
            n_validation,
            seed,
        }
    }

    /// What an image is for, and its place among the images of that part. Images beyond the number that was announced are learned from.
    pub(super) fn part_of(&self, index: usize) -> (Part, usize) {
        let place = self.places.get(index).copied().unwrap_or(index);
        let apart = self.n_reference + self.n_validation;
        if place < self.n_reference {
            (Part::Reference, place)
        } else if place < apart {
            (Part::Validation, place - self.n_reference)
        } else {
            (Part::Training, place - apart)
        }
    }

    /// The index among all of each image of the reference, in its order.
    pub(super) fn reference_indices(&self) -> Vec<usize> {
        let mut indices = vec![0; self.n_reference];
        for (index, &place) in self.places.iter().enumerate() {
            if let Some(entry) = indices.get_mut(place) {
                *entry = index;
            }
        }
        indices
    }

    pub(super) fn n_training(&self) -> usize {
        self.places.len() - self.n_reference - self.n_validation
    }

    pub(super) fn n_reference(&self) -> usize {
        self.n_reference
    }

    pub(super) fn n_validation(&self) -> usize {
        self.n_validation
    }

    /// Tells splits of the same images apart.
    pub(super) fn identity(&self) -> String {
        format!("{} {} {}", self.seed, self.n_reference, self.n_validation)
    }
}

/// How many images validate the epochs if nothing else is asked for: a tenth of all, but at least 100 unless that is more than a fifth,
/// and at most 1,000.
pub(super) fn usual_validation(n: usize) -> usize {
    (n / 10).max((n / 5).min(100)).min(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_has_one_place() {
        let split = Split::new(100, 20, 10, 3);
        let mut all: Vec<(usize, usize)> = (0..100)
            .map(|index| split.part_of(index))
            .map(|(part, place)| (part as usize, place))
            .collect();
        all.sort_unstable();
        let expected = (0..20).map(|i| (0, i)).chain((0..10).map(|i| (1, i)));
        assert_eq!(all, expected.chain((0..70).map(|i| (2, i))).collect::<Vec<_>>());
        assert_eq!(split.part_of(100), (Part::Training, 70));
        let indices = split.reference_indices();
        assert!((0..20).all(|place| split.part_of(indices[place]) == (Part::Reference, place)));
        let same = Split::new(100, 20, 10, 3);
        assert!((0..100).all(|index| same.part_of(index) == split.part_of(index)));
        let other = Split::new(100, 20, 10, 4);
        assert!((0..100).any(|index| other.part_of(index) != split.part_of(index)));
        let whole = Split::new(5, 0, 0, 3);
        assert!((0..5).all(|index| whole.part_of(index) == (Part::Training, index)));
    }

    #[test]
    fn a_tenth_validates_within_bounds() {
        let found = [0, 4, 60, 500, 2000, 5000, 46_000].map(usual_validation);
        assert_eq!(found, [0, 0, 12, 100, 200, 500, 1000]);
    }
}
