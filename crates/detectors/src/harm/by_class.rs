//! Which images the harm is among: by the classifier's answer, and by what both networks answered.

use std::collections::BTreeMap;

use riptide_stats::Interval;
use riptide_stats::multiple_testing::{Level, benjamini_hochberg, bonferroni};
use riptide_stats::proportions::fisher_greater;
use serde::{Deserialize, Serialize};

use super::config::HarmConfig;
use super::test::HarmTest;
use crate::answers::Answers;
use crate::drift::{Correction, check_level};
use crate::error::DetectorError;

/// Images with their scores and what both networks answered to them, one of each an image.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// The scores; larger is worse.
    pub scores: &'a [f64],
    /// What both networks answered.
    pub answers: &'a Answers,
}

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
    pub excess_fraction: Interval,
    /// The one-sided p-value, uncorrected.
    pub p_value: f64,
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
    pub p_value: f64,
    /// Whether it is significant after the correction for the number of pairs tested.
    pub is_significant: bool,
}

/// Tests the scores of a batch class by class of the classifier's answer: one-sided Kolmogorov-Smirnov against the
/// reference's images with the same answer, corrected for the number of classes tested at the level of `config`. Classes that
/// the batch or the reference lacks are left out. Most significant first.
///
/// # Errors
/// [`DetectorError::Shape`] for answers that do not belong to the scores or are not below `n_classes`,
/// [`DetectorError::Empty`] for an empty batch or reference, [`DetectorError::InvalidOption`], [`DetectorError::Stats`] for NaN
/// among the scores.
///
/// ```
/// use riptide_detectors::Answers;
/// use riptide_detectors::drift::Correction;
/// use riptide_detectors::harm::{HarmConfig, Scored, excess_by_class};
/// // Two classes by turns; in the batch, the images of class 1 score higher.
/// let answers = Answers { classifier: [0, 1].repeat(100), distilled: [0, 1].repeat(100) };
/// let clean: Vec<f64> = (0..200).map(f64::from).collect();
/// let batch: Vec<f64> = (0..200).map(|i| f64::from(i + 120 * (i % 2))).collect();
/// let (reference, batch) = (Scored { scores: &clean, answers: &answers }, Scored { scores: &batch, answers: &answers });
/// let found = excess_by_class(reference, batch, 2, &HarmConfig::default(), Correction::Fdr)?;
/// assert_eq!((found[0].class, found[0].is_significant, found[1].is_significant), (1, true, false));
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
pub fn excess_by_class(
    reference: Scored<'_>,
    batch: Scored<'_>,
    n_classes: usize,
    config: &HarmConfig,
    correction: Correction,
) -> Result<Vec<ClassExcess>, DetectorError> {
    check(reference.answers, reference.scores.len(), n_classes, "the reference")?;
    check(batch.answers, batch.scores.len(), n_classes, "the batch")?;
    config.check()?;
    let reference = by_class(reference.scores, &reference.answers.classifier);
    let mut found = Vec::new();
    for (class, batch) in by_class(batch.scores, &batch.answers.classifier) {
        let Some(reference) = reference.get(&class) else {
            continue;
        };
        let data = HarmTest::new(reference, *config)?.test(&batch)?.data;
        found.push(ClassExcess {
            class,
            n_batch: batch.len(),
            n_reference: reference.len(),
            excess_fraction: data.excess_fraction,
            p_value: data.p_value,
            is_significant: false,
        });
    }
    let bound = bound(
        found.iter().map(|class| class.p_value).collect(),
        correction,
        config.level,
    )?;
    for class in &mut found {
        class.is_significant = class.p_value < bound;
    }
    found.sort_by(|a, b| a.p_value.total_cmp(&b.p_value).then(a.class.cmp(&b.class)));
    Ok(found)
}

/// Tests each way in which the two networks disagree: Fisher's exact test of its share of the batch against its share of
/// the reference, one-sided, corrected for the number of pairs tested at the level of `config`. Tested are the pairs that
/// occur in batch or reference; given those totals, the choice says nothing about the shares. Most significant first.
///
/// # Errors
/// As [`excess_by_class`].
pub fn excess_by_pair(
    reference: &Answers,
    batch: &Answers,
    n_classes: usize,
    config: &HarmConfig,
    correction: Correction,
) -> Result<Vec<PairExcess>, DetectorError> {
    let (n_reference, n) = (reference.len(), batch.len());
    check(reference, n_reference, n_classes, "the reference")?;
    check(batch, n, n_classes, "the batch")?;
    check_level(config.level)?;
    let mut counts: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    for pair in disagreements(batch) {
        counts.entry(pair).or_default().0 += 1;
    }
    for pair in disagreements(reference) {
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
            p_value: fisher_greater((of_batch, n), (of_reference, n_reference))?,
            is_significant: false,
        });
    }
    let bound = bound(
        found.iter().map(|pair| pair.p_value).collect(),
        correction,
        config.level,
    )?;
    for pair in &mut found {
        pair.is_significant = pair.p_value < bound;
    }
    found.sort_by(|a, b| {
        let by_p = a.p_value.total_cmp(&b.p_value);
        by_p.then((a.classifier, a.distilled).cmp(&(b.classifier, b.distilled)))
    });
    Ok(found)
}

/// Returns an error unless there are `n` answers of each network, at least one, all of them classes.
fn check(answers: &Answers, n: usize, n_classes: usize, what: &'static str) -> Result<(), DetectorError> {
    answers.check(n, n_classes)?;
    if n == 0 {
        return Err(DetectorError::Empty { what, unit: "image" });
    }
    Ok(())
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

/// What a p-value must be below to be significant; 0 if none is.
fn bound(p_valueues: Vec<f64>, correction: Correction, level: f64) -> Result<f64, DetectorError> {
    if p_valueues.is_empty() {
        return Ok(0.0);
    }
    let decision = match correction {
        Correction::Bonferroni => bonferroni(&p_valueues, level)?,
        Correction::Fdr => benjamini_hochberg(&p_valueues, level)?,
    };
    Ok(match decision.level {
        Level::Single(bound) => bound,
        Level::PerRank(_) => 0.0,
    })
}
