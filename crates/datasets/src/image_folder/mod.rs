//! Images from ordinary files: a folder with one folder per class, a flat folder, or a glob pattern.
//!
//! How one file is decoded, and in which formats, is said in [`crate::picture`].

mod list;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use list::Listing;
use riptide_files::shown;

use crate::error::{DatasetError, Result};
use crate::image_set::{CHANNELS, ImageSet};
use crate::picture::{self, Encoded, Framing, Picture, PictureError, PictureOptions};
use crate::source::{ImageSource, OnError, Skipped};

/// Files that are read, and then decoded in parallel, at a time: their number, and their bytes unless one has more.
const TOGETHER: usize = 64;
const TOGETHER_BYTES: u64 = 32 << 20;
/// The most bytes of pixels of one chunk, unless one image has more.
const CHUNK_BYTES: u64 = 256 << 20;

/// Loads a folder, a flat folder or a glob pattern whole. See [`ImageFolder::open`].
///
/// # Errors
/// As [`ImageFolder::open`] and [`ImageFolder::next_chunk`](ImageSource::next_chunk).
pub fn load(path: impl AsRef<Path>, options: PictureOptions) -> Result<ImageSet> {
    let path = path.as_ref();
    ImageFolder::open(path, options)?.read_all()?.ok_or_else(|| empty(path))
}

/// Whether any file that [`ImageFolder::open`] would list at a path is the one that is sought.
pub(crate) fn lists(path: &Path, is_sought: impl Fn(&Path) -> bool) -> bool {
    Listing::of(path).is_ok_and(|listing| listing.pictures.iter().any(|(file, _)| is_sought(file)))
}

/// Image files that are read a chunk at a time, decoded in parallel, always in the same order.
///
/// Of pictures that are kept as they are, each must have the size of the first one; their headers are asked before they are
/// decoded. Memory is bounded by the pictures of a chunk after framing, and about 200 MB (or one picture, if that has more) for
/// those that are being decoded.
#[derive(Debug, Clone)]
pub struct ImageFolder {
    listing: Listing,
    options: PictureOptions,
    on_error: OnError,
    /// Rows and columns of the pictures, if they are known.
    size: Option<(u32, u32)>,
    /// Pictures that are decoded and not yet handed out.
    ready: VecDeque<(PathBuf, u32, picture::Result<Picture>)>,
    has_given: bool,
    unreadable: Skipped,
    /// Whether a warning has told of them.
    is_told: bool,
}

impl ImageFolder {
    /// Lists the images of
    /// - a folder of folders: each folder directly inside is a class, with all images in it and below it; classes in the byte
    ///   order of their names are labels 0, 1, …, and files are sorted by path within a class. Folders without images are not
    ///   classes, and folders that are all called train, test or val are refused;
    /// - a folder of image files: sorted by name, without labels;
    /// - a glob pattern such as `shots/2024-*/*.png`: sorted by path, without labels;
    /// - one image file.
    ///
    /// Names that start with a dot are passed over, and so is `__MACOSX`. A file is an image if its extension is an image
    /// format's or, failing that, if its first bytes are; [`skipped`](Self::skipped) lists the others.
    ///
    /// # Errors
    /// Returns an error if the path does not exist or cannot be read, if there are images both beside and inside class folders,
    /// if there are no images, if it is the Python version of CIFAR-10 or CIFAR-100, or if the options are out of their range.
    pub fn open(path: impl AsRef<Path>, options: PictureOptions) -> Result<Self> {
        let path = path.as_ref();
        options.check().map_err(DatasetError::picture_option)?;
        let listing = Listing::of(path)?;
        if listing.pictures.is_empty() {
            return Err(empty(path));
        }
        if let Some(first) = listing.skipped.first() {
            let files = listing.skipped.len();
            tracing::warn!(
                "{}: {files} files that are no images were skipped, the first is {}",
                shown(path),
                shown(first)
            );
        }
        let mut folder = Self {
            listing,
            options,
            on_error: OnError::Fail,
            size: options.framing.output(),
            ready: VecDeque::new(),
            has_given: false,
            unreadable: Skipped::default(),
            is_told: false,
        };
        if options.framing == Framing::Keep
            && let Some((first, _)) = folder.listing.pictures.front()
        {
            // What is wrong with it is told in its turn.
            folder.size = picture::size_of_file(first, &options).ok();
        }
        Ok(folder)
    }

    /// Says what to do about pictures that cannot be read: [`OnError::Fail`] by default.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// The names of the classes, by label; empty if the folder has none.
    pub fn class_names(&self) -> &[String] {
        &self.listing.class_names
    }

    /// Files that were passed over because neither their extension nor their content is an image's.
    pub fn skipped(&self) -> &[PathBuf] {
        &self.listing.skipped
    }

    /// The files that are still to be read, in order.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let ready = self.ready.iter().map(|(path, ..)| path.as_path());
        ready.chain(self.listing.pictures.iter().map(|(path, _)| path.as_path()))
    }

    /// Decodes the next files, at most `wanted`, if there are any.
    fn decode_more(&mut self, wanted: usize) {
        let mut files: Vec<(PathBuf, u32)> = Vec::new();
        let mut bytes = 0_u64;
        while files.len() < wanted.min(TOGETHER) {
            let Some((path, _)) = self.listing.pictures.front() else {
                break;
            };
            // What cannot be asked for its length cannot be read either.
            bytes = bytes.saturating_add(std::fs::metadata(path).map_or(0, |metadata| metadata.len()));
            if bytes > TOGETHER_BYTES && !files.is_empty() {
                break;
            }
            files.extend(self.listing.pictures.pop_front());
        }
        let pictures = files.iter().map(|(path, _)| Encoded::File(path.clone())).collect();
        let decoded = picture::decode_many(pictures, &self.options, &mut self.size);
        self.ready.extend(
            files
                .into_iter()
                .zip(decoded)
                .map(|((path, label), picture)| (path, label, picture)),
        );
    }

    /// The error of the picture that is next, together with those decoded with it that cannot be read either.
    fn failure(&mut self) -> Option<DatasetError> {
        let mut files = Vec::new();
        for (path, _, picture) in self.ready.drain(..) {
            match picture {
                Ok(_) => {}
                Err(PictureError::WrongSize { found, expected }) if files.is_empty() => {
                    return Some(DatasetError::PictureSize { path, found, expected });
                }
                Err(reason) => files.push((path, reason)),
            }
        }
        self.listing.pictures.clear();
        let count = files.len() as u64;
        (count > 0).then_some(DatasetError::Unreadable { files, count })
    }
}

impl ImageSource for ImageFolder {
    /// The next pictures. A chunk ends before a picture that cannot be read, so that the images before it are not lost; then
    /// that one is passed over or the error is returned, as [`on_error`](ImageFolder::on_error) says. If all are passed over
    /// it is an error, too.
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        let (mut pixels, mut labels, mut files) = (Vec::new(), Vec::new(), Vec::new());
        let mut max = max.max(1);
        while labels.len() < max {
            if self.ready.is_empty() {
                self.decode_more(max - labels.len());
            }
            match self.ready.front() {
                None => break,
                Some((_, _, Err(_))) if !labels.is_empty() => break,
                Some((_, _, Err(error))) => {
                    let is_skipped = self.on_error == OnError::Skip && !matches!(error, PictureError::WrongSize { .. });
                    if !is_skipped {
                        return self.failure().map_or(Ok(None), Err);
                    }
                    if let Some((path, _, Err(reason))) = self.ready.pop_front() {
                        self.unreadable.note(path, reason);
                    }
                }
                Some((_, _, Ok(_))) => {
                    if let Some((path, label, Ok(picture))) = self.ready.pop_front() {
                        if labels.is_empty() {
                            let most = CHUNK_BYTES / (picture.pixels().len() as u64).max(1);
                            max = max.min(usize::try_from(most).unwrap_or(usize::MAX).max(1));
                        }
                        pixels.extend_from_slice(picture.pixels());
                        labels.push(label);
                        files.push(path);
                    }
                }
            }
        }
        if labels.is_empty() {
            if !self.has_given && self.unreadable.count > 0 {
                let Skipped { count, files } = self.unreadable.clone();
                return Err(DatasetError::Unreadable { files, count });
            }
            if self.unreadable.count > 0 && !std::mem::replace(&mut self.is_told, true) {
                let Skipped { count, files } = self.unreadable.clone();
                tracing::warn!("skipped: {}", DatasetError::Unreadable { files, count });
            }
            return Ok(None);
        }
        self.has_given = true;
        let area = pixels.len() / (labels.len() * CHANNELS);
        let (height, width) = self
            .size
            .map_or((0, 0), |(height, width)| (height as usize, width as usize));
        if height * width != area {
            // Framing gives every picture the size it says, and pictures that are kept were compared.
            return Err(DatasetError::PixelCount {
                pixels: pixels.len(),
                images: labels.len(),
                height,
                width,
            });
        }
        if self.listing.class_names.is_empty() {
            return ImageSet::unlabelled(pixels, height, width)?.with_files(files).map(Some);
        }
        let set = ImageSet::new(pixels, height, width, labels, self.listing.class_names.clone())?;
        set.with_files(files).map(Some)
    }

    fn pick(&mut self, places: &[usize]) -> Result<Option<ImageSet>> {
        let chosen = places
            .iter()
            .filter_map(|place| self.listing.pictures.get(*place).cloned());
        self.listing.pictures = chosen.collect();
        self.read_all()
    }

    fn remaining(&self) -> Option<u64> {
        Some((self.ready.len() + self.listing.pictures.len()) as u64)
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        self.size.map(|(height, width)| (height as usize, width as usize))
    }

    fn unreadable(&self) -> Option<&Skipped> {
        Some(&self.unreadable)
    }
}

fn empty(path: &Path) -> DatasetError {
    DatasetError::Empty {
        path: path.to_path_buf(),
        hint: "expected image files, or one folder of image files for each class".to_owned(),
    }
}
