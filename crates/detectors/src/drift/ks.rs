//! Drift by the two-sample Kolmogorov-Smirnov test.

use riptide_stats::StatsError;
use riptide_stats::ks::{Alternative, Method, Reference};

use super::outcome::FeatureScore;
use super::univariate::{FeatureTest, UnivariateDrift};

/// The Kolmogorov-Smirnov test with the asymptotic method, reference first, batch second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KolmogorovSmirnov {}

impl FeatureTest for KolmogorovSmirnov {
    type Prepared = Reference;

    const DETECTOR_NAME: &'static str = "KsDrift";
    const HAS_ONE_SIDED: bool = true;

    fn prepare(reference: &[f64]) -> Result<Self::Prepared, StatsError> {
        Reference::new(reference)
    }

    fn test(reference: &Self::Prepared, batch: &[f64], alternative: Alternative) -> Result<FeatureScore, StatsError> {
        let test = reference.test(batch, alternative, Method::Asymptotic)?;
        Ok(FeatureScore {
            distance: test.statistic,
            p_value: test.p_value,
        })
    }
}

/// Drift by the two-sample Kolmogorov-Smirnov test on every feature: decisions and levels as alibi-detect's `KSDrift`.
///
/// Two faults of the original are put right here. Its reference update can append raw rows to preprocessed ones; here the
/// reference is either raw or preprocessed, and batches join it in the same form. Its count of instances seen, on which
/// reservoir sampling rests, starts anew after saving and loading; here it is part of the [state](UnivariateDrift::state).
///
/// ```
/// use riptide_detectors::KsDrift;
/// use riptide_detectors::drift::DriftConfig;
/// use riptide_stats::ks::Alternative;
/// let reference: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
/// let mut drift = KsDrift::new(reference, DriftConfig::default().alternative(Alternative::Greater))?;
/// let harder: Vec<f64> = (0..100).map(|i| 0.3 + f64::from(i) / 100.0).collect();
/// let outcome = drift.predict(&harder)?;
/// assert!(outcome.is_drift());
/// assert!((outcome.distance() - 0.3).abs() < 0.02);
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
pub type KsDrift = UnivariateDrift<KolmogorovSmirnov>;
