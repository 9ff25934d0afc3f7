//! What the error model sees of an image.
//!
//! With p the classifier's probabilities (sorted p1 ≥ p2 ≥ p3), y its answer, q the distilled network's and m the classifier's
//! for the mirrored image, all clipped to 1e-7..=1 - 1e-7:
//!
//! | of | features |
//! | --- | --- |
//! | classifier | logit p1; log p1 / p2; entropy H(p); log H(p); log p2; log p3 |
//! | distilled network | log KL(p ‖ q); surprise -log q_y; argmax p = argmax q; logit max q; H(q); Jensen-Shannon divergence of p and q |
//! | mirrored image | logit m_y; argmax p = argmax m; log KL(p ‖ m); Jensen-Shannon divergence of p and m |
//! | answer | one indicator a class, up to 30 classes |

use crate::error::DetectorError;
use crate::networks::{Probabilities, argmax, check_rows};

/// Features of the classifier, of the distilled network, of the second view.
const CLASSIFIER: usize = 6;
const DISTILLED: usize = 6;
const MIRRORED: usize = 4;

/// With more classes, the answer is no feature: its indicators would outnumber everything else.
pub(crate) const MOST_INDICATORS: usize = 30;

/// Log-probabilities kept of an image, so that its confidence is known at every temperature.
const TOPS: usize = 10;

/// Probabilities are clipped to this and its complement, as in the scores.
const CLIP: f64 = 1e-7;

/// Divergences and entropies are clipped to this before their logarithm is taken.
const LEAST: f64 = 1e-6;

/// The features of images.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Description {
    pub(crate) kind: Kind,
    /// Row-major (N, `kind.width()`).
    features: Vec<f32>,
    /// Row-major (N, `kind.tops() + 1`): the largest log-probabilities, falling, and the log of the mean of the others.
    tops: Vec<f32>,
    pub(crate) class: Vec<u32>,
    pub(crate) agree: Vec<bool>,
}

/// What descriptions must have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kind {
    pub(crate) n_classes: usize,
    pub(crate) distilled: bool,
    pub(crate) mirrored: bool,
}

impl Kind {
    /// Features an image, without the indicators of its class.
    pub(crate) fn width(self) -> usize {
        CLASSIFIER + if self.distilled { DISTILLED } else { 0 } + if self.mirrored { MIRRORED } else { 0 }
    }

    /// Indicators of the class.
    pub(crate) fn indicators(self) -> usize {
        if self.n_classes <= MOST_INDICATORS {
            self.n_classes
        } else {
            0
        }
    }

    fn tops(self) -> usize {
        self.n_classes.min(TOPS)
    }
}

/// One image's description.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Image<'a> {
    pub(crate) features: &'a [f32],
    pub(crate) class: usize,
    pub(crate) agree: bool,
    tops: &'a [f32],
    n_classes: usize,
}

impl Image<'_> {
    /// The largest probability at a temperature: max p^(1/T) / sum p^(1/T). Beyond the ten largest, classes count as equally
    /// probable.
    pub(crate) fn confidence(&self, temperature: f64) -> f64 {
        let Some((&rest, tops)) = self.tops.split_last() else {
            return 1.0;
        };
        let first = f64::from(tops.first().copied().unwrap_or_default());
        let relative = |log: f32| ((f64::from(log) - first) / temperature).exp();
        let sum: f64 = tops.iter().map(|&log| relative(log)).sum();
        let others = self.n_classes - tops.len();
        let rest = if others > 0 {
            others as f64 * relative(rest)
        } else {
            0.0
        };
        1.0 / (sum + rest)
    }
}

impl Description {
    pub(crate) fn len(&self) -> usize {
        self.class.len()
    }

    pub(crate) fn select(&self, places: &[usize]) -> Self {
        let (width, tops) = (self.kind.width(), self.kind.tops() + 1);
        let rows = |values: &[f32], width: usize| -> Vec<f32> {
            let rows = places.iter().filter_map(|&i| values.get(i * width..(i + 1) * width));
            rows.flatten().copied().collect()
        };
        Self {
            kind: self.kind,
            features: rows(&self.features, width),
            tops: rows(&self.tops, tops),
            class: places.iter().filter_map(|&i| self.class.get(i)).copied().collect(),
            agree: places.iter().filter_map(|&i| self.agree.get(i)).copied().collect(),
        }
    }

    /// The images in order.
    pub(crate) fn images(&self) -> impl Iterator<Item = Image<'_>> {
        let features = self.features.chunks_exact(self.kind.width());
        let tops = self.tops.chunks_exact(self.kind.tops() + 1);
        let answers = self.class.iter().zip(&self.agree);
        features
            .zip(tops)
            .zip(answers)
            .map(|((features, tops), (&class, &agree))| Image {
                features,
                class: class as usize,
                agree,
                tops,
                n_classes: self.kind.n_classes,
            })
    }
}

/// Describes images; what is wrong with the probabilities is an error.
pub(crate) fn describe(
    probabilities: &Probabilities,
    mirrored: Option<&[f32]>,
    distilled: bool,
) -> Result<Description, DetectorError> {
    let n_classes = probabilities.n_classes;
    if n_classes < 2 {
        return Err(DetectorError::option("n_classes", n_classes, "at least 2"));
    }
    if distilled {
        probabilities.check()?;
    } else {
        if !probabilities.classifier.len().is_multiple_of(n_classes) {
            return Err(DetectorError::shape(
                "the classifier's probabilities",
                format!("a multiple of {n_classes} classes"),
                probabilities.classifier.len(),
            ));
        }
        check_rows(&probabilities.classifier, n_classes, "classifier")?;
    }
    if let Some(mirrored) = mirrored {
        if mirrored.len() != probabilities.classifier.len() {
            return Err(DetectorError::shape(
                "the mirrored images' probabilities",
                format!("{} values, as the images'", probabilities.classifier.len()),
                mirrored.len(),
            ));
        }
        check_rows(mirrored, n_classes, "classifier")?;
    }
    let kind = Kind {
        n_classes,
        distilled,
        mirrored: mirrored.is_some(),
    };
    let n = probabilities.len();
    let mut described = Description {
        kind,
        features: Vec::with_capacity(n * kind.width()),
        tops: Vec::with_capacity(n * (kind.tops() + 1)),
        class: Vec::with_capacity(n),
        agree: Vec::with_capacity(n),
    };
    let mut work = Work::new(n_classes);
    for image in 0..n {
        let range = image * n_classes..(image + 1) * n_classes;
        let p = probabilities.classifier.get(range.clone()).unwrap_or_default();
        let q = if distilled {
            probabilities.distilled.get(range.clone())
        } else {
            None
        };
        let m = mirrored.and_then(|mirrored| mirrored.get(range));
        work.push(p, q, m, &mut described);
    }
    Ok(described)
}

/// Buffers of one row.
struct Work {
    p: Vec<f64>,
    log_p: Vec<f64>,
    other: Vec<f64>,
    sorted: Vec<f64>,
}

impl Work {
    fn new(n_classes: usize) -> Self {
        Self {
            p: Vec::with_capacity(n_classes),
            log_p: Vec::with_capacity(n_classes),
            other: Vec::with_capacity(n_classes),
            sorted: Vec::with_capacity(n_classes),
        }
    }

    fn push(&mut self, p: &[f32], q: Option<&[f32]>, m: Option<&[f32]>, into: &mut Description) {
        clip(p, &mut self.p);
        self.log_p.clear();
        self.log_p.extend(self.p.iter().map(|p| p.ln()));
        let answer = argmax(p);
        self.tops(into.kind.tops(), &mut into.tops);
        // Of two classes the second is also the last.
        let top = |rank: usize| self.sorted.get(rank).or(self.sorted.last()).copied().unwrap_or(CLIP);
        let entropy = -self.p.iter().zip(&self.log_p).map(|(p, log)| p * log).sum::<f64>();
        let mut push = |value: f64| into.features.push(value as f32);
        push(logit(top(0)));
        push(top(0).ln() - top(1).ln());
        push(entropy);
        push(entropy.max(LEAST).ln());
        push(top(1).ln());
        push(top(2).ln());
        let mut agree = true;
        if let Some(q) = q {
            clip(q, &mut self.other);
            let compared = compare(&self.p, &self.log_p, &self.other);
            agree = argmax(q) == answer;
            push(compared.divergence.max(LEAST).ln());
            push(-self.other.get(answer).copied().unwrap_or(CLIP).ln());
            push(f64::from(u8::from(agree)));
            push(logit(self.other.iter().copied().fold(CLIP, f64::max)));
            push(compared.entropy);
            push(compared.jensen_shannon(entropy));
        }
        if let Some(m) = m {
            clip(m, &mut self.other);
            let compared = compare(&self.p, &self.log_p, &self.other);
            push(logit(self.other.get(answer).copied().unwrap_or(CLIP)));
            push(f64::from(u8::from(argmax(m) == answer)));
            push(compared.divergence.max(LEAST).ln());
            push(compared.jensen_shannon(entropy));
        }
        into.class.push(answer as u32);
        into.agree.push(agree);
    }

    /// Sorts the probabilities, and keeps the largest.
    fn tops(&mut self, n: usize, into: &mut Vec<f32>) {
        self.sorted.clear();
        self.sorted.extend_from_slice(&self.p);
        self.sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        let (tops, rest) = self.sorted.split_at(n.min(self.sorted.len()));
        into.extend(tops.iter().map(|p| p.ln() as f32));
        let mean = rest.iter().sum::<f64>() / rest.len().max(1) as f64;
        into.push(mean.max(CLIP).ln() as f32);
    }
}

struct Compared {
    /// KL(p ‖ q).
    divergence: f64,
    /// H(q).
    entropy: f64,
    /// H((p + q) / 2).
    mixed: f64,
}

impl Compared {
    fn jensen_shannon(&self, entropy_p: f64) -> f64 {
        (self.mixed - (entropy_p + self.entropy) / 2.0).max(0.0)
    }
}

fn compare(p: &[f64], log_p: &[f64], q: &[f64]) -> Compared {
    let mut found = Compared {
        divergence: 0.0,
        entropy: 0.0,
        mixed: 0.0,
    };
    for ((&p, &log_p), &q) in p.iter().zip(log_p).zip(q) {
        let (log_q, mean) = (q.ln(), (p + q) / 2.0);
        found.divergence += p * (log_p - log_q);
        found.entropy -= q * log_q;
        found.mixed -= mean * mean.ln();
    }
    found
}

fn clip(row: &[f32], into: &mut Vec<f64>) {
    into.clear();
    into.extend(row.iter().map(|&p| f64::from(p).clamp(CLIP, 1.0 - CLIP)));
}

pub(crate) fn logit(p: f64) -> f64 {
    let p = p.clamp(CLIP, 1.0 - CLIP);
    p.ln() - (-p).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_of_an_image_are_as_documented() {
        let probabilities = Probabilities::new(vec![0.7, 0.2, 0.1], vec![0.25, 0.5, 0.25], 3).unwrap();
        let mirrored = [0.6, 0.3, 0.1];
        let described = describe(&probabilities, Some(&mirrored), true).unwrap();
        let image = described.images().next().unwrap();
        assert_eq!((image.class, image.agree, described.kind.width()), (0, false, 16));
        let entropy = -(0.7_f64 * 0.7_f64.ln() + 0.2 * 0.2_f64.ln() + 0.1 * 0.1_f64.ln());
        let divergence = 0.7 * (0.7_f64 / 0.25).ln() + 0.2 * (0.2_f64 / 0.5).ln() + 0.1 * (0.1_f64 / 0.25).ln();
        let mixed = -[0.475_f64, 0.35, 0.175].iter().map(|m| m * m.ln()).sum::<f64>();
        let of_q = 0.5 * 4.0_f64.ln() + 0.5 * 2.0_f64.ln();
        let expected = [
            (0.7_f64 / 0.3).ln(),
            3.5_f64.ln(),
            entropy,
            entropy.ln(),
            0.2_f64.ln(),
            0.1_f64.ln(),
            divergence.ln(),
            4.0_f64.ln(),
            0.0,
            0.0,
            of_q,
            mixed - (entropy + of_q) / 2.0,
            1.5_f64.ln(),
            1.0,
        ];
        for (found, expected) in image.features.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    #[test]
    fn confidence_is_the_softmax_at_a_temperature() {
        let many = 40;
        let row: Vec<f32> = (0..many).map(|i| if i == 3 { 0.61 } else { 0.01 }).collect();
        let probabilities = Probabilities {
            classifier: row.clone(),
            n_classes: many,
            ..Probabilities::default()
        };
        let described = describe(&probabilities, None, false).unwrap();
        let image = described.images().next().unwrap();
        for temperature in [0.5, 1.0, 2.5] {
            let powers: Vec<f64> = row.iter().map(|&p| f64::from(p).powf(1.0 / temperature)).collect();
            let expected = powers[3] / powers.iter().sum::<f64>();
            let found = image.confidence(temperature);
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
        assert!(image.agree && described.kind.indicators() == 0);
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        let of = |row: Vec<f32>| describe(&Probabilities::new(row.clone(), row, 2).unwrap(), None, true);
        assert!(of(vec![0.5, 0.5]).is_ok());
        assert!(of(vec![f32::NAN, 0.5]).is_err());
        assert!(of(vec![3.0, -2.0]).is_err());
        let two = Probabilities::new(vec![0.5, 0.5], vec![0.5, 0.5], 2).unwrap();
        assert!(describe(&two, Some(&[0.5]), true).is_err());
        assert!(describe(&Probabilities::new(vec![1.0], vec![1.0], 1).unwrap(), None, true).is_err());
    }
}
