//! Images whose number is not known beforehand.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};

use riptide_datasets::{DatasetError, ImageSet, ImageSource};
use riptide_files::FileError;

use crate::error::Result;
use crate::images::Images;

/// Images of a stream in a temporary file, from which they are read again: which of them are kept apart depends on how many there are, and
/// all together may not fit into memory.
struct Spilled {
    file: File,
    size: (usize, usize),
    next: usize,
    n: usize,
    labels: Vec<u32>,
    class_names: Vec<String>,
    /// Number of classes and rows of logged probabilities.
    logged: Option<(usize, Vec<f32>)>,
}

/// Images that say how many they are: the same ones if they know it, else the same from a temporary file.
///
/// # Errors
/// Those of reading them, [`Error::File`](crate::Error::File) if the temporary file cannot be written.
pub(super) fn counted<'a>(mut images: Images<'a>, size: (usize, usize)) -> Result<Images<'a>> {
    if images.remaining().is_some() {
        return Ok(images);
    }
    let folder = std::env::temp_dir();
    let name = images.name().to_owned();
    let file = tempfile::tempfile().map_err(FileError::on("create a temporary file in", &folder))?;
    let mut writer = BufWriter::new(file);
    let (mut n, mut labels, mut class_names, mut logged) = (0, Vec::new(), Vec::new(), None);
    while let Some((_, chunk)) = images.next_chunk(size)? {
        let written = writer.write_all(chunk.pixels());
        written.map_err(FileError::on("write a temporary file in", &folder))?;
        labels.extend_from_slice(chunk.labels().unwrap_or_default());
        class_names = chunk.class_names().to_vec();
        if let Some((n_classes, rows)) = chunk.probabilities() {
            let (_, all) = logged.get_or_insert_with(|| (n_classes, Vec::new()));
            all.extend_from_slice(rows);
        }
        n += chunk.len();
    }
    let file = writer
        .into_inner()
        .map_err(|error| FileError::on("write a temporary file in", &folder)(error.into_error()))?;
    let mut file = file;
    file.rewind()
        .map_err(FileError::on("read a temporary file in", &folder))?;
    let spilled = Spilled {
        file,
        size,
        next: 0,
        n,
        labels,
        class_names,
        logged,
    };
    Ok(Images::named(name, spilled))
}

impl ImageSource for Spilled {
    fn next_chunk(&mut self, max: usize) -> riptide_datasets::Result<Option<ImageSet>> {
        let count = max.max(1).min(self.n - self.next);
        if count == 0 {
            return Ok(None);
        }
        let (height, width) = self.size;
        let mut pixels = vec![0; count * 3 * height * width];
        let folder = std::env::temp_dir();
        let read = self.file.read_exact(&mut pixels);
        read.map_err(FileError::on("read a temporary file in", &folder))
            .map_err(DatasetError::from)?;
        let range = self.next..self.next + count;
        self.next += count;
        let set = match self.labels.get(range.clone()) {
            Some(labels) => ImageSet::new(pixels, height, width, labels.to_vec(), self.class_names.clone())?,
            None => ImageSet::unlabelled(pixels, height, width)?,
        };
        match &self.logged {
            None => Ok(Some(set)),
            Some((n_classes, rows)) => {
                let rows = rows
                    .get(range.start * n_classes..range.end * n_classes)
                    .unwrap_or_default();
                set.with_probabilities(*n_classes, rows.to_vec()).map(Some)
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        Some((self.n - self.next) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images that do not say how many they are.
    struct Stream<S>(S);

    impl<S: ImageSource> ImageSource for Stream<S> {
        fn next_chunk(&mut self, max: usize) -> riptide_datasets::Result<Option<ImageSet>> {
            self.0.next_chunk(max.min(3))
        }

        fn remaining(&self) -> Option<u64> {
            None
        }
    }

    #[test]
    fn images_come_back_as_they_were() {
        let pixels: Vec<u8> = (0..10 * 12).collect();
        let names = vec!["a".into(), "b".into()];
        let labels: Vec<u32> = (0..10).map(|i| i % 2).collect();
        let labelled = ImageSet::new(pixels.clone(), 2, 2, labels, names).unwrap();
        let plain = ImageSet::unlabelled(pixels, 2, 2).unwrap();
        for set in [labelled, plain] {
            let stream = Images::named("a stream", Stream(set.clone().into_source()));
            let counted = counted(stream, (2, 2)).unwrap();
            assert_eq!((counted.remaining(), counted.name()), (Some(10), "a stream"));
            assert_eq!(counted.read_all((2, 2)).unwrap(), set);
        }
    }
}
