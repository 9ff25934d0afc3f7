//! The distillation detector over networks that count their calls and may fail.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex;

use riptide_detectors::distillation::DistillationConfig;
use riptide_detectors::{
    BoxError, DetectorError, Loss, ModelDistillation, Probabilities, ScoringNetworks, networks_fn,
};

/// The classifier's certainty is the first pixel; the distilled network knows nothing.
#[derive(Default)]
struct Toy {
    batches: Mutex<Vec<usize>>,
    rows_missing: usize,
}

impl ScoringNetworks for Toy {
    fn n_classes(&self) -> usize {
        2
    }

    fn predict_proba(&self, images: &[u8], [n, height, width]: [usize; 3]) -> Result<Probabilities, BoxError> {
        self.batches.lock().unwrap().push(n);
        let first = images
            .chunks_exact(height * width * 3)
            .map(|image| f32::from(image[0]) / 255.0);
        if images.contains(&13) {
            return Err("thirteen".into());
        }
        let classifier: Vec<f32> = first.flat_map(|p| [p, 1.0 - p]).skip(2 * self.rows_missing).collect();
        Ok(Probabilities {
            distilled: vec![0.5; classifier.len()],
            classifier,
            n_classes: 2,
        })
    }
}

/// Grey images of 2 x 2 pixels.
fn images(brightness: &[u8]) -> (Vec<u8>, [usize; 3]) {
    let pixels = brightness.iter().flat_map(|&p| [p; 12]).collect();
    (pixels, [brightness.len(), 2, 2])
}

fn options() -> DistillationConfig {
    DistillationConfig::default()
}

fn toy() -> ModelDistillation<Toy> {
    ModelDistillation::new(Toy::default(), options()).unwrap()
}

#[test]
fn batches_do_not_change_the_scores() {
    let (pixels, shape) = images(&(100..140).collect::<Vec<_>>());
    let whole = toy();
    let parts = ModelDistillation::new(Toy::default(), options().batch_size(16)).unwrap();
    assert_eq!(
        whole.score(&pixels, shape).unwrap(),
        parts.score(&pixels, shape).unwrap()
    );
    assert_eq!(*whole.networks().batches.lock().unwrap(), [40]);
    assert_eq!(*parts.networks().batches.lock().unwrap(), [16, 16, 8]);
}

#[test]
fn predict_needs_a_threshold_and_compares_strictly() {
    let mut detector = toy();
    let (pixels, shape) = images(&[128, 200, 255]);
    let error = detector.predict(&pixels, shape, false).unwrap_err();
    assert!(matches!(error, DetectorError::NoThreshold));
    assert!(error.to_string().contains("infer_threshold"), "{error}");

    let scores = detector.score(&pixels, shape).unwrap();
    detector.set_threshold(f64::from(scores[1])).unwrap();
    let outcome = detector.predict(&pixels, shape, true).unwrap();
    assert_eq!(outcome.data.flagged, [false, false, true]);
    assert_eq!(outcome.data.scores.as_deref(), Some(&scores[..]));
    assert_eq!(detector.predict(&pixels, shape, false).unwrap().data.scores, None);

    let threshold = detector.infer_threshold(&pixels, shape, 50.0, 0.5).unwrap();
    assert_eq!(threshold, f64::from(scores[1]) + 0.5);
    assert_eq!(detector.config().threshold, Some(threshold));
}

/// Readers of alibi-detect's outcomes can read these.
#[test]
fn outcomes_have_alibi_detects_keys() {
    let detector = ModelDistillation::new(Toy::default(), options().threshold(0.1).data_type("image")).unwrap();
    let (pixels, shape) = images(&[128, 255]);
    let outcome = detector.predict(&pixels, shape, true).unwrap();
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!(json["data"]["is_adversarial"], serde_json::json!([false, true]));
    assert_eq!(json["data"]["instance_score"].as_array().unwrap().len(), 2);
    assert_eq!(json["data"]["threshold"], 0.1);
    assert_eq!(json["meta"]["name"], "ModelDistillation");
    assert_eq!(json["meta"]["detector_type"], "adversarial");
    assert_eq!(json["meta"]["data_type"], "image");
    assert_eq!(
        serde_json::from_value::<riptide_detectors::distillation::DistillationOutcome>(json).unwrap(),
        outcome
    );
}

#[test]
fn options_and_images_out_of_range_are_refused() {
    let made = |options| ModelDistillation::new(Toy::default(), options);
    assert!(made(options().temperature(-1.0)).is_err());
    assert!(made(options().batch_size(0)).is_err());
    assert!(made(options().threshold(f64::NAN)).is_err());
    let mut detector = made(options().loss(Loss::Xent)).unwrap();
    assert!(matches!(
        detector.infer_threshold(&[], [0, 2, 2], 99.0, 0.0),
        Err(DetectorError::Empty { .. })
    ));
    let (pixels, shape) = images(&[100]);
    assert!(detector.infer_threshold(&pixels, shape, 101.0, 0.0).is_err());
    assert!(detector.infer_threshold(&pixels, shape, 99.0, f64::NAN).is_err());
    assert_eq!(detector.config().threshold, None);
    for shape in [[2, 2, 2], [1, 2, 1], [usize::MAX, usize::MAX, 2]] {
        assert!(matches!(
            detector.score(&pixels, shape),
            Err(DetectorError::Shape { what: "pixels", .. })
        ));
    }
}

#[test]
fn networks_that_fail_or_lose_rows_are_reported() {
    let (pixels, shape) = images(&[1, 13]);
    assert!(matches!(
        toy().score(&pixels, shape),
        Err(DetectorError::Networks { n: 2, .. })
    ));
    let one_missing = Toy {
        rows_missing: 1,
        ..Toy::default()
    };
    let (pixels, shape) = images(&[1, 2]);
    let detector = ModelDistillation::new(one_missing, options()).unwrap();
    assert!(matches!(
        detector.score(&pixels, shape),
        Err(DetectorError::Shape { .. })
    ));
    let other_classes = networks_fn(3, |_: &[u8], [n, _, _]: [usize; 3]| {
        Ok(Probabilities::new(vec![0.5; n * 2], vec![0.5; n * 2], 2)?)
    });
    let detector = ModelDistillation::new(other_classes, options()).unwrap();
    assert!(matches!(
        detector.score(&pixels, shape),
        Err(DetectorError::Shape { .. })
    ));
}
