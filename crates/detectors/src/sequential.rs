//! An alarm over an endless stream, with a bound on false alarms however long it runs.

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequentialTest {
    config: SequentialConfig,
    bound: f64,
    n: u64,
    log_e: f64,
    alarm_at: Option<u64>,
    path: Vec<Evidence>,
}

impl SequentialTest {
    /// A test that the values' mean is at most `bound`, 0..1.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option or a bound out of range.
    pub fn new(bound: f64, config: SequentialConfig) -> Result<Self, DetectorError> {
        config.check()?;
        Ok(Self {
            config,
            bound,
            n: 0,
            log_e: f64::NEG_INFINITY,
            alarm_at: None,
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
        Ok(self.alarm())
    }

    /// The e-value: at most 1 on average under the null hypothesis (at most n for the e-detector); infinite beyond 1e308.
    #[must_use]
    pub fn e_value(&self) -> f64 {
        self.log_e.exp()
    }

    /// Natural logarithm of the e-value.
    #[must_use]
    pub fn log_e_value(&self) -> f64 {
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
