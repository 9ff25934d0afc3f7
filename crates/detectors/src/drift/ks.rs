//! Drift by the two-sample Kolmogorov-Smirnov test.

use riptide_stats::StatsError;
use riptide_stats::ks::{Alternative, Method, Reference};
use serde::{Deserialize, Serialize};

use super::outcome::FeatureScore;
use super::samples::Samples;
use super::univariate::{FeatureTest, UnivariateDrift, UnivariateDriftBuilder};

/// The Kolmogorov-Smirnov test with the asymptotic method, reference first, batch second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KsFeatureTest {
    /// What counts as drift. `greater` is the harmful direction: the batch's values are larger.
    pub alternative: Alternative,
}

impl FeatureTest for KsFeatureTest {
    type Prepared = Reference;

    const DETECTOR_NAME: &'static str = "KsDrift";

    fn prepare(&self, reference: &[f64]) -> Result<Self::Prepared, StatsError> {
        Reference::new(reference)
    }

    fn test(&self, reference: &Self::Prepared, batch: &[f64]) -> Result<FeatureScore, StatsError> {
        let test = reference.test(batch, self.alternative, Method::Asymptotic)?;
        Ok(FeatureScore {
            distance: test.statistic,
            p_val: test.p_value,
        })
    }
}

/// Drift by the two-sample Kolmogorov-Smirnov test on every feature: decisions and thresholds as alibi-detect's
/// `KSDrift`.
///
/// Two faults of the original are put right here. Its reference update can append raw rows to preprocessed ones; here the
/// reference is either raw or preprocessed and batches join it in the same form. Its count of instances seen, on which
/// reservoir sampling rests, starts anew after saving and loading; here it is saved.
///
/// ```
/// use riptide_detectors::KsDrift;
/// use riptide_stats::ks::Alternative;
/// let reference: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
/// let mut detector = KsDrift::builder(reference).p_val(0.05).alternative(Alternative::Greater).build()?;
/// let harder: Vec<f64> = (0..100).map(|i| 0.3 + f64::from(i) / 100.0).collect();
/// let outcome = detector.predict(&harder)?;
/// assert!(outcome.is_drift());
/// assert!((outcome.distance() - 0.3).abs() < 0.02);
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
pub type KsDrift = UnivariateDrift<KsFeatureTest>;

impl KsDrift {
    /// Starts a detector on `reference`: one score an instance, or [`Samples`] of several features.
    pub fn builder(reference: impl Into<Samples<'static>>) -> UnivariateDriftBuilder<KsFeatureTest> {
        Self::builder_with(
            KsFeatureTest {
                alternative: Alternative::TwoSided,
            },
            reference,
        )
    }

    /// The alternative tested.
    #[must_use]
    pub fn alternative(&self) -> Alternative {
        self.feature_test().alternative
    }
}

impl UnivariateDriftBuilder<KsFeatureTest> {
    /// What counts as drift; two-sided by default.
    pub fn alternative(mut self, alternative: Alternative) -> Self {
        self.test.alternative = alternative;
        self
    }
}
