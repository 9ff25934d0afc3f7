//! Writing images as `.npy`.

use std::io::Write;
use std::path::{Path, PathBuf};

use riptide_files::atomic::NewFile;
use riptide_files::npy::encode_header;

use crate::error::{DatasetError, Result};
use crate::image_set::{CHANNELS, ImageSet, image_bytes};

/// Writes a `.npy` file of images part by part. The file only appears under its name when [`finish`](Self::finish) has
/// been called and everything that was announced has been written; dropped before, it leaves nothing.
#[derive(Debug)]
pub struct NpyWriter {
    path: PathBuf,
    out: NewFile,
    height: usize,
    width: usize,
    expected: u64,
    written: u64,
}

impl NpyWriter {
    /// Starts a file of `len` images of `height` x `width` pixels, `(len, height, width, 3)` of `uint8` in C order.
    ///
    /// # Errors
    /// Returns an error if the height or width is 0, or if the folder does not exist or cannot be written.
    pub fn create(path: impl AsRef<Path>, len: u64, height: usize, width: usize) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        image_bytes(height, width)?;
        let mut out = NewFile::create(&path)?;
        let header = encode_header("|u1", &[len, height as u64, width as u64, CHANNELS as u64]);
        out.write_all(&header)
            .map_err(|source| DatasetError::io(&path, source))?;
        Ok(Self {
            path,
            out,
            height,
            width,
            expected: len,
            written: 0,
        })
    }

    /// Adds images; labels are not written.
    ///
    /// # Errors
    /// Returns an error if the images have another size, if there are more than announced, or if the disk is full.
    pub fn append(&mut self, images: &ImageSet) -> Result<()> {
        if (images.height(), images.width()) != (self.height, self.width) {
            return Err(DatasetError::Mismatch {
                what: "image size",
                left: format!("{} x {}", self.height, self.width),
                right: format!("{} x {}", images.height(), images.width()),
            });
        }
        let written = self.written.saturating_add(images.len() as u64);
        if written > self.expected {
            return Err(self.wrong_count(written));
        }
        self.out
            .write_all(images.pixels())
            .map_err(|source| DatasetError::io(&self.path, source))?;
        self.written = written;
        Ok(())
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// Returns an error if there are fewer images than announced, or if the disk is full.
    pub fn finish(self) -> Result<()> {
        if self.written != self.expected {
            return Err(self.wrong_count(self.written));
        }
        Ok(self.out.commit()?)
    }

    fn wrong_count(&self, written: u64) -> DatasetError {
        DatasetError::Mismatch {
            what: "number of images",
            left: format!("{} announced", self.expected),
            right: format!("{written} written"),
        }
    }
}

/// Writes the images of a set as `.npy`, `(N, H, W, 3)` of `uint8`, first to a temporary file that is then renamed.
/// Labels are not written: see [`write_labels`](super::write_labels).
///
/// # Errors
/// Returns an error if the folder does not exist or cannot be written.
pub fn write_images(path: impl AsRef<Path>, images: &ImageSet) -> Result<()> {
    let mut writer = NpyWriter::create(path, images.len() as u64, images.height(), images.width())?;
    writer.append(images)?;
    writer.finish()
}
