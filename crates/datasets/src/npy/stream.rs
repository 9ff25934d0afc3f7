//! A `.npy` array of images from something that can only be read once.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{ImageShape, image_shape, read_header};
use crate::error::{DatasetError, Result};
use crate::image_set::ImageSet;
use crate::source::ImageSource;

/// Images `(N, H, W, 3)` from a `.npy` stream, such as standard input. Only the chunk that was asked for is in memory, and
/// it grows as the data arrives, so a header that promises too much costs nothing.
#[derive(Debug)]
pub struct NpyStream<R> {
    reader: R,
    name: PathBuf,
    shape: ImageShape,
    next: u64,
    ended: bool,
}

impl<R: Read> NpyStream<R> {
    /// Reads the header. `name` stands for the stream in errors, such as `standard input`.
    ///
    /// # Errors
    /// Returns an error if the stream is not `.npy`, or if it has another dtype, shape or order.
    pub fn new(mut reader: R, name: impl AsRef<Path>) -> Result<Self> {
        let name = name.as_ref().to_path_buf();
        let header = read_header(&mut reader, &name)?;
        let shape = image_shape(&header, &name)?;
        Ok(Self {
            reader,
            name,
            shape,
            next: 0,
            ended: false,
        })
    }

    /// Rows of an image, in pixels.
    pub fn height(&self) -> usize {
        self.shape.height
    }

    /// Columns of an image, in pixels.
    pub fn width(&self) -> usize {
        self.shape.width
    }
}

impl<R: Read> ImageSource for NpyStream<R> {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        let io = |source| DatasetError::io(&self.name, source);
        let count = (max.max(1) as u64).min(self.shape.len - self.next);
        if count == 0 {
            if !self.ended && self.reader.read(&mut [0u8]).map_err(io)? != 0 {
                let expected = self.shape.len.saturating_mul(self.shape.image_bytes as u64);
                let found = expected.saturating_add(1);
                return Err(DatasetError::Oversized {
                    path: self.name.clone(),
                    expected,
                    found,
                });
            }
            self.ended = true;
            return Ok(None);
        }
        let wanted = count.saturating_mul(self.shape.image_bytes as u64);
        let mut pixels = Vec::new();
        let read = (&mut self.reader).take(wanted).read_to_end(&mut pixels).map_err(io)? as u64;
        if read != wanted {
            let before = self.next.saturating_mul(self.shape.image_bytes as u64);
            return Err(DatasetError::Truncated {
                path: self.name.clone(),
                expected: self.shape.len.saturating_mul(self.shape.image_bytes as u64),
                found: before.saturating_add(read),
            });
        }
        self.next += count;
        ImageSet::unlabelled(pixels, self.shape.height, self.shape.width).map(Some)
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.shape.len - self.next)
    }
}
