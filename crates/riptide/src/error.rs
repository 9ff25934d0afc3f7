//! What can go wrong.

use std::path::{Path, PathBuf};

pub use riptide_detectors::BoxError;
use riptide_files::shown;

use crate::tried::{Accuracy, Tried};

/// Every error of this crate: what was wrong, where, and what to do, in one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Images could not be read.
    #[error(transparent)]
    Images(Box<riptide_datasets::DatasetError>),

    /// What was asked for takes more memory than there is.
    #[error(transparent)]
    NoMemory(#[from] riptide_files::memory::NoMemory),

    /// Images could not be corrupted.
    #[error(transparent)]
    Corruption(#[from] riptide_corruptions::CorruptionError),

    /// A network could not be read, run or trained.
    #[error(transparent)]
    Network(Box<riptide_models::ModelError>),

    /// The file of a network could not be read, for a reason that does not name it.
    #[error("cannot load the network {}: {source}", shown(path))]
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

    /// A network gave something other than class probabilities for an image.
    #[error(
        "the {network} gave {found} for image {image}{}; its answers must be class probabilities (apply a softmax to logits): look at the image, at the network's file and \
         at its preprocessing",
        in_brackets(file.as_deref())
    )]
    Answer {
        /// `classifier` or `distilled network`.
        network: &'static str,
        /// The image's place among all images.
        image: usize,
        /// Its file, if each image is a file of its own; else the input that it came from, if that has a name.
        file: Option<PathBuf>,
        /// What it gave.
        found: String,
    },

    /// What images go through before the classifier is not known.
    #[error(
        "what images go through before the classifier is not known: {reason}; name it, or put its preprocessor_config.json beside its file \
         (candidates: {})",
        names(tried)
    )]
    Undecided {
        /// Why it could not be found out.
        reason: String,
        /// The candidates, with what came of them if they were tried.
        tried: Vec<Tried>,
    },

    /// The classifier is hardly ever right about labelled images.
    #[error(
        "the classifier is right about {:.1} % of {} labelled images ({:.1} % to {:.1} %), and by chance it would be about {:.1} %: its \
         preprocessing is another{}, or its classes are in another order than the images'; name them in the order of its outputs, or force \
         the fit",
        100.0 * accuracy.accuracy.estimate,
        accuracy.n_images,
        100.0 * accuracy.accuracy.lower,
        100.0 * accuracy.accuracy.upper,
        100.0 * accuracy.chance,
        preprocessing.as_ref().map(|words| format!(" (it is: {words})")).unwrap_or_default()
    )]
    LowAccuracy {
        /// The accuracy.
        accuracy: Accuracy,
        /// What images go through before the classifier, in words, if it is known.
        preprocessing: Option<String>,
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

    /// A distilled network is clearly further from its classifier after its training than before.
    #[error(
        "the distilled network learned nothing: its divergence from the classifier was {began:.3} before the training and is \
         {ended:.3} after it; lower the learning rate"
    )]
    NothingLearned {
        /// The mean divergence KL(classifier || distilled network) before the training.
        began: f64,
        /// The same afterwards.
        ended: f64,
    },

    /// What a table says of the images is not what is needed.
    #[error("{name}: {reason}")]
    Column {
        /// Where the images come from.
        name: String,
        /// Which column, and what is wrong with it.
        reason: String,
    },

    /// Logged probabilities and images do not belong together.
    #[error("{name}: {reason}")]
    Logged {
        /// Where the probabilities, or the images, come from.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
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
        "{name}: the images are {} x {} pixels, but the classifier takes {} x {}; open picture files with the classifier's or the monitor's framing, or with one that makes this size",
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
    #[error("{}: {reason}", shown(path))]
    Malformed {
        /// Which file or folder.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },

    /// A file of a saved monitor is not the one that was saved.
    #[error(
        "{}: SHA-256 is {found}, but {expected} was saved: the file was changed afterwards; restore it, or fit again",
        shown(path)
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
    #[error("{}: {reason}", shown(path))]
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

fn names(tried: &[Tried]) -> String {
    let names: Vec<&str> = tried.iter().map(|tried| tried.candidate.name.as_str()).collect();
    names.join(", ")
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

/// A file in an error about an image, in brackets; nothing if there is none.
fn in_brackets(file: Option<&Path>) -> String {
    file.map(|file| format!(" ({})", shown(file))).unwrap_or_default()
}
