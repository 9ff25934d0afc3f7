//! Comparing two proportions.

use crate::StatsError;

/// Fisher's exact test (1922), one-sided: is something more frequent in a batch than in a reference?
///
/// `batch` and `reference` are (how many have it, how many there are). With K = x + x_ref of the N = n + n_ref together having
/// it, the p-value is the probability that at least x of them fall into the batch when every choice of n out of N is
/// equally likely: P(X ≥ x), X hypergeometric (N, K, n).
///
/// # Errors
/// [`StatsError::TooFew`] for an empty batch or reference, [`StatsError::OutOfRange`] if more have it than there are,
/// [`StatsError::TooLarge`] for 2^53 or more together.
///
/// ```
/// // The lady tasting tea: all 4 of the cups she named had milk first, none of the other 4.
/// let p = riptide_stats::proportions::fisher_greater((4, 4), (0, 4))?;
/// assert!((p - 1.0 / 70.0).abs() < 1e-15);
/// # Ok::<(), riptide_stats::StatsError>(())
/// ```
pub fn fisher_greater(batch: (usize, usize), reference: (usize, usize)) -> Result<f64, StatsError> {
    let ((x, n), (x_ref, n_ref)) = (batch, reference);
    for (what, (has, all)) in [("the batch", batch), ("the reference", reference)] {
        if all == 0 {
            let (needed, found) = (1, 0);
            return Err(StatsError::TooFew { what, needed, found });
        }
        if has > all {
            return Err(StatsError::OutOfRange {
                what: format!("the count in {what}"),
                value: has as f64,
                range: "[0, size]",
            });
        }
    }
    if n.checked_add(n_ref).is_none_or(|total| total >= 1 << 53) {
        return Err(StatsError::TooLarge {
            n_reference: n_ref,
            n_batch: n,
        });
    }
    let (low, high) = ((x + x_ref).saturating_sub(n_ref), (x + x_ref).min(n));
    // t(k + 1) / t(k), where t is the probability of k up to a factor.
    let (k_all, n, rest) = ((x + x_ref) as f64, n as f64, n_ref as f64 - (x + x_ref) as f64);
    let ratio = |k: usize| {
        let k = k as f64;
        (k_all - k) * (n - k) / ((k + 1.0) * (rest + k + 1.0))
    };
    // Outwards from the most probable k, whose term is 1, so that nothing overflows.
    let mode = ((n + 1.0) * (k_all + 1.0) / (n + n_ref as f64 + 2.0)) as usize;
    let mode = mode.clamp(low, high);
    let (mut tail, mut other) = (0.0, 0.0);
    let mut add = |k: usize, term: f64| if k >= x { tail += term } else { other += term };
    add(mode, 1.0);
    let mut term = 1.0;
    for k in mode..high {
        term *= ratio(k);
        if term == 0.0 {
            break;
        }
        add(k + 1, term);
    }
    term = 1.0;
    for k in (low..mode).rev() {
        term /= ratio(k);
        if term == 0.0 {
            break;
        }
        add(k, term);
    }
    Ok(if x == low { 1.0 } else { tail / (tail + other) })
}

/// McNemar's test (1947), exact and one-sided: is the first of two classifiers right more often than the second on the same
/// images?
///
/// `first` is the number of images that only the first got right, `second` of those that only the second got right; images on
/// which they do not differ say nothing. If neither is better, each of the n = `first` + `second` is as likely the one as the
/// other, and the p-value is P(X ≥ `first`), X binomial (n, 1/2); 1 if n is 0.
///
/// ```
/// use riptide_stats::proportions::mcnemar_greater;
/// assert_eq!(mcnemar_greater(5, 0), 1.0 / 32.0);
/// assert_eq!(mcnemar_greater(0, 0), 1.0);
/// ```
#[must_use]
pub fn mcnemar_greater(first: usize, second: usize) -> f64 {
    let n = first.saturating_add(second);
    let (mut tail, mut other) = (0.0, 0.0);
    let mut add = |k: usize, term: f64| if k >= first { tail += term } else { other += term };
    // Outwards from the most probable k, whose term is 1: C(n, k) / C(n, n / 2) neither overflows nor loses the ratio.
    let mode = n / 2;
    add(mode, 1.0);
    let mut term = 1.0;
    for k in mode..n {
        term *= (n - k) as f64 / (k + 1) as f64;
        if term == 0.0 {
            break;
        }
        add(k + 1, term);
    }
    term = 1.0;
    for k in (1..=mode).rev() {
        term *= k as f64 / (n - k + 1) as f64;
        if term == 0.0 {
            break;
        }
        add(k - 1, term);
    }
    tail / (tail + other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MCNEMAR: [(usize, usize, f64); 7] = [
        (1, 0, 0.5),
        (10, 0, 0.0009765625),
        (7, 3, 0.171875),
        (3, 7, 0.9453125),
        (40, 20, 0.00674464686559593),
        (500, 430, 0.011804419646273582),
        (120, 119, 0.5000000000000003),
    ];

    /// `scipy.stats.binomtest(first, first + second, 0.5, "greater").pvalue`, scipy 1.17.
    #[test]
    fn mcnemar_gives_scipys_numbers() {
        for (first, second, p) in MCNEMAR {
            approx::assert_relative_eq!(mcnemar_greater(first, second), p, max_relative = 1e-12);
        }
        assert!(mcnemar_greater(0, 3000) == 1.0 && mcnemar_greater(3000, 0) == 0.0);
    }

    /// Exact values by counting choices: C(K, k) C(N - K, n - k) / C(N, n).
    #[test]
    fn p_values_are_sums_of_binomials() {
        let choose = |n: u64, k: u64| (0..k).fold(1u64, |c, i| c * (n - i) / (i + 1));
        for (n, n_ref) in [(1u64, 1u64), (3, 5), (6, 4), (10, 12)] {
            for k_all in 0..=n + n_ref {
                for x in k_all.saturating_sub(n_ref)..=k_all.min(n) {
                    let ways = |k: u64| choose(k_all, k) * choose(n + n_ref - k_all, n - k);
                    let expected: u64 = (x..=k_all.min(n)).map(ways).sum();
                    let expected = expected as f64 / choose(n + n_ref, n) as f64;
                    let batch = (x as usize, n as usize);
                    let p = fisher_greater(batch, ((k_all - x) as usize, n_ref as usize)).unwrap();
                    approx::assert_relative_eq!(p, expected, max_relative = 1e-13);
                }
            }
        }
    }

    #[test]
    fn large_counts_neither_overflow_nor_vanish() {
        // The same shares a hundredfold larger are far more significant, and the p-value is still a positive number.
        let few = fisher_greater((30, 1000), (10, 1000)).unwrap();
        let many = fisher_greater((3000, 100_000), (1000, 100_000)).unwrap();
        assert!(0.0 < many && many < 1e-200 && 1e-4 < few && few < 1e-2, "{few} {many}");
        assert!(fisher_greater((500, 1_000_000), (500, 1_000_000)).unwrap() > 0.5);
        assert_eq!(fisher_greater((0, 10), (7, 10)).unwrap(), 1.0);
    }

    #[test]
    fn impossible_counts_are_refused() {
        for (batch, reference) in [((0, 0), (1, 2)), ((1, 2), (0, 0)), ((3, 2), (1, 2)), ((1, 2), (3, 2))] {
            assert!(fisher_greater(batch, reference).is_err(), "{batch:?} {reference:?}");
        }
        assert!(fisher_greater((1, usize::MAX), (1, usize::MAX)).is_err());
    }
}
