//! The saved form of a drift test.

use serde::{Deserialize, Serialize};

use super::config::DriftConfig;
use super::samples::Samples;

/// Everything that a running drift test is, apart from its preprocessing function: what
/// [`UnivariateDrift::state`](super::UnivariateDrift::state) gives and
/// [`UnivariateDrift::from_state`](super::UnivariateDrift::from_state) takes, in any format that serde writes.
///
/// A reference holds any numbers, infinities included. JSON has no infinities, so a state that holds them needs another
/// format; and serde_json reads every f64 back bit for bit only with its feature `float_roundtrip`.
///
/// ```
/// use riptide_detectors::KsDrift;
/// use riptide_detectors::drift::{DriftConfig, DriftState};
/// let mut running = KsDrift::new(vec![0.1, 0.2, 0.3, 0.4], DriftConfig::default())?;
/// running.predict(&[0.2, 0.3])?;
/// let json = serde_json::to_string(&running.state())?;
/// let loaded = KsDrift::from_state(serde_json::from_str::<DriftState>(&json)?)?;
/// assert_eq!((loaded.n_seen(), loaded.state()), (6, running.state()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftState {
    /// The name of the test, `KsDrift` or `CvmDrift`.
    pub detector: String,
    /// The options.
    pub config: DriftConfig,
    /// The present reference.
    pub reference: Samples<'static>,
    /// Whether the reference's rows are raw, to be preprocessed at each call.
    pub reference_is_raw: bool,
    /// Whether the test preprocesses batches, with a function that the loader has to be given again.
    pub has_preprocess: bool,
    /// How many instances were ever seen, the first reference included: at least the reference's rows.
    pub n_seen: u64,
}
