//! The verdict on a batch.

use riptide_stats::Interval;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::config::AccuracyOptions;
use super::model::AccuracyModel;
use super::outcome::{AccuracyOutcome, Assumption, Fallen, Verdict};
use super::region::locate;
use super::window::{Moments, WindowValue};
use crate::error::DetectorError;

/// Below so many images a mean is not normal enough, and Hoeffding's bound takes the place of Welch's test.
const FEW: f64 = 30.0;

impl AccuracyModel {
    /// Judges a batch from its sums.
    ///
    /// With D the drop that the line estimates, delta the tolerated one and se the standard error of D from batch and clean
    /// images, the batch is
    ///
    /// - **harmful** if (D - delta - h) / se is significant, h the most by which D over-states the drop on left-out families
    ///   thinned to the tolerated drop;
    /// - **fit** if (delta - h' - D) / se is significant, h' the most by which D falls short of the tolerated drop on left-out
    ///   families that reach it;
    /// - **outside** if its means or its answers lie further from the declared sets than any left-out family does; then neither
    ///   of these is said, and the interval is 0..=1;
    /// - **undecided** otherwise.
    ///
    /// The tests are Welch's (1947). Below 30 images they are Hoeffding's bound (1963) on the mean error probability, which
    /// holds for any n: P(mean >= x) <= exp(-n KL(x ‖ m)) for values in 0..=1 with mean m at most.
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
        let AccuracyOptions {
            tolerated_drop,
            level,
            confidence,
        } = *options;
        let (batch, base) = (window.moments(), self.base.moments());
        let estimated = self.line.drop(&base, &batch);
        let outside = self
            .region
            .outside(&locate(window, &self.reference), window, &self.reference);

        let over = tolerated_drop + self.residuals.over(tolerated_drop, level);
        let under = tolerated_drop - self.residuals.under(tolerated_drop, level);
        let weights = &self.line.weights;
        let spread = Spread {
            batch: batch.variance(weights),
            n: batch.n,
            clean: base.variance(weights),
            n_clean: base.n,
        };
        let (p_value, p_value_fit) = if batch.n < FEW {
            let most = self.error_bound(tolerated_drop, level);
            let least = self.reference.mean_error() + self.residuals.least_rise(tolerated_drop, level);
            let x = window.mean_error();
            (
                if x > most { hoeffding(batch.n, x, most) } else { 1.0 },
                if x < least { hoeffding(batch.n, x, least) } else { 1.0 },
            )
        } else {
            (spread.p_value(estimated - over), spread.p_value(under - estimated))
        };
        let verdict = if outside.is_some() {
            Verdict::Outside
        } else if p_value < level {
            Verdict::Harmful
        } else if p_value_fit < level {
            Verdict::Fit
        } else {
            Verdict::Undecided
        };
        let n_needed = match verdict {
            Verdict::Undecided => spread.needed((estimated - over).max(under - estimated), level),
            _ => None,
        };
        let estimate = (self.accuracy - estimated).clamp(0.0, 1.0);
        let sampling = (self.image_variance / batch.n + self.image_variance / base.n).sqrt();
        let half = self
            .residuals
            .half_width(confidence, sampling)
            .filter(|_| outside.is_none());
        let accuracy = Interval {
            estimate,
            lower: half.map_or(0.0, |half| (self.accuracy - estimated - half).clamp(0.0, 1.0)),
            upper: half.map_or(1.0, |half| (self.accuracy - estimated + half).clamp(0.0, 1.0)),
        };
        let p_fallen = self.fallen(window, level);
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
            fallen: Fallen {
                p_value: p_fallen,
                is_significant: p_fallen < level,
            },
            n_needed,
            outside,
            mean_error: window.mean_error(),
            mean_error_reference: self.reference.mean_error(),
            level,
            confidence,
        })
    }

    /// The p-value of "a batch drawn as the reference was": one-sided, of the mean error probabilities.
    fn fallen(&self, window: &WindowValue, level: f64) -> f64 {
        const ERROR: [f64; 3] = [1.0, 0.0, 0.0];
        let (batch, reference) = (window.moments(), self.reference.moments());
        let x = window.mean_error();
        if batch.n < FEW {
            let most = self.reference.mean_error() + standard_error_above(&reference, level);
            return if x > most { hoeffding(batch.n, x, most) } else { 1.0 };
        }
        let spread = Spread {
            batch: batch.variance(&ERROR),
            n: batch.n,
            clean: reference.variance(&ERROR),
            n_clean: reference.n,
        };
        spread.p_value(x - self.reference.mean_error())
    }

    /// The largest mean error probability that a drop of `tolerated` explains.
    pub(crate) fn error_bound(&self, tolerated: f64, level: f64) -> f64 {
        let reference = self.reference.moments();
        let rise = self.residuals.rise(tolerated, level);
        (self.reference.mean_error() + rise + standard_error_above(&reference, level)).clamp(1e-6, 1.0 - 1e-6)
    }
}

/// How far above its mean a reference's true mean error probability may lie, at a one-sided level.
fn standard_error_above(reference: &Moments, level: f64) -> f64 {
    Normal::standard().inverse_cdf(1.0 - level) * (reference.variance(&[1.0, 0.0, 0.0]) / reference.n).sqrt()
}

/// Variances an image of a batch and of clean images.
struct Spread {
    batch: f64,
    n: f64,
    clean: f64,
    n_clean: f64,
}

impl Spread {
    /// Welch's one-sided p-value of a difference that is 0 under the null hypothesis.
    fn p_value(&self, difference: f64) -> f64 {
        let (a, b) = (self.batch / self.n, self.clean / self.n_clean);
        let square = a + b;
        if square <= 0.0 {
            return if difference > 0.0 { 0.0 } else { 1.0 };
        }
        // Welch (1947), Satterthwaite (1946).
        let freedom = square * square / (a * a / (self.n - 1.0).max(1.0) + b * b / (self.n_clean - 1.0).max(1.0));
        let t = difference / square.sqrt();
        StudentsT::new(0.0, 1.0, freedom.max(1.0)).map_or(1.0, |student| student.sf(t))
    }

    /// How many images would make a difference significant.
    fn needed(&self, difference: f64, level: f64) -> Option<u64> {
        let z = Normal::standard().inverse_cdf(1.0 - level);
        let room = (difference / z).powi(2) - self.clean / self.n_clean;
        let n = self.batch / room;
        (difference > 0.0 && room > 0.0 && n < 1e12).then(|| (n.ceil().max(self.n + 1.0)) as u64)
    }
}

/// Hoeffding's bound (1963, theorem 1): exp(-n KL(x ‖ m)).
fn hoeffding(n: f64, x: f64, m: f64) -> f64 {
    let m = m.clamp(1e-12, 1.0 - 1e-12);
    let part = |x: f64, m: f64| if x > 0.0 { x * (x / m).ln() } else { 0.0 };
    (-n * (part(x, m) + part(1.0 - x, 1.0 - m))).exp().min(1.0)
}
