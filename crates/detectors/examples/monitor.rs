//! Watches batches as they get worse, with a closure in place of the networks, flags single images, and keeps the drift test.
//!
//! cargo run --release -p riptide-detectors --example monitor
//!
//! The "networks" are rules over generated pictures, so that the example needs neither data nor weights; real ones plug in the
//! same way, through any closure that gives the class probabilities of both.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riptide_detectors::distillation::DistillationConfig;
use riptide_detectors::drift::{DriftConfig, DriftState};
use riptide_detectors::harm::HarmConfig;
use riptide_detectors::{BoxError, HarmTest, KsDrift, ModelDistillation, Probabilities, networks_fn};
use riptide_stats::ks::Alternative;

const SIDE: usize = 8;
const IMAGE: usize = SIDE * SIDE * 3;

/// Bright pictures against dark ones. The classifier looks at every pixel, the distilled network at one in eight: they agree on
/// smooth pictures and part on noisy ones.
fn probabilities(pixels: &[u8]) -> Result<Probabilities, BoxError> {
    let sure = |step: usize| {
        pixels.chunks_exact(IMAGE).flat_map(move |image| {
            let seen = image.iter().step_by(step);
            let mean = seen.clone().map(|&p| f32::from(p)).sum::<f32>() / seen.len() as f32;
            let bright = 1.0 / (1.0 + (-(mean - 128.0) / 16.0).exp());
            [bright, 1.0 - bright]
        })
    };
    Ok(Probabilities::new(sure(1).collect(), sure(8).collect(), 2)?)
}

/// Smooth pictures; a share of them noisy.
fn pictures(n: usize, noisy: f64, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(n * IMAGE);
    for _ in 0..n {
        let brightness = rng.random_range(60.0..196.0_f32);
        let spread = if rng.random::<f64>() < noisy { 59.0 } else { 4.0 };
        pixels.extend((0..IMAGE).map(|_| (brightness + rng.random_range(-spread..=spread)) as u8));
    }
    pixels
}

fn main() -> Result<(), BoxError> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let networks = networks_fn(2, |pixels: &[u8], _: [usize; 3]| probabilities(pixels));
    let mut detector = ModelDistillation::new(networks, DistillationConfig::default().data_type("image"))?;

    let clean = pictures(1000, 0.0, &mut rng);
    let shape = [1000, SIDE, SIDE];
    let reference: Vec<f64> = detector.score(&clean, shape)?.into_iter().map(f64::from).collect();
    let threshold = detector.infer_threshold(&clean, shape, 99.0, 0.0)?;
    println!("threshold of a single image: {threshold:.2e}\n");

    let harm = HarmTest::new(&reference, HarmConfig::default())?;
    let config = DriftConfig::default()
        .alternative(Alternative::Greater)
        .data_type("image");
    let mut drift = KsDrift::new(reference, config)?;
    println!("noisy  flagged  p-value  drift  excess fraction (95 %)   harmful");
    for noisy in [0.0, 0.1, 0.3, 0.6] {
        let outcome = detector.predict(&pictures(200, noisy, &mut rng), [200, SIDE, SIDE], true)?;
        let flagged = outcome.data.flagged.iter().filter(|flagged| **flagged).count();
        let scores: Vec<f64> = outcome
            .data
            .scores
            .iter()
            .flatten()
            .map(|&score| f64::from(score))
            .collect();
        let drifted = drift.predict(&scores)?;
        let data = harm.test(&scores)?.data;
        let excess = data.excess_fraction;
        println!(
            "{noisy:5.1}  {flagged:7}  {:7.1e}  {:5}  {:.2} ({:.2} to {:.2})      {:10}",
            drifted.p_value(),
            drifted.is_drift(),
            excess.estimate,
            excess.lower,
            excess.upper,
            data.is_harmful
        );
    }

    // The test goes on after a restart where it stopped.
    let saved = serde_json::to_string(&drift.state())?;
    let resumed = KsDrift::from_state(serde_json::from_str::<DriftState>(&saved)?)?;
    println!(
        "\nresumed after {} images, from {} bytes of JSON",
        resumed.n_seen(),
        saved.len()
    );
    Ok(())
}
