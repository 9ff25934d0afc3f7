//! Draws that are the same on every platform and with every version of the random-number crates.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream is for: each purpose has its own key, so no two of them share numbers.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// One picture: the stream number is the picture's index.
    Picture,
    /// The order of the classes within a block of pictures: the stream number is the block's index.
    ClassOrder,
}

/// A stream of draws, found from a seed, a purpose and a stream number without passing through any other stream.
///
/// Draws are made from raw 32-bit words with IEEE arithmetic only: the distributions of the `rand` crates are free to
/// change between versions, the words of ChaCha are not.
pub(super) struct Random(ChaCha8Rng);

impl Random {
    pub(super) fn new(seed: u64, purpose: Purpose, stream: u64) -> Self {
        let mut key = *b"________riptide shapes, version1";
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[31] = match purpose {
            Purpose::Picture => b'p',
            Purpose::ClassOrder => b'c',
        };
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number in `[0, 1)`, a multiple of 2^-24.
    pub(super) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / 16_777_216.0
    }

    /// A number between `low` and `high`.
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A number between `-bound` and `bound`.
    pub(super) fn spread(&mut self, bound: f32) -> f32 {
        self.range(-bound, bound)
    }

    /// A whole number in `0..n` (the bias is under n / 2^32).
    pub(super) fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// True with the given probability.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// A vector of length 1 in a uniform direction: a point drawn in the unit disk, pushed out to the circle.
    pub(super) fn direction(&mut self) -> [f32; 2] {
        loop {
            let (x, y) = (self.spread(1.0), self.spread(1.0));
            let square = x * x + y * y;
            if square > 0.01 && square <= 1.0 {
                let length = square.sqrt();
                return [x / length, y / length];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_purpose_and_number() {
        let first = |seed, purpose, stream| Random::new(seed, purpose, stream).0.next_u64();
        let reference = first(1, Purpose::Picture, 2);
        assert_eq!(reference, first(1, Purpose::Picture, 2));
        assert_ne!(reference, first(2, Purpose::Picture, 2));
        assert_ne!(reference, first(1, Purpose::ClassOrder, 2));
        assert_ne!(reference, first(1, Purpose::Picture, 3));
    }

    #[test]
    fn draws_stay_in_their_ranges() {
        let mut random = Random::new(7, Purpose::Picture, 0);
        let mut seen = [0_u32; 5];
        for _ in 0..5_000 {
            assert!((0.0..1.0).contains(&random.unit()));
            assert!((-2.0..=3.0).contains(&random.range(-2.0, 3.0)));
            let [x, y] = random.direction();
            assert!((x * x + y * y - 1.0).abs() < 1e-5);
            seen[random.below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (850..1_150).contains(&count)), "{seen:?}");
    }
}
