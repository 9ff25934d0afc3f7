//! Ways in which a file gets damaged, each decided by a seed.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The bytes of a file after the damage of number `seed`.
pub fn damaged(whole: &[u8], seed: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = whole.to_vec();
    let n = bytes.len();
    match seed % 10 {
        // A transfer that broke off.
        0 => bytes.truncate(rng.random_range(0..n)),
        // A block that never arrived.
        1 => {
            let start = rng.random_range(0..n);
            let end = n.min(start + rng.random_range(1..=n));
            bytes[start..end].fill(0);
        }
        // Single bits.
        2 => {
            for _ in 0..rng.random_range(1..=4) {
                let at = rng.random_range(0..n);
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
        }
        // A bit near the beginning, where formats keep what the rest depends on.
        3 => {
            let at = rng.random_range(0..n.min(256));
            bytes[at] ^= 1 << rng.random_range(0..8);
        }
        // A number that lies: the largest one, or a large one, of four or eight bytes.
        4 | 5 => {
            let width = if rng.random_bool(0.5) { 4 } else { 8 };
            let near = if rng.random_bool(0.7) { n.min(512) } else { n };
            let at = rng.random_range(0..near.saturating_sub(width).max(1));
            let value: u64 =
                [u64::MAX, 0x7fff_ffff_ffff_ffff, 0x0100_0000_0100_0000, 0x7fff_ffff][rng.random_range(0..4)];
            let field = value.to_le_bytes();
            let end = n.min(at + width);
            bytes[at..end].copy_from_slice(&field[..end - at]);
        }
        // A part that stands twice.
        6 => {
            let start = rng.random_range(0..n);
            let part = bytes[start..n.min(start + rng.random_range(1..=n))].to_vec();
            let at = rng.random_range(0..n);
            bytes.splice(at..at, part);
        }
        // A part that is missing.
        7 => {
            let start = rng.random_range(0..n);
            let end = n.min(start + rng.random_range(1..=64));
            bytes.drain(start..end);
        }
        // Digits of a text, or bytes that look like some, become other ones.
        8 => {
            let digits: Vec<usize> = (0..n).filter(|&at| bytes[at].is_ascii_digit()).collect();
            for _ in 0..rng.random_range(1..=3) {
                match digits.get(rng.random_range(0..digits.len().max(1))) {
                    Some(&at) => bytes[at] = b"0123456789-eE."[rng.random_range(0..14)],
                    None => bytes[rng.random_range(0..n)] = 0xff,
                }
            }
        }
        // Noise in place of a part.
        _ => {
            let start = rng.random_range(0..n);
            let end = n.min(start + rng.random_range(1..=256));
            rng.fill_bytes(&mut bytes[start..end]);
        }
    }
    bytes
}
