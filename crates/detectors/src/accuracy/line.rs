//! The line from means of a batch to its drop of accuracy.

use serde::{Deserialize, Serialize};

use super::logistic::solve;
use super::window::{Moments, dot};

/// Drop of accuracy = weights · (means of the batch - means of clean images), for mean error probability, confidence and
/// agreement. Averages of a learned probability are attenuated: the line repairs that.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Line {
    pub(crate) weights: [f64; 3],
}

/// Which means a line uses. Several are fitted, and the one that foresees left-out families best is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape(pub(crate) &'static [usize]);

/// Those tried, simplest first.
pub(crate) const SHAPES: [Shape; 4] = [Shape(&[1]), Shape(&[0]), Shape(&[0, 1]), Shape(&[0, 1, 2])];

/// A set of images as the line sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) mean: [f64; 3],
    pub(crate) accuracy: f64,
    pub(crate) weight: f64,
}

impl Line {
    /// Weighted least squares of the accuracy on the means, with an intercept that only the slopes are kept beside. None if
    /// the points do not determine it.
    pub(crate) fn fit(points: &[Point], shape: Shape) -> Option<Self> {
        let p = shape.0.len();
        let total: f64 = points.iter().map(|point| point.weight).sum();
        if points.len() <= p + 1 || total <= 0.0 {
            return None;
        }
        let average =
            |value: &dyn Fn(&Point) -> f64| points.iter().map(|point| point.weight * value(point)).sum::<f64>() / total;
        let column = |j: usize| move |point: &Point| point.mean.get(j).copied().unwrap_or_default();
        let centres: Vec<f64> = shape.0.iter().map(|&j| average(&column(j))).collect();
        let accuracy = average(&|point| point.accuracy);
        let (mut lower, mut right) = (vec![0.0; p * p], vec![0.0; p]);
        for point in points {
            let row: Vec<f64> = shape
                .0
                .iter()
                .zip(&centres)
                .map(|(&j, c)| column(j)(point) - c)
                .collect();
            for (i, &x) in row.iter().enumerate() {
                right[i] += point.weight * x * (accuracy - point.accuracy);
                for (j, &other) in row.iter().enumerate() {
                    lower[i * p + j] += point.weight * x * other;
                }
            }
        }
        // A speck of ridge: means of collinear quantities share the slope.
        for i in 0..p {
            lower[i * p + i] += 1e-6 * total;
        }
        let slopes = solve(&lower, &right, p)?;
        let mut weights = [0.0; 3];
        for (&j, slope) in shape.0.iter().zip(slopes) {
            weights[j] = slope;
        }
        Some(Self { weights })
    }

    /// Estimated drop from the means `from` to the means `to`.
    pub(crate) fn drop(&self, from: &Moments, to: &Moments) -> f64 {
        dot(&self.weights, &to.mean) - dot(&self.weights, &from.mean)
    }
}
