//! A classifier's probabilities as a file.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use riptide_files::FileError;
use riptide_files::atomic::NewFile;
use riptide_files::npy::{Element, encode_header};

use crate::error::{Error, Result};
use crate::score::Scored;

/// Writes the classifier's probabilities of scored images as a `.npy` file of float32 (N, n_classes), chunk by chunk, so that any
/// number of them takes little memory. The file appears with [`commit`](Self::commit), whole; dropped before, it leaves nothing.
///
/// ```
/// use riptide::prelude::*;
/// use riptide::{Expected, ProbabilitiesFile};
/// # fn main() -> Result<(), riptide::Error> {
/// # let classifier = Classifier::from_fn(2, (8, 8), |images| Ok(images.images().flat_map(|_| [0.25, 0.75]).collect()));
/// # let images = ImageSet::unlabelled((0..30 * 8 * 8 * 3).map(|i: u32| (i % 251) as u8).collect(), 8, 8)?;
/// # let monitor = Fit::default().epochs(1).filters(Some(8)).run(classifier, &images)?;
/// # let folder = tempfile::tempdir().map_err(riptide::files::FileError::on("create a folder in", "/tmp"))?;
/// # let path = folder.path().join("p.npy");
/// let mut file = ProbabilitiesFile::create(&path, monitor.n_classes())?;
/// for chunk in monitor.score_stream(&images) {
///     file.add(&chunk?)?;
/// }
/// file.commit()?;
/// assert_eq!(Expected::read(&path)?.len(), 30);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ProbabilitiesFile {
    file: NewFile,
    path: PathBuf,
    n_images: u64,
    n_classes: usize,
}

impl ProbabilitiesFile {
    /// Starts a file that will be at `path`.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be written there, [`Error::Malformed`] if its name does not end in `.npy`.
    pub fn create(path: impl AsRef<Path>, n_classes: usize) -> Result<Self> {
        let path = path.as_ref();
        if !path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("npy"))
        {
            return Err(Error::malformed(
                path,
                "probabilities are written as .npy; give a file that ends in it",
            ));
        }
        let mut this = Self {
            file: NewFile::create(path)?,
            path: path.into(),
            n_images: 0,
            n_classes,
        };
        let header = this.header();
        this.write(&header)?;
        Ok(this)
    }

    /// Adds the rows of a chunk.
    ///
    /// # Errors
    /// [`Error::File`] if the disk is full, [`Error::Mismatch`] for another number of classes.
    pub fn add(&mut self, chunk: &Scored) -> Result<()> {
        let rows = &chunk.probabilities;
        if rows.n_classes != self.n_classes {
            return Err(Error::mismatch("number of classes", self.n_classes, rows.n_classes));
        }
        let mut bytes = Vec::with_capacity(rows.classifier.len() * f32::BYTES);
        rows.classifier.iter().for_each(|value| value.write(&mut bytes));
        self.n_images += rows.len() as u64;
        self.write(&bytes)
    }

    /// Writes the number of images into the header and puts the file under its name.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be written.
    pub fn commit(mut self) -> Result<()> {
        // Headers are padded to a multiple of 64 bytes, so that the number of images has room: with any number it is 128 bytes.
        let header = self.header();
        self.file
            .seek(SeekFrom::Start(0))
            .map_err(FileError::on("write", &self.path))?;
        self.write(&header)?;
        Ok(self.file.commit()?)
    }

    fn header(&self) -> Vec<u8> {
        encode_header(f32::DTYPE, &[self.n_images, self.n_classes as u64])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.file.write_all(bytes).map_err(FileError::on("write", &self.path))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_the_same_length_for_any_number_of_images() {
        for n_classes in [1, 1000, u64::MAX] {
            for n_images in [0, 9, 1 << 40, u64::MAX] {
                assert_eq!(encode_header(f32::DTYPE, &[n_images, n_classes]).len(), 128);
            }
        }
    }
}
