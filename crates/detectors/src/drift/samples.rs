//! Rows of features.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::DetectorError;

/// Instances as rows of features: f64, (N, n_features), row-major, borrowed or owned.
///
/// A plain slice or `Vec` of numbers is one feature a row.
///
/// ```
/// use riptide_detectors::drift::Samples;
/// let scores: Samples<'_> = (&[0.1, 0.2, 0.3]).into();
/// assert_eq!((scores.len(), scores.n_features()), (3, 1));
/// let rows = Samples::new(vec![1.0, 2.0, 3.0, 4.0], 2)?;
/// assert_eq!(rows.column(1), [2.0, 4.0]);
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Samples<'a> {
    values: Cow<'a, [f64]>,
    n_features: usize,
}

impl<'a> Samples<'a> {
    /// Takes row-major `values` with `n_features` columns.
    ///
    /// # Errors
    /// [`DetectorError::Shape`] if the length is not a multiple of `n_features`, [`DetectorError::InvalidOption`] if that is 0.
    pub fn new(values: impl Into<Cow<'a, [f64]>>, n_features: usize) -> Result<Self, DetectorError> {
        let values = values.into();
        if n_features == 0 {
            return Err(DetectorError::option("n_features", 0, "at least 1"));
        }
        if !values.len().is_multiple_of(n_features) {
            return Err(DetectorError::shape(
                "samples",
                format!("a multiple of {n_features} features"),
                values.len(),
            ));
        }
        Ok(Self { values, n_features })
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.n_features
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Number of columns.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// All values, row-major.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// One feature of every row.
    ///
    /// Past the last column this is empty.
    #[must_use]
    pub fn column(&self, feature: usize) -> Vec<f64> {
        if self.n_features == 1 && feature == 0 {
            return self.values.to_vec();
        }
        if feature >= self.n_features {
            return Vec::new();
        }
        self.values
            .chunks_exact(self.n_features)
            .map(|row| row[feature])
            .collect()
    }

    /// One row, or `None` past the last.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<&[f64]> {
        self.values.chunks_exact(self.n_features).nth(index)
    }

    /// The same rows, owned.
    #[must_use]
    pub fn into_owned(self) -> Samples<'static> {
        Samples {
            values: Cow::Owned(self.values.into_owned()),
            n_features: self.n_features,
        }
    }

    /// The same rows, borrowed.
    #[must_use]
    pub fn view(&self) -> Samples<'_> {
        Samples {
            values: Cow::Borrowed(&self.values),
            n_features: self.n_features,
        }
    }
}

/// Read through [`Samples::new`], so that what is read is as sound as what is made.
impl<'de> Deserialize<'de> for Samples<'static> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Unchecked {
            values: Vec<f64>,
            n_features: usize,
        }
        let Unchecked { values, n_features } = Unchecked::deserialize(deserializer)?;
        Self::new(values, n_features).map_err(serde::de::Error::custom)
    }
}

impl From<Vec<f64>> for Samples<'_> {
    fn from(values: Vec<f64>) -> Self {
        Self {
            values: Cow::Owned(values),
            n_features: 1,
        }
    }
}

impl<'a> From<&'a Vec<f64>> for Samples<'a> {
    fn from(values: &'a Vec<f64>) -> Self {
        Self {
            values: Cow::Borrowed(values),
            n_features: 1,
        }
    }
}

impl<'a> From<&'a [f64]> for Samples<'a> {
    fn from(values: &'a [f64]) -> Self {
        Self {
            values: Cow::Borrowed(values),
            n_features: 1,
        }
    }
}

impl<'a, const N: usize> From<&'a [f64; N]> for Samples<'a> {
    fn from(values: &'a [f64; N]) -> Self {
        Self {
            values: Cow::Borrowed(values),
            n_features: 1,
        }
    }
}

impl From<&[f32]> for Samples<'_> {
    fn from(values: &[f32]) -> Self {
        Self {
            values: Cow::Owned(values.iter().copied().map(f64::from).collect()),
            n_features: 1,
        }
    }
}

impl From<&Vec<f32>> for Samples<'_> {
    fn from(values: &Vec<f32>) -> Self {
        Self::from(values.as_slice())
    }
}

impl From<Vec<f32>> for Samples<'_> {
    fn from(values: Vec<f32>) -> Self {
        Self::from(values.as_slice())
    }
}

impl<'a> From<&'a Samples<'_>> for Samples<'a> {
    fn from(samples: &'a Samples<'_>) -> Self {
        samples.view()
    }
}
