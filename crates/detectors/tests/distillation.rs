//! The distillation detector over networks that count their calls and may fail.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex;

use candle_core::{DType, Module, Tensor};
use riptide_detectors::{
    BoxError, ClassifierPair, DetectorError, Images, Loss, ModelDistillation, Probabilities, ScoringNetworks,
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

fn images(first_pixels: &[u8]) -> Images<'static> {
    let pixels: Vec<u8> = first_pixels.iter().flat_map(|&p| [p; 12]).collect();
    Images::new(pixels, [first_pixels.len(), 2, 2]).unwrap()
}

#[test]
fn batches_do_not_change_the_scores() {
    let pixels: Vec<u8> = (100..140).collect();
    let whole = ModelDistillation::builder(Toy::default()).build().unwrap();
    let parts = ModelDistillation::builder(Toy::default())
        .batch_size(16)
        .build()
        .unwrap();
    assert_eq!(
        whole.score(&images(&pixels)).unwrap(),
        parts.score(&images(&pixels)).unwrap()
    );
    assert_eq!(*whole.networks().batches.lock().unwrap(), [40]);
    assert_eq!(*parts.networks().batches.lock().unwrap(), [16, 16, 8]);
}

#[test]
fn predict_needs_a_threshold_and_compares_strictly() {
    let mut detector = ModelDistillation::builder(Toy::default()).build().unwrap();
    let error = detector.predict(&images(&[128]), false).unwrap_err();
    assert!(matches!(error, DetectorError::NoThreshold));
    assert!(error.to_string().contains("infer_threshold"), "{error}");

    let batch = images(&[128, 200, 255]);
    let scores = detector.score(&batch).unwrap();
    detector.set_threshold(f64::from(scores[1])).unwrap();
    let outcome = detector.predict(&batch, true).unwrap();
    assert_eq!(outcome.data.is_adversarial, [false, false, true]);
    assert_eq!(outcome.data.instance_score.as_deref(), Some(&scores[..]));
    assert_eq!(detector.predict(&batch, false).unwrap().data.instance_score, None);

    let threshold = detector.infer_threshold(&batch, 50.0, 0.5).unwrap();
    assert_eq!(threshold, f64::from(scores[1]) + 0.5);
    assert_eq!(detector.threshold(), Some(threshold));
}

#[test]
fn options_and_images_out_of_range_are_refused() {
    let builder = || ModelDistillation::builder(Toy::default());
    assert!(builder().temperature(-1.0).build().is_err());
    assert!(builder().batch_size(0).build().is_err());
    assert!(builder().threshold(f64::NAN).build().is_err());
    let mut detector = builder().loss(Loss::Xent).build().unwrap();
    assert!(matches!(
        detector.infer_threshold(&images(&[]), 99.0, 0.0),
        Err(DetectorError::Empty { .. })
    ));
    assert!(detector.infer_threshold(&images(&[100]), 101.0, 0.0).is_err());
    assert!(detector.infer_threshold(&images(&[100]), 99.0, f64::NAN).is_err());
    assert_eq!(detector.threshold(), None);
    assert!(Images::new(vec![0_u8; 11], [1, 2, 2]).is_err());
    assert!(Images::new(Vec::new(), [usize::MAX, usize::MAX, 2]).is_err());
}

#[test]
fn networks_that_fail_or_lose_rows_are_reported() {
    let detector = ModelDistillation::builder(Toy::default()).build().unwrap();
    assert!(matches!(
        detector.score(&images(&[1, 13])),
        Err(DetectorError::Networks { n: 2, .. })
    ));
    let detector = ModelDistillation::builder(Toy {
        rows_missing: 1,
        ..Toy::default()
    })
    .build()
    .unwrap();
    assert!(matches!(
        detector.score(&images(&[1, 2])),
        Err(DetectorError::Shape { .. })
    ));
}

#[test]
fn a_stream_is_scored_lazily_and_ends_at_the_first_error() {
    let detector = ModelDistillation::builder(Toy::default()).build().unwrap();
    let batches = [&[100, 101][..], &[102], &[13], &[103]].map(|pixels| Ok(images(pixels)));
    let mut scores = detector.score_stream(batches);
    assert!(
        detector.networks().batches.lock().unwrap().is_empty(),
        "nothing is scored before it is asked for"
    );
    let whole = detector.score(&images(&[100, 101, 102])).unwrap();
    assert_eq!(scores.next().unwrap().unwrap(), whole[..2]);
    assert_eq!(scores.next().unwrap().unwrap(), whole[2..]);
    assert!(scores.next().unwrap().is_err());
    assert!(scores.next().is_none());
    drop(scores);
    let broken = [Ok(images(&[100])), Err("disk".into())];
    let results: Vec<_> = detector.score_stream(broken).collect();
    assert!(matches!(results[1], Err(DetectorError::Stream { index: 1, .. })));
}

/// A candle module that gives its input's channel means, which must arrive in the right order.
struct ChannelMeans;

impl Module for ChannelMeans {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let means = images.to_dtype(DType::F32)?.mean((1, 2))?;
        means.broadcast_div(&means.sum_keepdim(1)?)
    }
}

#[test]
fn a_pair_of_modules_scores_images() {
    let pair = ClassifierPair::new(ChannelMeans, ChannelMeans, 3).unwrap();
    let probabilities = pair.predict_proba(&[10, 20, 70, 10, 20, 70], [1, 1, 2]).unwrap();
    let expected = [0.1, 0.2, 0.7];
    assert!(
        probabilities
            .classifier
            .iter()
            .zip(expected)
            .all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6)
    );
    assert_eq!(probabilities.predicted_classes(), [2]);
    let detector = ModelDistillation::builder(pair).build().unwrap();
    assert_eq!(
        detector
            .score(&Images::new(vec![9_u8; 12], [1, 2, 2]).unwrap())
            .unwrap(),
        [0.0]
    );
    let wrong = ClassifierPair::new(ChannelMeans, ChannelMeans, 10).unwrap();
    let error = wrong.predict_proba(&[0; 3], [1, 1, 1]).unwrap_err().to_string();
    assert!(error.contains("(1, 10)") && error.contains("[1, 3]"), "{error}");
}
