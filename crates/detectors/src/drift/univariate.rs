//! The base of every drift detector: one two-sample test a feature, corrected.

use std::sync::Arc;

use riptide_stats::StatsError;

use super::config::{Correction, DriftConfig, DriftType, decide};
use super::outcome::{DriftData, DriftOutcome, FeatureScore, Meta};
use super::samples::Samples;
use super::update::ReferenceUpdate;
use crate::error::{BoxError, DetectorError};

/// Turns raw rows into the features that are tested, one row for each.
pub type Preprocess = Arc<dyn Fn(&Samples<'_>) -> Result<Samples<'static>, BoxError> + Send + Sync>;

/// A two-sample test of one feature against a reference prepared once.
pub trait FeatureTest: Clone + std::fmt::Debug + Send + Sync {
    /// The reference, ready for any number of batches.
    type Prepared: Clone + std::fmt::Debug + Send + Sync;

    /// The detector's name in outcomes and files.
    const DETECTOR_NAME: &'static str;

    /// Prepares one feature's reference values.
    ///
    /// # Errors
    /// [`StatsError`] for empty or NaN input.
    fn prepare(&self, reference: &[f64]) -> Result<Self::Prepared, StatsError>;

    /// Tests one feature of a batch.
    ///
    /// # Errors
    /// [`StatsError`] for empty or NaN input.
    fn test(&self, reference: &Self::Prepared, batch: &[f64]) -> Result<FeatureScore, StatsError>;
}

/// A drift detector that tests every feature on its own and corrects for their number.
///
/// Use it as [`KsDrift`](super::KsDrift) or [`CvmDrift`](super::CvmDrift).
#[derive(Clone)]
pub struct UnivariateDrift<T: FeatureTest> {
    test: T,
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
    pub(crate) fn builder_with(test: T, reference: impl Into<Samples<'static>>) -> UnivariateDriftBuilder<T> {
        let reference = reference.into();
        UnivariateDriftBuilder {
            test,
            config: DriftConfig::default(),
            preprocess: None,
            n_seen: None,
            reference,
            reference_is_raw: None,
        }
    }

    /// Tests a batch and decides, without touching the reference.
    ///
    /// # Errors
    /// [`DetectorError::Shape`] where the batch has other features than the reference, [`DetectorError::Stats`] where
    /// it is empty or holds NaN, [`DetectorError::Preprocess`].
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

    /// Tests a batch and decides, then updates the reference where `update_x_ref` says so.
    ///
    /// The update touches this detector only, and only after the decision; on an error nothing has changed.
    ///
    /// # Errors
    /// As [`test`](Self::test).
    pub fn predict<'a>(&mut self, batch: impl Into<Samples<'a>>) -> Result<DriftOutcome, DetectorError> {
        let raw = batch.into();
        let features = self.features("batch", &raw)?;
        let outcome = self.outcome(&self.score_features(&features)?)?;
        if let Some(update) = self.config.update_x_ref {
            self.reference = match &self.reference {
                Reference::Raw(rows) => Reference::Raw(update.apply(rows, &raw, self.n_seen)),
                Reference::Features(rows, _) => {
                    prepare_features(&self.test, update.apply(rows, &features, self.n_seen))?
                }
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

    /// The present reference: raw rows where it is preprocessed at each call, else rows as the test sees them.
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

    /// The statistical test and its options.
    #[must_use]
    pub fn feature_test(&self) -> &T {
        &self.test
    }

    pub(crate) fn has_preprocess(&self) -> bool {
        self.preprocess.is_some()
    }

    fn features<'b>(&self, what: &'static str, raw: &'b Samples<'_>) -> Result<Samples<'b>, DetectorError> {
        preprocess_rows(self.preprocess.as_ref(), what, raw)
    }

    fn score_features(&self, batch: &Samples<'_>) -> Result<Vec<FeatureScore>, DetectorError> {
        let fresh;
        let (rows, prepared) = match &self.reference {
            Reference::Features(rows, prepared) => (rows, prepared),
            Reference::Raw(raw) => {
                fresh = prepare_features(&self.test, self.features("reference", raw)?.into_owned())?;
                let Reference::Features(rows, prepared) = &fresh else {
                    return Ok(Vec::new());
                };
                (rows, prepared)
            }
        };
        if batch.n_features() != rows.n_features() {
            return Err(DetectorError::shape(
                "features of the batch",
                rows.n_features(),
                batch.n_features(),
            ));
        }
        let scores = prepared.iter().enumerate().map(|(feature, reference)| {
            if batch.n_features() == 1 {
                self.test.test(reference, batch.values())
            } else {
                self.test.test(reference, &batch.column(feature))
            }
        });
        Ok(scores.collect::<Result<_, _>>()?)
    }

    fn outcome(&self, scores: &[FeatureScore]) -> Result<DriftOutcome, DetectorError> {
        let (is_drift, threshold) = decide(scores, &self.config)?;
        Ok(DriftOutcome {
            meta: Meta::new(T::DETECTOR_NAME, "drift", self.config.data_type.as_deref()),
            data: DriftData {
                is_drift,
                distance: scores.iter().map(|s| s.distance).collect(),
                p_val: scores.iter().map(|s| s.p_val).collect(),
                threshold,
            },
        })
    }
}

impl<T: FeatureTest> std::fmt::Debug for UnivariateDrift<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct(T::DETECTOR_NAME)
            .field("test", &self.test)
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

fn prepare_features<T: FeatureTest>(test: &T, rows: Samples<'static>) -> Result<Reference<T>, DetectorError> {
    let columns = (0..rows.n_features()).map(|feature| test.prepare(&rows.column(feature)));
    let prepared = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(Reference::Features(rows, prepared))
}

/// Collects the options of a drift detector; [`build`](Self::build) checks them.
#[derive(Clone)]
#[must_use]
pub struct UnivariateDriftBuilder<T: FeatureTest> {
    pub(crate) test: T,
    config: DriftConfig,
    preprocess: Option<Preprocess>,
    n_seen: Option<u64>,
    reference: Samples<'static>,
    /// What the reference holds where it comes from a saved detector; else the options say it.
    reference_is_raw: Option<bool>,
}

impl<T: FeatureTest> UnivariateDriftBuilder<T> {
    /// Significance level, strictly between 0 and 1; 0.05 by default.
    pub fn p_val(mut self, p_val: f64) -> Self {
        self.config.p_val = p_val;
        self
    }

    /// Correction for several features; Bonferroni by default.
    pub fn correction(mut self, correction: Correction) -> Self {
        self.config.correction = correction;
        self
    }

    /// One decision for the batch (the default) or one a feature.
    pub fn drift_type(mut self, drift_type: DriftType) -> Self {
        self.config.drift_type = drift_type;
        self
    }

    /// Lets `predict` renew the reference; by default it stays as it is.
    pub fn update_x_ref(mut self, update: ReferenceUpdate) -> Self {
        self.config.update_x_ref = Some(update);
        self
    }

    /// Applies `preprocess` to raw rows before the test.
    pub fn preprocess<F>(mut self, preprocess: F) -> Self
    where
        F: Fn(&Samples<'_>) -> Result<Samples<'static>, BoxError> + Send + Sync + 'static,
    {
        self.preprocess = Some(Arc::new(preprocess));
        self
    }

    /// Whether the reference is preprocessed once, in `build` (the default), or kept raw and preprocessed at each call.
    pub fn preprocess_at_init(mut self, at_init: bool) -> Self {
        self.config.preprocess_at_init = at_init;
        self
    }

    /// Says that the reference given has been preprocessed already; batches still are.
    pub fn x_ref_preprocessed(mut self, preprocessed: bool) -> Self {
        self.config.x_ref_preprocessed = preprocessed;
        self
    }

    /// The kind of data, repeated in the outcome's meta.
    pub fn data_type(mut self, data_type: impl Into<String>) -> Self {
        self.config.data_type = Some(data_type.into());
        self
    }

    /// All options at once.
    pub fn config(mut self, config: DriftConfig) -> Self {
        self.config = config;
        self
    }

    /// Number of instances seen so far, where the reference is one that an earlier detector left; by default its length.
    pub fn n_seen(mut self, n_seen: u64) -> Self {
        self.n_seen = Some(n_seen);
        self
    }

    pub(crate) fn reference_is_raw(mut self, raw: bool) -> Self {
        self.reference_is_raw = Some(raw);
        self
    }

    /// Checks the options, preprocesses the reference where that is wanted at start, and prepares it.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option out of range, [`DetectorError::Stats`] for a reference that is
    /// empty or holds NaN, [`DetectorError::Preprocess`].
    pub fn build(self) -> Result<UnivariateDrift<T>, DetectorError> {
        let Self {
            test,
            config,
            preprocess,
            n_seen,
            reference,
            reference_is_raw,
        } = self;
        config.check()?;
        let n_rows = reference.len() as u64;
        if n_rows == 0 {
            return Err(DetectorError::Empty {
                what: "the reference",
                unit: "row",
            });
        }
        let n_seen = n_seen.unwrap_or(n_rows);
        if n_seen < n_rows {
            return Err(DetectorError::option(
                "n_seen",
                n_seen,
                "at least the number of reference rows",
            ));
        }
        let is_raw = preprocess.is_some() && reference_is_raw.unwrap_or(!config.x_ref_preprocessed);
        let reference = match &preprocess {
            Some(_) if is_raw && !config.preprocess_at_init => Reference::Raw(reference),
            Some(_) if is_raw => {
                let rows = preprocess_rows(preprocess.as_ref(), "reference", &reference)?.into_owned();
                prepare_features(&test, rows)?
            }
            _ => prepare_features(&test, reference)?,
        };
        Ok(UnivariateDrift {
            test,
            config,
            preprocess,
            reference,
            n_seen,
        })
    }
}
