//! KsDrift against the outcomes that alibi-detect's KSDrift gives; `fixtures/detectors/make_ks_drift.py` makes the cases.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use riptide_detectors::drift::{Correction, Decision, DriftConfig, DriftType, Level, ReferenceUpdate};
use riptide_detectors::{KsDrift, Samples};
use riptide_stats::ks::Alternative;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    scale: f64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    n_features: usize,
    options: Options,
    reference: Vec<i64>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Options {
    p_val: f64,
    correction: Correction,
    alternative: Alternative,
    drift_type: DriftType,
    last: Option<usize>,
}

#[derive(Deserialize)]
struct Step {
    batch: Vec<i64>,
    is_drift: Decision,
    threshold: Level,
    p_val: Vec<f64>,
    distance: Vec<f64>,
    n_reference: usize,
}

/// Compares every case and returns how many decisions were compared.
fn compare(golden: &Golden) -> usize {
    let rows = |values: &[i64], n_features| {
        let values: Vec<f64> = values.iter().map(|&v| v as f64 / golden.scale).collect();
        Samples::new(values, n_features).unwrap()
    };
    let mut compared = 0;
    for (index, case) in golden.cases.iter().enumerate() {
        let options = &case.options;
        let mut config = DriftConfig::default()
            .level(options.p_val)
            .correction(options.correction)
            .alternative(options.alternative)
            .drift_type(options.drift_type);
        config.reference_update = options.last.map(|n| ReferenceUpdate::Last { n });
        let mut detector = KsDrift::new(rows(&case.reference, case.n_features), config).unwrap();
        for (number, step) in case.steps.iter().enumerate() {
            let data = detector.predict(rows(&step.batch, case.n_features)).unwrap().data;
            let place = format!("case {index}, step {number}");
            assert_eq!(data.is_drift, step.is_drift, "{place}");
            assert_eq!(data.level, step.threshold, "{place}");
            assert_eq!(detector.reference().len(), step.n_reference, "{place}");
            for (found, expected) in [(&data.p_values, &step.p_val), (&data.distance, &step.distance)] {
                assert_eq!(found.len(), expected.len(), "{place}");
                for (found, expected) in found.iter().zip(expected) {
                    let (found, expected) = (*found as f32, *expected as f32);
                    let tolerance = 2.0 * f32::EPSILON * expected.abs() + f32::MIN_POSITIVE;
                    assert!((found - expected).abs() <= tolerance, "{place}: {found:e} {expected:e}");
                }
            }
            compared += 1;
        }
    }
    compared
}

#[test]
fn sample_of_cases_agrees_with_alibi_detect() {
    let golden: Golden = serde_json::from_str(include_str!("../../../fixtures/detectors/ks_drift.json")).unwrap();
    assert_eq!(compare(&golden), 48);
}

/// The full set is not committed: make it with the script and name it in `RIPTIDE_KS_DRIFT_CASES`.
#[test]
fn full_set_of_cases_agrees_with_alibi_detect() {
    let Some(path) = std::env::var_os("RIPTIDE_KS_DRIFT_CASES") else {
        eprintln!("RIPTIDE_KS_DRIFT_CASES is unset: the full set of cases is not compared");
        return;
    };
    let golden: Golden = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(golden.cases.len() >= 200);
    eprintln!("{} decisions compared", compare(&golden));
}
