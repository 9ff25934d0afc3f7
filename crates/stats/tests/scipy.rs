//! The tests of one and of two samples against scipy and exact arithmetic.
//!
//! `fixtures/stats/make_ks.py` makes the cases; RIPTIDE_STATS_KS names a larger file of the same kind.

#![allow(clippy::unwrap_used)]

use riptide_stats::cvm;
use riptide_stats::ks::{self, Alternative, Method, Reference};
use serde::Deserialize;

/// Of a statistic, absolute.
const STATISTIC: f64 = 1e-15;
/// Of a p-value, relative.
const P_VALUE: f64 = 1e-10;
/// The reference for Cramér-von Mises is 1 less a sum to 50 digits, so that below this it says nothing.
const CVM_FLOOR: f64 = 1e-35;
/// Below this, doubles lose digits; p-values only have to be as small.
const TINY: f64 = 1e-290;

#[derive(Debug, Deserialize)]
struct Cases {
    two_sample: Vec<TwoSample>,
    one_sample: Vec<OneSample>,
    cvm: Vec<Cvm>,
}

#[derive(Debug, Deserialize)]
struct TwoSample {
    seed: u64,
    n: usize,
    m: usize,
    levels: u32,
    is_infinite: bool,
    shift: f64,
    alternative: Alternative,
    method: Method,
    used: Method,
    statistic: f64,
    /// As text, for the infinities.
    location: String,
    sign: i8,
    p: f64,
    scipy: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct OneSample {
    seed: u64,
    n: usize,
    power: u8,
    alternative: Alternative,
    method: Method,
    statistic: f64,
    sign: i8,
    p: f64,
    scipy: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Cvm {
    seed: u64,
    n: usize,
    m: usize,
    levels: u32,
    shift: f64,
    statistic: f64,
    p: f64,
    scipy: Option<f64>,
}

/// SplitMix64's outputs in [0, 1).
fn uniforms(seed: u64, n: usize) -> impl Iterator<Item = f64> {
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    (1..=n as u64).map(move |i| {
        let mut z = seed.wrapping_mul(STEP).wrapping_add(i.wrapping_mul(STEP));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    })
}

fn sample(seed: u64, n: usize, levels: u32, is_infinite: bool, shift: f64) -> Vec<f64> {
    let value = |u: f64| match (is_infinite, levels) {
        (true, _) if u < 0.1 => f64::NEG_INFINITY,
        (true, _) if u >= 0.9 => f64::INFINITY,
        (_, 0) => u + shift,
        _ => (u * f64::from(levels)).floor() + shift,
    };
    uniforms(seed, n).map(value).collect()
}

/// How far p-values are from the exact ones, ours and scipy's.
#[derive(Default)]
struct Errors {
    count: usize,
    worst: f64,
    inexact_in_scipy: usize,
}

impl Errors {
    fn add(&mut self, found: f64, exact: f64, scipy: Option<f64>, case: &dyn std::fmt::Debug) {
        self.count += 1;
        if exact < TINY {
            assert!(found <= 2.0 * TINY, "{case:?}: {found}");
            return;
        }
        let error = (found / exact - 1.0).abs();
        assert!(error <= P_VALUE, "{case:?}: {found}, off by {error:.1e}");
        self.worst = self.worst.max(error);
        self.inexact_in_scipy += usize::from(scipy.is_none_or(|scipy| (scipy / exact - 1.0).abs() > P_VALUE));
    }

    /// What scipy gets right must be most of it, or the cases are not what they claim to be.
    fn report(&self, what: &str) {
        println!(
            "{what}: {} cases, worst relative error {:.1e}; scipy's is above {P_VALUE:.0e} in {}",
            self.count, self.worst, self.inexact_in_scipy
        );
        assert!(self.count >= 30 && 2 * self.inexact_in_scipy < self.count, "{what}");
    }
}

fn check_two_sample(cases: &[TwoSample]) {
    let mut errors = Errors::default();
    for case in cases {
        let reference = sample(case.seed, case.n, case.levels, case.is_infinite, 0.0);
        let batch = sample(case.seed + 1, case.m, case.levels, case.is_infinite, case.shift);
        let once = ks::two_sample(&reference, &batch, case.alternative, case.method).unwrap();
        let prepared = Reference::new(&reference).unwrap();
        assert_eq!(prepared.test(&batch, case.alternative, case.method).unwrap(), once);
        assert!(
            (once.statistic - case.statistic).abs() <= STATISTIC,
            "{case:?}: {once:?}"
        );
        let location: f64 = case.location.parse().unwrap();
        assert_eq!(
            (once.location, once.sign, once.method),
            (location, case.sign, case.used),
            "{case:?}"
        );
        errors.add(once.p_value, case.p, case.scipy, case);
    }
    errors.report("two-sample Kolmogorov-Smirnov");
}

fn check_one_sample(cases: &[OneSample]) {
    let mut errors = Errors::default();
    for case in cases {
        let values: Vec<f64> = uniforms(case.seed, case.n)
            .map(|u| if case.power == 1 { u } else { u * u })
            .collect();
        let test = ks::one_sample(&values, |x| x.clamp(0.0, 1.0), case.alternative, case.method).unwrap();
        assert!(
            (test.statistic - case.statistic).abs() <= STATISTIC,
            "{case:?}: {test:?}"
        );
        assert_eq!(test.sign, case.sign, "{case:?}");
        errors.add(test.p_value, case.p, case.scipy, case);
    }
    errors.report("one-sample Kolmogorov-Smirnov");
}

fn check_cvm(cases: &[Cvm]) {
    let mut errors = Errors::default();
    for case in cases {
        let reference = sample(case.seed, case.n, case.levels, false, 0.0);
        let batch = sample(case.seed + 1, case.m, case.levels, false, case.shift);
        let test = cvm::two_sample(&reference, &batch).unwrap();
        let allowed = STATISTIC * case.statistic.abs().max(1.0);
        assert!((test.statistic - case.statistic).abs() <= allowed, "{case:?}: {test:?}");
        if case.p > CVM_FLOOR {
            errors.add(test.p_value, case.p, case.scipy, case);
        } else {
            assert!(test.p_value <= CVM_FLOOR, "{case:?}: {test:?}");
        }
    }
    errors.report("Cramér-von Mises");
}

fn check(path: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let cases: Cases = serde_json::from_str(&text).unwrap();
    check_two_sample(&cases.two_sample);
    check_one_sample(&cases.one_sample);
    check_cvm(&cases.cvm);
}

#[test]
fn tests_match_scipy_and_exact_arithmetic() {
    check(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/stats/ks.json"));
    if let Ok(path) = std::env::var("RIPTIDE_STATS_KS") {
        check(&path);
    }
}
