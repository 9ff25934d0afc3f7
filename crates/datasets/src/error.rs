//! What can go wrong while images are read, written or put together.

use std::io;
use std::path::{Path, PathBuf};

use riptide_files::{FileError, shown};

use crate::picture::PictureError;

/// The result of everything in this crate that reads, writes or builds image sets.
pub type Result<T, E = DatasetError> = std::result::Result<T, E>;

/// Why images could not be read, written or put together.
///
/// Every variant says which file (or which image) was at fault and what was expected of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The operating system refused a file or folder.
    #[error("{path}: {source}", path = shown(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// A file or folder that has to be there is not.
    #[error("{path}: no such file or folder; {hint}", path = shown(path))]
    NotFound {
        /// What was looked for.
        path: PathBuf,
        /// What to do about it.
        hint: String,
    },

    /// A file ends before the data that it declares, or in the middle of a record.
    #[error("{path}: truncated: expected {expected} bytes, found {found}", path = shown(path))]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that were expected.
        expected: u64,
        /// Bytes that were found.
        found: u64,
    },

    /// A file holds more than its header declares or than this reader accepts.
    #[error("{path}: oversized: expected at most {expected} bytes, found {found}", path = shown(path))]
    Oversized {
        /// The file.
        path: PathBuf,
        /// The most bytes that were expected.
        expected: u64,
        /// Bytes that were found (at least).
        found: u64,
    },

    /// A file is not in the format that it was opened as.
    #[error("{path}: {reason}", path = shown(path))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was wrong, and what was expected.
        reason: String,
    },

    /// An array has another element type than the one needed.
    #[error("{path}: the array has dtype {found}, expected {expected}", path = shown(path))]
    WrongDtype {
        /// The file.
        path: PathBuf,
        /// The dtype that was needed, in numpy's notation.
        expected: String,
        /// The dtype in the header.
        found: String,
    },

    /// An array, or the images of a folder, have another shape than the one needed.
    #[error("{path}: the shape is {found:?}, expected {expected}", path = shown(path))]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The shape that was needed, such as `(N, H, W, 3)`.
        expected: String,
        /// The shape that was found.
        found: Vec<u64>,
    },

    /// The shape of an array can be read in two ways.
    #[error("{path}: the shape {shape:?} can be {first}, and {second}; say which layout it is", path = shown(path))]
    AmbiguousLayout {
        /// The file.
        path: PathBuf,
        /// The shape in the header.
        shape: Vec<u64>,
        /// One way to read it.
        first: &'static str,
        /// The other.
        second: &'static str,
    },

    /// It cannot be told what range the floating-point numbers of an array have.
    #[error(
        "{path}: image {image} has values from {least} to {largest}; say whether they range from 0 to 1, from 0 to 255 or from \
         -1 to 1 (pixels that were standardised cannot be read)",
        path = shown(path)
    )]
    AmbiguousRange {
        /// The file.
        path: PathBuf,
        /// The image, counted from 0.
        image: u64,
        /// Its least value.
        least: f64,
        /// Its largest value.
        largest: f64,
    },

    /// A file or folder holds no images at all.
    #[error("{path}: no images; {hint}", path = shown(path))]
    Empty {
        /// The file or folder.
        path: PathBuf,
        /// What was looked for.
        hint: String,
    },

    /// A label names a class that does not exist.
    #[error("{origin}: image {index} has label {label}, but there are only {n_classes} classes")]
    LabelOutOfRange {
        /// Where the label came from: a path, or `image set`.
        origin: String,
        /// The image, counted from 0.
        index: u64,
        /// Its label.
        label: i128,
        /// The number of classes: labels are `0..n_classes`.
        n_classes: usize,
    },

    /// The pixels do not make up a whole number of images, or not as many as there are labels.
    #[error(
        "{pixels} pixel bytes do not make {images} images of {height} x {width} x 3 ({} bytes)",
        (*images as u128) * (*height as u128) * (*width as u128) * 3
    )]
    PixelCount {
        /// The bytes given.
        pixels: usize,
        /// The number of images that they should have been.
        images: usize,
        /// Rows of an image.
        height: usize,
        /// Columns of an image.
        width: usize,
    },

    /// Two sets that should go together have different sizes or classes.
    #[error("{what}: {left} against {right}")]
    Mismatch {
        /// What disagreed.
        what: &'static str,
        /// The first value.
        left: String,
        /// The second value.
        right: String,
    },

    /// An image index or range lies outside the set.
    #[error("image {index} was asked for, but there are only {len}")]
    IndexOutOfRange {
        /// The index (or the end of the range).
        index: u64,
        /// The number of images.
        len: u64,
    },

    /// A picture of an archive, a table or a stream could not be decoded.
    #[error("{place} (image {image}): {source}", place = shown(place))]
    Picture {
        /// The file, and the row or the name inside it.
        place: PathBuf,
        /// The image among all images, counted from 0.
        image: u64,
        /// What is wrong with it.
        source: PictureError,
    },

    /// The program was built without a feature that is needed.
    #[error("{path}: reading it needs the feature `{feature}`, which this program was built without", path = shown(path))]
    FeatureMissing {
        /// The file.
        path: PathBuf,
        /// The feature of this crate.
        feature: &'static str,
    },

    /// Pictures of a folder could not be read or decoded.
    #[error("{}", unreadable(files, *count))]
    Unreadable {
        /// Files with the reason, in the order in which they are read; not all of them if there are very many.
        files: Vec<(PathBuf, PictureError)>,
        /// How many there are.
        count: u64,
    },

    /// A picture has another size than the others or than the classifier needs, and no framing was asked for.
    #[error(
        "{path}: the picture is {} x {} pixels, expected {} x {}; say how pictures of other sizes are to be framed",
        found.0, found.1, expected.0, expected.1, path = shown(path)
    )]
    PictureSize {
        /// The file.
        path: PathBuf,
        /// Its rows and columns.
        found: (u32, u32),
        /// Those of the pictures before it.
        expected: (u32, u32),
    },

    /// An option was out of its range.
    #[error("{option}: {reason}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// What is allowed.
        reason: String,
    },
}

impl DatasetError {
    /// An I/O error at a path; one of kind `NotFound` becomes [`DatasetError::NotFound`].
    pub(crate) fn io(path: impl AsRef<Path>, source: io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        if source.kind() == io::ErrorKind::NotFound {
            return Self::NotFound {
                path,
                hint: "check the path".to_owned(),
            };
        }
        Self::Io { path, source }
    }

    /// The error of options that are out of their range.
    pub(crate) fn picture_option(error: PictureError) -> Self {
        match error {
            PictureError::InvalidOption { option, reason } => Self::InvalidOption { option, reason },
            error => Self::InvalidOption {
                option: "pictures",
                reason: error.to_string(),
            },
        }
    }

    /// What is wrong with a file. Names of columns, members and labels that stand in the reason come from the file: what a
    /// terminal would obey in them is escaped.
    pub(crate) fn malformed(path: impl AsRef<Path>, reason: impl AsRef<str>) -> Self {
        Self::Malformed {
            path: path.as_ref().to_path_buf(),
            reason: shown(reason.as_ref()).to_string(),
        }
    }
}

impl From<FileError> for DatasetError {
    fn from(error: FileError) -> Self {
        Self::io(error.path, error.source)
    }
}

/// How many there are, and the first of them with the reasons, in one line.
fn unreadable(files: &[(PathBuf, PictureError)], count: u64) -> String {
    const SHOWN: usize = 3;
    let mut text = match count {
        1 => "1 picture cannot be read: ".to_owned(),
        _ => format!("{count} pictures cannot be read: "),
    };
    let first: Vec<String> = files
        .iter()
        .take(SHOWN)
        .map(|(path, reason)| format!("{}: {reason}", shown(path)))
        .collect();
    text.push_str(&first.join("; "));
    let more = count.saturating_sub(first.len() as u64);
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}
