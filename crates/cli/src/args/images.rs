//! The images that a command works on.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use riptide::datasets::cifar10::Split;
use riptide::datasets::npy::{ArrayOptions, Layout, ValueRange};
use riptide::datasets::{
    DatasetError, Framing, ImageSource, OnError, OpenOptions, Orient, PictureOptions, TableOptions,
};
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
    /// Images: an image folder, a glob pattern in quotes; a .npy array (uint8 or floats; N,H,W,3, N,3,H,W or N,H,W), .npz[:NAME];
    /// Parquet files, WebDataset shards (shard-{000..010}.tar), a .csv or .parquet that lists image files; a CIFAR-10 binary
    /// file, folder or archive; hf://OWNER/REPO/FILE.npy; or - for standard input, of .npy arrays or of pictures, each behind its
    /// length (4 bytes, most significant first)
    #[arg(long, value_name = "X")]
    pub images: PathBuf,

    #[command(flatten)]
    pub reading: Reading,
}

/// How images are read.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Reading images")]
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

    /// Order of the axes of an array whose shape does not show it
    #[arg(long, value_enum, value_name = "ORDER")]
    pub layout: Option<LayoutName>,

    /// What the floating-point numbers of an array go from and to, if the numbers do not show it
    #[arg(long, value_enum, value_name = "RANGE", allow_hyphen_values = true)]
    pub range: Option<RangeName>,

    /// The input is of raw frames of this height and width: red, green and blue bytes without any header, as ffmpeg writes them
    /// with -f rawvideo -pix_fmt rgb24
    #[arg(long, value_name = "HxW", value_parser = super::size)]
    pub frames: Option<(usize, usize)>,

    /// The column of a table that holds the images or their paths [default: the one called image, path, file or the like]
    #[arg(long, value_name = "COLUMN")]
    pub image_column: Option<String>,

    /// The column of a table that holds the labels [default: the one called label, labels, class or target]
    #[arg(long, value_name = "COLUMN")]
    pub label_column: Option<String>,
}

/// The order of the axes of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutName {
    /// (N, H, W, C), as Pillow and TensorFlow have it
    Nhwc,
    /// (N, C, H, W), as PyTorch has it
    Nchw,
    /// (N, H, W), grey
    Nhw,
}

/// The range of floating-point numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RangeName {
    /// 0 is black, 255 full intensity
    #[value(name = "0..255")]
    Bytes,
    /// 0 is black, 1 full intensity
    #[value(name = "0..1")]
    Unit,
    /// -1 is black, 1 full intensity
    #[value(name = "-1..1")]
    Symmetric,
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
    fn options(&self, size: Option<(usize, usize)>) -> OpenOptions {
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
        let layout = self.layout.map(|layout| match layout {
            LayoutName::Nhwc => Layout::Nhwc,
            LayoutName::Nchw => Layout::Nchw,
            LayoutName::Nhw => Layout::Nhw,
        });
        let range = self.range.map(|range| match range {
            RangeName::Bytes => ValueRange::Bytes,
            RangeName::Unit => ValueRange::Unit,
            RangeName::Symmetric => ValueRange::Symmetric,
        });
        let table = TableOptions::default()
            .image(self.image_column.clone())
            .label(self.label_column.clone());
        OpenOptions::default()
            .split(split)
            .pictures(pictures)
            .on_error(on_error)
            .arrays(ArrayOptions::default().layout(layout).range(range))
            .table(table)
            .frames(self.frames)
    }

    /// Opens images for networks that take images of `size` (height, width) and frame pictures in their own way.
    pub fn open(&self, path: &Path, size: (usize, usize), framing: Framing) -> anyhow::Result<Images<'static>> {
        self.open_with_columns(path, size, framing, Vec::new())
    }

    /// As [`open`](Self::open), with columns of a table carried along.
    fn open_with_columns(
        &self,
        path: &Path,
        size: (usize, usize),
        framing: Framing,
        columns: Vec<String>,
    ) -> anyhow::Result<Images<'static>> {
        let mut options = self.options(Some(size));
        if framing != Framing::Keep {
            options.pictures.framing = framing;
        }
        options.table.columns = columns;
        hint(Images::open_with(path, options))
    }

    /// Opens images of any size.
    pub fn open_as_they_are(&self, path: &Path) -> anyhow::Result<Images<'static>> {
        hint(Images::open_with(path, self.options(None)))
    }
}

impl ImagesArgs {
    /// What opens the images as the library's source, unchecked and at their own size, as often as they are needed.
    pub fn sources(&self) -> anyhow::Result<impl Fn() -> riptide::datasets::Result<Box<dyn ImageSource>>> {
        let path = riptide::locate(&self.images)?;
        let options = self.reading.options(None);
        Ok(move || riptide::datasets::open(&path, options.clone()))
    }

    /// Opens the images for a monitor.
    pub fn open(&self, monitor: &Monitor) -> anyhow::Result<Images<'static>> {
        self.reading.open(&self.images, monitor.input_size(), monitor.framing())
    }

    /// As [`open`](Self::open), with columns of a table carried along.
    pub fn open_with_columns(&self, monitor: &Monitor, columns: Vec<String>) -> anyhow::Result<Images<'static>> {
        self.reading
            .open_with_columns(&self.images, monitor.input_size(), monitor.framing(), columns)
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
        Err(Error::Images(error)) if matches!(**error, DatasetError::AmbiguousLayout { .. }) => {
            "add --layout nhwc, nchw or nhw"
        }
        Err(Error::Images(error)) if matches!(**error, DatasetError::AmbiguousRange { .. }) => {
            "add --range 0..1, 0..255 or -1..1"
        }
        Err(Error::Undecided { .. }) => "add --preprocessing NAME or FILE",
        Err(Error::LowAccuracy { .. }) => "look at --preprocessing and --classes, or add --force",
        _ => return Ok(result?),
    };
    result.context(option)
}
