//! The verdict on a batch.

use riptide_stats::Interval;
use riptide_stats::means::{Sample, drawn_alike, hoeffding_greater, welch_greater};
use statrs::distribution::{ContinuousCDF, Normal};

use super::config::AccuracyOptions;
use super::model::{AccuracyModel, Doubt};
use super::outcome::{AccuracyOutcome, Assumption, Fallen, Outside, Verdict};
use super::region::locate;
use super::window::{Moments, WindowValue};
use crate::error::DetectorError;

/// Below so many images a mean is not normal enough, and Hoeffding's bound takes the place of Welch's test.
const FEW: f64 = 30.0;

impl AccuracyModel {
    /// Judges a batch from its sums.
    ///
    /// With D the drop that the line estimates and delta the tolerated one, the batch is
    ///
    /// - **harmful** if D - delta - h is significantly above 0, h the most by which D over-states the drop on left-out families
    ///   thinned to the tolerated drop;
    /// - **fit** if delta - h' - D is, h' the most by which D falls short of the tolerated drop on left-out
    ///   families that reach it;
    /// - **outside** if its means or its answers lie further from the declared sets than any left-out family does; then neither
    ///   of these is said, and the interval is 0..=1;
    /// - **undecided** otherwise.
    ///
    /// Both are tested on the line's x, of which D is a rising curve, by Welch's test (1947). Below 30 images it is Hoeffding's
    /// bound (1963) on the mean error probability, which holds for any n.
    ///
    /// # Errors
    /// [`DetectorError::Empty`] for a window without images, [`DetectorError::Shape`] for one of another number of classes,
    /// [`DetectorError::InvalidOption`] for an option out of range.
    pub fn judge(&self, window: &WindowValue, options: &AccuracyOptions) -> Result<AccuracyOutcome, DetectorError> {
        options.check()?;
        if window.is_empty() {
            return Err(DetectorError::Empty {
                what: "the batch",
                unit: "image",
            });
        }
        if window.classes().len() != self.n_classes {
            return Err(DetectorError::shape(
                "the window's classes",
                self.n_classes,
                window.classes().len(),
            ));
        }
        let margins = self.margins(options);
        let Judged {
            verdict,
            x,
            p_value,
            p_value_fit,
            distance,
            outside,
        } = self.judged(window, options, &margins);
        let AccuracyOptions {
            tolerated_drop,
            level,
            confidence,
        } = *options;
        let estimated = self.line.drop(x);
        let (batch, base) = (window.moments(), self.base.moments());
        let n_needed = match verdict {
            Verdict::Undecided => {
                let gap = (x - margins.over).max(margins.under - x);
                needed(
                    gap,
                    batch.variance(&self.line.weights),
                    &batch,
                    base.variance(&self.line.weights) / base.n,
                    level,
                )
            }
            _ => None,
        };
        let estimate = (self.accuracy - estimated).clamp(0.0, 1.0);
        let sampling = (self.image_variance / batch.n + self.image_variance / base.n).sqrt();
        let half = self
            .residuals
            .half_width(confidence, sampling, distance)
            .filter(|_| outside.is_none());
        let accuracy = Interval {
            estimate,
            lower: half.map_or(0.0, |half| (self.accuracy - estimated - half).clamp(0.0, 1.0)),
            upper: half.map_or(1.0, |half| (self.accuracy - estimated + half).clamp(0.0, 1.0)),
        };
        Ok(AccuracyOutcome {
            n: window.len(),
            verdict,
            accuracy,
            reference: self.accuracy,
            drop: Interval {
                estimate: self.accuracy - accuracy.estimate,
                lower: self.accuracy - accuracy.upper,
                upper: self.accuracy - accuracy.lower,
            },
            assumption: Assumption::B,
            tolerated_drop,
            p_value,
            p_value_fit,
            fallen: self.fallen(window, level),
            n_needed,
            outside,
            mean_error: window.mean_error(),
            mean_error_reference: self.reference.mean_error(),
            level,
            confidence,
        })
    }

    /// Has the accuracy fallen at all? The one-sided test of "drawn as the clean images were" by itself: of the mean of the error
    /// probabilities to the power 3/2 ([`drawn_alike`]), below 30 images by Hoeffding's bound. 1 for an empty window.
    #[must_use]
    pub fn fallen(&self, window: &WindowValue, level: f64) -> Fallen {
        let p_value = self.p_fallen(window, level);
        Fallen {
            p_value,
            is_significant: p_value < level,
        }
    }

    fn p_fallen(&self, window: &WindowValue, level: f64) -> f64 {
        let Doubt {
            n: n_clean,
            mean: of_clean,
            variance,
            skewness,
        } = self.doubt;
        let (n, mean) = (window.len() as f64, window.mean_emphasised());
        if n < FEW {
            let most = of_clean + Normal::standard().inverse_cdf(1.0 - level) * (variance / n_clean).sqrt();
            return hoeffding_greater(n, mean, most);
        }
        let clean = Sample {
            n: n_clean,
            mean: of_clean,
            variance,
        };
        drawn_alike(n, mean, &clean, skewness)
    }

    /// The limits that a verdict compares with; they depend on the options alone.
    pub(crate) fn margins(&self, options: &AccuracyOptions) -> Margins {
        let AccuracyOptions {
            tolerated_drop, level, ..
        } = *options;
        Margins {
            over: self
                .line
                .inverse(tolerated_drop + self.residuals.over(tolerated_drop, level)),
            under: self
                .line
                .inverse(tolerated_drop - self.residuals.under(tolerated_drop, level)),
            most: self.error_bound(tolerated_drop, level),
            least: self.base.mean_error() + self.residuals.least_rise(tolerated_drop, level),
        }
    }

    /// The verdict alone.
    pub(crate) fn judged(&self, window: &WindowValue, options: &AccuracyOptions, margins: &Margins) -> Judged {
        let (batch, base) = (window.moments(), self.base.moments());
        let x = self.line.index(&base, &batch);
        let at = locate(window, &self.reference);
        let distance = self.region.distance(&at).0;
        let outside = self.region.outside(&at, window, &self.reference);
        let (p_value, p_value_fit) = if batch.n < FEW {
            let mean = window.mean_error();
            (
                hoeffding_greater(batch.n, mean, margins.most),
                hoeffding_greater(batch.n, 1.0 - mean, 1.0 - margins.least),
            )
        } else {
            let (batch, base) = (batch.along(&self.line.weights), base.along(&self.line.weights));
            (
                welch_greater(&batch, &base, margins.over).p_value,
                welch_greater(&base, &batch, -margins.under).p_value,
            )
        };
        let verdict = if outside.is_some() {
            Verdict::Outside
        } else if p_value < options.level {
            Verdict::Harmful
        } else if p_value_fit < options.level {
            Verdict::Fit
        } else {
            Verdict::Undecided
        };
        Judged {
            verdict,
            x,
            p_value,
            p_value_fit,
            distance,
            outside,
        }
    }

    /// The largest mean error probability that a drop of `tolerated` explains.
    pub(crate) fn error_bound(&self, tolerated: f64, level: f64) -> f64 {
        let base = self.base.moments();
        let rise = self.residuals.rise(tolerated, level);
        (self.base.mean_error() + rise + standard_error_above(&base, level)).clamp(1e-6, 1.0 - 1e-6)
    }
}

/// How far above its mean a reference's true mean error probability may lie, at a one-sided level.
fn standard_error_above(reference: &Moments, level: f64) -> f64 {
    Normal::standard().inverse_cdf(1.0 - level) * (reference.variance(&[1.0, 0.0, 0.0]) / reference.n).sqrt()
}

/// The limits of a verdict.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Margins {
    /// Place on the line's x above which a batch is harmful.
    over: f64,
    /// Place below which it is fit.
    under: f64,
    /// The same for the mean error probability.
    most: f64,
    least: f64,
}

/// A verdict with what it came from.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// Place on the line's x.
    x: f64,
    p_value: f64,
    p_value_fit: f64,
    /// How far the batch lies outside the declared region.
    distance: f64,
    outside: Option<Outside>,
}

/// How many images would make a difference significant, if the batch went on with the same variance an image; `clean` is the
/// squared standard error of the clean images' mean, which no batch makes smaller.
fn needed(difference: f64, variance: f64, batch: &Moments, clean: f64, level: f64) -> Option<u64> {
    let z = Normal::standard().inverse_cdf(1.0 - level);
    let room = (difference / z).powi(2) - clean;
    let n = variance / room;
    (difference > 0.0 && room > 0.0 && n < 1e12).then(|| (n.ceil().max(batch.n + 1.0)) as u64)
}
