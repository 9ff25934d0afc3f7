//! Laws of the drift detectors: what they may remember, and in which form.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use riptide_detectors::drift::{Correction, Decision, DriftConfig, DriftType, ReferenceUpdate};
use riptide_detectors::{BoxError, CvmDrift, DetectorError, KsDrift, Samples};
use riptide_stats::ks::Alternative;

fn ramp(n: usize, start: f64) -> Vec<f64> {
    (0..n).map(|i| start + i as f64 / n as f64).collect()
}

fn negate(rows: &Samples<'_>) -> Result<Samples<'static>, BoxError> {
    Ok(Samples::new(
        rows.values().iter().map(|x| -x).collect::<Vec<_>>(),
        rows.n_features(),
    )?)
}

fn options() -> DriftConfig {
    DriftConfig::default()
}

fn keeping_the_last(n: usize) -> KsDrift {
    KsDrift::new(ramp(50, 0.0), options().reference_update(ReferenceUpdate::Last { n })).unwrap()
}

#[test]
fn score_and_test_never_touch_the_reference() {
    let mut detector = keeping_the_last(30);
    let batch = ramp(20, 5.0);
    detector.score(&batch).unwrap();
    detector.test(&batch).unwrap();
    assert_eq!(
        (detector.reference().values(), detector.n_seen()),
        (&ramp(50, 0.0)[..], 50)
    );
    detector.predict(&batch).unwrap();
    let expected: Vec<f64> = [&ramp(50, 0.0)[40..], &batch].concat();
    assert_eq!((detector.reference().values(), detector.n_seen()), (&expected[..], 70));
}

#[test]
fn an_update_touches_only_its_own_detector() {
    let mut first = keeping_the_last(30);
    let second = first.clone();
    first.predict(ramp(20, 5.0)).unwrap();
    assert_eq!(second.reference().values(), ramp(50, 0.0));
    assert_eq!(second.n_seen(), 50);
}

#[test]
fn a_failed_predict_changes_nothing() {
    let mut detector = keeping_the_last(60);
    assert!(detector.predict(&[1.0, f64::NAN]).is_err());
    assert!(detector.predict(Vec::<f64>::new()).is_err());
    assert!(detector.predict(Samples::new(vec![1.0, 2.0], 2).unwrap()).is_err());
    assert_eq!(
        (detector.reference().values(), detector.n_seen()),
        (&ramp(50, 0.0)[..], 50)
    );
}

/// The original's first fault: raw rows must never join preprocessed ones.
#[test]
fn raw_rows_never_mix_with_preprocessed_ones() {
    let update = ReferenceUpdate::Last { n: 100 };
    let (reference, batch) = (ramp(50, 1.0), ramp(20, 1.0));
    let negated: Vec<f64> = reference.iter().chain(&batch).map(|x| -x).collect();
    let raw = [&reference[..], &batch].concat();

    let with = |rows: &[f64], options: DriftConfig| {
        KsDrift::with_preprocess(rows.to_vec(), options.reference_update(update), negate).unwrap()
    };
    let mut at_init = with(&reference, options());
    let mut each_call = with(&reference, options().preprocess_at_init(false));
    let mut given = with(&negated[..50], options().reference_is_preprocessed(true));
    let outcomes = [
        at_init.predict(&batch).unwrap(),
        each_call.predict(&batch).unwrap(),
        given.predict(&batch).unwrap(),
    ];
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.data == outcomes[0].data && !outcome.is_drift())
    );
    assert_eq!(at_init.reference().values(), negated);
    assert_eq!(given.reference().values(), negated);
    assert_eq!(each_call.reference().values(), raw);
    assert!(each_call.reference_is_raw() && !at_init.reference_is_raw());
    let next = ramp(30, 1.4);
    assert_eq!(at_init.predict(&next).unwrap(), each_call.predict(&next).unwrap());
}

#[test]
fn preprocessing_runs_when_it_was_asked_to() {
    for (at_init, expected) in [(true, [1, 2, 3]), (false, [0, 2, 4])] {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let count = move |rows: &Samples<'_>| {
            counter.fetch_add(1, Ordering::Relaxed);
            negate(rows)
        };
        let options = options().preprocess_at_init(at_init);
        let mut detector = KsDrift::with_preprocess(ramp(50, 0.0), options, count).unwrap();
        let mut seen = vec![calls.load(Ordering::Relaxed)];
        for _ in 0..2 {
            detector.predict(ramp(10, 0.0)).unwrap();
            seen.push(calls.load(Ordering::Relaxed));
        }
        assert_eq!(seen, expected, "at_init {at_init}");
    }
}

#[test]
fn preprocessing_may_change_the_number_of_features_but_not_of_rows() {
    let sum = |rows: &Samples<'_>| -> Result<Samples<'static>, BoxError> {
        Ok(rows
            .values()
            .chunks(rows.n_features())
            .map(|row| row.iter().sum())
            .collect::<Vec<f64>>()
            .into())
    };
    let wide = Samples::new(ramp(60, 0.0), 3).unwrap();
    let mut detector = KsDrift::with_preprocess(wide.clone(), options(), sum).unwrap();
    assert_eq!(detector.predict(&wide).unwrap().data.p_values, [1.0]);
    let drop_rows = |_: &Samples<'_>| -> Result<Samples<'static>, BoxError> { Ok(vec![1.0].into()) };
    assert!(matches!(
        KsDrift::with_preprocess(wide.clone(), options(), drop_rows),
        Err(DetectorError::Shape { .. })
    ));
    let fail = |_: &Samples<'_>| -> Result<Samples<'static>, BoxError> { Err("no".into()) };
    assert!(matches!(
        KsDrift::with_preprocess(wide, options(), fail),
        Err(DetectorError::Preprocess { what: "reference", .. })
    ));
}

fn reservoir(n: usize, n_reference: usize, seed: u64) -> KsDrift {
    let reference: Vec<f64> = (0..n_reference).map(|i| i as f64).collect();
    let update = ReferenceUpdate::ReservoirSampling { n, seed };
    KsDrift::new(reference, options().reference_update(update)).unwrap()
}

#[test]
fn a_reservoir_does_not_depend_on_how_rows_are_batched() {
    let rows: Vec<f64> = (40..400).map(f64::from).collect();
    let (mut whole, mut parts) = (reservoir(60, 40, 3), reservoir(60, 40, 3));
    whole.predict(&rows).unwrap();
    rows.chunks(7).for_each(|chunk| {
        parts.predict(chunk).unwrap();
    });
    assert_eq!(whole.reference(), parts.reference());
    assert_eq!((whole.n_seen(), whole.reference().len()), (400, 60));
    let mut other = reservoir(60, 40, 4);
    other.predict(&rows).unwrap();
    assert_ne!(whole.reference(), other.reference());
}

/// Each of 40 rows must be kept with chance 10 / 40, whichever it is, whether the reference fills the reservoir or overflows it.
#[test]
fn a_reservoir_keeps_every_row_with_the_same_chance() {
    for n_reference in [5, 10, 20] {
        let mut kept = [0_u32; 40];
        for seed in 0..4000 {
            let mut detector = reservoir(10, n_reference, seed);
            detector
                .predict((n_reference..40).map(|i| i as f64).collect::<Vec<_>>())
                .unwrap();
            assert_eq!(detector.reference().len(), 10);
            detector
                .reference()
                .values()
                .iter()
                .for_each(|&row| kept[row as usize] += 1);
        }
        // 1000 expected, deviation 27.4: five deviations for 120 rows.
        for (row, &count) in kept.iter().enumerate() {
            assert!(
                (863..=1137).contains(&count),
                "{n_reference}: row {row} was kept {count} times"
            );
        }
    }
}

#[test]
fn features_and_batches_are_decided_as_asked() {
    let reference = Samples::new((0..200).map(|i| f64::from(i / 2) / 100.0).collect::<Vec<_>>(), 2).unwrap();
    let batch: Vec<f64> = (0..60)
        .map(|i| f64::from(i / 2) / 30.0 + if i % 2 == 1 { 0.5 } else { 0.0 })
        .collect();
    let batch = Samples::new(batch, 2).unwrap();
    let ks = |options| KsDrift::new(reference.clone(), options).unwrap().test(&batch).unwrap();
    let feature = ks(options().drift_type(DriftType::Feature));
    assert_eq!(feature.data.is_drift, Decision::Feature(vec![false, true]));
    for correction in [Correction::Bonferroni, Correction::Fdr] {
        let outcome = ks(options().correction(correction));
        assert_eq!(outcome.data.is_drift, Decision::Batch(true));
    }
    let cvm = CvmDrift::new(reference.clone(), options().drift_type(DriftType::Feature)).unwrap();
    let cvm = cvm.test(&batch).unwrap();
    assert_eq!(cvm.data.is_drift, Decision::Feature(vec![false, true]));
    assert_eq!(cvm.meta.name, "CvmDrift");
}

/// Readers of alibi-detect's outcomes can read these.
#[test]
fn outcomes_have_alibi_detects_keys() {
    let detector = KsDrift::new(ramp(50, 0.0), options()).unwrap();
    let outcome = detector.test(ramp(50, 0.0)).unwrap();
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!(json["data"]["is_drift"], false);
    assert_eq!(json["data"]["p_val"][0], 1.0);
    assert_eq!(json["data"]["distance"][0], 0.0);
    assert_eq!(json["data"]["threshold"], 0.05);
    assert_eq!(json["meta"]["name"], "KsDrift");
    assert_eq!(json["meta"]["online"], false);
    assert_eq!(
        serde_json::from_value::<riptide_detectors::DriftOutcome>(json).unwrap(),
        outcome
    );
}

#[test]
fn options_out_of_range_are_refused() {
    let ks = |options| KsDrift::new(ramp(10, 0.0), options);
    for level in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(matches!(
            ks(options().level(level)),
            Err(DetectorError::InvalidOption { option: "level", .. })
        ));
    }
    assert!(ks(options().reference_update(ReferenceUpdate::Last { n: 0 })).is_err());
    assert!(matches!(
        KsDrift::new(Vec::<f64>::new(), options()),
        Err(DetectorError::Empty { .. })
    ));
    assert!(KsDrift::new(vec![1.0, f64::NAN], options()).is_err());
    let one_sided = options().alternative(Alternative::Greater);
    assert!(ks(one_sided.clone()).is_ok());
    assert!(matches!(
        CvmDrift::new(ramp(10, 0.0), one_sided),
        Err(DetectorError::InvalidOption {
            option: "alternative",
            ..
        })
    ));
    assert!(Samples::new(vec![1.0; 3], 2).is_err());
    assert!(Samples::new(vec![1.0; 3], 0).is_err());
}
