//! Images from ordinary files: a folder with one folder per class, a flat folder, or a glob pattern.
//!
//! The formats are PNG, JPEG, BMP, GIF (first frame), TIFF, WebP and PNM; the
//! content decides, not the extension. Everything becomes 8-bit RGB: grey is repeated, an alpha channel is dropped, 16-bit
//! values are scaled down.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use rayon::prelude::*;

use crate::error::{DatasetError, Result};
use crate::image_set::ImageSet;
use crate::picture::{self, Picture, PictureError, PictureOptions};
use crate::source::ImageSource;

/// Loads a folder, a flat folder or a glob pattern whole. See [`ImageFolder::open`].
///
/// # Errors
/// As [`ImageFolder::open`]; files that cannot be decoded are all named in one error.
pub fn load(path: impl AsRef<Path>, pictures: PictureOptions) -> Result<ImageSet> {
    let path = path.as_ref();
    let mut source = ImageFolder::open(path, pictures)?;
    let count = source.waiting.len();
    source.next_chunk(count)?.ok_or_else(|| empty(path))
}

/// Image files that are read a chunk at a time, decoded in parallel, always in the same order.
#[derive(Debug, Clone)]
pub struct ImageFolder {
    waiting: VecDeque<(PathBuf, u32)>,
    class_names: Vec<String>,
    skipped: Vec<PathBuf>,
    pictures: PictureOptions,
    /// Rows and columns of the pictures read so far.
    size: Option<(u64, u64)>,
}

impl ImageFolder {
    /// Lists the images of
    /// - a folder of folders: each folder is a class; classes in the byte order of their names are labels 0, 1, …, and files
    ///   are sorted by name within a class. Folders without images are not classes;
    /// - a folder of image files: sorted by name, without labels;
    /// - a glob pattern such as `shots/2024-*/*.png`: sorted by path, without labels;
    /// - one image file.
    ///
    /// Names that start with a dot are passed over. So are files without an image format's extension, which
    /// [`skipped`](Self::skipped) lists.
    ///
    /// # Errors
    /// Returns an error if the path does not exist or cannot be read, if there are images both beside and inside class folders,
    /// if there are no images, or if the options are out of their range.
    pub fn open(path: impl AsRef<Path>, pictures: PictureOptions) -> Result<Self> {
        let path = path.as_ref();
        pictures.check().map_err(DatasetError::picture_option)?;
        let mut folder = Self {
            waiting: VecDeque::new(),
            class_names: Vec::new(),
            skipped: Vec::new(),
            pictures,
            size: None,
        };
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => folder.list_folder(path)?,
            Ok(_) => folder.waiting.push_back((path.to_path_buf(), 0)),
            Err(error) => match path.to_str().filter(|text| text.contains(['*', '?', '['])) {
                Some(pattern) => folder.list_glob(path, pattern)?,
                None => return Err(DatasetError::io(path, error)),
            },
        }
        if folder.waiting.is_empty() {
            return Err(empty(path));
        }
        if !folder.skipped.is_empty() {
            tracing::warn!(path = %path.display(), files = folder.skipped.len(), "files that are no images were skipped");
        }
        Ok(folder)
    }

    /// The names of the classes, by label; empty if the folder has none.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Files that were passed over because their extension is not an image format's.
    pub fn skipped(&self) -> &[PathBuf] {
        &self.skipped
    }

    /// The files that are still to be read, in order.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.waiting.iter().map(|(path, _)| path.as_path())
    }

    fn list_folder(&mut self, path: &Path) -> Result<()> {
        let (flat, folders) = list(path)?;
        let flat = self.only_images(flat);
        for folder in folders {
            let (files, _) = list(&folder)?;
            let files = self.only_images(files);
            if files.is_empty() {
                continue;
            }
            let label = u32::try_from(self.class_names.len()).unwrap_or(u32::MAX);
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.class_names.push(name);
            self.waiting.extend(files.into_iter().map(|file| (file, label)));
        }
        if !flat.is_empty() && !self.class_names.is_empty() {
            let example = flat.first().map(|file| file.display().to_string()).unwrap_or_default();
            let reason =
                format!("images both in class folders and beside them, such as {example}; move one or the other");
            return Err(DatasetError::malformed(path, reason));
        }
        self.waiting.extend(flat.into_iter().map(|file| (file, 0)));
        Ok(())
    }

    fn list_glob(&mut self, path: &Path, pattern: &str) -> Result<()> {
        let broken = |error: glob::PatternError| DatasetError::malformed(path, format!("not a glob pattern: {error}"));
        let mut files = Vec::new();
        for file in glob::glob(pattern).map_err(broken)? {
            let file = file.map_err(|error| {
                let path = error.path().to_path_buf();
                DatasetError::io(path, error.into())
            })?;
            if file.is_file() {
                files.push(file);
            }
        }
        files.sort_unstable();
        let files = self.only_images(files);
        self.waiting.extend(files.into_iter().map(|file| (file, 0)));
        Ok(())
    }

    /// The files with an image format's extension; the others go to `skipped`.
    fn only_images(&mut self, files: Vec<PathBuf>) -> Vec<PathBuf> {
        let readable = |file: &PathBuf| ImageFormat::from_path(file).is_ok_and(|format| format.reading_enabled());
        let (images, others): (Vec<_>, Vec<_>) = files.into_iter().partition(readable);
        self.skipped.extend(others);
        images
    }
}

impl ImageSource for ImageFolder {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        // Decoding some at a time bounds the memory that images need before they are resized.
        const TOGETHER: usize = 256;
        let mut wanted = max.max(1).min(self.waiting.len());
        let (mut pixels, mut labels, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        while wanted > 0 {
            let files: Vec<_> = self.waiting.drain(..wanted.min(TOGETHER)).collect();
            wanted -= files.len();
            let pictures = self.pictures;
            let images: Vec<_> = files.par_iter().map(|(file, _)| decode(file, &pictures)).collect();
            for ((file, label), image) in files.into_iter().zip(images) {
                let image = match image {
                    Ok(image) => image,
                    Err(reason) => {
                        unreadable.push((file, reason));
                        continue;
                    }
                };
                let (h, w) = (image.height() as u64, image.width() as u64);
                let (height, width) = *self.size.get_or_insert((h, w));
                if (h, w) != (height, width) {
                    return Err(DatasetError::WrongShape {
                        path: file,
                        expected: format!(
                            "[{height}, {width}, 3] as the images before it; or ask for a size to resize to"
                        ),
                        found: vec![h, w, 3],
                    });
                }
                pixels.extend_from_slice(image.pixels());
                labels.push(label);
            }
        }
        if !unreadable.is_empty() {
            return Err(DatasetError::Unreadable { files: unreadable });
        }
        let Some((height, width)) = self.size.filter(|_| !labels.is_empty()) else {
            return Ok(None);
        };
        let (height, width) = (height as usize, width as usize);
        if self.class_names.is_empty() {
            return ImageSet::unlabelled(pixels, height, width).map(Some);
        }
        ImageSet::new(pixels, height, width, labels, self.class_names.clone()).map(Some)
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.waiting.len() as u64)
    }

    fn files(&self) -> Option<Vec<PathBuf>> {
        Some(self.waiting.iter().map(|(path, _)| path.clone()).collect())
    }
}

/// Decodes one file.
fn decode(path: &Path, options: &PictureOptions) -> std::result::Result<Picture, PictureError> {
    let io = |error: std::io::Error| PictureError::Io {
        reason: error.to_string(),
    };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > options.max_bytes {
        let limit = options.max_bytes;
        return Err(PictureError::TooLong { bytes, limit });
    }
    picture::decode(&std::fs::read(path).map_err(io)?, options)
}

/// The files and the folders in a folder, each sorted by name, without those whose names start with a dot.
fn list(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let io = |source| DatasetError::io(folder, source);
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            folders.push(path)
        } else {
            files.push(path)
        }
    }
    files.sort_unstable();
    folders.sort_unstable();
    Ok((files, folders))
}

fn empty(path: &Path) -> DatasetError {
    DatasetError::Empty {
        path: path.to_path_buf(),
        hint: "expected image files, or one folder of image files for each class".to_owned(),
    }
}
