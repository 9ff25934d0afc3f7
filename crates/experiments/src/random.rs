//! One random stream for every draw, so that no draw depends on another or on the number of threads.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream is for; part of its key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Reference = 1,
    Batch = 2,
    Bootstrap = 3,
    Split = 4,
    Compared = 5,
    Natural = 6,
    Stream = 7,
}

/// The stream of `seed` for one purpose and place.
pub(crate) fn stream(seed: u64, purpose: Purpose, place: [u64; 2]) -> ChaCha8Rng {
    let mut key = [0; 32];
    let words = [seed, purpose as u64, place[0], place[1]];
    for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}
