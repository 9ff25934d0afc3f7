//! A `.npy` file of images, mapped into memory.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::{ImageShape, check_length, image_shape, read_header};
use crate::error::{DatasetError, Result};
use crate::image_set::ImageSet;
use crate::source::ImageSource;

/// A `.npy` file of `uint8` images `(N, H, W, 3)` in C order, mapped into memory: opening it reads only the header, and
/// reading a range touches only that range, whose pages are given back afterwards.
///
/// The file must not be cut short while it is open: the operating system ends a program that reads a mapping past the end.
#[derive(Debug)]
pub struct NpyImages {
    path: PathBuf,
    map: Mmap,
    data_offset: usize,
    shape: ImageShape,
}

impl NpyImages {
    /// Opens a file and checks its header against its length.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened or is not `.npy`, if it has another dtype, shape or order, or if it is
    /// shorter or longer than its header says.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let io = |source| DatasetError::io(path, source);
        let mut file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(DatasetError::malformed(path, "not a file; expected a .npy file"));
        }
        let header = read_header(&mut (&mut file).take(1 << 16), path)?;
        let shape = image_shape(&header, path)?;
        check_length(&header, path, shape.len, shape.image_bytes, metadata.len())?;
        // SAFETY: the mapping is private to this value and only ever read; its bytes are plain integers, for which any
        // content is valid. That the file stays as long as it is, is documented as the caller's part.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        let data_offset = usize::try_from(header.data_offset).unwrap_or(usize::MAX);
        Ok(Self {
            path: path.to_path_buf(),
            map,
            data_offset,
            shape,
        })
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        usize::try_from(self.shape.len).unwrap_or(usize::MAX)
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.shape.len == 0
    }

    /// Rows of an image, in pixels.
    pub fn height(&self) -> usize {
        self.shape.height
    }

    /// Columns of an image, in pixels.
    pub fn width(&self) -> usize {
        self.shape.width
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a range of images.
    ///
    /// # Errors
    /// Returns an error if the range ends after [`len`](Self::len), or before it starts.
    pub fn read(&self, range: Range<usize>) -> Result<ImageSet> {
        let outside = || DatasetError::IndexOutOfRange {
            index: range.end.max(range.start) as u64,
            len: self.shape.len,
        };
        if range.start > range.end || range.end > self.len() {
            return Err(outside());
        }
        let at = |index: usize| self.data_offset + index * self.shape.image_bytes;
        let bytes = self.map.get(at(range.start)..at(range.end)).ok_or_else(outside)?;
        let images = ImageSet::unlabelled(bytes.to_vec(), self.shape.height, self.shape.width);
        self.release(at(range.start), bytes.len());
        images
    }

    /// Everything in the file, in chunks.
    pub fn into_source(self) -> NpySource {
        let range = 0..self.len();
        NpySource {
            images: self,
            range,
            labels: None,
            class_names: Vec::new(),
        }
    }

    /// A range of the file in chunks, with the labels of that range if there are any.
    pub(crate) fn into_part(
        self,
        range: Range<usize>,
        labels: Option<Vec<u32>>,
        class_names: Vec<String>,
    ) -> NpySource {
        NpySource {
            images: self,
            range,
            labels,
            class_names,
        }
    }

    /// Gives the pages of a range back, so that reading a long file does not make the program look large.
    #[cfg(unix)]
    fn release(&self, offset: usize, length: usize) {
        // SAFETY: the mapping is of a file and read-only, so the pages come back from the file when they are read again;
        // no reference into the mapping outlives the call that made it.
        let advised = unsafe {
            self.map
                .unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, length)
        };
        if let Err(error) = advised {
            tracing::debug!(path = %self.path.display(), %error, "the mapped pages could not be given back");
        }
    }

    #[cfg(not(unix))]
    fn release(&self, _offset: usize, _length: usize) {}
}

/// A range of a `.npy` file, read a chunk at a time. Made by [`NpyImages::into_source`] and by
/// [`Cifar10C`](crate::cifar10_c::Cifar10C).
#[derive(Debug)]
pub struct NpySource {
    images: NpyImages,
    /// What is still to come.
    range: Range<usize>,
    /// The labels of what is still to come.
    labels: Option<Vec<u32>>,
    class_names: Vec<String>,
}

impl ImageSource for NpySource {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        let count = max.max(1).min(self.range.len());
        if count == 0 {
            return Ok(None);
        }
        let end = self.range.start + count;
        let chunk = self.images.read(self.range.start..end)?;
        self.range.start = end;
        match &mut self.labels {
            None => Ok(Some(chunk)),
            Some(labels) => {
                let these = labels.drain(..count.min(labels.len())).collect();
                chunk.with_labels(these, self.class_names.clone()).map(Some)
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.range.len() as u64)
    }
}
