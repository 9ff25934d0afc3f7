//! What a user reads after a drift test.

use riptide_stats::multiple_testing::Level;
use serde::{Deserialize, Serialize};

/// Which detector spoke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The detector's name, as `KsDrift`.
    pub name: String,
    /// The kind of question it answers: `drift` or `adversarial`.
    pub detector_type: String,
    /// The kind of data it was made for, if the user said so, as `image` or `tabular`.
    pub data_type: Option<String>,
    /// Whether it tests one instance at a time; false for every detector here.
    pub online: bool,
    /// Version of this crate.
    pub version: String,
}

impl Meta {
    pub(crate) fn new(name: &str, detector_type: &str, data_type: Option<&str>) -> Self {
        Self {
            name: name.into(),
            detector_type: detector_type.into(),
            data_type: data_type.map(Into::into),
            online: false,
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// The decision: one for the batch, or one a feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Decision {
    /// One decision for the whole batch.
    Batch(bool),
    /// One decision a feature.
    Feature(Vec<bool>),
}

impl Decision {
    /// Whether anything drifted.
    #[must_use]
    pub fn any(&self) -> bool {
        match self {
            Self::Batch(drift) => *drift,
            Self::Feature(drifts) => drifts.contains(&true),
        }
    }
}

/// The test's findings.
///
/// Its JSON has alibi-detect's keys, so that readers of alibi-detect's outcomes can read it: `is_drift`, `distance`, `p_val`
/// and `threshold`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftData {
    /// The decision.
    pub is_drift: Decision,
    /// The test statistic of each feature.
    pub distance: Vec<f64>,
    /// The p-value of each feature, uncorrected, 0..=1; `p_val` in JSON.
    #[serde(rename = "p_val")]
    pub p_values: Vec<f64>,
    /// What the p-values were compared with; `threshold` in JSON. The level itself for decisions on features; level / n_features
    /// under Bonferroni; under the false discovery rate the largest bound that a sorted p-value passed, or the bound of every rank if
    /// none did.
    #[serde(rename = "threshold")]
    pub level: Level,
}

/// What a drift test found out about a batch.
///
/// As JSON, with alibi-detect's keys:
/// `{"meta": {"name": …}, "data": {"is_drift": …, "distance": […], "p_val": […], "threshold": …}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftOutcome {
    /// Which detector spoke.
    pub meta: Meta,
    /// What it found.
    pub data: DriftData,
}

impl DriftOutcome {
    /// Whether the batch, or any feature of it, drifted.
    #[must_use]
    pub fn is_drift(&self) -> bool {
        self.data.is_drift.any()
    }

    /// The smallest p-value: the p-value itself for a single feature.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        self.data.p_values.iter().copied().fold(1.0, f64::min)
    }

    /// The largest distance: the distance itself for a single feature.
    #[must_use]
    pub fn distance(&self) -> f64 {
        self.data.distance.iter().copied().fold(0.0, f64::max)
    }
}

/// Statistic and p-value of one feature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FeatureScore {
    /// The test statistic.
    pub distance: f64,
    /// The p-value, uncorrected, 0..=1.
    pub p_value: f64,
}
