//! What can go wrong.

use std::path::{Path, PathBuf};

pub use riptide_detectors::BoxError;

/// Every error of this crate: what was wrong, where, and what to do, in one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Images could not be read.
    #[error(transparent)]
    Images(Box<riptide_datasets::DatasetError>),

    /// A network could not be read, run or trained.
    #[error(transparent)]
    Network(Box<riptide_models::ModelError>),

    /// The file of a network could not be read, for a reason that does not name it.
    #[error("cannot load the network {}: {source}", path.display())]
    Load {
        /// Which file or folder.
        path: PathBuf,
        /// What was wrong.
        source: Box<riptide_models::ModelError>,
    },

    /// Scores or tests refused their input.
    #[error(transparent)]
    Detector(#[from] riptide_detectors::DetectorError),

    /// A monitor could not be calibrated.
    #[error("cannot calibrate: {reason}")]
    Calibration {
        /// What stands in the way and what to do.
        reason: String,
    },

    /// The labels of an audit are not what they should be.
    #[error("audit, turn {turn}: {reason}")]
    Audit {
        /// The turn of the pick, from 1; 0 if it is about all of them.
        turn: usize,
        /// What is wrong and what to do.
        reason: String,
    },

    /// A page could not be made.
    #[error("cannot make the page: {reason}")]
    Page {
        /// What was wrong.
        reason: String,
    },

    /// The monitor has no calibration, and this needs one.
    #[error("the monitor is not calibrated: calibrate it on clean images that neither of its networks was trained on")]
    NotCalibrated,

    /// A statistic refused its input.
    #[error(transparent)]
    Statistics(#[from] riptide_stats::StatsError),

    /// A picture could not be drawn.
    #[error(transparent)]
    Draw(#[from] riptide_draw::DrawError),

    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] riptide_files::FileError),

    /// A network or an image file could not be fetched.
    #[cfg(feature = "fetch")]
    #[error(transparent)]
    Fetch(Box<riptide_datasets::fetch::FetchError>),

    /// The classifier is the caller's own, and failed.
    #[error("the classifier failed on a batch of {n} images: {source}")]
    Classifier {
        /// Number of images in the batch.
        n: usize,
        /// What it said.
        source: BoxError,
    },

    /// Two things that belong together do not fit each other.
    #[error("{what}: expected {expected}, found {found}")]
    Mismatch {
        /// What does not fit.
        what: &'static str,
        /// What was needed.
        expected: String,
        /// What was given.
        found: String,
    },

    /// An option is outside its range.
    #[error("{option} is {value}; it must be {expected}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// The value given.
        value: String,
        /// The range allowed.
        expected: &'static str,
    },

    /// There are no images, or too few.
    #[error("{name}: {reason}")]
    TooFew {
        /// Where the images come from.
        name: String,
        /// How many there are and how many are needed.
        reason: String,
    },

    /// The images have another size than the classifier takes.
    #[error(
        "{name}: the images are {} x {} pixels, but the classifier takes {} x {}; resize them when they are opened",
        found.0, found.1, expected.0, expected.1
    )]
    ImageSize {
        /// Where the images come from.
        name: String,
        /// Height and width found.
        found: (usize, usize),
        /// Height and width needed.
        expected: (usize, usize),
    },

    /// A folder or file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// Which file or folder.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },

    /// A file of a saved monitor is not the one that was saved.
    #[error(
        "{}: SHA-256 is {found}, but {expected} was saved: the file was changed afterwards; restore it, or fit again",
        path.display()
    )]
    Changed {
        /// Which file.
        path: PathBuf,
        /// The digest when it was saved.
        expected: String,
        /// The digest now.
        found: String,
    },

    /// A fact of a saved monitor was changed by hand.
    #[error("{}: {reason}", path.display())]
    FactChanged {
        /// The file that holds the facts.
        path: PathBuf,
        /// The fact's name.
        fact: &'static str,
        /// What was changed and what to do.
        reason: String,
    },

    /// Findings by class were asked of a monitor that does not know what the networks answered to its reference.
    #[error("the answers to the reference's images are not known: fit or import the monitor again")]
    NoAnswers,

    /// The program was built without a feature that is needed.
    #[error("{what} needs the feature `{feature}`, which this program was built without")]
    FeatureMissing {
        /// What was asked for.
        what: String,
        /// The feature of this crate.
        feature: &'static str,
    },
}

/// Large errors are boxed, so that a result stays small.
macro_rules! boxed {
    ($($(#[$attribute:meta])* $error:ty => $variant:ident;)*) => {$(
        $(#[$attribute])*
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        }
    )*};
}

boxed! {
    riptide_datasets::DatasetError => Images;
    riptide_models::ModelError => Network;
    #[cfg(feature = "fetch")]
    riptide_datasets::fetch::FetchError => Fetch;
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn malformed(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.as_ref().into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn option(option: &'static str, value: impl ToString, expected: &'static str) -> Self {
        Self::Option {
            option,
            value: value.to_string(),
            expected,
        }
    }

    pub(crate) fn mismatch(what: &'static str, expected: impl ToString, found: impl ToString) -> Self {
        Self::Mismatch {
            what,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}
