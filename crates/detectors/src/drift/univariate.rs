//! The base of both drift tests: one two-sample test for each feature, corrected for their number.

use std::sync::Arc;

use riptide_stats::StatsError;
use riptide_stats::ks::Alternative;

use super::config::{DriftConfig, decide};
use super::outcome::{DriftData, DriftOutcome, FeatureScore, Meta};
use super::samples::Samples;
use super::state::DriftState;
use crate::error::{BoxError, DetectorError};

/// Turns raw rows into the features that are tested, one row for each.
pub type Preprocess = Arc<dyn Fn(&Samples<'_>) -> Result<Samples<'static>, BoxError> + Send + Sync>;

/// A two-sample test of one feature against a reference prepared once.
pub trait FeatureTest: Clone {
    /// The reference, ready for any number of batches.
    type Prepared: Clone + std::fmt::Debug + Send + Sync;

    /// The detector's name in outcomes and saved states.
    const DETECTOR_NAME: &'static str;

    /// Whether the test knows one-sided alternatives; if not, they are refused when the detector is made.
    const HAS_ONE_SIDED: bool;

    /// Prepares one feature's reference values.
    ///
    /// # Errors
    /// [`StatsError`] for empty or NaN input.
    fn prepare(reference: &[f64]) -> Result<Self::Prepared, StatsError>;

    /// Tests one feature of a batch.
    ///
    /// # Errors
    /// [`StatsError`] for empty or NaN input.
    fn test(reference: &Self::Prepared, batch: &[f64], alternative: Alternative) -> Result<FeatureScore, StatsError>;
}

/// A drift test that tests every feature on its own and corrects for their number.
///
/// Use it as [`KsDrift`](super::KsDrift) or [`CvmDrift`](super::CvmDrift).
#[derive(Clone)]
pub struct UnivariateDrift<T: FeatureTest> {
    config: DriftConfig,
    preprocess: Option<Preprocess>,
    reference: Reference<T>,
    n_seen: u64,
}

/// The reference rows and the space they live in: rows of one space never mix with rows of the other.
#[derive(Debug, Clone)]
enum Reference<T: FeatureTest> {
    /// Raw rows, preprocessed at each call.
    Raw(Samples<'static>),
    /// Rows as the test sees them, each column prepared.
    Features(Samples<'static>, Vec<T::Prepared>),
}

impl<T: FeatureTest> UnivariateDrift<T> {
    /// Makes a test against `reference`: one value an instance, or [`Samples`] of several features.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option out of range, [`DetectorError::Empty`] for a reference without rows,
    /// [`DetectorError::Stats`] for one that holds NaN.
    pub fn new(reference: impl Into<Samples<'static>>, config: DriftConfig) -> Result<Self, DetectorError> {
        Self::start(reference.into(), config, None)
    }

    /// As [`new`](Self::new), with a function that turns raw rows into the features that are tested, one row for each.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`DetectorError::Preprocess`] if the function fails on the reference.
    ///
    /// ```
    /// use riptide_detectors::{KsDrift, Samples};
    /// use riptide_detectors::drift::DriftConfig;
    /// // Two measurements an instance, tested by their sum.
    /// let rows = Samples::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2)?;
    /// let drift = KsDrift::with_preprocess(rows, DriftConfig::default(), |rows| {
    ///     let sums = rows.values().chunks(rows.n_features()).map(|row| row.iter().sum());
    ///     Ok(sums.collect::<Vec<f64>>().into())
    /// })?;
    /// assert_eq!(drift.reference().values(), [3.0, 7.0, 11.0]);
    /// # Ok::<(), riptide_detectors::DetectorError>(())
    /// ```
    pub fn with_preprocess<F>(
        reference: impl Into<Samples<'static>>,
        config: DriftConfig,
        preprocess: F,
    ) -> Result<Self, DetectorError>
    where
        F: Fn(&Samples<'_>) -> Result<Samples<'static>, BoxError> + Send + Sync + 'static,
    {
        Self::start(reference.into(), config, Some(Arc::new(preprocess)))
    }

    fn start(
        reference: Samples<'static>,
        config: DriftConfig,
        preprocess: Option<Preprocess>,
    ) -> Result<Self, DetectorError> {
        check::<T>(&reference, &config)?;
        let n_seen = reference.len() as u64;
        let reference = match &preprocess {
            Some(_) if config.reference_is_preprocessed => prepare(reference)?,
            Some(_) if !config.preprocess_at_init => Reference::Raw(reference),
            _ => prepare(preprocess_rows(preprocess.as_ref(), "reference", &reference)?.into_owned())?,
        };
        Ok(Self {
            config,
            preprocess,
            reference,
            n_seen,
        })
    }

    /// Everything that this test is, apart from its preprocessing function: to be saved, and given to
    /// [`from_state`](Self::from_state) later.
    #[must_use]
    pub fn state(&self) -> DriftState {
        DriftState {
            detector: T::DETECTOR_NAME.into(),
            config: self.config.clone(),
            reference: self.reference().clone(),
            reference_is_raw: self.reference_is_raw(),
            has_preprocess: self.preprocess.is_some(),
            n_seen: self.n_seen,
        }
    }

    /// The test whose [`state`](Self::state) was saved; it goes on as if it had never stopped.
    ///
    /// # Errors
    /// [`DetectorError::BadState`] if the state is another test's, has a preprocessing function (use
    /// [`from_state_with_preprocess`](Self::from_state_with_preprocess)) or contradicts itself, and those of [`new`](Self::new).
    pub fn from_state(state: DriftState) -> Result<Self, DetectorError> {
        Self::resume(state, None)
    }

    /// As [`from_state`](Self::from_state), with the preprocessing function. A reference that was saved preprocessed is not
    /// preprocessed again.
    ///
    /// # Errors
    /// As [`from_state`](Self::from_state); [`DetectorError::BadState`] also if the saved test had no such function.
    pub fn from_state_with_preprocess<F>(state: DriftState, preprocess: F) -> Result<Self, DetectorError>
    where
        F: Fn(&Samples<'_>) -> Result<Samples<'static>, BoxError> + Send + Sync + 'static,
    {
        Self::resume(state, Some(Arc::new(preprocess)))
    }

    fn resume(state: DriftState, preprocess: Option<Preprocess>) -> Result<Self, DetectorError> {
        let DriftState {
            detector,
            config,
            reference,
            reference_is_raw,
            has_preprocess,
            n_seen,
        } = state;
        let refuse = |reason: String| Err(DetectorError::BadState { reason });
        if detector != T::DETECTOR_NAME {
            return refuse(format!("is a {detector}, not a {}", T::DETECTOR_NAME));
        }
        match (has_preprocess, &preprocess) {
            (true, None) => {
                return refuse("has a preprocessing function: give it to from_state_with_preprocess".into());
            }
            (false, Some(_)) => return refuse("has no preprocessing function: use from_state".into()),
            _ => {}
        }
        let may_be_raw = has_preprocess && !config.preprocess_at_init && !config.reference_is_preprocessed;
        if reference_is_raw != may_be_raw {
            let found = if reference_is_raw { "raw" } else { "preprocessed" };
            return refuse(format!(
                "says that its reference is {found}, which its options rule out"
            ));
        }
        let n_rows = reference.len();
        if n_seen < n_rows as u64 {
            return refuse(format!(
                "says that it saw {n_seen} instances, fewer than its reference's {n_rows}"
            ));
        }
        check::<T>(&reference, &config)?;
        let reference = if reference_is_raw {
            Reference::Raw(reference)
        } else {
            prepare(reference)?
        };
        Ok(Self {
            config,
            preprocess,
            reference,
            n_seen,
        })
    }

    /// Tests a batch and decides, without touching the reference.
    ///
    /// # Errors
    /// [`DetectorError::Shape`] if the batch has other features than the reference, [`DetectorError::Stats`] if it is empty
    /// or holds NaN, [`DetectorError::Preprocess`].
    pub fn test<'a>(&self, batch: impl Into<Samples<'a>>) -> Result<DriftOutcome, DetectorError> {
        let raw = batch.into();
        let batch = self.features("batch", &raw)?;
        self.outcome(&self.score_features(&batch)?)
    }

    /// Statistic and p-value of each feature, without deciding and without touching the reference.
    ///
    /// # Errors
    /// As [`test`](Self::test).
    pub fn score<'a>(&self, batch: impl Into<Samples<'a>>) -> Result<Vec<FeatureScore>, DetectorError> {
        let raw = batch.into();
        let batch = self.features("batch", &raw)?;
        self.score_features(&batch)
    }

    /// Tests a batch and decides, then updates the reference if [`DriftConfig::reference_update`] says so.
    ///
    /// The update touches only this test, and only after the decision; on an error nothing has changed.
    ///
    /// # Errors
    /// As [`test`](Self::test).
    pub fn predict<'a>(&mut self, batch: impl Into<Samples<'a>>) -> Result<DriftOutcome, DetectorError> {
        let raw = batch.into();
        let features = self.features("batch", &raw)?;
        let outcome = self.outcome(&self.score_features(&features)?)?;
        if let Some(update) = self.config.reference_update {
            self.reference = match &self.reference {
                Reference::Raw(rows) => Reference::Raw(update.apply(rows, &raw, self.n_seen)),
                Reference::Features(rows, _) => prepare(update.apply(rows, &features, self.n_seen))?,
            };
        }
        self.n_seen = self.n_seen.saturating_add(features.len() as u64);
        Ok(outcome)
    }

    /// The options.
    #[must_use]
    pub fn config(&self) -> &DriftConfig {
        &self.config
    }

    /// The present reference: raw rows if it is preprocessed at each call, otherwise rows as the test sees them.
    #[must_use]
    pub fn reference(&self) -> &Samples<'static> {
        match &self.reference {
            Reference::Raw(rows) | Reference::Features(rows, _) => rows,
        }
    }

    /// Whether [`reference`](Self::reference) holds rows that still have to be preprocessed.
    #[must_use]
    pub fn reference_is_raw(&self) -> bool {
        matches!(self.reference, Reference::Raw(_))
    }

    /// Number of instances ever seen: the first reference and every batch given to [`predict`](Self::predict).
    #[must_use]
    pub fn n_seen(&self) -> u64 {
        self.n_seen
    }

    fn features<'b>(&self, what: &'static str, raw: &'b Samples<'_>) -> Result<Samples<'b>, DetectorError> {
        preprocess_rows(self.preprocess.as_ref(), what, raw)
    }

    fn score_features(&self, batch: &Samples<'_>) -> Result<Vec<FeatureScore>, DetectorError> {
        let fresh;
        let prepared = match &self.reference {
            Reference::Features(_, prepared) => prepared,
            Reference::Raw(raw) => {
                fresh = prepare_columns::<T>(&self.features("reference", raw)?)?;
                &fresh
            }
        };
        if batch.n_features() != prepared.len() {
            return Err(DetectorError::shape(
                "features of the batch",
                prepared.len(),
                batch.n_features(),
            ));
        }
        let alternative = self.config.alternative;
        let scores = prepared.iter().enumerate().map(|(feature, reference)| {
            if batch.n_features() == 1 {
                T::test(reference, batch.values(), alternative)
            } else {
                T::test(reference, &batch.column(feature), alternative)
            }
        });
        Ok(scores.collect::<Result<_, _>>()?)
    }

    fn outcome(&self, scores: &[FeatureScore]) -> Result<DriftOutcome, DetectorError> {
        let (is_drift, level) = decide(scores, &self.config)?;
        Ok(DriftOutcome {
            meta: Meta::new(T::DETECTOR_NAME, "drift", self.config.data_type.as_deref()),
            data: DriftData {
                is_drift,
                distance: scores.iter().map(|s| s.distance).collect(),
                p_values: scores.iter().map(|s| s.p_value).collect(),
                level,
            },
        })
    }
}

impl<T: FeatureTest> std::fmt::Debug for UnivariateDrift<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct(T::DETECTOR_NAME)
            .field("config", &self.config)
            .field("reference", &(self.reference().len(), self.reference().n_features()))
            .field("n_seen", &self.n_seen)
            .finish_non_exhaustive()
    }
}

fn preprocess_rows<'b>(
    preprocess: Option<&Preprocess>,
    what: &'static str,
    raw: &'b Samples<'_>,
) -> Result<Samples<'b>, DetectorError> {
    let Some(preprocess) = preprocess else {
        return Ok(raw.view());
    };
    let rows = preprocess(raw).map_err(|source| DetectorError::Preprocess { what, source })?;
    if rows.len() != raw.len() {
        return Err(DetectorError::shape("rows after preprocessing", raw.len(), rows.len()));
    }
    Ok(rows)
}

/// Returns an error for options out of range, for one-sided alternatives that the test lacks and for a reference without rows.
fn check<T: FeatureTest>(reference: &Samples<'_>, config: &DriftConfig) -> Result<(), DetectorError> {
    config.check()?;
    if !T::HAS_ONE_SIDED && config.alternative != Alternative::TwoSided {
        return Err(DetectorError::option(
            "alternative",
            config.alternative,
            "two-sided for this test, which has no one-sided form",
        ));
    }
    if reference.is_empty() {
        return Err(DetectorError::Empty {
            what: "the reference",
            unit: "row",
        });
    }
    Ok(())
}

fn prepare<T: FeatureTest>(rows: Samples<'static>) -> Result<Reference<T>, DetectorError> {
    let prepared = prepare_columns::<T>(&rows)?;
    Ok(Reference::Features(rows, prepared))
}

fn prepare_columns<T: FeatureTest>(rows: &Samples<'_>) -> Result<Vec<T::Prepared>, DetectorError> {
    let columns = (0..rows.n_features()).map(|feature| T::prepare(&rows.column(feature)));
    Ok(columns.collect::<Result<_, _>>()?)
}
