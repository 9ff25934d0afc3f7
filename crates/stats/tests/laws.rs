//! Laws that the tests obey whatever the samples.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use riptide_stats::ks::{self, Alternative, KsTest, Method, Reference};
use riptide_stats::{StatsError, cvm};

/// Whole numbers, so that ties are frequent and maps exact; and the infinities.
fn values() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (-20..20_i32).prop_map(f64::from),
        4 => (-100_000..100_000_i32).prop_map(f64::from),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ]
}

fn samples() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(values(), 1..60)
}

fn alternatives() -> impl Strategy<Value = Alternative> {
    prop::sample::select(Alternative::ALL.to_vec())
}

fn methods() -> impl Strategy<Value = Method> {
    prop::sample::select(Method::ALL.to_vec())
}

fn exchanged(alternative: Alternative) -> Alternative {
    match alternative {
        Alternative::TwoSided => Alternative::TwoSided,
        Alternative::Less => Alternative::Greater,
        Alternative::Greater => Alternative::Less,
    }
}

fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

fn is_same_evidence(a: &KsTest, b: &KsTest) -> bool {
    is_close(a.statistic, b.statistic) && is_close(a.p_value, b.p_value)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exchanging_the_samples_exchanges_the_sides(
        x in samples(), y in samples(), alternative in alternatives(), method in methods(),
    ) {
        let forth = ks::two_sample(&x, &y, alternative, method).unwrap();
        let back = ks::two_sample(&y, &x, exchanged(alternative), method).unwrap();
        prop_assert!(is_same_evidence(&forth, &back), "{forth:?} {back:?}");
        if alternative != Alternative::TwoSided {
            prop_assert_eq!(forth.sign, -back.sign);
        }
    }

    #[test]
    fn turning_the_values_round_exchanges_the_sides(
        x in samples(), y in samples(), alternative in alternatives(), method in methods(),
    ) {
        let turned = |values: &[f64]| values.iter().map(|value| -value).collect::<Vec<_>>();
        let forth = ks::two_sample(&x, &y, alternative, method).unwrap();
        let back = ks::two_sample(&turned(&x), &turned(&y), exchanged(alternative), method).unwrap();
        prop_assert!(is_same_evidence(&forth, &back), "{forth:?} {back:?}");
    }

    #[test]
    fn two_sided_is_the_larger_side(x in samples(), y in samples(), method in methods()) {
        let by = |alternative| ks::two_sample(&x, &y, alternative, method).unwrap();
        let (both, less, greater) = (by(Alternative::TwoSided), by(Alternative::Less), by(Alternative::Greater));
        prop_assert!(is_close(both.statistic, less.statistic.max(greater.statistic)));
        let larger = if both.sign > 0 { greater } else { less };
        prop_assert_eq!((both.location, both.sign), (larger.location, larger.sign));
    }

    #[test]
    fn order_does_not_matter(
        (x, shuffled) in samples().prop_flat_map(|x| (Just(x.clone()), Just(x).prop_shuffle())),
        y in samples(), alternative in alternatives(), method in methods(),
    ) {
        let test = |x: &[f64], y: &[f64]| ks::two_sample(x, y, alternative, method).unwrap();
        prop_assert_eq!(test(&x, &y), test(&shuffled, &y));
        prop_assert_eq!(test(&y, &x), test(&y, &shuffled));
        if x.len() > 1 && y.len() > 1 {
            prop_assert_eq!(cvm::two_sample(&x, &y).unwrap(), cvm::two_sample(&shuffled, &y).unwrap());
        }
    }

    #[test]
    fn increasing_maps_change_nothing(
        x in samples(), y in samples(), alternative in alternatives(), method in methods(),
    ) {
        // Exact for whole numbers below 2^17, so that nothing becomes a tie; infinities stay.
        let map = |value: f64| value * value * value + 5.0;
        let mapped = |values: &[f64]| values.iter().map(|&value| map(value)).collect::<Vec<_>>();
        let before = ks::two_sample(&x, &y, alternative, method).unwrap();
        let after = ks::two_sample(&mapped(&x), &mapped(&y), alternative, method).unwrap();
        prop_assert_eq!(KsTest { location: map(before.location), ..before }, after);
        if x.len() > 1 && y.len() > 1 {
            let after = cvm::two_sample(&mapped(&x), &mapped(&y)).unwrap();
            prop_assert_eq!(cvm::two_sample(&x, &y).unwrap(), after);
        }
    }

    #[test]
    fn merging_references_prepares_the_union(x in samples(), y in samples(), batch in samples()) {
        let merged = Reference::new(&x).unwrap().merge(&Reference::new(&y).unwrap());
        let union = Reference::new(&[x, y].concat()).unwrap();
        prop_assert_eq!(&merged, &union);
        let by = |reference: &Reference| reference.test(&batch, Alternative::TwoSided, Method::Auto).unwrap();
        prop_assert_eq!(by(&merged), by(&union));
    }

    #[test]
    fn a_larger_distance_is_stronger_evidence(x in samples(), shift in 1..30_i32, method in methods()) {
        // All values of the batch above those of the reference, or a copy of it.
        let finite: Vec<f64> = x.iter().map(|value| value.clamp(-1e6, 1e6)).collect();
        let apart: Vec<f64> = finite.iter().map(|value| value + 3e6 * f64::from(shift)).collect();
        let same = ks::two_sample(&finite, &finite, Alternative::Greater, method).unwrap();
        let far = ks::two_sample(&finite, &apart, Alternative::Greater, method).unwrap();
        prop_assert_eq!((same.statistic, same.p_value), (0.0, 1.0));
        prop_assert_eq!(far.statistic, 1.0);
        prop_assert!(far.p_value < 1.0);
    }

    #[test]
    fn what_is_no_sample_is_refused(x in samples(), at in any::<prop::sample::Index>(), alternative in alternatives()) {
        let mut broken = x.clone();
        broken[at.index(x.len())] = f64::NAN;
        let test = |x: &[f64], y: &[f64]| ks::two_sample(x, y, alternative, Method::Auto);
        for outcome in [test(&x, &broken), test(&broken, &x)] {
            prop_assert!(matches!(outcome, Err(StatsError::NotANumber { .. })), "{outcome:?}");
        }
        for outcome in [test(&x, &[]), test(&[], &x)] {
            prop_assert!(matches!(outcome, Err(StatsError::TooFew { .. })), "{outcome:?}");
        }
    }
}

/// P-values of samples that do come from one distribution, checked by the one-sample test.
fn assert_uniform(what: &str, mut p_value: impl FnMut(&mut ChaCha8Rng) -> f64) {
    let mut rng = ChaCha8Rng::seed_from_u64(2011);
    let p_values: Vec<f64> = (0..2000).map(|_| p_value(&mut rng)).collect();
    let uniform = ks::one_sample(&p_values, |p| p, Alternative::TwoSided, Method::Exact).unwrap();
    assert!(uniform.p_value > 0.01, "{what}: {uniform:?}");
}

fn normal(rng: &mut ChaCha8Rng, n: usize) -> Vec<f64> {
    (0..n)
        .map(|_| (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos())
        .collect()
}

#[test]
fn p_values_are_uniform_under_the_null_hypothesis() {
    for alternative in Alternative::ALL {
        // Sizes without a common divisor: the statistic takes so many values that the p-value is nearly continuous.
        assert_uniform(&format!("two samples, {alternative}"), |rng| {
            let (x, y) = (normal(rng, 211), normal(rng, 196));
            ks::two_sample(&x, &y, alternative, Method::Exact).unwrap().p_value
        });
        assert_uniform(&format!("one sample, {alternative}"), |rng| {
            let x: Vec<f64> = (0..37).map(|_| rng.random()).collect();
            ks::one_sample(&x, |x| x, alternative, Method::Exact).unwrap().p_value
        });
    }
    assert_uniform("Cramér-von Mises", |rng| {
        let (x, y) = (normal(rng, 211), normal(rng, 196));
        cvm::two_sample(&x, &y).unwrap().p_value
    });
}

#[test]
fn p_values_are_not_uniform_under_another() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let p_values: Vec<f64> = (0..200)
        .map(|_| {
            let (x, y) = (normal(&mut rng, 211), normal(&mut rng, 196));
            let shifted: Vec<f64> = y.iter().map(|value| value + 0.1).collect();
            ks::two_sample(&x, &shifted, Alternative::Greater, Method::Exact)
                .unwrap()
                .p_value
        })
        .collect();
    let uniform = ks::one_sample(&p_values, |p| p, Alternative::TwoSided, Method::Exact).unwrap();
    assert!(uniform.p_value < 1e-6, "{uniform:?}");
}
