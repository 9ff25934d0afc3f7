//! What can be wrong with one picture.

use image::ImageError;
use riptide_files::memory::NoMemory;

/// Why a picture could not be decoded. The text is one line without the picture's name, which the reader of the file adds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,

    /// The bytes are of no known format.
    #[error("not a picture: its content is not PNG, JPEG, BMP, GIF, TIFF, WebP or PNM")]
    NotAPicture,

    /// The data end before the picture does, as after a broken transfer.
    #[error("unreadable: its data end early")]
    EndsEarly,

    /// The data contradict themselves or their format.
    #[error("unreadable: damaged: {reason}")]
    Damaged {
        /// What the decoder found.
        reason: String,
    },

    /// The picture is of a kind of its format that is not read.
    #[error("unreadable: {reason}")]
    Unsupported {
        /// The kind, and what to do.
        reason: String,
    },

    /// The picture, or what framing would make of it, has more pixels than allowed.
    #[error(
        "{height} x {width} pixels, which is more than the limit of {limit} pixels (and of the memory for them); raise max_pixels to read it"
    )]
    TooLarge {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
        /// The most pixels that are allowed; see [`PictureOptions::max_pixels`](super::PictureOptions::max_pixels).
        limit: u64,
    },

    /// There is no memory for decoding the picture.
    #[error("{0}")]
    NoMemory(NoMemory),

    /// The picture has another size than the others, and is to be kept as it is.
    #[error("{} x {} pixels, expected {} x {}", found.0, found.1, expected.0, expected.1)]
    WrongSize {
        /// Its rows and columns.
        found: (u32, u32),
        /// Those of the others.
        expected: (u32, u32),
    },

    /// The file is longer than allowed.
    #[error("{bytes} bytes long, at most {limit} are read; raise max_bytes to read it")]
    TooLong {
        /// The file's length.
        bytes: u64,
        /// The most that is read; see [`PictureOptions::max_bytes`](super::PictureOptions::max_bytes).
        limit: u64,
    },

    /// What stands at the path is no regular file.
    #[error("{kind}; only regular files are read as pictures")]
    NotAFile {
        /// What it is.
        kind: &'static str,
    },

    /// The operating system refused the file.
    #[error("{reason}")]
    Io {
        /// What it said.
        reason: String,
    },

    /// An option is out of its range.
    #[error("{option}: {reason}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// What is allowed.
        reason: String,
    },
}

impl PictureError {
    /// What a decoder of the crate `image` reports, in our words where they say more.
    pub(super) fn from_decoder(error: ImageError) -> Self {
        match error {
            ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Self::EndsEarly,
            ImageError::Unsupported(error) => Self::Unsupported {
                reason: one_line(&error.to_string()),
            },
            error => Self::Damaged {
                reason: one_line(&error.to_string()),
            },
        }
    }
}

/// A decoder's message without line breaks and without what a terminal would obey.
pub(super) fn one_line(text: &str) -> String {
    const LONGEST: usize = 200;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}
