//! The comparison on sets with known truth.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::protocol::ProtocolParams;

/// 600 images of three classes; the stronger the corruption, the more of them both networks hesitate about, and the classifier
/// is wrong about half of those.
fn set(family: &str, group: &str, severity: u8, seed: u64) -> KnownSet {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut probabilities = Probabilities {
        n_classes: 3,
        ..Probabilities::default()
    };
    let labels: Vec<u32> = (0..600).map(|i| i % 3).collect();
    for &label in &labels {
        let hurt = rng.random_bool(0.08 + 0.08 * f64::from(severity));
        let answer = if hurt { rng.random_range(0..3) } else { label };
        for (top, into) in [
            (if hurt { 0.5 } else { 0.9 }, &mut probabilities.classifier),
            (if hurt { 0.4 } else { 0.8 }, &mut probabilities.distilled),
        ] {
            let top = top + rng.random_range(-0.05..0.05_f32);
            into.extend((0..3).map(|class| if class == answer { top } else { (1.0 - top) / 2.0 }));
        }
    }
    let fit = AccuracyConfig::default();
    KnownSet::new((family, group), severity, probabilities, None, &labels, &fit).unwrap()
}

fn compared(references: usize) -> Result<Comparison, ExperimentError> {
    let clean = set("clean", "clean", 0, 1);
    let mut sets = Vec::new();
    for (family, group) in ["a", "a", "b", "b", "c", "c"].into_iter().enumerate() {
        for severity in [1, 3] {
            let seed = 10 * family as u64 + u64::from(severity);
            sets.push(set(&format!("{group}{family}"), group, severity, seed));
        }
    }
    let mut comparison = ComparisonParams::default().references(references).batches(12);
    comparison.natural_sizes = vec![50];
    comparison.natural_batches = 4;
    (comparison.streams, comparison.stream_length) = (2, 200);
    let protocol = ProtocolParams {
        n_ref: 150,
        batch_size: 40,
        fractions: vec![0.0, 0.9],
        comparison: Some(comparison),
        ..ProtocolParams::default()
    };
    compare(&clean, &sets, &[], &protocol.check()?)
}

#[test]
fn harm_is_found_and_nothing_that_is_judged_was_fitted_on() {
    let found = compared(2).unwrap();
    assert_eq!(found.images, [300, 150, 150]);
    // Two severities, two kinds, two fractions; six families of two severities and clean, one size; the same for streams.
    assert_eq!(
        (found.cells.len(), found.natural.len(), found.streams.len()),
        (8, 13, 13)
    );
    assert_eq!((found.estimates.len(), found.methods.len()), (12, 5));
    for cell in &found.cells {
        let alarms = cell.accuracy.rate.estimate;
        match (cell.kind, cell.fraction) {
            (Kind::Harmful, 0.9) => assert!(alarms > 0.9, "{cell:?}"),
            _ => assert!(alarms < 0.3, "{cell:?}"),
        }
        assert!(cell.accuracy.least <= alarms && alarms <= cell.accuracy.most);
    }
    for estimate in &found.estimates {
        assert!(
            (estimate.accuracy.estimate - estimate.truth).abs() < 0.08,
            "{estimate:?}"
        );
    }
    let (first, second) = (
        Split::new(600, &plan(), 0).unwrap(),
        Split::new(600, &plan(), 1).unwrap(),
    );
    assert_ne!(first.reference, second.reference);
    let mut all = [first.fit, first.reference, first.test].concat();
    all.sort_unstable();
    assert_eq!(all, (0..600).collect::<Vec<_>>());
}

fn plan() -> Plan<'static> {
    static PARAMS: std::sync::LazyLock<ComparisonParams> = std::sync::LazyLock::new(ComparisonParams::default);
    Plan {
        params: &PARAMS,
        n_ref: 150,
        batch_size: 40,
        fractions: &[],
        level: 0.05,
        seed: 0,
    }
}

#[test]
fn what_is_declared_is_fitted_on_and_not_judged() {
    let clean = set("clean", "clean", 0, 1);
    let of = |names: &[&str]| -> Vec<KnownSet> {
        names
            .iter()
            .zip(1..)
            .map(|(name, seed)| set(name, name, 3, 100 + seed))
            .collect()
    };
    let (sets, declared) = (of(&["a", "b"]), of(&["a", "b", "c", "d"]).split_off(2));
    let mut comparison = ComparisonParams::default().references(1).batches(2);
    (comparison.streams, comparison.stream_length, comparison.natural_batches) = (1, 20, 1);
    let protocol = ProtocolParams {
        n_ref: 150,
        batch_size: 40,
        fractions: vec![0.9],
        comparison: Some(comparison),
        declared: vec![riptide_corruptions::Extended::Gamma],
        ..ProtocolParams::default()
    };
    let protocol = protocol.check().unwrap();
    // Two families by themselves do not allow one to be left out.
    assert!(compare(&clean, &sets, &[], &protocol).is_err());
    let found = compare(&clean, &sets, &declared, &protocol).unwrap();
    let judged: Vec<&str> = found
        .estimates
        .iter()
        .map(|estimate| estimate.family.as_str())
        .collect();
    assert_eq!((judged, found.declared), (vec!["a", "b"], 1));
}

#[test]
fn any_number_of_threads_finds_the_same() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| compared(1).unwrap())
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn too_few_images_and_no_reference_are_refused() {
    assert!(compared(0).unwrap_err().to_string().contains("references"));
    assert!(
        Split::new(200, &plan(), 0)
            .unwrap_err()
            .to_string()
            .contains("230 images")
    );
}
