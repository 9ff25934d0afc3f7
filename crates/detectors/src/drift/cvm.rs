//! Drift by the two-sample Cramér-von Mises test.

use riptide_stats::ks::{Alternative, Method};
use riptide_stats::{StatsError, cvm};

use super::outcome::FeatureScore;
use super::univariate::{FeatureTest, UnivariateDrift};

/// The two-sample Cramér-von Mises test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CramerVonMises {}

impl FeatureTest for CramerVonMises {
    type Prepared = Vec<f64>;

    const DETECTOR_NAME: &'static str = "CvmDrift";
    const HAS_ONE_SIDED: bool = false;

    fn prepare(reference: &[f64]) -> Result<Self::Prepared, StatsError> {
        // Tested against itself once, so that what the test refuses is refused when the detector is made.
        cvm::two_sample_by(reference, reference, Method::Asymptotic)?;
        Ok(reference.to_vec())
    }

    fn test(reference: &Self::Prepared, batch: &[f64], _: Alternative) -> Result<FeatureScore, StatsError> {
        let test = cvm::two_sample(reference, batch)?;
        Ok(FeatureScore {
            distance: test.statistic,
            p_value: test.p_value,
        })
    }
}

/// Drift by the two-sample Cramér-von Mises test on every feature, which weighs the whole difference between the two
/// distributions, while Kolmogorov-Smirnov sees only the largest gap. Two-sided only; everything else as
/// [`KsDrift`](super::KsDrift).
///
/// ```
/// use riptide_detectors::CvmDrift;
/// use riptide_detectors::drift::DriftConfig;
/// let reference: Vec<f64> = (0..500).map(|i| f64::from(i) / 500.0).collect();
/// let mut drift = CvmDrift::new(reference, DriftConfig::default())?;
/// let same: Vec<f64> = (0..100).map(|i| f64::from(i) / 100.0).collect();
/// assert!(!drift.predict(&same)?.is_drift());
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
pub type CvmDrift = UnivariateDrift<CramerVonMises>;
