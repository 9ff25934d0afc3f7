//! The images that a command works on.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::ValueEnum;
use riptide_datasets::cifar10::Split;
use riptide_datasets::image_folder::Resize;
use riptide_datasets::source::{self, OpenOptions};
use riptide_datasets::{ImageSet, ImageSource};

/// Which part of CIFAR-10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The 50,000 training images
    Train,
    /// The 10,000 test images
    Test,
}

/// The option that names images.
#[derive(Debug, Clone, clap::Args)]
pub struct ImagesArgs {
    /// Images: a .npy file of uint8 (N, H, W, 3), a CIFAR-10 binary file, folder or archive, an image folder, a glob pattern
    /// in quotes, or - for a .npy stream on standard input
    #[arg(long, value_name = "X")]
    pub images: PathBuf,

    #[command(flatten)]
    pub reading: Reading,
}

/// How images are read.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Reading {
    /// The part of a CIFAR-10 folder or archive
    #[arg(long, value_enum, value_name = "PART", default_value = "test")]
    pub split: Part,

    /// Stretch image files of another size to the classifier's
    #[arg(long)]
    pub resize: bool,
}

impl Reading {
    fn options(self, size: Option<(usize, usize)>) -> OpenOptions {
        // A side that does not fit is one that the reader refuses.
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        OpenOptions {
            split: match self.split {
                Part::Train => Split::Train,
                Part::Test => Split::Test,
            },
            resize: match size {
                Some((height, width)) if self.resize => Resize::To {
                    height: side(height),
                    width: side(width),
                },
                _ => Resize::Keep,
            },
        }
    }
}

/// Images that are read a chunk at a time.
pub struct Images {
    source: Box<dyn ImageSource>,
    name: PathBuf,
    size: Option<(usize, usize)>,
    files: Option<Vec<PathBuf>>,
    next: usize,
}

impl ImagesArgs {
    /// The images as a library's source, unchecked and at their own size.
    pub fn source(&self) -> riptide_datasets::Result<Box<dyn ImageSource>> {
        source::open(&self.images, self.reading.options(None))
    }

    /// Opens the images for networks that take images of `size` (height, width).
    pub fn open(&self, size: (usize, usize)) -> anyhow::Result<Images> {
        open(&self.images, self.reading, Some(size))
    }
}

/// Opens images; where `size` is given, they must have it or be resized to it.
pub fn open(path: &Path, reading: Reading, size: Option<(usize, usize)>) -> anyhow::Result<Images> {
    let source = source::open(path, reading.options(size))?;
    Ok(Images {
        files: source.files(),
        source,
        name: path.to_path_buf(),
        size,
        next: 0,
    })
}

impl Images {
    /// Images that are in memory already.
    pub fn of(set: ImageSet) -> Self {
        Self {
            size: Some((set.height(), set.width())),
            source: Box::new(set.into_source()),
            name: PathBuf::from("the images"),
            files: None,
            next: 0,
        }
    }

    /// Bytes of images that are read at a time: enough to keep every core busy, little beside the networks themselves.
    const CHUNK_BYTES: usize = 12 << 20;
    /// Images of the first chunk where their size is not known.
    const FIRST: usize = 16;

    /// How many images are still to come, where that is known.
    pub fn remaining(&self) -> Option<u64> {
        self.source.remaining()
    }

    /// The next chunk, with the place of its first image among all images.
    pub fn next_chunk(&mut self) -> anyhow::Result<Option<(usize, ImageSet)>> {
        let count = self.size.map_or(Self::FIRST, |(height, width)| {
            (Self::CHUNK_BYTES / height.saturating_mul(width).saturating_mul(3).max(1)).max(1)
        });
        let Some(chunk) = self.source.next_chunk(count)? else {
            return Ok(None);
        };
        let found = (chunk.height(), chunk.width());
        let (height, width) = *self.size.get_or_insert(found);
        if found != (height, width) {
            bail!(
                "{}: the images are {} x {} pixels, but {height} x {width} are needed{}",
                self.name.display(),
                found.0,
                found.1,
                if self.files.is_some() {
                    "; add --resize to stretch them"
                } else {
                    ""
                }
            );
        }
        let first = self.next;
        self.next += chunk.len();
        Ok(Some((first, chunk)))
    }

    /// The file of an image, where each is a file of its own.
    pub fn file(&self, index: usize) -> Option<&Path> {
        self.files.as_ref()?.get(index).map(PathBuf::as_path)
    }

    /// The error for images of which there are none.
    pub fn none(&self) -> anyhow::Error {
        anyhow::anyhow!("{}: no images", self.name.display())
    }

    /// Reads everything that is left.
    pub fn read_all(mut self) -> anyhow::Result<ImageSet> {
        let mut all: Option<ImageSet> = None;
        while let Some((_, chunk)) = self.next_chunk()? {
            match &mut all {
                None => all = Some(chunk),
                Some(all) => all.append(&chunk)?,
            }
        }
        all.ok_or_else(|| self.none())
    }
}
