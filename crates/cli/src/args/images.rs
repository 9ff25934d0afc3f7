//! The images that a command works on.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use riptide::datasets::cifar10::Split;
use riptide::datasets::{Framing, ImageSource, OpenOptions};
use riptide::{Error, Images};

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
    /// in quotes, hf://OWNER/REPO/FILE.npy, or - for a .npy stream on standard input
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
        let split = match self.split {
            Part::Train => Split::Train,
            Part::Test => Split::Test,
        };
        let framing = match size {
            Some((height, width)) if self.resize => Framing::stretch(side(height), side(width)),
            _ => Framing::Keep,
        };
        OpenOptions::default().split(split).framing(framing)
    }

    /// Opens images for networks that take images of `size` (height, width).
    pub fn open(self, path: &Path, size: (usize, usize)) -> anyhow::Result<Images<'static>> {
        Ok(Images::open_with(path, self.options(Some(size)))?)
    }
}

impl ImagesArgs {
    /// What opens the images as the library's source, unchecked and at their own size, as often as they are needed.
    pub fn sources(&self) -> anyhow::Result<impl Fn() -> riptide::datasets::Result<Box<dyn ImageSource>>> {
        let path = riptide::locate(&self.images)?;
        let options = self.reading.options(None);
        Ok(move || riptide::datasets::open(&path, options))
    }

    /// Opens the images for networks that take images of `size` (height, width).
    pub fn open(&self, size: (usize, usize)) -> anyhow::Result<Images<'static>> {
        self.reading.open(&self.images, size)
    }
}

/// Names the option that helps if images have another size.
pub fn hint<T>(result: riptide::Result<T>) -> anyhow::Result<T> {
    match result {
        Err(error @ Error::ImageSize { .. }) => Err(error).context("add --resize to stretch image files"),
        other => Ok(other?),
    }
}
