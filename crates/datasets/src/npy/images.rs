//! A `.npy` file of images.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::convert::Converter;
use super::shape::{ArrayOptions, ImageShape};
use super::{check_length, read_header};
use crate::error::{DatasetError, Result};
use crate::image_set::ImageSet;
use crate::regular;
use crate::source::ImageSource;

/// A `.npy` file of images in C order: `uint8`, or floating-point numbers, which are rounded to 8 bits; in colour or grey,
/// channels last or first (see [`Layout`](super::Layout)). Opening it reads only the header, and reading a range only that
/// range.
///
/// A file that is cut short or replaced while it is open is an error of the next read.
#[derive(Debug)]
pub struct NpyImages {
    path: PathBuf,
    file: File,
    data_offset: u64,
    shape: ImageShape,
    options: ArrayOptions,
}

impl NpyImages {
    /// Opens a file and checks its header against its length.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened or is not `.npy`, if it has another dtype, shape or order, or if it is
    /// shorter or longer than its header says.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, ArrayOptions::default())
    }

    /// As [`open`](Self::open), for arrays that do not show their layout or their range.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: ArrayOptions) -> Result<Self> {
        let path = path.as_ref();
        let (file, length) = regular::open(path)?;
        let header = read_header(&mut BufReader::new((&file).take(1 << 16)), path)?;
        let shape = ImageShape::of(&header, path, options)?;
        check_length(&header, path, shape.len, shape.stored_bytes, length)?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            data_offset: header.data_offset,
            shape,
            options,
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

    /// Reads a range of images. Of floating-point numbers whose range is not given, the range is concluded from the images read.
    ///
    /// # Errors
    /// Returns an error if the range ends after [`len`](Self::len), or before it starts, if the file can no longer be read, or
    /// if a value is not a number or outside the range.
    pub fn read(&self, range: Range<usize>) -> Result<ImageSet> {
        self.read_with(range, &mut self.converter())
    }

    fn converter(&self) -> Converter {
        Converter::new(self.path.clone(), self.shape, self.options)
    }

    fn read_with(&self, range: Range<usize>, converter: &mut Converter) -> Result<ImageSet> {
        if range.start > range.end || range.end > self.len() {
            return Err(DatasetError::IndexOutOfRange {
                index: range.end.max(range.start) as u64,
                len: self.shape.len,
            });
        }
        // The length of the file was found to be the header's, so no product can overflow; but a file can have holes, and be
        // longer than any memory.
        let bytes = range.len() * self.shape.stored_bytes;
        let mut stored = Vec::new();
        stored
            .try_reserve_exact(bytes)
            .map_err(|error| DatasetError::malformed(&self.path, format!("{bytes} bytes at once: {error}")))?;
        stored.resize(bytes, 0);
        let offset = self.data_offset + range.start as u64 * self.shape.stored_bytes as u64;
        regular::read_exact_at(&self.file, &mut stored, offset).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => DatasetError::Truncated {
                path: self.path.clone(),
                expected: self.data_offset + self.shape.len * self.shape.stored_bytes as u64,
                found: self.file.metadata().map_or(0, |metadata| metadata.len()),
            },
            _ => DatasetError::io(&self.path, source),
        })?;
        let pixels = converter.convert(stored, range.start as u64)?;
        ImageSet::unlabelled(pixels, self.shape.height, self.shape.width)
    }

    /// Everything in the file, in chunks.
    pub fn into_source(self) -> NpySource {
        let range = 0..self.len();
        self.into_part(range, None, Vec::new())
    }

    /// A range of the file in chunks, with the labels of that range if there are any.
    pub(crate) fn into_part(
        self,
        range: Range<usize>,
        labels: Option<Vec<u32>>,
        class_names: Vec<String>,
    ) -> NpySource {
        NpySource {
            converter: self.converter(),
            images: self,
            range,
            labels,
            class_names,
        }
    }
}

/// A range of a `.npy` file, read a chunk at a time. Made by [`NpyImages::into_source`] and by
/// [`Cifar10C`](crate::cifar10_c::Cifar10C).
#[derive(Debug)]
pub struct NpySource {
    images: NpyImages,
    converter: Converter,
    /// What is still to come.
    range: Range<usize>,
    /// The labels of what is still to come.
    labels: Option<Vec<u32>>,
    class_names: Vec<String>,
}

impl ImageSource for NpySource {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        let count = max.max(1).min(self.images.shape.together()).min(self.range.len());
        if count == 0 {
            self.converter.end();
            return Ok(None);
        }
        let end = self.range.start + count;
        let chunk = self.images.read_with(self.range.start..end, &mut self.converter)?;
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

    fn image_size(&self) -> Option<(usize, usize)> {
        Some((self.images.height(), self.images.width()))
    }
}
