//! Corrections for testing several hypotheses at once.
//!
//! Both decide as alibi-detect's univariate drift detectors do, with strict inequalities, and report the level that
//! decided.

use serde::{Deserialize, Serialize};

use crate::error::{StatsError, check_probability};

/// What a correction decided over all p-values together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether at least one hypothesis is rejected.
    pub is_rejected: bool,
    /// The level below which a p-value rejects, after the correction.
    pub level: Level,
}

/// The significance level, or levels, that p-values were compared with, after a correction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Level {
    /// One level for every p-value.
    Single(f64),
    /// The level of the i-th smallest p-value, for every i.
    PerRank(Vec<f64>),
}

/// Bonferroni's correction: rejects when any of the n p-values is below `level` / n.
///
/// Keeps the chance of any false rejection at `level` at most, however the tests depend on one another.
///
/// # Errors
/// [`StatsError::TooFew`] for no p-values, [`StatsError::OutOfRange`] for a p-value or level outside of [0, 1].
///
/// ```
/// use riptide_stats::multiple_testing::{Level, bonferroni};
///
/// let decision = bonferroni(&[0.2, 0.01], 0.05)?;
/// assert!(decision.is_rejected);
/// assert_eq!(decision.level, Level::Single(0.025));
/// # Ok::<(), riptide_stats::StatsError>(())
/// ```
pub fn bonferroni(p_values: &[f64], level: f64) -> Result<Decision, StatsError> {
    check("level", p_values, level)?;
    let bound = level / p_values.len() as f64;
    let is_rejected = p_values.iter().any(|&p| p < bound);
    Ok(Decision {
        is_rejected,
        level: Level::Single(bound),
    })
}

/// Benjamini and Hochberg's procedure (1995): with the n p-values in ascending order, rejects when p_i < q i / n for
/// any i in 1..=n.
///
/// Keeps the expected fraction of false ones among the rejections at `q` at most, for independent tests. The level
/// reported is the largest bound q i / n that its p-value passes; if none passes, all bounds, by rank.
///
/// # Errors
/// [`StatsError::TooFew`] for no p-values, [`StatsError::OutOfRange`] for a p-value or `q` outside of [0, 1].
///
/// ```
/// use riptide_stats::multiple_testing::{Level, benjamini_hochberg};
///
/// let decision = benjamini_hochberg(&[0.9, 0.01, 0.03, 0.8], 0.08)?;
/// assert!(decision.is_rejected);
/// assert_eq!(decision.level, Level::Single(0.04));
/// assert_eq!(benjamini_hochberg(&[0.9, 0.6], 0.5)?.level, Level::PerRank(vec![0.25, 0.5]));
/// # Ok::<(), riptide_stats::StatsError>(())
/// ```
pub fn benjamini_hochberg(p_values: &[f64], q: f64) -> Result<Decision, StatsError> {
    check("q", p_values, q)?;
    let mut sorted = p_values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let bounds: Vec<f64> = (1..=sorted.len()).map(|rank| q * rank as f64 / n).collect();
    let largest = sorted
        .iter()
        .zip(&bounds)
        .rev()
        .find(|(p, bound)| p < bound)
        .map(|(_, &bound)| bound);
    Ok(match largest {
        Some(bound) => Decision {
            is_rejected: true,
            level: Level::Single(bound),
        },
        None => Decision {
            is_rejected: false,
            level: Level::PerRank(bounds),
        },
    })
}

fn check(what: &str, p_values: &[f64], level: f64) -> Result<(), StatsError> {
    if p_values.is_empty() {
        return Err(StatsError::TooFew {
            what: "p-values",
            needed: 1,
            found: 0,
        });
    }
    check_probability(what, level)?;
    p_values
        .iter()
        .enumerate()
        .try_for_each(|(index, &p)| check_probability(format!("p-value {index}"), p))
}
