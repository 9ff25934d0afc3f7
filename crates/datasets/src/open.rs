//! Opening a path as whatever it turns out to be.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use crate::cifar10::{self, Cifar10Source, Split};
use crate::error::{DatasetError, Result};
use crate::expand;
use crate::frames::RawFrames;
use crate::image_folder::ImageFolder;
use crate::npy::{ArrayOptions, NpyImages, NpyStream};
use crate::npz::NpzImages;
use crate::picture::{Framing, PictureOptions};
use crate::picture_stream::PictureStream;
use crate::read_ahead::ReadAhead;
use crate::regular;
use crate::shards::TarShards;
use crate::source::{ImageSource, OnError};
use crate::table::{self, Manifest, TableOptions, has_extension};

/// How [`open`] reads what it finds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenOptions {
    /// The part of CIFAR-10, if the path is CIFAR-10; [`Split::Test`] by default.
    pub split: Split,
    /// How image files are decoded and framed.
    pub pictures: PictureOptions,
    /// What to do about image files that cannot be read; [`OnError::Fail`] by default.
    pub on_error: OnError,
    /// How arrays are read that do not show their layout or their range.
    pub arrays: ArrayOptions,
    /// Which columns of a table are what, and which are carried along.
    pub table: TableOptions,
    /// Height and width of raw frames without any header; by default the input is not of raw frames.
    pub frames: Option<(usize, usize)>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            split: Split::Test,
            pictures: PictureOptions::default(),
            on_error: OnError::Fail,
            arrays: ArrayOptions::default(),
            table: TableOptions::default(),
            frames: None,
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

    /// Sets [`on_error`](Self::on_error).
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// Sets the framing of [`pictures`](Self::pictures).
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.pictures.framing = framing;
        self
    }

    /// Sets [`arrays`](Self::arrays).
    #[must_use]
    pub fn arrays(mut self, arrays: ArrayOptions) -> Self {
        self.arrays = arrays;
        self
    }

    /// Sets [`table`](Self::table).
    #[must_use]
    pub fn table(mut self, table: TableOptions) -> Self {
        self.table = table;
        self
    }

    /// Sets [`frames`](Self::frames).
    #[must_use]
    pub fn frames(mut self, frames: Option<(usize, usize)>) -> Self {
        self.frames = frames;
        self
    }
}

/// Opens images by what is at `path`:
/// - `-`: standard input, of `.npy` arrays one behind the other ([`NpyStream`]) or of pictures, each preceded by its length
///   ([`PictureStream`]);
/// - a file that starts as a `.npy` file does ([`NpyImages`]), or a `.npz` archive, with the name of an array behind a colon if
///   there are several ([`NpzImages`]);
/// - tar shards in the layout of WebDataset ([`TarShards`]), and with the feature `parquet` Parquet files
///   ([`ParquetImages`](crate::table::ParquetImages)): one, or several as in `shard-{000..010}.tar` or `train-*.parquet`;
/// - a `.csv` or `.tsv` file that lists image files ([`Manifest`]);
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
        return standard_input(&options);
    }
    if path.is_dir() {
        if cifar10::is_in(path, options.split) {
            return Ok(Box::new(Cifar10Source::open(path, options.split)?));
        }
        return pictures(path, options);
    }
    if let Some((height, width)) = options.frames {
        let (file, _) = regular::open(path)?;
        return Ok(Box::new(RawFrames::new(file, path, height, width)?));
    }
    if let (file, Some(name)) = table::split(path)
        && has_extension(file, &["npz"])
    {
        return Ok(Box::new(NpzImages::open(file, Some(name), options.arrays)?));
    }
    if has_extension(path, &["tar"]) {
        let shards = TarShards::open(expand::files(path)?, &options.table, options.pictures)?;
        return Ok(Box::new(ReadAhead::new(shards.on_error(options.on_error))));
    }
    if has_extension(path, &["parquet"]) {
        return parquet(expand::files(path)?, &options);
    }
    if has_extension(path, &["csv", "tsv"]) {
        let manifest = Manifest::open(path, &options.table, options.pictures)?;
        return Ok(Box::new(ReadAhead::new(manifest.on_error(options.on_error))));
    }
    let mut start = Vec::new();
    if path.exists() {
        let (file, _) = regular::open(path)?;
        file.take(6)
            .read_to_end(&mut start)
            .map_err(|source| DatasetError::io(path, source))?;
    }
    if start == b"\x93NUMPY" || has_extension(path, &["npy"]) {
        return Ok(Box::new(NpyImages::open_with(path, options.arrays)?.into_source()));
    }
    if has_extension(path, &["npz"]) {
        return Ok(Box::new(NpzImages::open(path, None, options.arrays)?));
    }
    if start.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(Cifar10Source::open(path, options.split)?));
    }
    if has_extension(path, &["bin"]) {
        return Ok(Box::new(Cifar10Source::open_batch(path)?));
    }
    pictures(path, options)
}

/// Pictures that are decoded while those before them are worked on.
fn pictures(path: &Path, options: OpenOptions) -> Result<Box<dyn ImageSource>> {
    let folder = ImageFolder::open(path, options.pictures)?.on_error(options.on_error);
    Ok(Box::new(ReadAhead::new(folder)))
}

#[cfg(feature = "parquet")]
fn parquet(files: Vec<PathBuf>, options: &OpenOptions) -> Result<Box<dyn ImageSource>> {
    let images = table::ParquetImages::open(files, &options.table, options.pictures)?;
    Ok(Box::new(ReadAhead::new(images.on_error(options.on_error))))
}

#[cfg(not(feature = "parquet"))]
fn parquet(files: Vec<PathBuf>, _options: &OpenOptions) -> Result<Box<dyn ImageSource>> {
    Err(DatasetError::FeatureMissing {
        path: files.into_iter().next().unwrap_or_default(),
        feature: "parquet",
    })
}

const STDIN: &str = "standard input";

/// What comes on standard input is told by its first four bytes: those of a `.npy` file, or the length of a picture.
fn standard_input(options: &OpenOptions) -> Result<Box<dyn ImageSource>> {
    let mut stdin = std::io::stdin();
    if let Some((height, width)) = options.frames {
        return Ok(Box::new(RawFrames::new(stdin, STDIN, height, width)?));
    }
    let mut start = Vec::new();
    (&mut stdin)
        .take(4)
        .read_to_end(&mut start)
        .map_err(|source| DatasetError::io(STDIN, source))?;
    let length = <[u8; 4]>::try_from(start.as_slice())
        .map(u32::from_be_bytes)
        .unwrap_or(0);
    let reader = Cursor::new(start).chain(stdin);
    if length != 0 && u64::from(length) <= options.pictures.max_bytes {
        let pictures = PictureStream::new(reader, STDIN, options.pictures)?;
        return Ok(Box::new(pictures.on_error(options.on_error)));
    }
    if !matches!(reader.get_ref().0.get_ref().as_slice(), [] | [0x93, ..]) {
        let reason = "neither .npy arrays nor pictures that are each preceded by their length (four bytes, most significant \
                      first); raw frames need their height and width to be given";
        return Err(DatasetError::malformed(STDIN, reason));
    }
    Ok(Box::new(NpyStream::with(reader, STDIN, options.arrays)?))
}
