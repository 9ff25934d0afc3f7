//! The curve from means of a batch to its drop of accuracy.

use serde::{Deserialize, Serialize};

use super::logistic::solve;
use super::window::{Moments, dot};

/// With x = weights · (means of the batch - means of clean images), for mean error probability, confidence and agreement,
///
/// ```text
/// drop of accuracy = linear x + square max(x, 0)^2
/// ```
///
/// Averages of a learned probability are attenuated: the weights repair that. The curve starts at the clean images and bends
/// upwards: a slight corruption makes networks less sure before it makes the classifier err.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) weights: [f64; 3],
    pub(crate) linear: f64,
    pub(crate) square: f64,
}

/// The least slope of the curve at the clean images: it has to rise.
const LEAST_SLOPE: f64 = 0.1;

/// Which means a line uses. Several are fitted, and the one that foresees left-out families best is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape(pub(crate) &'static [usize]);

/// The confidence alone.
pub(crate) const SIMPLEST: Shape = Shape(&[1]);

/// Tried beside it: with the agreement of the two networks. The mean error probability, alone or with the confidence, was tried and is
/// worse for corruptions that the classifier is confidently wrong about.
pub(crate) const OTHERS: [Shape; 1] = [Shape(&[1, 2])];

/// A set of images as the line sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) mean: [f64; 3],
    pub(crate) accuracy: f64,
}

impl Line {
    /// Least squares: the weights from all points with an intercept, then the curve through the clean point, the first. None if the
    /// points do not determine it.
    pub(crate) fn fit(points: &[Point], shape: Shape) -> Option<Self> {
        let (clean, others) = points.split_first()?;
        let p = shape.0.len();
        if others.len() <= p + 1 {
            return None;
        }
        let n = points.len() as f64;
        let column = |j: usize| move |point: &Point| point.mean.get(j).copied().unwrap_or_default();
        let centres: Vec<f64> = shape
            .0
            .iter()
            .map(|&j| points.iter().map(column(j)).sum::<f64>() / n)
            .collect();
        let mean = points.iter().map(|point| point.accuracy).sum::<f64>() / n;
        let (mut lower, mut right) = (vec![0.0; p * p], vec![0.0; p]);
        for point in points {
            let row: Vec<f64> = shape
                .0
                .iter()
                .zip(&centres)
                .map(|(&j, c)| column(j)(point) - c)
                .collect();
            for (i, &x) in row.iter().enumerate() {
                right[i] += x * (mean - point.accuracy);
                for (j, &other) in row.iter().enumerate() {
                    lower[i * p + j] += x * other;
                }
            }
        }
        // A speck of ridge: means of collinear quantities share the slope.
        for i in 0..p {
            lower[i * p + i] += 1e-6 * n;
        }
        let slopes = solve(&lower, &right, p)?;
        let mut weights = [0.0; 3];
        for (&j, slope) in shape.0.iter().zip(slopes) {
            weights[j] = slope;
        }
        let (mut xx, mut xs, mut ss, mut xd, mut sd) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for point in others {
            let x = dot(&weights, &point.mean) - dot(&weights, &clean.mean);
            let (s, d) = (x.max(0.0).powi(2), clean.accuracy - point.accuracy);
            xx += x * x;
            xs += x * s;
            ss += s * s;
            xd += x * d;
            sd += s * d;
        }
        let determinant = xx * ss - xs * xs;
        if !(xx > 0.0 && ss > 0.0) {
            return None;
        }
        let (mut linear, mut square) = if determinant > 1e-9 * xx * ss {
            ((xd * ss - sd * xs) / determinant, (sd * xx - xd * xs) / determinant)
        } else {
            (xd / xx, 0.0)
        };
        if square < 0.0 {
            (linear, square) = (xd / xx, 0.0);
        }
        if linear < LEAST_SLOPE {
            linear = LEAST_SLOPE;
            square = ((sd - linear * xs) / ss).max(0.0);
        }
        Some(Self {
            weights,
            linear,
            square,
        })
    }

    /// x, from the means `from` to the means `to`.
    pub(crate) fn index(&self, from: &Moments, to: &Moments) -> f64 {
        dot(&self.weights, &to.mean) - dot(&self.weights, &from.mean)
    }

    /// The drop at x.
    pub(crate) fn drop(&self, x: f64) -> f64 {
        self.linear * x + self.square * x.max(0.0).powi(2)
    }

    /// The slope of the curve at x.
    pub(crate) fn slope(&self, x: f64) -> f64 {
        self.linear + 2.0 * self.square * x.max(0.0)
    }

    /// The x at which the drop is `drop`.
    pub(crate) fn inverse(&self, drop: f64) -> f64 {
        if drop <= 0.0 || self.square < 1e-9 {
            return drop / self.linear;
        }
        let root = (self.linear * self.linear + 4.0 * self.square * drop).sqrt();
        2.0 * drop / (self.linear + root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(drop: impl Fn(f64) -> f64) -> Vec<Point> {
        let point = |i: u32| {
            let confidence = 0.9 - 0.02 * f64::from(i);
            Point {
                mean: [0.0, confidence, 1.0],
                accuracy: 0.95 - drop(0.9 - confidence),
            }
        };
        (0..16).map(point).collect()
    }

    #[test]
    fn a_curve_is_found_and_inverted() {
        let line = Line::fit(&points(|fall| 0.6 * fall + 2.0 * fall * fall), Shape(&[1])).unwrap();
        for fall in [-0.05, 0.0, 0.01, 0.1, 0.3] {
            let x = -line.weights[1] * fall;
            let expected = if fall > 0.0 {
                0.6 * fall + 2.0 * fall * fall
            } else {
                0.6 * fall
            };
            assert!((line.drop(x) - expected).abs() < 1e-4, "{fall}: {}", line.drop(x));
            assert!((line.inverse(line.drop(x)) - x).abs() < 1e-12);
        }
    }

    #[test]
    fn it_never_bends_down_nor_falls() {
        let line = Line::fit(&points(|fall| fall.max(0.0).sqrt() / 3.0), Shape(&[1])).unwrap();
        assert!(line.square == 0.0 && line.linear > 0.0);
        let line = Line::fit(&points(|fall| (3.0 * fall * fall - 0.1 * fall).max(0.0)), Shape(&[1])).unwrap();
        assert!(line.linear >= LEAST_SLOPE && line.square > 0.0);
        assert!(Line::fit(&points(|_| 0.0)[..2], Shape(&[1])).is_none());
    }
}
