//! Tests of means and exact limits against scipy (fixtures/stats/make_means.py).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use riptide_stats::clopper_pearson;
use riptide_stats::means::{Sample, drawn_alike, welch_greater};
use serde_json::Value;

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/stats/means.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap()
}

fn numbers(value: &Value, key: &str) -> Vec<f64> {
    value[key]
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

fn close(found: f64, expected: f64, relative: f64, what: &str) {
    assert!(
        (found - expected).abs() <= relative * expected.abs().max(1e-300),
        "{what}: {found} is not {expected}"
    );
}

#[test]
fn welchs_test_is_scipys() {
    let golden = golden();
    let cases = golden["welch"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let batch = Sample::new("batch", &numbers(case, "batch")).unwrap();
        let reference = Sample::new("reference", &numbers(case, "reference")).unwrap();
        let test = welch_greater(&batch, &reference, 0.0);
        close(test.statistic, number(case, "statistic"), 1e-9, "statistic");
        close(test.freedom, number(case, "freedom"), 1e-9, "freedom");
        close(test.p_value, number(case, "p_value"), 1e-8, "p-value");
    }
}

#[test]
fn clopper_and_pearsons_limits_are_scipys() {
    let golden = golden();
    let cases = golden["limits"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let (x, n) = (number(case, "successes") as usize, number(case, "n") as usize);
        let found = clopper_pearson(x, n, number(case, "confidence"));
        // As exact as statrs's incomplete beta function at n = 100,000.
        close(found.lower, number(case, "lower"), 2e-6, "lower");
        close(found.upper, number(case, "upper"), 2e-6, "upper");
    }
}

#[test]
fn the_skewed_tail_is_scipys() {
    let golden = golden();
    let cases = golden["alike"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let (n, m) = (number(case, "n"), number(case, "reference"));
        let reference = Sample {
            n: m,
            mean: 0.3,
            variance: 0.04,
        };
        let mean = 0.3 + number(case, "z") * (0.04 * (1.0 / n + 1.0 / m)).sqrt();
        let found = drawn_alike(n, mean, &reference, number(case, "skewness"));
        close(found, number(case, "p_value"), 1e-7, "p-value");
    }
}
