//! The two-sided distribution by a Markov chain, for few states.

use super::stirling_ratio;

/// P(D_n < d) = n! / n^n (H^n)_kk with k = ⌈n d⌉ and Durbin's matrix H of size m = 2 k - 1 (Marsaglia, Tsang and Wang
/// 2003).
///
/// H is the transition matrix of a Poisson process with unit steps of time between the two boundaries, e times: all
/// entries are positive, so that relative errors stay small. It is symmetric about its other diagonal, so that n / 2
/// steps of the row of k give the row and, reversed, the column.
pub(super) fn two_sided_cdf(n: u64, d: f64) -> f64 {
    let a = n as f64 * d;
    let k = a.ceil() as usize;
    let matrix = Matrix::new(k, k as f64 - a);
    let mut row = vec![0.0; matrix.size];
    row[k - 1] = 1.0;
    for _ in 0..n / 2 {
        row = matrix.step(&row);
    }
    let longer = if n % 2 == 1 { matrix.step(&row) } else { row.clone() };
    let power: f64 = row
        .iter()
        .zip(longer.iter().rev())
        .map(|(left, right)| left * right)
        .sum();
    stirling_ratio(n) * power
}

/// H / e, by columns.
struct Matrix {
    size: usize,
    columns: Vec<f64>,
}

impl Matrix {
    fn new(k: usize, h: f64) -> Self {
        let size = 2 * k - 1;
        let mut weights = vec![(-1.0_f64).exp()];
        for i in 1..=size {
            weights.push(weights[i - 1] / i as f64);
        }
        let mut columns = vec![0.0; size * size];
        // (row, column) counted from 0: 1 / (row - column + 1)!, less what the fraction h cuts off the edges.
        for column in 0..size {
            for row in column.saturating_sub(1)..size {
                let jumps = row + 1 - column;
                let mut share = 1.0;
                if column == 0 {
                    share -= h.powi(jumps as i32);
                }
                if row == size - 1 {
                    share -= h.powi(jumps as i32);
                }
                if column == 0 && row == size - 1 {
                    share += (2.0 * h - 1.0).max(0.0).powi(jumps as i32);
                }
                columns[column * size + row] = share * weights[jumps];
            }
        }
        Self { size, columns }
    }

    /// `row` times the matrix.
    fn step(&self, row: &[f64]) -> Vec<f64> {
        let column = |(index, column): (usize, &[f64])| {
            let start = index.saturating_sub(1);
            row[start..]
                .iter()
                .zip(&column[start..])
                .map(|(value, weight)| value * weight)
                .sum()
        };
        self.columns.chunks_exact(self.size).enumerate().map(column).collect()
    }
}
