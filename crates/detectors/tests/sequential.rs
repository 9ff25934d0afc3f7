//! The sequential test and the audit, by simulation with known truth.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution};
use riptide_detectors::audit::{AuditConfig, Labelled, pick, update};
use riptide_detectors::sequential::{SequentialConfig, SequentialKind, SequentialTest};

/// How many of `streams` null streams ever alarm at a level of 0.05.
fn alarms(streams: u64, length: usize, bound: f64, value: impl Fn(&mut ChaCha8Rng, usize) -> f64) -> u64 {
    let config = SequentialConfig::default().level(0.05).path(2);
    let mut alarmed = 0;
    for stream in 0..streams {
        let mut rng = ChaCha8Rng::seed_from_u64(stream);
        let mut test = SequentialTest::new(bound, config).unwrap();
        alarmed += u64::from((0..length).any(|step| test.update(value(&mut rng, step)).unwrap()));
    }
    alarmed
}

/// 10,000 streams at 0.05, and three standard errors of that count.
const MOST: u64 = 500 + 3 * 22;

#[test]
fn null_streams_ever_alarm_with_a_chance_of_at_most_the_level() {
    // Skewed values as error probabilities are; their mean is the bound.
    let skewed = Beta::new(0.3, 1.7).unwrap();
    let found = alarms(10_000, 400, 0.15, |rng, _| skewed.sample(rng));
    assert!(found <= MOST, "beta values: {found}");

    // The first value decides.
    let coin = alarms(10_000, 1, 0.15, |rng, _| f64::from(u8::from(rng.random_bool(0.15))));
    assert!(coin <= MOST, "one value: {coin}");

    // Means of batches whose images share their luck: ten images, half of each value common to all.
    let batch = alarms(10_000, 100, 0.15, |rng, _| {
        let common = skewed.sample(rng);
        (0..10).map(|_| 0.5 * common + 0.5 * skewed.sample(rng)).sum::<f64>() / 10.0
    });
    assert!(batch <= MOST, "batch means: {batch}");

    // Means that drift up and down below the bound.
    let drifting = alarms(10_000, 400, 0.15, |rng, step| {
        let mean = if (step / 50) % 2 == 0 { 0.15 } else { 0.05 };
        f64::from(u8::from(rng.random_bool(mean)))
    });
    assert!(drifting <= MOST, "drifting means: {drifting}");
}

#[test]
fn constant_values_alarm_above_the_bound_alone() {
    for (value, alarm) in [(0.0, false), (0.15, false), (0.149, false), (0.3, true), (1.0, true)] {
        assert_eq!(alarms(1, 3000, 0.15, |_, _| value) == 1, alarm, "{value}");
    }
}

#[test]
fn an_e_detector_waits_long_for_a_false_alarm_and_finds_a_late_drop() {
    let config = SequentialConfig::default().level(0.01).kind(SequentialKind::EDetector);
    let skewed = Beta::new(0.3, 1.7).unwrap();
    let mut total = 0;
    for stream in 0..200 {
        let mut rng = ChaCha8Rng::seed_from_u64(stream);
        let mut test = SequentialTest::new(0.15, config).unwrap();
        while test.len() < 2000 && !test.update(skewed.sample(&mut rng)).unwrap() {}
        total += test.len();
    }
    // The mean run is at least 1 / level; cutting the runs at 2,000 can only shorten it.
    assert!(total / 200 >= 100, "{total}");

    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut test = SequentialTest::new(0.3, config).unwrap();
    for _ in 0..5000 {
        test.update(0.5 * skewed.sample(&mut rng)).unwrap();
    }
    assert!(!test.alarm());
    while !test.update(0.8).unwrap() {}
    assert!(test.alarm_at().unwrap() < 5200, "{:?}", test.alarm_at());
}

#[test]
fn a_test_that_was_saved_goes_on_bit_for_bit() {
    for kind in [SequentialKind::EProcess, SequentialKind::EDetector] {
        let config = SequentialConfig::default().kind(kind).path(8);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let values: Vec<f64> = (0..500).map(|_| rng.random::<f64>() * 0.5).collect();
        let mut whole = SequentialTest::new(0.2, config).unwrap();
        let mut parts = whole.clone();
        for (step, &value) in values.iter().enumerate() {
            whole.update(value).unwrap();
            parts.update(value).unwrap();
            if step % 37 == 0 {
                parts = serde_json::from_str(&serde_json::to_string(&parts).unwrap()).unwrap();
            }
        }
        assert_eq!(whole, parts);
        assert!(whole.path().len() <= 8 && whole.path().len() >= 4, "{:?}", whole.path());
        assert!(whole.update(f64::NAN).is_err() && whole.update(1.1).is_err());
        assert_eq!(whole, parts, "a refused value changes nothing");
    }
    assert!(SequentialTest::new(0.0, SequentialConfig::default()).is_err());
}

/// A batch of error probabilities that are worth something, or nothing, with its true answers.
fn batch(seed: u64, n: usize, informative: bool) -> (Vec<f64>, Vec<bool>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let skewed = Beta::new(0.4, 1.2).unwrap();
    let errors: Vec<f64> = (0..n).map(|_| skewed.sample(&mut rng)).collect();
    let right = errors
        .iter()
        .map(|&e| !rng.random_bool(if informative { e } else { 0.4 }))
        .collect();
    (errors, right)
}

fn audit(errors: &[f64], right: &[bool], m: usize, seed: u64, accepted: f64) -> riptide_detectors::audit::AuditOutcome {
    let config = AuditConfig::default().seed(seed);
    let picks = pick(errors, m, &config).unwrap();
    let labelled: Vec<Labelled> = picks
        .iter()
        .map(|&pick| Labelled {
            pick,
            right: right[pick.index],
        })
        .collect();
    update(errors, &labelled, accepted, &config).unwrap()
}

#[test]
fn audits_hold_whatever_the_model_is_worth() {
    for informative in [true, false] {
        let (errors, right) = batch(5, 400, informative);
        let truth = right.iter().filter(|&&right| right).count() as f64 / 400.0;
        let (mut held, mut sum, mut false_alarms) = (0, 0.0, 0);
        for seed in 0..300 {
            let outcome = audit(&errors, &right, 60, seed, truth);
            held += u32::from(outcome.accuracy.lower <= truth && truth <= outcome.accuracy.upper);
            sum += outcome.accuracy.estimate;
            false_alarms += u32::from(outcome.alarm);
        }
        assert!(held >= 285, "{informative}: {held} of 300 intervals hold");
        assert!(
            (sum / 300.0 - truth).abs() < 0.015,
            "{informative}: {} is biased",
            sum / 300.0
        );
        assert!(
            false_alarms <= 15 + 12,
            "{informative}: {false_alarms} of 300 false alarms"
        );
    }
}

#[test]
fn an_audit_finds_a_drop_that_the_model_does_not_see() {
    // The error probabilities say 25 % of the answers are wrong; 40 % are. Accepted: an accuracy of 0.85.
    let (errors, right) = batch(9, 1000, false);
    let found = (0..50)
        .filter(|&seed| audit(&errors, &right, 150, seed, 0.85).alarm)
        .count();
    assert!(found >= 45, "{found} of 50");
}

#[test]
fn an_audit_of_every_image_knows_the_accuracy() {
    let (errors, right) = batch(2, 30, true);
    let truth = right.iter().filter(|&&right| right).count() as f64 / 30.0;
    let outcome = audit(&errors, &right, 30, 4, 0.9);
    let accuracy = outcome.accuracy;
    assert!(
        (accuracy.lower - truth).abs() < 1e-9 && (accuracy.upper - truth).abs() < 1e-9,
        "{outcome:?}"
    );
}

#[test]
fn picks_are_different_images_and_left_out_labels_are_refused() {
    let (errors, right) = batch(1, 50, true);
    let config = AuditConfig::default();
    let picks = pick(&errors, 50, &config).unwrap();
    let mut indices: Vec<usize> = picks.iter().map(|pick| pick.index).collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..50).collect::<Vec<_>>());
    let labelled = |picks: &[riptide_detectors::audit::Pick]| -> Vec<Labelled> {
        picks
            .iter()
            .map(|&pick| Labelled {
                pick,
                right: right[pick.index],
            })
            .collect()
    };
    assert!(
        update(&errors, &labelled(&picks[..10]), 0.8, &config).is_ok(),
        "the first ten are enough"
    );
    assert!(
        update(&errors, &labelled(&picks[1..10]), 0.8, &config).is_err(),
        "the first is missing"
    );
    assert!(
        update(&errors, &labelled(&[picks[0], picks[0]]), 0.8, &config).is_err(),
        "one is given twice"
    );
    assert!(
        update(&errors[..40], &labelled(&picks[..10]), 0.8, &config).is_err(),
        "another batch"
    );
    assert!(update(&errors, &[], 0.8, &config).is_err());
    assert!(pick(&errors, 51, &config).is_err() && pick(&errors, 0, &config).is_err());
    assert!(pick(&[0.5, f64::NAN], 1, &config).is_err());
}
