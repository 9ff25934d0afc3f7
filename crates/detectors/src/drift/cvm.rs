//! Drift by the two-sample Cramér-von Mises test.

use riptide_stats::ks::Method;
use riptide_stats::{StatsError, cvm};
use serde::{Deserialize, Serialize};

use super::outcome::FeatureScore;
use super::samples::Samples;
use super::univariate::{FeatureTest, UnivariateDrift, UnivariateDriftBuilder};

/// The two-sample Cramér-von Mises test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CvmFeatureTest {}

impl FeatureTest for CvmFeatureTest {
    type Prepared = Vec<f64>;

    const DETECTOR_NAME: &'static str = "CvmDrift";

    fn prepare(&self, reference: &[f64]) -> Result<Self::Prepared, StatsError> {
        // Tested against itself once, so that what the test refuses is refused when the detector is built.
        cvm::two_sample_by(reference, reference, Method::Asymptotic)?;
        Ok(reference.to_vec())
    }

    fn test(&self, reference: &Self::Prepared, batch: &[f64]) -> Result<FeatureScore, StatsError> {
        let test = cvm::two_sample(reference, batch)?;
        Ok(FeatureScore {
            distance: test.statistic,
            p_val: test.p_value,
        })
    }
}

/// Drift by the two-sample Cramér-von Mises test on every feature, which weighs the whole difference between the two
/// distributions where Kolmogorov-Smirnov sees the largest gap only. Two-sided; everything else as [`KsDrift`](super::KsDrift).
///
/// ```
/// use riptide_detectors::CvmDrift;
/// let reference: Vec<f64> = (0..500).map(|i| f64::from(i) / 500.0).collect();
/// let mut detector = CvmDrift::builder(reference).build()?;
/// let same: Vec<f64> = (0..100).map(|i| f64::from(i) / 100.0).collect();
/// assert!(!detector.predict(&same)?.is_drift());
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
pub type CvmDrift = UnivariateDrift<CvmFeatureTest>;

impl CvmDrift {
    /// Starts a detector on `reference`: one score an instance, or [`Samples`] of several features.
    pub fn builder(reference: impl Into<Samples<'static>>) -> UnivariateDriftBuilder<CvmFeatureTest> {
        Self::builder_with(CvmFeatureTest::default(), reference)
    }
}
