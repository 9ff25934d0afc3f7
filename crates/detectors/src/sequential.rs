//! An alarm over an endless stream, with a bound on false alarms however long it runs.
//!
//! Testing batch after batch at a level of 0.05 alarms falsely every twentieth time. [`SequentialTest`] keeps evidence instead: the
//! wealth of a gambler ([`riptide_stats::betting`]) who bets that values exceed a bound. With f_t the factor of value t,
//!
//! ```text
//! e-process   K_t = K_(t-1) f_t,        K_0 = 1:  P(ever K_t >= 1 / level) <= level
//! e-detector  M_t = max(1, M_(t-1)) f_t,  M_0 = 0:  mean number of values to a false alarm >= 1 / level
//! ```
//!
//! (Waudby-Smith and Ramdas 2024; Shin, Ramdas and Rinaldo 2023, whose CUSUM form this is: their Shiryaev-Roberts form,
//! (1 + M_(t-1)) f_t, grows by 1 with every value while the gambler does not bet, and alarms on nothing). All that is assumed is that the expectation of a value, given
//! those before it, is at most the bound. Values may depend on each other otherwise; if images inside a batch do, give
//! the batch's mean as one value.

use riptide_stats::betting::Gambler;
use serde::{Deserialize, Serialize};

use crate::drift::check_level;
use crate::error::DetectorError;

/// What the bound on false alarms is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SequentialKind {
    /// The chance of **ever** a false alarm is at most the level.
    #[default]
    EProcess,
    /// For service without end: a false alarm comes after 1 / level values or more on average, and a drop that begins late is
    /// found as fast as one that begins at once.
    EDetector,
}

/// The options of a [`SequentialTest`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SequentialConfig {
    /// Alarm at an e-value of 1 / level; strictly between 0 and 1, 0.01 by default.
    pub level: f64,
    /// What the level bounds.
    pub kind: SequentialKind,
    /// The most points of the evidence's path that are kept, at least 2; 512 by default. A longer path is thinned evenly.
    pub path: usize,
}

impl Default for SequentialConfig {
    fn default() -> Self {
        Self {
            level: 0.01,
            kind: SequentialKind::EProcess,
            path: 512,
        }
    }
}

impl SequentialConfig {
    /// Sets the level.
    #[must_use]
    pub fn level(self, level: f64) -> Self {
        Self { level, ..self }
    }

    /// Sets what the level bounds.
    #[must_use]
    pub fn kind(self, kind: SequentialKind) -> Self {
        Self { kind, ..self }
    }

    /// Sets the most points of the path.
    #[must_use]
    pub fn path(self, path: usize) -> Self {
        Self { path, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), DetectorError> {
        check_level(self.level)?;
        if self.path < 2 {
            return Err(DetectorError::option("path", self.path, "at least 2"));
        }
        Ok(())
    }
}

/// A point of the evidence's path.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// After how many values.
    pub n: u64,
    /// Natural logarithm of the e-value.
    pub log_e: f64,
}

/// A sequential test that the mean of values in 0..=1 is at most a bound; its whole state, to be saved by serde and continued
/// bit for bit.
///
/// ```
/// use riptide_detectors::sequential::{SequentialConfig, SequentialTest};
/// let mut test = SequentialTest::new(0.2, SequentialConfig::default())?;
/// for _ in 0..1000 {
///     assert!(!test.update(0.15)?, "within the bound");
/// }
/// let saved = serde_json::to_string(&test)?;
/// let mut test: SequentialTest = serde_json::from_str(&saved)?;
/// while !test.update(0.6)? {}
/// assert!(test.e_value() >= 100.0 && test.alarm_at().is_some_and(|n| n < 1200));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequentialTest {
    config: SequentialConfig,
    bound: f64,
    n: u64,
    gambler: Gambler,
    /// Logarithm of the e-value after at least one value; 0 before.
    log_e: f64,
    alarm_at: Option<u64>,
    /// Every so manieth value is a point of the path.
    stride: u64,
    path: Vec<Evidence>,
}

impl SequentialTest {
    /// A test that the values' mean is at most `bound`, between 0 and 1.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option or a bound out of range.
    pub fn new(bound: f64, config: SequentialConfig) -> Result<Self, DetectorError> {
        config.check()?;
        if !(bound > 0.0 && bound < 1.0) {
            return Err(DetectorError::option("bound", bound, "between 0 and 1, both excluded"));
        }
        Ok(Self {
            config,
            bound,
            n: 0,
            gambler: Gambler::default(),
            log_e: 0.0,
            alarm_at: None,
            stride: 1,
            path: Vec::new(),
        })
    }

    /// Takes the next value: the error probability of an image, or a batch's mean. Returns whether the test alarms, now or
    /// before.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for a value outside 0..=1; the state is then as it was.
    pub fn update(&mut self, value: f64) -> Result<bool, DetectorError> {
        if !(0.0..=1.0).contains(&value) {
            return Err(DetectorError::option("the value", value, "between 0 and 1"));
        }
        let before = match self.config.kind {
            SequentialKind::EProcess => self.log_e,
            SequentialKind::EDetector => self.log_e.max(0.0),
        };
        if self.config.kind == SequentialKind::EDetector && before <= 0.0 {
            // Evidence begins anew, and so does what the gambler knows: values of long ago say nothing about a drop to come.
            self.gambler = Gambler::default();
        }
        self.log_e = before + self.gambler.bet(value, self.bound).ln();
        self.n += 1;
        let n = self.n;
        if self.alarm_at.is_none() && self.log_e >= -self.config.level.ln() {
            self.alarm_at = Some(n);
        }
        if n.is_multiple_of(self.stride) {
            self.path.push(Evidence { n, log_e: self.log_e });
            if self.path.len() > self.config.path {
                self.stride *= 2;
                let stride = self.stride;
                self.path.retain(|point| point.n.is_multiple_of(stride));
            }
        }
        Ok(self.alarm())
    }

    /// The e-value: at most 1 on average under the null hypothesis (at most n for the e-detector); infinite beyond 1e308. Without
    /// values it is 1 (0 for the e-detector).
    #[must_use]
    pub fn e_value(&self) -> f64 {
        self.log_e_value().exp()
    }

    /// Natural logarithm of the e-value.
    #[must_use]
    pub fn log_e_value(&self) -> f64 {
        if self.is_empty() && self.config.kind == SequentialKind::EDetector {
            return f64::NEG_INFINITY;
        }
        self.log_e
    }

    /// Whether it has alarmed, now or before.
    #[must_use]
    pub fn alarm(&self) -> bool {
        self.alarm_at.is_some()
    }

    /// After how many values it alarmed first.
    #[must_use]
    pub fn alarm_at(&self) -> Option<u64> {
        self.alarm_at
    }

    /// Number of values taken.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Whether no value was taken yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The bound that the mean is tested against.
    #[must_use]
    pub fn bound(&self) -> f64 {
        self.bound
    }

    /// The evidence over time, thinned to at most [`SequentialConfig::path`] points; for plots.
    #[must_use]
    pub fn path(&self) -> &[Evidence] {
        &self.path
    }

    /// The options.
    #[must_use]
    pub fn config(&self) -> &SequentialConfig {
        &self.config
    }
}
