//! Exact p-values of the two-sample test, by counting lattice paths.
//!
//! Under the null hypothesis every order of the pooled samples is equally likely. An order is a path of n steps right
//! and m steps up from (0, 0) to (n, m), and the statistic is at least h / lcm(n, m) when the path reaches a point
//! (i, j) with |i m' - j n'| >= h, where n' = n / gcd(n, m) and m' = m / gcd(n, m) (Hodges 1958).

use super::Alternative;

/// The lattice of two samples' paths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lattice {
    n: u64,
    m: u64,
    gcd: u64,
    lcm: u64,
}

impl Lattice {
    /// The lattice for samples of `n` and `m` values; none if their least common multiple is 2^31 - 1 or more.
    pub(super) fn new(n: usize, m: usize) -> Option<Self> {
        let (n, m) = (n as u64, m as u64);
        let gcd = gcd(n, m);
        let lcm = (n / gcd).checked_mul(m)?;
        (lcm < (1 << 31) - 1).then_some(Self { n, m, gcd, lcm })
    }

    /// The statistic as a multiple of 1 / lcm, from n m times the statistic.
    pub(super) fn height(&self, scaled: i64) -> u64 {
        scaled.unsigned_abs() / self.gcd
    }

    /// The statistic that is `height` / lcm.
    pub(super) fn distance(&self, height: u64) -> f64 {
        height as f64 / self.lcm as f64
    }

    /// The probability of a statistic of `height` / lcm or more.
    pub(super) fn p_value(&self, height: u64, alternative: Alternative) -> f64 {
        let two_sided = alternative == Alternative::TwoSided;
        match (height, self.n == self.m) {
            (0, _) => 1.0,
            (_, true) if two_sided => equal_sizes_two_sided(self.n, height),
            (_, true) => equal_sizes_one_sided(self.n, height),
            _ => self.fraction_outside(height, two_sided),
        }
    }

    /// The fraction of paths that reach a point at least `height` below the diagonal or, if `two_sided`, off it.
    ///
    /// The fraction A(i, j) of the paths to (i, j) that do is 1 at such points, and else
    /// (i A(i-1, j) + j A(i, j-1)) / (i + j), since a random path to (i, j) comes from the left in i of i + j cases.
    /// All terms are positive and at most 1: nothing cancels or overflows. The points with i + j = t are done
    /// together, t = 1 ..= n + m, on one row of min(n, m) + 1 fractions. The one-sided count is the same
    /// below and above the diagonal, by turning the lattice around.
    fn fraction_outside(&self, height: u64, two_sided: bool) -> f64 {
        let (n, m) = (self.n.max(self.m), self.n.min(self.m));
        let (n_step, m_step, height) = ((n / self.gcd) as i64, (m / self.gcd) as i64, height as i64);
        let side = n_step + m_step;
        let ups: Vec<f64> = (0..=m).map(|j| j as f64).collect();
        // row[j] = A(t - j, j). The points strictly inside are lower ..= upper, where both bounds rise with t by 1 at
        // most: above them the rows hold the ones that they start with, and the one just below is written each time.
        let (mut row, mut next) = (vec![1.0_f64; m as usize + 1], vec![1.0_f64; m as usize + 1]);
        row[0] = 0.0;
        for t in 1..=n + m {
            // i m' - j n' < height with i = t - j says j > (t m' - height) / (n' + m').
            let reach = t as i64 * m_step;
            let first_inside = (reach - height).div_euclid(side) + 1;
            let last_inside = if two_sided {
                (reach + height - 1).div_euclid(side)
            } else {
                i64::MAX
            };
            let lower = first_inside.max(t.saturating_sub(n) as i64).max(0) as usize;
            let upper = last_inside.min(m.min(t) as i64);
            let scale = 1.0 / t as f64;
            let t_real = t as f64;
            if upper >= lower as i64 {
                let upper = upper as usize;
                if lower == 0 {
                    next[0] = row[0];
                }
                let start = lower.max(1);
                let cells = next[start..=upper].iter_mut().zip(&ups[start..=upper]);
                let before = row[start..=upper].iter().zip(&row[start - 1..upper]);
                for ((cell, &j), (&left, &down)) in cells.zip(before) {
                    *cell = ((t_real - j) * left + j * down) * scale;
                }
            }
            if lower > 0 {
                next[lower - 1] = 1.0;
            }
            std::mem::swap(&mut row, &mut next);
        }
        row[m as usize]
    }
}

/// P(D >= h / n) for two samples of n: 2 Σ_k≥1 (-1)^(k+1) C(2n, n - k h) / C(2n, n), as nested products
/// 2 a_1 (1 - a_2 (1 - a_3 (…))) with a_k = C(2n, n - k h) / C(2n, n - (k - 1) h).
fn equal_sizes_two_sided(n: u64, height: u64) -> f64 {
    let nested = (0..n / height)
        .rev()
        .fold(0.0, |nested, k| binomial_ratio(n, k * height, height) * (1.0 - nested));
    2.0 * nested
}

/// P(D+ >= h / n) for two samples of n: C(2n, n - h) / C(2n, n).
fn equal_sizes_one_sided(n: u64, height: u64) -> f64 {
    binomial_ratio(n, 0, height)
}

/// C(2n, n - from - by) / C(2n, n - from).
fn binomial_ratio(n: u64, from: u64, by: u64) -> f64 {
    (from..from + by).fold(1.0, |ratio, j| ratio * (n - j) as f64 / (n + j + 1) as f64)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
