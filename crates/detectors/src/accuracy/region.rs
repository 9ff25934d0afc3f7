//! What was declared, as a region of batch means, and whether a batch lies inside.

use serde::{Deserialize, Serialize};

use super::outcome::Outside;
use super::window::{QUANTITIES, WindowValue};

/// A sampling error of this many standard errors is forgiven in each coordinate.
const FORGIVEN: f64 = 3.0;

/// Mean error probability, confidence and agreement, and the distance of the answers' distribution from the reference's.
type Point = [f64; 4];

/// The declared sets as points; mixtures of one with clean images are the segments from the clean point to each of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Region {
    clean: Point,
    sets: Vec<Point>,
    /// Unit of each coordinate: its standard deviation over the sets.
    scale: Point,
    /// The largest distance that is inside.
    pub(crate) limit: f64,
}

/// A batch as a point with the standard error of each coordinate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Located {
    point: Point,
    error: Point,
}

/// Locates a window against the reference's answers.
pub(crate) fn locate(window: &WindowValue, reference: &WindowValue) -> Located {
    let moments = window.moments();
    let n = moments.n;
    // The squared distance of two samples' shares is too large by the variance of both.
    let (mut distance, mut spread) = (0.0, 0.0);
    let n_reference = reference.len().max(1) as f64;
    for (p, r) in window.shares().zip(reference.shares()) {
        distance += (p - r).powi(2) - p * (1.0 - p) / n - r * (1.0 - r) / n_reference;
        spread += p * (1.0 - p) / n + r * (1.0 - r) / n_reference;
    }
    let [e, c, a] = moments.mean;
    let error = |i: usize, floor: f64| {
        let variance = moments.covariance.get(i).and_then(|row| row.get(i)).copied();
        (variance.unwrap_or_default().max(floor) / n).sqrt()
    };
    Located {
        point: [e, c, a, distance.max(0.0).sqrt()],
        error: [error(0, 0.0), error(1, 0.0), error(2, 0.25 / n), 0.5 * spread.sqrt()],
    }
}

impl Located {
    /// As exact as a large batch would be.
    pub(crate) fn exact(self) -> Self {
        Self {
            error: [0.0; 4],
            ..self
        }
    }
}

impl Region {
    pub(crate) fn new(clean: Located, sets: &[Located]) -> Self {
        let sets: Vec<Point> = sets.iter().map(|set| set.point).collect();
        let n = sets.len().max(1) as f64;
        let mut scale = [0.0; 4];
        for (i, scale) in scale.iter_mut().enumerate() {
            let values = || sets.iter().filter_map(|set| set.get(i));
            let mean = values().sum::<f64>() / n;
            let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
            // Two points of a percentage: the least unit that a difference is worth.
            *scale = variance.sqrt().max(0.02);
        }
        Self {
            clean: clean.point,
            sets,
            scale,
            limit: f64::INFINITY,
        }
    }

    /// Distance from the nearest mixture, and that mixture.
    pub(crate) fn distance(&self, at: &Located) -> (f64, Point) {
        let mut nearest = (f64::INFINITY, self.clean);
        for set in &self.sets {
            let (mut along, mut length) = (0.0, 0.0);
            for (i, end) in set.iter().enumerate() {
                let direction = (end - self.clean[i]) / self.scale[i];
                along += (at.point[i] - self.clean[i]) / self.scale[i] * direction;
                length += direction * direction;
            }
            let share = if length > 0.0 {
                (along / length).clamp(0.0, 1.0)
            } else {
                0.0
            };
            let mut square = 0.0;
            let mut mixture = self.clean;
            for i in 0..4 {
                mixture[i] += share * (set[i] - self.clean[i]);
                let away = (at.point[i] - mixture[i]).abs() - FORGIVEN * at.error[i];
                square += (away.max(0.0) / self.scale[i]).powi(2);
            }
            if square < nearest.0 {
                nearest = (square, mixture);
            }
        }
        (nearest.0.sqrt(), nearest.1)
    }

    /// Why the batch lies outside, if it does.
    pub(crate) fn outside(&self, at: &Located, window: &WindowValue, reference: &WindowValue) -> Option<Outside> {
        let (distance, nearest) = self.distance(at);
        if distance <= self.limit {
            return None;
        }
        let away = |i: usize| ((at.point[i] - nearest[i]).abs() - FORGIVEN * at.error[i]).max(0.0) / self.scale[i];
        let worst = (0..4).max_by(|&a, &b| away(a).total_cmp(&away(b))).unwrap_or(3);
        let Some(quantity) = QUANTITIES.get(worst) else {
            let grown = window.shares().zip(reference.shares()).enumerate();
            let (class, (share, of_reference)) = grown.max_by(|a, b| (a.1.0 - a.1.1).total_cmp(&(b.1.0 - b.1.1)))?;
            return Some(Outside::Classes {
                class,
                share,
                reference: of_reference,
            });
        };
        let values = || self.sets.iter().chain([&self.clean]).map(|set| set[worst]);
        let (lower, upper) = (
            values().fold(f64::INFINITY, f64::min),
            values().fold(f64::NEG_INFINITY, f64::max),
        );
        let value = at.point[worst];
        if value < lower || value > upper {
            return Some(Outside::Range {
                quantity: (*quantity).to_owned(),
                value,
                lower,
                upper,
            });
        }
        Some(Outside::Relation {
            quantity: (*quantity).to_owned(),
            value,
            expected: nearest[worst],
            distance,
            limit: self.limit,
        })
    }
}
