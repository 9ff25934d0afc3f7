//! Images from anywhere, a bounded number at a time.

use std::fmt;
use std::path::{Path, PathBuf};

use riptide_datasets::{ImageSet, ImageSource, OpenOptions};

use crate::error::{Error, Result};
use crate::labelled::labelled;
use crate::locate::locate;

/// Images that are read a chunk at a time, so that any number of them takes a bounded amount of memory.
///
/// Everything that scores takes them: a path that was [opened](Self::open), a set in memory (`ImageSet` or `&ImageSet`), or
/// any [`ImageSource`] of your own.
pub struct Images<'a> {
    source: Box<dyn ImageSource + 'a>,
    name: String,
    files: Option<Vec<PathBuf>>,
    next: usize,
}

impl Images<'static> {
    /// Opens what is at `path`: a `.npy` file of uint8 (N, H, W, 3), a folder, archive or batch file of CIFAR-10, a folder of
    /// pictures (one folder a class, or flat), a glob pattern, one picture, `-` for a `.npy` stream on standard input, or with
    /// the feature `fetch` an address `hf://OWNER/REPO/FILE.npy`.
    ///
    /// # Errors
    /// [`Error::Images`] if it cannot be read, [`Error::FeatureMissing`] for an address without the feature.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, OpenOptions::default())
    }

    /// As [`open`](Self::open), with the part of CIFAR-10 and the size that pictures are stretched to.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        let source = riptide_datasets::open(locate(path)?, options)?;
        Ok(Self::named(path.display().to_string(), source))
    }
}

impl<'a> Images<'a> {
    /// Images from a source; `name` stands in errors.
    pub fn named(name: impl Into<String>, source: impl ImageSource + 'a) -> Self {
        Self {
            files: source.files(),
            source: Box::new(source),
            name: name.into(),
            next: 0,
        }
    }

    /// The same images with labels from elsewhere, one an image in their order: the place of the class among the classifier's
    /// outputs, from 0.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the number of images is known and another.
    pub fn with_labels(self, labels: Vec<u32>) -> Result<Self> {
        Ok(Self {
            source: Box::new(labelled(self.source, labels)?),
            ..self
        })
    }

    /// How many images are still to come, if that is known.
    pub fn remaining(&self) -> Option<u64> {
        self.source.remaining()
    }

    /// The files, in order, if each image is a file of its own.
    pub fn files(&self) -> Option<&[PathBuf]> {
        self.files.as_deref()
    }

    /// Where the images come from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of images that are read at a time: enough to keep every core busy, little beside the networks themselves.
    const CHUNK_BYTES: usize = 12 << 20;

    /// The next images of `size` (height, width), with the place of the first among all; `None` at the end.
    pub(crate) fn next_chunk(&mut self, size: (usize, usize)) -> Result<Option<(usize, ImageSet)>> {
        let bytes = size.0.saturating_mul(size.1).saturating_mul(3).max(1);
        let Some(chunk) = self.source.next_chunk((Self::CHUNK_BYTES / bytes).max(1))? else {
            return Ok(None);
        };
        let found = (chunk.height(), chunk.width());
        if found != size {
            return Err(Error::ImageSize {
                name: self.name.clone(),
                found,
                expected: size,
            });
        }
        let first = self.next;
        self.next += chunk.len();
        Ok(Some((first, chunk)))
    }

    /// Whether nothing has been read yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.next == 0
    }

    /// The error if there are no images.
    pub(crate) fn none(&self) -> Error {
        Error::TooFew {
            name: self.name.clone(),
            reason: "no images".into(),
        }
    }

    /// Reads everything that is left into memory; all must be of `size` (height, width).
    ///
    /// # Errors
    /// [`Error::Images`] if reading fails, [`Error::ImageSize`], [`Error::TooFew`] if there are none.
    pub fn read_all(mut self, size: (usize, usize)) -> Result<ImageSet> {
        let mut all: Option<ImageSet> = None;
        while let Some((_, chunk)) = self.next_chunk(size)? {
            match &mut all {
                None => all = Some(chunk),
                Some(all) => all.append(&chunk)?,
            }
        }
        all.ok_or_else(|| self.none())
    }
}

impl fmt::Debug for Images<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images")
            .field("name", &self.name)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

impl From<ImageSet> for Images<'_> {
    fn from(set: ImageSet) -> Self {
        Self::named("the images", set.into_source())
    }
}

impl<'a> From<&'a ImageSet> for Images<'a> {
    fn from(set: &'a ImageSet) -> Self {
        Self::named("the images", set.source())
    }
}
