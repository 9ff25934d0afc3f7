//! What images go through before a classifier: from a picture of any size to the numbers that the network takes.
//!
//! It is one value, a [`Pipeline`]: how a picture is framed (resized, cut) and what happens to its pixels. It comes from a
//! [`Preset`] by name, from the file that timm or Hugging Face put beside a model, or from the classifier's own accuracy on
//! labelled images, see [`choose`]. A monitor keeps it, so that every later image goes through the same.

mod choose;
mod files;
mod keys;
mod open;
mod preset;
mod vet;

use riptide_datasets::Framing;
use riptide_models::preprocess::Preprocessing;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use crate::tried::{Accuracy, Candidate, Tried};
pub use choose::{Choice, candidates, choose};
pub use files::Described;
pub use open::{ClassifierOptions, Input};
pub use preset::Preset;
pub use vet::InputCheck;
pub(crate) use vet::vet;

/// What images go through before a classifier.
///
/// As JSON it is what `--preprocessing FILE` takes, with `framing` as in [`Framing`] and `preprocessing` as in
/// [`Preprocessing`]; what is left out is the default.
///
/// ```
/// use riptide::pipeline::{Pipeline, Preset};
/// let text = r#"{"framing": {"crop": {"resize": 256, "height": 224, "width": 224}},
///     "preprocessing": {"mean_std": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}}"#;
/// let pipeline: Pipeline = serde_json::from_str(text).map_err(|error| error.to_string())?;
/// assert_eq!(pipeline, Preset::Imagenet.pipeline((224, 224)).map_err(|error| error.to_string())?);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Pipeline {
    /// How a picture file becomes as many rows and columns as the classifier takes. Arrays have their size already.
    pub framing: Framing,
    /// What happens to the pixels.
    pub preprocessing: Preprocessing,
}

impl Pipeline {
    /// Sets how a picture file is framed.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Sets what happens to the pixels.
    #[must_use]
    pub fn preprocessing(mut self, preprocessing: Preprocessing) -> Self {
        self.preprocessing = preprocessing;
        self
    }

    /// Checks that pictures come out as the classifier takes them, `size` (height, width), and that the constants are possible.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for another size or an impossible framing, [`Error::Network`] for impossible constants.
    pub fn check(&self, size: (usize, usize)) -> Result<()> {
        self.preprocessing.validate()?;
        if let Err(error) = self.framing.check() {
            return Err(Error::mismatch("framing of pictures", "one that is possible", error));
        }
        let sides = |(height, width): (u32, u32)| (height as usize, width as usize);
        match self.framing.output().map(sides) {
            Some(found) if found != size => Err(Error::mismatch(
                "height and width that pictures are framed to",
                format!("{size:?}, as the classifier takes them"),
                format!("{found:?}"),
            )),
            _ => Ok(()),
        }
    }
}

impl From<Preprocessing> for Pipeline {
    fn from(preprocessing: Preprocessing) -> Self {
        Self::default().preprocessing(preprocessing)
    }
}

/// A side of an image as the reader of pictures counts it; one that does not fit is refused there.
pub(crate) fn side(side: usize) -> u32 {
    u32::try_from(side).unwrap_or(u32::MAX)
}
