//! Saving a drift detector.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{folder, npy};
use crate::drift::{DriftConfig, FeatureTest, Samples, UnivariateDrift, UnivariateDriftBuilder};
use crate::error::{BoxError, DetectorError};

/// The file with the reference rows.
pub(crate) const REFERENCE: &str = "x_ref.npy";

#[derive(Debug, Serialize, Deserialize)]
struct Content<T> {
    test: T,
    config: DriftConfig,
    /// Whether `predict` preprocesses batches, with a function that the loader has to be given again.
    has_preprocess: bool,
    /// Whether the reference rows are raw.
    x_ref_is_raw: bool,
    n_seen: u64,
}

impl<T: FeatureTest + Serialize + DeserializeOwned> UnivariateDrift<T> {
    /// Saves the detector as a folder: `detector.json` (options, count of instances seen, digests) and `x_ref.npy`
    /// (the present reference, f64, (N, n_features)).
    ///
    /// The folder appears whole or not at all; an existing detector folder is replaced. A preprocessing function cannot be
    /// saved: loading asks for it again.
    ///
    /// # Errors
    /// [`DetectorError::Io`], and [`DetectorError::BadFormat`] where `dir` holds something that is no detector.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<(), DetectorError> {
        let content = Content {
            test: self.feature_test().clone(),
            config: self.config().clone(),
            has_preprocess: self.has_preprocess(),
            x_ref_is_raw: self.reference_is_raw(),
            n_seen: self.n_seen(),
        };
        folder::write(dir.as_ref(), T::DETECTOR_NAME, content, |root| {
            npy::write(&root.join(REFERENCE), self.reference())
        })
    }

    /// Loads a detector that [`save`](Self::save) wrote and that has no preprocessing function.
    ///
    /// # Errors
    /// [`DetectorError::Io`], [`DetectorError::BadFormat`] (also where the detector preprocesses: use
    /// [`load_with_preprocess`](Self::load_with_preprocess)), [`DetectorError::UnsupportedVersion`],
    /// [`DetectorError::DigestMismatch`], and those of [`build`](UnivariateDriftBuilder::build).
    pub fn load(dir: impl AsRef<Path>) -> Result<Self, DetectorError> {
        let (content, builder) = read(dir.as_ref())?;
        if content.has_preprocess {
            return Err(DetectorError::BadFormat {
                path: dir.as_ref().join(folder::MANIFEST),
                reason: "was saved with a preprocessing function; give it to load_with_preprocess".into(),
            });
        }
        builder.build()
    }

    /// Loads a detector that [`save`](Self::save) wrote, with its preprocessing function. A reference that was saved
    /// preprocessed is not preprocessed again.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with_preprocess<F>(dir: impl AsRef<Path>, preprocess: F) -> Result<Self, DetectorError>
    where
        F: Fn(&Samples<'_>) -> Result<Samples<'static>, BoxError> + Send + Sync + 'static,
    {
        let (content, builder) = read(dir.as_ref())?;
        builder
            .preprocess(preprocess)
            .reference_is_raw(content.x_ref_is_raw)
            .build()
    }
}

fn read<T>(dir: &Path) -> Result<(Content<T>, UnivariateDriftBuilder<T>), DetectorError>
where
    T: FeatureTest + Serialize + DeserializeOwned,
{
    let content: Content<T> = folder::read(dir, T::DETECTOR_NAME)?;
    let reference = npy::read(&dir.join(REFERENCE))?;
    let builder = UnivariateDrift::builder_with(content.test.clone(), reference)
        .config(content.config.clone())
        .n_seen(content.n_seen);
    Ok((content, builder))
}
