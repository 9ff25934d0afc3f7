//! Harm by class: it is found where it was put, and nowhere more often than the level allows.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riptide_detectors::drift::Correction;
use riptide_detectors::harm::{ClassExcess, HarmConfig, PairExcess, Scored, excess_by_class, excess_by_pair};
use riptide_detectors::{Answers, DetectorError};

const CLASSES: usize = 5;

/// Scores and answers of `n` images; with `harm`, class 3 is harmed: high scores, and class 1 in place of the answer.
fn images(n: usize, harm: bool, rng: &mut ChaCha8Rng) -> (Vec<f64>, Answers) {
    let mut answers = Answers::default();
    let scores = (0..n).map(|_| {
        let class = rng.random_range(0..CLASSES);
        let harmed = harm && class == 3;
        let other = if harmed || rng.random_bool(0.1) { 1 } else { class };
        answers.classifier.push(class);
        answers.distilled.push(other);
        rng.random::<f64>() + if harmed { 0.7 } else { 0.0 }
    });
    (scores.collect(), answers)
}

type Images = (Vec<f64>, Answers);

fn by_class(reference: &Images, batch: &Images, correction: Correction) -> Result<Vec<ClassExcess>, DetectorError> {
    fn scored((scores, answers): &Images) -> Scored<'_> {
        Scored { scores, answers }
    }
    excess_by_class(
        scored(reference),
        scored(batch),
        CLASSES,
        &HarmConfig::default(),
        correction,
    )
}

fn by_pair(reference: &Images, batch: &Images, correction: Correction) -> Result<Vec<PairExcess>, DetectorError> {
    excess_by_pair(&reference.1, &batch.1, CLASSES, &HarmConfig::default(), correction)
}

#[test]
fn harm_is_found_in_its_class_and_pair() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let reference = images(1000, false, &mut rng);
    let batch = images(300, true, &mut rng);
    for correction in [Correction::Bonferroni, Correction::Fdr] {
        let classes = by_class(&reference, &batch, correction).unwrap();
        assert_eq!(classes.len(), CLASSES);
        let significant: Vec<_> = classes
            .iter()
            .filter(|found| found.is_significant)
            .map(|found| found.class)
            .collect();
        assert_eq!((classes[0].class, significant), (3, vec![3]));
        assert!(classes[0].excess_fraction.lower > 0.5, "{:?}", classes[0]);
        assert_eq!(classes.iter().map(|found| found.n_batch).sum::<usize>(), 300);

        let pairs = by_pair(&reference, &batch, correction).unwrap();
        let first = pairs[0];
        assert_eq!((first.classifier, first.distilled, first.is_significant), (3, 1, true));
        assert!(first.excess > 0.1 && pairs[1..].iter().all(|pair| !pair.is_significant));
        assert!(pairs.iter().all(|pair| pair.classifier != pair.distilled));
    }
}

/// Without harm, anything significant at all is a false alarm; both corrections keep it at the level. 400 batches at
/// 0.05: more than 34 have a chance of 0.1 %.
#[test]
fn nothing_is_found_where_nothing_is() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (mut classes, mut pairs) = (0, 0);
    for _ in 0..40 {
        let reference = images(1000, false, &mut rng);
        for _ in 0..10 {
            let batch = images(100, false, &mut rng);
            let found = by_class(&reference, &batch, Correction::Fdr).unwrap();
            classes += usize::from(found.iter().any(|class| class.is_significant));
            let found = by_pair(&reference, &batch, Correction::Fdr).unwrap();
            pairs += usize::from(found.iter().any(|pair| pair.is_significant));
        }
    }
    assert!(classes <= 34 && pairs <= 34, "{classes} {pairs}");
    assert!(
        classes > 0,
        "a test that never alarms by chance does not work at its level"
    );
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let reference = images(1000, false, &mut rng);
    let batch = images(20, false, &mut rng);
    let none = (Vec::new(), Answers::default());
    let refused = |reference: &Images, batch: &Images| {
        assert!(by_class(reference, batch, Correction::Fdr).is_err());
        by_pair(reference, batch, Correction::Fdr).unwrap_err()
    };
    assert!(matches!(
        refused(&reference, &none),
        DetectorError::Empty { what: "the batch", .. }
    ));
    assert!(matches!(
        refused(&none, &batch),
        DetectorError::Empty {
            what: "the reference",
            ..
        }
    ));
    let mut unknown = batch.clone();
    unknown.1.distilled[7] = CLASSES;
    assert!(matches!(refused(&reference, &unknown), DetectorError::Shape { .. }));
    let mut few = batch.clone();
    few.1.classifier.pop();
    assert!(matches!(refused(&reference, &few), DetectorError::Shape { .. }));
    let unscored = (batch.0[1..].to_vec(), batch.1);
    assert!(by_class(&reference, &unscored, Correction::Fdr).is_err());
}
