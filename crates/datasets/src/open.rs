//! Opening a path as whatever it turns out to be.

use std::io::Read;
use std::path::Path;

use crate::cifar10::{self, Cifar10Source, Split};
use crate::error::Result;
use crate::image_folder::ImageFolder;
use crate::npy::{NpyImages, NpyStream};
use crate::picture::{Framing, PictureOptions};
use crate::source::ImageSource;

/// How [`open`] reads what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenOptions {
    /// The part of CIFAR-10, if the path is CIFAR-10; [`Split::Test`] by default.
    pub split: Split,
    /// How image files are decoded and framed.
    pub pictures: PictureOptions,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            split: Split::Test,
            pictures: PictureOptions::default(),
        }
    }
}

impl OpenOptions {
    /// Sets [`split`](Self::split).
    #[must_use]
    pub fn split(mut self, split: Split) -> Self {
        self.split = split;
        self
    }

    /// Sets [`pictures`](Self::pictures).
    #[must_use]
    pub fn pictures(mut self, pictures: PictureOptions) -> Self {
        self.pictures = pictures;
        self
    }

    /// Sets the framing of [`pictures`](Self::pictures).
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.pictures.framing = framing;
        self
    }
}

/// Opens images by what is at `path`:
/// - `-`: a `.npy` stream on standard input;
/// - a file that starts as a `.npy` file does: images `(N, H, W, 3)`;
/// - a gzip file, or a folder with CIFAR-10's batch files: CIFAR-10 in the binary layout;
/// - a `.bin` file: one batch file of CIFAR-10;
/// - anything else: a folder of images, a glob pattern or one image file, as [`ImageFolder::open`] reads them.
///
/// # Errors
/// Returns the error of the reader that the path needs.
///
/// ```
/// use riptide_datasets::{OpenOptions, open};
/// use riptide_datasets::{ImageSet, ImageSource, npy};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("images.npy");
/// npy::write_images(&path, &ImageSet::unlabelled(vec![7; 5 * 4 * 4 * 3], 4, 4)?)?;
///
/// let mut source = open(&path, OpenOptions::default())?;
/// let mut seen = 0;
/// while let Some(chunk) = source.next_chunk(2)? {
///     seen += chunk.len();
/// }
/// assert_eq!(seen, 5);
/// # Ok(())
/// # }
/// ```
pub fn open(path: impl AsRef<Path>, options: OpenOptions) -> Result<Box<dyn ImageSource>> {
    let path = path.as_ref();
    if path == Path::new("-") {
        return Ok(Box::new(NpyStream::new(std::io::stdin().lock(), "standard input")?));
    }
    if path.is_dir() {
        if cifar10::is_in(path, options.split) {
            return Ok(Box::new(Cifar10Source::open(path, options.split)?));
        }
        return Ok(Box::new(ImageFolder::open(path, options.pictures)?));
    }
    let mut start = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        // What cannot be read here is reported by the reader that is chosen below.
        let _ = file.take(6).read_to_end(&mut start);
    }
    if start == b"\x93NUMPY" || path.extension().is_some_and(|extension| extension == "npy") {
        return Ok(Box::new(NpyImages::open(path)?.into_source()));
    }
    if start.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(Cifar10Source::open(path, options.split)?));
    }
    if path.extension().is_some_and(|extension| extension == "bin") {
        return Ok(Box::new(Cifar10Source::open_batch(path)?));
    }
    Ok(Box::new(ImageFolder::open(path, options.pictures)?))
}
