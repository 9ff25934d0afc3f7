//! Scores and thresholds against those that alibi-detect gives; `fixtures/detectors/make_scores.py` makes the fixture.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use riptide_detectors::distillation::{DistillationConfig, score};
use riptide_detectors::drift::DriftConfig;
use riptide_detectors::{KsDrift, Loss, ModelDistillation, Probabilities, networks_fn};
use riptide_stats::ks::Alternative;
use serde::Deserialize;

/// The given scores are f32 sums of terms up to about 1 in size, each rounded to f32: the smallest scores carry that absolute
/// error, the others much less than the relative one.
const RELATIVE: f32 = 1e-5;
const ABSOLUTE: f32 = 2.0 * f32::EPSILON;

#[derive(Deserialize)]
struct Golden {
    n_classes: usize,
    classifier: Vec<f32>,
    distilled: Vec<f32>,
    scores: Vec<GoldenScore>,
    threshold_scores: Vec<f32>,
    thresholds: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct GoldenScore {
    loss: Loss,
    temperature: f64,
    expected: Vec<f32>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../fixtures/detectors/scores.json")).unwrap()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= RELATIVE * expected.abs() + ABSOLUTE,
            "{what}, instance {i}: {found} {expected}"
        );
    }
}

#[test]
fn scores_agree_with_alibi_detect() {
    let golden = golden();
    assert_eq!(golden.scores.len(), 4);
    for case in &golden.scores {
        let found = score(
            &golden.classifier,
            &golden.distilled,
            golden.n_classes,
            case.loss,
            case.temperature,
        )
        .unwrap();
        assert_close(
            &found,
            &case.expected,
            &format!("{} at temperature {}", case.loss, case.temperature),
        );
    }
}

#[test]
fn thresholds_agree_with_numpy() {
    let golden = golden();
    // Networks are not needed if the scores are known.
    let none = networks_fn(10, |_: &[u8], _: [usize; 3]| -> Result<Probabilities, _> {
        Err("not asked".into())
    });
    let mut detector = ModelDistillation::new(none, DistillationConfig::default()).unwrap();
    for (percentile, expected) in &golden.thresholds {
        let percentile: f64 = percentile.parse().unwrap();
        let found = detector
            .infer_threshold_from_scores(&golden.threshold_scores, percentile, 0.0)
            .unwrap();
        assert!(
            (found - expected).abs() <= 1e-6 * expected,
            "{percentile}: {found} {expected}"
        );
        let with_margin = detector
            .infer_threshold_from_scores(&golden.threshold_scores, percentile, 0.25)
            .unwrap();
        assert_eq!(with_margin, found + 0.25);
        assert_eq!(detector.config().threshold, Some(with_margin));
    }
}

fn array(shared: &Path, name: &str) -> Vec<f32> {
    let file = BufReader::new(File::open(shared.join("golden/alibi/outputs.npz")).unwrap());
    let mut archive = npyz::npz::NpzArchive::new(file).unwrap();
    archive.by_name(name).unwrap().unwrap().into_vec().unwrap()
}

/// All 128 instances, if the golden outputs are at hand.
#[test]
fn all_given_outputs_are_reproduced() {
    let Some(shared) = std::env::var_os("RIPTIDE_SHARED") else {
        eprintln!("RIPTIDE_SHARED is unset: the full golden outputs are not compared");
        return;
    };
    let shared = Path::new(&shared);
    let (classifier, distilled) = (array(shared, "classifier_probs"), array(shared, "distilled_probs"));
    for (name, loss, temperature) in [
        ("score_kld", Loss::Kld, 1.0),
        ("score_xent", Loss::Xent, 1.0),
        ("score_kld_t0.5", Loss::Kld, 0.5),
        ("score_kld_t3", Loss::Kld, 3.0),
    ] {
        let found = score(&classifier, &distilled, 10, loss, temperature).unwrap();
        assert_eq!(found.len(), 128);
        assert_close(&found, &array(shared, name), name);
    }
}

/// Against itself and against scores that are all larger, the test's outcome is known.
#[test]
fn scores_feed_the_drift_test() {
    let golden = golden();
    let options = DriftConfig::default().alternative(Alternative::Greater);
    let detector = KsDrift::new(golden.threshold_scores.clone(), options).unwrap();
    let same = detector.test(&golden.threshold_scores).unwrap();
    assert_eq!((same.distance(), same.is_drift()), (0.0, false));
    let harder: Vec<f32> = golden.threshold_scores.iter().map(|score| score + 100.0).collect();
    let outcome = detector.test(&harder).unwrap();
    assert_eq!((outcome.distance(), outcome.is_drift()), (1.0, true));
}
