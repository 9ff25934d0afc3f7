//! Laws that hold for any input.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::collection::vec;
use proptest::prelude::*;
use riptide_detectors::distillation::score;
use riptide_detectors::drift::{DriftConfig, DriftState, ReferenceUpdate};
use riptide_detectors::harm::excess_fraction;
use riptide_detectors::{KsDrift, Loss, Probabilities, Samples, Score, ScoreKind};

/// Rows of `n_classes` probabilities.
fn rows(n_classes: usize) -> impl Strategy<Value = Vec<f32>> {
    vec(vec(0.0..1.0_f64, n_classes), 1..8).prop_map(|rows| {
        rows.iter()
            .flat_map(|row| {
                let sum: f64 = row.iter().sum::<f64>() + 1e-9;
                row.iter().map(move |p| ((p + 1e-9 / row.len() as f64) / sum) as f32)
            })
            .collect()
    })
}

fn both(n_classes: usize) -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    (rows(n_classes), rows(n_classes)).prop_map(|(mut a, mut b)| {
        let n = a.len().min(b.len());
        a.truncate(n);
        b.truncate(n);
        (a, b)
    })
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |x| x.is_finite()),
        -3.0..3.0_f64,
        Just(-0.0),
    ]
}

proptest! {
    #[test]
    fn divergence_is_least_if_the_networks_agree((classifier, distilled) in both(4), temperature in 0.2..5.0_f64) {
        let kld = score(&classifier, &distilled, 4, Loss::Kld, temperature).unwrap();
        prop_assert!(kld.iter().all(|&s| s >= -1e-5 && s.is_finite()), "{:?}", kld);
        let same = score(&classifier, &classifier, 4, Loss::Kld, 1.0).unwrap();
        prop_assert!(same.iter().all(|&s| s == 0.0));
        let (xent, best) = (
            score(&classifier, &distilled, 4, Loss::Xent, 1.0).unwrap(),
            score(&classifier, &classifier, 4, Loss::Xent, 1.0).unwrap(),
        );
        prop_assert!(xent.iter().zip(&best).all(|(x, b)| x >= &(b - 1e-5)));
    }

    #[test]
    fn scores_do_not_depend_on_the_order_of_classes((classifier, distilled) in both(5), shift in 0..5_usize) {
        let turn = |values: &[f32]| -> Vec<f32> {
            values.chunks(5).flat_map(|row| (0..5).map(|class| row[(class + shift) % 5])).collect()
        };
        let straight = Probabilities::new(classifier.clone(), distilled.clone(), 5).unwrap();
        let turned = Probabilities::new(turn(&classifier), turn(&distilled), 5).unwrap();
        for kind in ScoreKind::FROM_PROBABILITIES {
            let (a, b) = (kind.score((&straight).into()).unwrap(), kind.score((&turned).into()).unwrap());
            prop_assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-6), "{kind}: {a:?} {b:?}");
        }
    }

    #[test]
    fn excess_lies_within_its_interval(n in 1..300_usize, m in 1..300_usize, x in 0.0..=1.0_f64, y in 0.0..=1.0_f64) {
        let (batch_below, reference_below) = ((x * n as f64) as usize, ((y * m as f64) as usize).max(1));
        let at = |confidence| excess_fraction(batch_below, n, reference_below, m, confidence).unwrap();
        let (narrow, wide) = (at(0.8), at(0.99));
        for excess in [narrow, wide] {
            prop_assert!(0.0 <= excess.lower && excess.lower <= excess.estimate + 1e-12, "{:?}", excess);
            prop_assert!(excess.estimate <= excess.upper + 1e-12 && excess.upper <= 1.0, "{:?}", excess);
        }
        prop_assert!(wide.lower <= narrow.lower + 1e-12 && narrow.upper <= wide.upper + 1e-12);
    }

    #[test]
    fn the_last_rows_are_kept(reference in vec(-1.0..1.0_f64, 1..40), batch in vec(-1.0..1.0_f64, 1..40), n in 1..90_usize) {
        let mut detector =
            KsDrift::new(reference.clone(), DriftConfig::default().reference_update(ReferenceUpdate::Last { n })).unwrap();
        detector.predict(&batch).unwrap();
        let all = [reference, batch].concat();
        prop_assert_eq!(detector.reference().values(), &all[all.len().saturating_sub(n)..]);
    }

    #[test]
    fn a_state_keeps_every_bit(reference in vec(number(), 3..60), level in 1e-300..1.0_f64, seen in 0..1_000_000_u64) {
        let n_features = 3;
        let rows = reference.len() / n_features;
        let samples = Samples::new(reference[..rows * n_features].to_vec(), n_features).unwrap();
        let mut state = KsDrift::new(samples, DriftConfig::default().level(level)).unwrap().state();
        state.n_seen += seen;
        let json = serde_json::to_string(&state).unwrap();
        let loaded = KsDrift::from_state(serde_json::from_str::<DriftState>(&json).unwrap()).unwrap().state();
        let bits = |state: &DriftState| state.reference.values().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&loaded), bits(&state));
        prop_assert_eq!(loaded.config.level.to_bits(), level.to_bits());
        prop_assert_eq!(loaded.n_seen, state.n_seen);
    }
}
