//! What was found out about a classifier's input on labelled images.

use riptide_models::preprocess::Preprocessing;
use riptide_stats::{Interval, wilson};
use serde::Serialize;

/// How far from chance to always right the accuracy must reach.
const SHARE: f64 = 1.0 / 3.0;

/// How often a classifier is right about labelled images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Accuracy {
    /// Labelled images that were looked at.
    pub n_images: usize,
    /// How many of them it got right.
    pub n_right: usize,
    /// The share that it got right, with Wilson's 95 % interval.
    pub accuracy: Interval,
    /// The accuracy of the same answers on shuffled labels: the sum over the classes of the share of the labels times the share
    /// of the answers.
    pub chance: f64,
    /// The least accuracy that is believed: a third of the way from chance to 1.
    pub least: f64,
}

impl Accuracy {
    /// The accuracy of answers, which are classes below `n_classes`.
    pub(crate) fn of(answers: &[usize], labels: &[u32], n_classes: usize) -> Self {
        let n_images = answers.len().min(labels.len());
        let pairs = || answers.iter().zip(labels.iter().map(|label| *label as usize));
        let n_right = pairs().filter(|(answer, label)| **answer == *label).count();
        let (mut of_labels, mut of_answers) = (vec![0usize; n_classes], vec![0usize; n_classes]);
        for (answer, label) in pairs() {
            for (counts, class) in [(&mut of_answers, *answer), (&mut of_labels, label)] {
                if let Some(count) = counts.get_mut(class) {
                    *count += 1;
                }
            }
        }
        let products = of_labels.iter().zip(&of_answers).map(|(a, b)| *a as f64 * *b as f64);
        let chance = products.sum::<f64>() / (n_images.max(1) as f64).powi(2);
        Self {
            n_images,
            n_right,
            accuracy: wilson(n_right, n_images),
            chance,
            least: chance + SHARE * (1.0 - chance),
        }
    }

    /// Whether it is too low to be believed: whether even the upper end of its interval is below `least`. This is Cohen's kappa
    /// (1960) below a third.
    ///
    /// With ten classes of the same size that is an accuracy of 40 %, with two 67 %, with a thousand 33 %. A classifier with the
    /// wrong preprocessing, or with its classes in another order than the labels', is mostly far below.
    pub fn is_low(&self) -> bool {
        self.accuracy.upper < self.least
    }
}

/// A pipeline that might be a classifier's.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// The preset's name, with the order of the colours if it is another.
    pub name: String,
    /// What happens to the pixels.
    pub preprocessing: Preprocessing,
}

/// What came of a candidate.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tried {
    /// The candidate.
    #[serde(flatten)]
    pub candidate: Candidate,
    /// Images that were looked at.
    pub n_images: usize,
    /// Images that the classifier got right.
    pub n_right: usize,
    /// The p-value of its being as good as the best one (McNemar, one-sided, exact), on the same images; 1 for the best one.
    pub p_value: f64,
}
