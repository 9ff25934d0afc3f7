//! The distributions of the Kolmogorov-Smirnov statistics against high-precision values.
//!
//! `fixtures/stats/make_kolmogorov.py` makes them; RIPTIDE_STATS_KOLMOGOROV names a larger file of the same kind.

#![allow(clippy::unwrap_used)]

use riptide_stats::ks::distribution::{one_sided_sf, two_sided_cdf, two_sided_sf};
use serde::Deserialize;

/// Relative, in either tail.
const TOLERANCE: f64 = 2e-11;

#[derive(Debug, Deserialize)]
struct Case {
    n: u64,
    d: f64,
    cdf: Option<f64>,
    sf: Option<f64>,
    one_sided_sf: Option<f64>,
}

fn check(path: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() > 100);
    let mut worst = [(0.0, String::new()), (0.0, String::new()), (0.0, String::new())];
    for case in &cases {
        let found = [
            (case.cdf, two_sided_cdf(case.n, case.d)),
            (case.sf, two_sided_sf(case.n, case.d)),
            (case.one_sided_sf, one_sided_sf(case.n, case.d)),
        ];
        for ((expected, found), worst) in found.into_iter().zip(&mut worst) {
            let Some(expected) = expected else { continue };
            let error = (found / expected - 1.0).abs();
            if error > worst.0 {
                *worst = (error, format!("{case:?}: {found}"));
            }
        }
    }
    for (name, (error, at)) in ["cdf", "sf", "one-sided sf"].iter().zip(&worst) {
        println!("{name}: worst relative error {error:.1e} of {} at {at}", cases.len());
        assert!(*error < TOLERANCE, "{name}: {at}");
    }
}

#[test]
fn distributions_match_high_precision_values() {
    check(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/stats/kolmogorov.json"
    ));
    if let Ok(path) = std::env::var("RIPTIDE_STATS_KOLMOGOROV") {
        check(&path);
    }
}
