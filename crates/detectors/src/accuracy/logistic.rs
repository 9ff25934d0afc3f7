//! Ridge logistic regression by Newton's method.

use rayon::prelude::*;

use crate::error::DetectorError;

/// Images a partial sum is over. Fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 4096;

/// Newton's steps at most; a dozen do.
const STEPS: usize = 50;

/// The matrix of a regression: `width` features and one of `indicators` a row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Design {
    pub(crate) width: usize,
    pub(crate) indicators: usize,
    /// Row-major (N, width), standardised.
    pub(crate) features: Vec<f64>,
    pub(crate) class: Vec<u32>,
    /// 1 for an event, else 0.
    pub(crate) target: Vec<f64>,
}

impl Design {
    /// Coefficients: features, indicators, intercept.
    pub(crate) fn coefficients(&self) -> usize {
        self.width + self.indicators + 1
    }
}

/// The linear predictor of a row.
pub(crate) fn predictor(coefficients: &[f64], features: impl Iterator<Item = f64>, class: Option<usize>) -> f64 {
    let Some((&intercept, rest)) = coefficients.split_last() else {
        return 0.0;
    };
    let mut values = rest.iter();
    let mut sum = intercept;
    for feature in features {
        sum += feature * values.next().copied().unwrap_or_default();
    }
    sum + class
        .and_then(|class| values.as_slice().get(class))
        .copied()
        .unwrap_or_default()
}

/// 1 / (1 + e^-x).
pub(crate) fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// Minimises the negative log-likelihood + ridge / 2 times the sum of squares of all coefficients but the intercept, from
/// `start` on. Newton's method with step halving; the gradient's largest entry ends below 1e-7 of the number of rows.
///
/// # Errors
/// [`DetectorError::BadState`] if it does not converge, which needs data that are not finite.
pub(crate) fn fit(design: &Design, ridge: f64, start: Option<&[f64]>) -> Result<Vec<f64>, DetectorError> {
    let p = design.coefficients();
    let mut beta = match start {
        Some(start) if start.len() == p => start.to_vec(),
        _ => vec![0.0; p],
    };
    let tolerance = 1e-9 * design.target.len().max(1) as f64;
    let mut at = Sums::of(design, &beta, ridge);
    for _ in 0..STEPS {
        if at.gradient.iter().all(|g| g.abs() < tolerance) {
            return Ok(beta);
        }
        let step = solve(&at.hessian, &at.gradient, p).ok_or_else(not_converged)?;
        let mut scale = 1.0;
        loop {
            let trial: Vec<f64> = beta.iter().zip(&step).map(|(b, s)| b - scale * s).collect();
            let next = Sums::of(design, &trial, ridge);
            // Rounding alone may raise the loss in the last step.
            if next.loss <= at.loss + 1e-12 * at.loss.abs() {
                (beta, at) = (trial, next);
                break;
            }
            scale /= 2.0;
            if scale < 1e-6 {
                return Err(not_converged());
            }
        }
    }
    Err(not_converged())
}

fn not_converged() -> DetectorError {
    DetectorError::NoFit {
        reason: "the logistic regression did not converge; look for constant or infinite features".to_owned(),
    }
}

/// Loss, gradient and lower triangle of the Hessian.
struct Sums {
    loss: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
}

impl Sums {
    fn of(design: &Design, beta: &[f64], ridge: f64) -> Self {
        let p = design.coefficients();
        let rows = design.features.par_chunks(CHUNK * design.width.max(1));
        let targets = design.target.par_chunks(CHUNK).zip(design.class.par_chunks(CHUNK));
        let parts: Vec<Self> = rows
            .zip(targets)
            .map(|(rows, (target, class))| Self::part(design, beta, rows, target, class))
            .collect();
        let mut sums = Self::zero(p);
        for part in parts {
            sums.loss += part.loss;
            add(&mut sums.gradient, &part.gradient);
            add(&mut sums.hessian, &part.hessian);
        }
        for (i, b) in beta.iter().enumerate().take(p - 1) {
            sums.loss += ridge / 2.0 * b * b;
            sums.gradient[i] += ridge * b;
            sums.hessian[i * p + i] += ridge;
        }
        sums
    }

    fn zero(p: usize) -> Self {
        Self {
            loss: 0.0,
            gradient: vec![0.0; p],
            hessian: vec![0.0; p * p],
        }
    }

    fn part(design: &Design, beta: &[f64], rows: &[f64], target: &[f64], class: &[u32]) -> Self {
        let (p, width) = (design.coefficients(), design.width);
        let mut sums = Self::zero(p);
        let last = p - 1;
        for ((row, &t), &class) in rows.chunks_exact(width).zip(target).zip(class) {
            let indicator = (design.indicators > 0).then_some(class as usize);
            let eta = predictor(beta, row.iter().copied(), indicator);
            let e = logistic(eta);
            // log(1 + exp(eta)) - t eta, without overflow.
            sums.loss += eta.max(0.0) + (-eta.abs()).exp().ln_1p() - t * eta;
            let (g, h) = (e - t, e * (1.0 - e));
            for (i, &x) in row.iter().enumerate() {
                sums.gradient[i] += g * x;
                let hx = h * x;
                for (entry, &other) in sums.hessian[i * p..=i * p + i].iter_mut().zip(row) {
                    *entry += hx * other;
                }
            }
            // One indicator is 1, and so is the intercept: of their rows only the entries that are not 0.
            let indicator = indicator.map(|class| width + class);
            for i in [Some(last), indicator].into_iter().flatten() {
                sums.gradient[i] += g;
                for (entry, &x) in sums.hessian[i * p..].iter_mut().zip(row) {
                    *entry += h * x;
                }
                sums.hessian[i * p + i] += h;
            }
            if let Some(i) = indicator {
                sums.hessian[last * p + i] += h;
            }
        }
        sums
    }
}

fn add(into: &mut [f64], from: &[f64]) {
    for (a, b) in into.iter_mut().zip(from) {
        *a += b;
    }
}

/// Solves the positive definite system whose lower triangle is given, by Cholesky's decomposition; none if it is not.
pub(crate) fn solve(lower: &[f64], right: &[f64], p: usize) -> Option<Vec<f64>> {
    let mut l = lower.to_vec();
    for j in 0..p {
        for i in j..p {
            let mut sum = l[i * p + j];
            for k in 0..j {
                sum -= l[i * p + k] * l[j * p + k];
            }
            if i == j {
                if !(sum > 0.0 && sum.is_finite()) {
                    return None;
                }
                l[j * p + j] = sum.sqrt();
            } else {
                l[i * p + j] = sum / l[j * p + j];
            }
        }
    }
    let mut x = right.to_vec();
    for i in 0..p {
        for k in 0..i {
            x[i] -= l[i * p + k] * x[k];
        }
        x[i] /= l[i * p + i];
    }
    for i in (0..p).rev() {
        for k in i + 1..p {
            x[i] -= l[k * p + i] * x[k];
        }
        x[i] /= l[i * p + i];
    }
    x.iter().all(|x| x.is_finite()).then_some(x)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn cases() -> Vec<(Design, f64, Vec<f64>)> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/detectors/logistic.json");
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let numbers =
            |value: &Value| -> Vec<f64> { value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect() };
        let of = |case: &Value| {
            let design = Design {
                width: case["width"].as_u64().unwrap() as usize,
                indicators: case["indicators"].as_u64().unwrap() as usize,
                features: numbers(&case["features"]),
                class: numbers(&case["class"]).into_iter().map(|class| class as u32).collect(),
                target: numbers(&case["target"]),
            };
            (design, case["ridge"].as_f64().unwrap(), numbers(&case["coefficients"]))
        };
        golden.as_array().unwrap().iter().map(of).collect()
    }

    #[test]
    fn coefficients_are_scikit_learns() {
        let cases = cases();
        assert_eq!(cases.len(), 3);
        for (design, ridge, expected) in cases {
            let start = vec![0.5; design.coefficients()];
            for start in [None, Some(start.as_slice())] {
                let found = fit(&design, ridge, start).unwrap();
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-7, "{found} is not {expected}");
                }
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let n = 3 * CHUNK + 17;
        let values = (0..n).map(|i| ((i * 7919) % 1000) as f64 / 500.0 - 1.0);
        let design = Design {
            width: 1,
            indicators: 0,
            features: values.clone().collect(),
            class: vec![0; n],
            target: values
                .enumerate()
                .map(|(i, x)| f64::from(u8::from(x > 0.3 || i % 5 == 0)))
                .collect(),
        };
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fit(&design, 1.0, None).unwrap())
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn separable_data_have_a_solution_and_infinite_ones_an_error() {
        let mut design = Design {
            width: 1,
            indicators: 0,
            features: vec![-2.0, -1.0, 1.0, 2.0],
            class: vec![0; 4],
            target: vec![0.0, 0.0, 1.0, 1.0],
        };
        assert!(fit(&design, 1.0, None).unwrap()[0] > 0.5);
        design.features[0] = f64::INFINITY;
        assert!(fit(&design, 1.0, None).is_err());
    }
}
