//! Labels of a few images: the accuracy of a batch under any drift.
//!
//! An estimate without labels rests on an assumption. A person who labels some images of a batch, chosen at random, replaces
//! it: [`pick`] says which images, [`update`] what follows from their labels. Images are drawn without replacement, the
//! uncertain ones rather than the others. With e_i the error probability of image i of N, w_i whether the answer to it is wrong,
//! q_t(i) the chance of i at turn t among the images not drawn yet, and I_t the image drawn,
//!
//! ```text
//! Z_t = 1/N sum_(drawn before t) w_j + 1/N sum_(the others) e_j + (w_I - e_I) / (N q_t(I))
//! ```
//!
//! has the batch's true error rate as its expectation, given all draws before, whatever the error probabilities are worth: good
//! ones only make it vary less (prediction-powered inference, Angelopoulos et al. 2023; weighted sampling without replacement,
//! Shekhar, Xu, Lipton, Liang and Ramdas 2023). The interval collects the error rates against which a gambler has not become
//! rich, and the alarm is one such gambler's wealth ([`riptide_stats::betting`]): both hold for every number of labels and
//! may be looked at after each.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riptide_stats::Interval;
use serde::{Deserialize, Serialize};

use crate::drift::check_level;
use crate::error::DetectorError;
use crate::harm::check_confidence;

/// How images are picked for labelling, and judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditConfig {
    /// The part of each draw that is uniform over the images not drawn yet, above 0 and at most 1; 0.5 by default. The rest
    /// prefers images about which the error model is uncertain, in proportion to sqrt(e (1 - e)). 1 draws uniformly.
    pub floor: f64,
    /// Seed of the draws.
    pub seed: u64,
    /// Confidence level of the interval, strictly between 0 and 1; 0.95 by default.
    pub confidence: f64,
    /// Level of the alarm, strictly between 0 and 1; 0.05 by default.
    pub level: f64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            floor: 0.5,
            seed: 0,
            confidence: 0.95,
            level: 0.05,
        }
    }
}

impl AuditConfig {
    /// Sets the uniform part.
    #[must_use]
    pub fn floor(self, floor: f64) -> Self {
        Self { floor, ..self }
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets the confidence level of the interval.
    #[must_use]
    pub fn confidence(self, confidence: f64) -> Self {
        Self { confidence, ..self }
    }

    /// Sets the level of the alarm.
    #[must_use]
    pub fn level(self, level: f64) -> Self {
        Self { level, ..self }
    }

    fn check(&self) -> Result<(), DetectorError> {
        check_level(self.level)?;
        check_confidence(self.confidence)?;
        if !(self.floor > 0.0 && self.floor <= 1.0) {
            return Err(DetectorError::option("floor", self.floor, "above 0 and at most 1"));
        }
        Ok(())
    }
}

/// An image to label. The order of picks is part of the draw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pick {
    /// Index of the image in the batch.
    pub index: usize,
    /// The chance of this image at its turn, given the picks before it, above 0 and at most 1.
    pub probability: f64,
}

/// A labelled pick.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Labelled {
    /// The pick.
    pub pick: Pick,
    /// Whether the classifier's answer is right.
    pub right: bool,
}

/// The accuracy of a batch, from its error probabilities and the labels of a few of its images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditOutcome {
    /// Accuracy of the batch, 0..=1, with its interval: valid under any drift (assumption C).
    pub accuracy: Interval,
    /// What the error model alone says: 1 - mean error probability.
    pub predicted: f64,
    /// Images of the batch.
    pub n: usize,
    /// Images labelled.
    pub n_labelled: usize,
    /// The accuracy that the alarm is about.
    pub accepted: f64,
    /// The e-value against "the accuracy is at least the accepted one": at most 1 on average if it is.
    pub e_value: f64,
    /// Whether the e-value reached 1 / level after some label: the accuracy is below the accepted one.
    pub alarm: bool,
}

/// Picks `m` different images of a batch for labelling, in the order in which they are to be labelled.
///
/// # Errors
/// [`DetectorError::Empty`] for an empty batch, [`DetectorError::InvalidOption`] if `m` is 0 or larger than the batch, for error
/// probabilities outside 0..=1, or for an option out of range.
///
/// ```
/// use riptide_detectors::audit::{AuditConfig, Labelled, pick, update};
/// let errors = [0.02, 0.9, 0.5, 0.1, 0.05, 0.3, 0.01, 0.6];
/// let config = AuditConfig::default().seed(7);
/// let picks = pick(&errors, 4, &config)?;
/// // A person labels them: here the classifier is wrong about images 1 and 2.
/// let labelled: Vec<Labelled> = picks.iter().map(|&pick| Labelled { pick, right: pick.index != 1 && pick.index != 2 }).collect();
/// let outcome = update(&errors, &labelled, 0.9, &config)?;
/// assert!(outcome.accuracy.lower <= 0.75 && outcome.accuracy.upper >= 0.75);
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
pub fn pick(errors: &[f64], m: usize, config: &AuditConfig) -> Result<Vec<Pick>, DetectorError> {
    let mut draw = Draw::new(errors, config)?;
    if m == 0 || m > errors.len() {
        return Err(DetectorError::option(
            "m",
            m,
            "at least 1 and at most the number of images",
        ));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let mut picks = Vec::with_capacity(m);
    for _ in 0..m {
        let mut left: f64 = rng.random();
        // Rounding may leave a little at the end: the last image then.
        let mut chosen = None;
        for (index, probability) in draw.probabilities() {
            chosen = Some(Pick { index, probability });
            left -= probability;
            if left < 0.0 {
                break;
            }
        }
        let Some(pick) = chosen else { break };
        draw.take(pick.index);
        picks.push(pick);
    }
    Ok(picks)
}

/// Estimates the batch's accuracy from its error probabilities and the labels of the first picks, in their order. Labelling may
/// stop after any pick, but none may be left out: whoever leaves out the difficult ones gets a wrong number.
///
/// `accepted` is the accuracy that the alarm is about: the reference's less the tolerated drop.
///
/// # Errors
/// [`DetectorError::Empty`] without images or labels, [`DetectorError::InvalidOption`] for an index outside the batch or given
/// twice, for a probability that is not the one with which [`pick`] draws the image from this batch under this configuration, and for a
/// number out of range.
pub fn update(
    errors: &[f64],
    labelled: &[Labelled],
    accepted: f64,
    config: &AuditConfig,
) -> Result<AuditOutcome, DetectorError> {
    let mut draw = Draw::new(errors, config)?;
    if labelled.is_empty() {
        return Err(DetectorError::Empty {
            what: "the labels",
            unit: "label",
        });
    }
    if !(accepted > 0.0 && accepted < 1.0) {
        return Err(DetectorError::option(
            "accepted",
            accepted,
            "between 0 and 1, both excluded",
        ));
    }
    let n = errors.len() as f64;
    let mut turns = Vec::with_capacity(labelled.len());
    let mut known = 0.0;
    let mut unknown: f64 = errors.iter().sum();
    for (turn, Labelled { pick, right }) in labelled.iter().enumerate() {
        let Some(probability) = draw.probability(pick.index) else {
            return Err(DetectorError::option(
                "the index of a labelled image",
                format!("{} at place {turn}", pick.index),
                "below the number of images, and given once",
            ));
        };
        if (probability - pick.probability).abs() > 1e-9 * probability {
            return Err(DetectorError::option(
                "the probability of a labelled image",
                format!("{} at place {turn}", pick.probability),
                "that of the draw: the first labels in the order of the picks, none left out, of the same images under the same model",
            ));
        }
        let error = errors.get(pick.index).copied().unwrap_or_default();
        let wrong = f64::from(u8::from(!right));
        let centre = (known + unknown) / n;
        turns.push(Turn {
            value: centre + (wrong - error) / (n * probability),
            reach: draw.reach() / n,
            centre,
        });
        draw.take(pick.index);
        known += wrong;
        unknown -= error;
    }
    let mean = turns.iter().map(|turn| turn.value).sum::<f64>() / turns.len() as f64;
    // With t labels the error rate lies between what is known to be wrong and what may be.
    let least = known / n;
    let most = (1.0 - (labelled.len() as f64 - known) / n).max(least);
    let alpha = 1.0 - config.confidence;
    let rejected = |rate: f64| wealth(&turns, rate, alpha, Side::Both).1 >= -alpha.ln();
    let estimate = mean.clamp(least, most);
    let lower = boundary(estimate, least, &rejected);
    let upper = boundary(estimate, most, &rejected);
    let (last, highest) = wealth(&turns, 1.0 - accepted, config.level, Side::Above);
    Ok(AuditOutcome {
        accuracy: Interval {
            estimate: 1.0 - estimate,
            lower: 1.0 - upper,
            upper: 1.0 - lower,
        },
        predicted: 1.0 - errors.iter().sum::<f64>() / n,
        n: errors.len(),
        n_labelled: labelled.len(),
        accepted,
        e_value: last.exp(),
        alarm: highest >= -config.level.ln(),
    })
}

/// One label: its value, and how far the value could have been from `centre`.
struct Turn {
    value: f64,
    centre: f64,
    reach: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Above,
    Both,
}

/// Logarithm of the wealth against the error rate `rate` after the last label, and the highest on the way. With both sides, half
/// of the start is bet on either.
///
/// The stake is sqrt(2 log(2 / alpha) / (v t log(t + 1))), v the variance of the values before: what makes a sequence of intervals
/// shortest (Waudby-Smith and Ramdas 2024, section 3.2). It is cut so that a factor is at least 1/2.
fn wealth(turns: &[Turn], rate: f64, alpha: f64, side: Side) -> (f64, f64) {
    let (mut above, mut below, mut highest) = (0.0_f64, 0.0_f64, f64::NEG_INFINITY);
    let (mut sum, mut squares) = (0.0, 0.25);
    for (t, turn) in turns.iter().enumerate() {
        let t = t as f64 + 1.0;
        let variance: f64 = f64::max(squares / t, 1e-6);
        let stake = (2.0 * (2.0 / alpha).ln() / (variance * t * (t + 1.0).ln())).sqrt();
        // The least and the largest that value - rate can be, known before the draw.
        let loss = (rate - (turn.centre - turn.reach)).max(1e-12);
        let gain = (turn.centre + turn.reach - rate).max(1e-12);
        above += (1.0 + stake.min(0.5 / loss) * (turn.value - rate)).ln();
        below += (1.0 - stake.min(0.5 / gain) * (turn.value - rate)).ln();
        let now = match side {
            Side::Above => above,
            Side::Both => {
                let larger = above.max(below);
                larger + ((above - larger).exp() + (below - larger).exp()).ln() - 2.0_f64.ln()
            }
        };
        highest = highest.max(now);
        sum += turn.value;
        let mean = (sum + 0.5) / (t + 1.0);
        squares += (turn.value - mean).powi(2);
        if t as usize == turns.len() {
            return (now, highest);
        }
    }
    (0.0, highest)
}

/// The last rate from `inside` towards `end` that is not rejected.
fn boundary(inside: f64, end: f64, rejected: &impl Fn(f64) -> bool) -> f64 {
    // The set of rates that are kept is an interval but for a thousandth here and there: look from the far end.
    const STEPS: u32 = 1000;
    let at = |step: u32| end + (inside - end) * f64::from(step) / f64::from(STEPS);
    let first = (0..=STEPS).find(|&step| !rejected(at(step))).unwrap_or(STEPS);
    at(first.saturating_sub(1))
}

/// The images not drawn yet.
struct Draw<'a> {
    errors: &'a [f64],
    /// sqrt(e (1 - e)).
    doubt: Vec<f64>,
    left: Vec<bool>,
    n_left: usize,
    floor: f64,
}

impl<'a> Draw<'a> {
    fn new(errors: &'a [f64], config: &AuditConfig) -> Result<Self, DetectorError> {
        config.check()?;
        if errors.is_empty() {
            return Err(DetectorError::Empty {
                what: "the batch",
                unit: "image",
            });
        }
        if let Some((i, error)) = errors.iter().enumerate().find(|(_, e)| !(0.0..=1.0).contains(*e)) {
            return Err(DetectorError::option(
                "an error probability",
                format!("{error} at index {i}"),
                "between 0 and 1",
            ));
        }
        Ok(Self {
            doubt: errors.iter().map(|e| (e * (1.0 - e)).sqrt()).collect(),
            left: vec![true; errors.len()],
            n_left: errors.len(),
            floor: config.floor,
            errors,
        })
    }

    /// The chance of each image that is left.
    fn probabilities(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let left = self.doubt.iter().zip(&self.left).filter(|(_, left)| **left);
        let total: f64 = left.map(|(doubt, _)| doubt).sum();
        let n = self.n_left as f64;
        let uniform = if total > 0.0 { self.floor } else { 1.0 };
        let images = self
            .doubt
            .iter()
            .zip(&self.left)
            .enumerate()
            .filter(|(_, (_, left))| **left);
        images.map(move |(index, (doubt, _))| {
            (
                index,
                uniform / n + (1.0 - uniform) * doubt / total.max(f64::MIN_POSITIVE),
            )
        })
    }

    fn probability(&self, index: usize) -> Option<f64> {
        self.probabilities()
            .find(|(i, _)| *i == index)
            .map(|(_, probability)| probability)
    }

    /// The largest |w - e| / q of an image that is left.
    fn reach(&self) -> f64 {
        self.probabilities()
            .map(|(index, probability)| {
                let error = self.errors.get(index).copied().unwrap_or_default();
                error.max(1.0 - error) / probability
            })
            .fold(0.0, f64::max)
    }

    fn take(&mut self, index: usize) {
        if let Some(left) = self.left.get_mut(index)
            && *left
        {
            *left = false;
            self.n_left -= 1;
        }
    }
}
