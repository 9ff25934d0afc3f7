//! Seconds a call of the two-sample tests, one JSON line a case, the least of many repeats.
//!
//! `cargo run --release --package riptide-stats --example throughput`; `xtask/peers/stats.py` prints the same cases for
//! scipy.

use std::hint::black_box;
use std::time::Instant;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use riptide_stats::ks::{self, Alternative, Method, Reference};

const BATCHES: usize = 64;
const REPEATS: usize = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut sample = |n: usize| -> Vec<f64> { (0..n).map(|_| rng.random::<f64>()).collect() };

    let reference = sample(1000);
    let prepared = Reference::new(&reference)?;
    let small: Vec<Vec<f64>> = (0..BATCHES).map(|_| sample(100)).collect();
    let large: Vec<Vec<f64>> = (0..BATCHES).map(|_| sample(1000)).collect();
    let (two_sided, greater) = (Alternative::TwoSided, Alternative::Greater);

    report("ks asymptotic two-sided 1000 vs 100", &small, |b| {
        prepared.test(b, two_sided, Method::Asymptotic)
    });
    report("ks asymptotic greater 1000 vs 100", &small, |b| {
        prepared.test(b, greater, Method::Asymptotic)
    });
    report("ks exact two-sided 1000 vs 100", &small, |b| {
        prepared.test(b, two_sided, Method::Exact)
    });
    report("ks exact two-sided 1000 vs 1000", &large, |b| {
        ks::two_sample(&reference, b, two_sided, Method::Exact)
    });
    report("cvm asymptotic 1000 vs 100", &small, |b| {
        riptide_stats::cvm::two_sample(&reference, b)
    });
    Ok(())
}

/// The least mean time of one call over all batches.
fn report<T>(name: &str, batches: &[Vec<f64>], call: impl Fn(&[f64]) -> T) {
    let run = || {
        let start = Instant::now();
        for batch in batches {
            black_box(call(black_box(batch)));
        }
        start.elapsed().as_secs_f64() / batches.len() as f64
    };
    let least = (0..REPEATS).map(|_| run()).fold(f64::INFINITY, f64::min);
    println!("{}", serde_json::json!({"name": name, "seconds_per_call": least}));
}
