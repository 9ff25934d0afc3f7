//! Where the harm sits: by the classifier's answer, and by what both networks answered.

use std::collections::BTreeMap;

use riptide_stats::multiple_testing::{Threshold, benjamini_hochberg, bonferroni};
use riptide_stats::proportions::fisher_greater;
use serde::{Deserialize, Serialize};

use super::fraction::ExcessFraction;
use crate::drift::Correction;
use crate::error::DetectorError;
use crate::saving::{Answers, Detector};

/// The excess harm among the images that the classifier gives one class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassExcess {
    /// The classifier's answer.
    pub class: usize,
    /// Images of the batch with that answer.
    pub n_batch: usize,
    /// Images of the reference with that answer.
    pub n_reference: usize,
    /// The excess fraction of the batch's images with that answer over the reference's, with its interval (uncorrected).
    pub excess_fraction: ExcessFraction,
    /// The one-sided p-value, uncorrected.
    pub p_val: f64,
    /// Whether it is significant after the correction for the number of classes tested.
    pub is_significant: bool,
}

/// How much more often two networks disagree in one way than on the reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairExcess {
    /// The classifier's answer.
    pub classifier: usize,
    /// The distilled network's answer.
    pub distilled: usize,
    /// Images of the batch with these answers.
    pub n_batch: usize,
    /// Images of the reference with these answers.
    pub n_reference: usize,
    /// Share of the batch less share of the reference, -1..=1.
    pub excess: f64,
    /// The one-sided p-value, uncorrected.
    pub p_val: f64,
    /// Whether it is significant after the correction for the number of pairs tested.
    pub is_significant: bool,
}

/// Tests the scores of a batch class by class of the classifier's answer: one-sided Kolmogorov-Smirnov against the
/// reference's images with the same answer, corrected for the number of classes tested at the level of the detector's
/// harm-directed test. Classes that the batch or the reference lacks are left out. Most significant first.
///
/// # Errors
/// [`DetectorError::NoAnswers`] where the detector was saved without the reference's answers, [`DetectorError::Shape`] for
/// answers that do not belong to the scores.
pub fn excess_by_class(
    detector: &Detector,
    scores: &[f64],
    answers: &Answers,
    correction: Correction,
) -> Result<Vec<ClassExcess>, DetectorError> {
    let known = known_answers(detector, scores.len(), answers)?;
    let config = detector.settings().harm;
    let reference = by_class(detector.reference().values(), &known.classifier);
    let mut found = Vec::new();
    for (class, batch) in by_class(scores, &answers.classifier) {
        let Some(reference) = reference.get(&class) else {
            continue;
        };
        let test = super::HarmTest::builder(reference.clone()).config(config).build()?;
        let data = test.test(&batch)?.data;
        found.push(ClassExcess {
            class,
            n_batch: batch.len(),
            n_reference: reference.len(),
            excess_fraction: data.excess_fraction,
            p_val: data.p_val,
            is_significant: false,
        });
    }
    let bound = bound(
        found.iter().map(|class| class.p_val).collect(),
        correction,
        config.p_val,
    )?;
    for class in &mut found {
        class.is_significant = class.p_val < bound;
    }
    found.sort_by(|a, b| a.p_val.total_cmp(&b.p_val).then(a.class.cmp(&b.class)));
    Ok(found)
}

/// Tests each way in which the two networks disagree: Fisher's exact test of its share of the batch against its share of
/// the reference, one-sided, corrected for the number of pairs tested at the level of the detector's harm-directed test.
/// Tested are the pairs that occur in batch or reference; given those totals, the choice says nothing about the shares.
/// Most significant first.
///
/// # Errors
/// As [`excess_by_class`].
pub fn excess_by_pair(
    detector: &Detector,
    answers: &Answers,
    correction: Correction,
) -> Result<Vec<PairExcess>, DetectorError> {
    let n = answers.classifier.len();
    let known = known_answers(detector, n, answers)?;
    let n_reference = known.classifier.len();
    let mut counts: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    for pair in disagreements(answers) {
        counts.entry(pair).or_default().0 += 1;
    }
    for pair in disagreements(known) {
        counts.entry(pair).or_default().1 += 1;
    }
    let mut found = Vec::new();
    for ((classifier, distilled), (of_batch, of_reference)) in counts {
        found.push(PairExcess {
            classifier,
            distilled,
            n_batch: of_batch,
            n_reference: of_reference,
            excess: of_batch as f64 / n as f64 - of_reference as f64 / n_reference as f64,
            p_val: fisher_greater((of_batch, n), (of_reference, n_reference))?,
            is_significant: false,
        });
    }
    let level = detector.settings().harm.p_val;
    let bound = bound(found.iter().map(|pair| pair.p_val).collect(), correction, level)?;
    for pair in &mut found {
        pair.is_significant = pair.p_val < bound;
    }
    found.sort_by(|a, b| {
        let by_p = a.p_val.total_cmp(&b.p_val);
        by_p.then((a.classifier, a.distilled).cmp(&(b.classifier, b.distilled)))
    });
    Ok(found)
}

/// The answers to the reference, after checking those of the batch.
fn known_answers<'a>(detector: &'a Detector, n: usize, answers: &Answers) -> Result<&'a Answers, DetectorError> {
    answers.check(n, detector.settings().class_names.len())?;
    if n == 0 {
        return Err(DetectorError::Empty {
            what: "the batch",
            unit: "image",
        });
    }
    detector.answers().ok_or(DetectorError::NoAnswers)
}

fn by_class(scores: &[f64], classes: &[usize]) -> BTreeMap<usize, Vec<f64>> {
    let mut groups: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for (&score, &class) in scores.iter().zip(classes) {
        groups.entry(class).or_default().push(score);
    }
    groups
}

fn disagreements(answers: &Answers) -> impl Iterator<Item = (usize, usize)> {
    let pairs = answers.classifier.iter().zip(&answers.distilled);
    pairs.map(|(&a, &b)| (a, b)).filter(|(a, b)| a != b)
}

/// What a p-value must be below to be significant; 0 where none is.
fn bound(p_values: Vec<f64>, correction: Correction, level: f64) -> Result<f64, DetectorError> {
    if p_values.is_empty() {
        return Ok(0.0);
    }
    let decision = match correction {
        Correction::Bonferroni => bonferroni(&p_values, level)?,
        Correction::Fdr => benjamini_hochberg(&p_values, level)?,
    };
    Ok(match decision.threshold {
        Threshold::Single(bound) => bound,
        Threshold::PerRank(_) => 0.0,
    })
}
