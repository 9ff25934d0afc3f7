//! Saved drift tests: what comes back, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use riptide_detectors::drift::{Correction, DriftConfig, DriftState, ReferenceUpdate};
use riptide_detectors::{BoxError, CvmDrift, DetectorError, KsDrift, Samples};
use riptide_stats::ks::Alternative;
use serde_json::{Value, json};

fn scores(n: usize) -> Vec<f64> {
    (0..n).map(|i| (i as f64 * 0.618_033_988_749).fract() / 3.0).collect()
}

fn negate(rows: &Samples<'_>) -> Result<Samples<'static>, BoxError> {
    Ok(rows.values().iter().map(|x| -x).collect::<Vec<f64>>().into())
}

fn through_json(state: &DriftState) -> DriftState {
    serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap()
}

#[test]
fn a_reloaded_test_goes_on_with_the_same_bytes() {
    let config = DriftConfig::default()
        .level(0.1)
        .alternative(Alternative::Greater)
        .correction(Correction::Fdr)
        .reference_update(ReferenceUpdate::ReservoirSampling { n: 25, seed: 5 });
    let mut running = KsDrift::new(Samples::new(scores(60), 3).unwrap(), config).unwrap();
    running.predict(Samples::new(scores(90), 3).unwrap()).unwrap();
    let mut loaded = KsDrift::from_state(through_json(&running.state())).unwrap();
    assert_eq!(loaded.n_seen(), 50);
    for n in [30, 300] {
        let batch = Samples::new(scores(n).iter().map(|x| x * 1.1).collect::<Vec<_>>(), 3).unwrap();
        let (one, other) = (loaded.predict(&batch).unwrap(), running.predict(&batch).unwrap());
        assert_eq!(
            serde_json::to_string(&one).unwrap(),
            serde_json::to_string(&other).unwrap()
        );
        assert_eq!(
            serde_json::to_string(&loaded.state()).unwrap(),
            serde_json::to_string(&running.state()).unwrap()
        );
    }
    let cvm = CvmDrift::new(scores(20), DriftConfig::default()).unwrap();
    assert_eq!(
        CvmDrift::from_state(through_json(&cvm.state())).unwrap().state(),
        cvm.state()
    );
}

#[test]
fn a_preprocessed_reference_is_not_preprocessed_again() {
    for at_init in [true, false] {
        let config = DriftConfig::default()
            .preprocess_at_init(at_init)
            .reference_update(ReferenceUpdate::Last { n: 30 });
        let mut running = KsDrift::with_preprocess(scores(40), config, negate).unwrap();
        running.predict(scores(10)).unwrap();
        let state = through_json(&running.state());
        let error = KsDrift::from_state(state.clone()).unwrap_err().to_string();
        assert!(error.contains("from_state_with_preprocess"), "{error}");
        let mut loaded = KsDrift::from_state_with_preprocess(state, negate).unwrap();
        assert_eq!(loaded.reference_is_raw(), !at_init);
        let batch = scores(25);
        assert_eq!(loaded.predict(&batch).unwrap(), running.predict(&batch).unwrap());
        assert_eq!(loaded.state(), running.state());
    }
}

#[test]
fn states_that_cannot_be_are_refused() {
    let state = KsDrift::new(scores(9), DriftConfig::default()).unwrap().state();
    let refused = |state: DriftState| matches!(KsDrift::from_state(state), Err(DetectorError::BadState { .. }));
    assert!(!refused(state.clone()));
    let error = CvmDrift::from_state(state.clone()).unwrap_err().to_string();
    assert!(error.contains("is a KsDrift, not a CvmDrift"), "{error}");
    assert!(matches!(
        KsDrift::from_state_with_preprocess(state.clone(), negate),
        Err(DetectorError::BadState { .. })
    ));
    let few_seen = DriftState {
        n_seen: 8,
        ..state.clone()
    };
    assert!(refused(few_seen));
    let raw = DriftState {
        reference_is_raw: true,
        ..state.clone()
    };
    assert!(refused(raw));
    let empty = DriftState {
        reference: Vec::<f64>::new().into(),
        ..state.clone()
    };
    assert!(matches!(KsDrift::from_state(empty), Err(DetectorError::Empty { .. })));
    let not_a_number = DriftState {
        reference: vec![f64::NAN; 9].into(),
        ..state.clone()
    };
    assert!(matches!(
        KsDrift::from_state(not_a_number),
        Err(DetectorError::Stats(_))
    ));
    let level = DriftState {
        config: DriftConfig::default().level(2.0),
        ..state
    };
    assert!(matches!(
        KsDrift::from_state(level),
        Err(DetectorError::InvalidOption { option: "level", .. })
    ));
}

#[test]
fn text_that_is_no_state_is_refused() {
    let state = KsDrift::new(scores(9), DriftConfig::default()).unwrap().state();
    let json = serde_json::to_value(&state).unwrap();
    let read = |change: &dyn Fn(&mut Value)| {
        let mut json = json.clone();
        change(&mut json);
        serde_json::from_value::<DriftState>(json)
    };
    assert_eq!(read(&|_| ()).unwrap(), state);
    assert!(read(&|json| json["reference"]["n_features"] = json!(2)).is_err());
    assert!(read(&|json| json["reference"]["n_features"] = json!(0)).is_err());
    assert!(read(&|json| json["reference"]["values"][3] = Value::Null).is_err());
    assert!(read(&|json| json["config"]["corection"] = json!("fdr")).is_err());
    assert!(read(&|json| json["more"] = json!(1)).is_err());
    assert!(read(&|json| drop(json.as_object_mut().unwrap().remove("n_seen"))).is_err());
}
