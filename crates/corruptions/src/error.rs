//! What can go wrong.

use std::path::PathBuf;

use riptide_datasets::DatasetError;
use riptide_files::FileError;

/// Why images could not be corrupted or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorruptionError {
    /// A severity outside 1 to 5.
    #[error("severity {0} does not exist: give 1 (slight) to 5 (severe)")]
    Severity(i64),

    /// A severity that is not a number.
    #[error("severity {0:?} is not a number: give 1 (slight) to 5 (severe)")]
    SeverityText(String),

    /// A name that is none of the nineteen.
    #[error("there is no corruption {name:?}: give one of {known}")]
    UnknownCorruption {
        /// The name given.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },

    /// The images could not be taken apart or put together.
    #[error(transparent)]
    Dataset(#[from] DatasetError),

    /// More pixels than this machine can address.
    #[error("images of {height} x {width} pixels are too large to work on")]
    TooLarge {
        /// Rows of an image.
        height: usize,
        /// Columns of an image.
        width: usize,
    },

    /// A frost texture is missing or is not a picture.
    #[error(
        "frost texture {path}: {reason}; fetch the five published textures into one folder, or use the procedural ones",
        path = path.display()
    )]
    Texture {
        /// The picture.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },

    /// A file or folder that could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// A folder that already holds a CIFAR-10-C made from something else.
    #[error(
        "{path} holds corruptions made with another {what} ({found} there, {wanted} now): give another folder or delete \
         this one",
        path = path.display()
    )]
    OtherOutput {
        /// The folder.
        path: PathBuf,
        /// What differs, for instance `seed`.
        what: &'static str,
        /// The value recorded there.
        found: String,
        /// The value asked for.
        wanted: String,
    },

    /// CIFAR-10-C's layout has a label for every image.
    #[error("the images have no labels, which the CIFAR-10-C layout needs")]
    Unlabelled,
}

impl From<FileError> for CorruptionError {
    fn from(error: FileError) -> Self {
        Self::Io {
            path: error.path,
            source: error.source,
        }
    }
}
