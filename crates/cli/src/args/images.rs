//! The images that a command works on.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use riptide::datasets::cifar10::Split;
use riptide::datasets::{DatasetError, Framing, ImageSource, OnError, OpenOptions, Orient, PictureOptions};
use riptide::{Classifier, Error, Images, Monitor};

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

    /// Make image files of another size fit the classifier: as its preprocessing says (imagenet, clip, a file), else by
    /// stretching; saved with a monitor, so that later commands need not say it
    #[arg(long)]
    pub resize: bool,

    /// What to do about image files that cannot be read: fail, or skip and name them
    #[arg(long, value_enum, value_name = "WHAT", default_value = "fail")]
    pub on_error: OnBroken,

    /// Turn photographs upright as their EXIF orientation says [default: as stored, as PIL and torchvision read them]
    #[arg(long)]
    pub upright: bool,

    /// The most pixels that an image file may have
    #[arg(long, value_name = "N", default_value = "100000000", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_pixels: u64,
}

/// What to do about image files that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnBroken {
    /// End with an error that names them
    Fail,
    /// Go on without them, and say how many and which
    Skip,
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
        let orient = if self.upright {
            Orient::Upright
        } else {
            Orient::AsStored
        };
        let pictures = PictureOptions::default()
            .framing(framing)
            .orient(orient)
            .max_pixels(self.max_pixels);
        let on_error = match self.on_error {
            OnBroken::Fail => OnError::Fail,
            OnBroken::Skip => OnError::Skip,
        };
        OpenOptions::default()
            .split(split)
            .pictures(pictures)
            .on_error(on_error)
    }

    /// Opens images for networks that take images of `size` (height, width) and frame pictures in their own way.
    pub fn open(self, path: &Path, size: (usize, usize), framing: Framing) -> anyhow::Result<Images<'static>> {
        let options = self.options(Some(size));
        let options = match framing {
            Framing::Keep => options,
            framing => options.framing(framing),
        };
        Ok(Images::open_with(path, options)?)
    }
}

impl ImagesArgs {
    /// What opens the images as the library's source, unchecked and at their own size, as often as they are needed.
    pub fn sources(&self) -> anyhow::Result<impl Fn() -> riptide::datasets::Result<Box<dyn ImageSource>>> {
        let path = riptide::locate(&self.images)?;
        let options = self.reading.options(None);
        Ok(move || riptide::datasets::open(&path, options))
    }

    /// Opens the images for a monitor.
    pub fn open(&self, monitor: &Monitor) -> anyhow::Result<Images<'static>> {
        self.reading.open(&self.images, monitor.input_size(), monitor.framing())
    }

    /// Opens the images for a classifier.
    pub fn open_for(&self, classifier: &Classifier) -> anyhow::Result<Images<'static>> {
        self.reading
            .open(&self.images, classifier.input_size(), classifier.framing())
    }
}

/// Names the options that help.
pub fn hint<T>(result: riptide::Result<T>) -> anyhow::Result<T> {
    let of_size = |error: &Error| match error {
        Error::ImageSize { .. } => true,
        Error::Images(error) => matches!(**error, DatasetError::PictureSize { .. }),
        _ => false,
    };
    let option = match &result {
        Err(error) if of_size(error) => "add --resize to stretch image files",
        Err(Error::Undecided { .. }) => "add --preprocessing NAME or FILE",
        Err(Error::LowAccuracy { .. }) => "look at --preprocessing and --classes, or add --force",
        _ => return Ok(result?),
    };
    result.context(option)
}
