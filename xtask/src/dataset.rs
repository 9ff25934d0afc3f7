//! Which images and networks a task works on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use riptide_datasets::cifar10::{self, Split};
use riptide_datasets::fetch::{cache_dir, catalogue};
use riptide_datasets::image_folder::{self, Resize};
use riptide_datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use riptide_datasets::{DatasetError, ImageSet};

/// A dataset as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dataset {
    /// CIFAR-10 where it can be found, else the generated shapes.
    Auto,
    /// The generated shapes, which need no download.
    Shapes,
    /// CIFAR-10 in its binary layout.
    Cifar10,
    /// A folder with one folder of images a class.
    Folder(PathBuf),
}

impl FromStr for Dataset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "shapes" => Ok(Self::Shapes),
            "cifar10" => Ok(Self::Cifar10),
            _ => match text.strip_prefix("folder:") {
                Some(folder) if !folder.is_empty() => Ok(Self::Folder(folder.into())),
                _ => Err("give auto, shapes, cifar10 or folder:DIR".to_owned()),
            },
        }
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Shapes => f.write_str("shapes"),
            Self::Cifar10 => f.write_str("cifar10"),
            Self::Folder(folder) => write!(f, "folder:{}", folder.display()),
        }
    }
}

impl Dataset {
    /// Settles `auto`: CIFAR-10 where `data_dir` or the cache holds it.
    pub fn settle(self, data_dir: Option<&Path>) -> Self {
        match self {
            Self::Auto if cifar10_path(data_dir).exists() => Self::Cifar10,
            Self::Auto => Self::Shapes,
            settled => settled,
        }
    }

    /// Labelled test images: CIFAR-10's test split, `n_shapes` shapes that no training set reaches, or the whole folder
    /// at `size` (height, width).
    pub fn test_images(
        &self,
        data_dir: Option<&Path>,
        n_shapes: usize,
        size: (usize, usize),
    ) -> anyhow::Result<ImageSet> {
        match self {
            Self::Auto | Self::Shapes => Ok(Shapes::new(0).generate(TEST_FIRST_INDEX, n_shapes)),
            Self::Cifar10 => cifar10_split(data_dir, Split::Test),
            Self::Folder(folder) => {
                let (height, width) = (u32::try_from(size.0)?, u32::try_from(size.1)?);
                Ok(image_folder::load(folder, Resize::To { height, width })?)
            }
        }
    }
}

/// One split of CIFAR-10 from `data_dir`, or from the cache.
pub fn cifar10_split(data_dir: Option<&Path>, split: Split) -> anyhow::Result<ImageSet> {
    let path = cifar10_path(data_dir);
    match cifar10::load(&path, split) {
        Err(DatasetError::NotFound { path, .. }) if data_dir.is_none() => bail!(
            "CIFAR-10 is not in the cache ({} is missing); run `cargo xtask fetch cifar10`, or name a folder with --data-dir",
            path.display()
        ),
        other => Ok(other?),
    }
}

fn cifar10_path(data_dir: Option<&Path>) -> PathBuf {
    match data_dir {
        Some(folder) => folder.to_path_buf(),
        None => catalogue::cifar10().path_in(&cache_dir(None)),
    }
}

/// The networks that belong to a dataset: those shipped with Riptide, or for CIFAR-10 also the published ones in the
/// cache.
pub fn default_networks(dataset: &Dataset) -> anyhow::Result<(PathBuf, PathBuf)> {
    let shipped = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../crates/pretrained/networks")
            .join(name);
        (folder.join("classifier"), folder.join("distilled"))
    };
    let (classifier, distilled) = match dataset {
        Dataset::Auto | Dataset::Shapes => shipped("shapes"),
        Dataset::Cifar10 if shipped("cifar10").0.exists() => shipped("cifar10"),
        Dataset::Cifar10 => {
            let models = cache_dir(None).join("models");
            (models.join("model.h5"), models.join("distilled_model.h5"))
        }
        Dataset::Folder(_) => {
            bail!("an image folder has no networks of its own; give --classifier and --distilled, or --detector")
        }
    };
    for path in [&classifier, &distilled] {
        path.metadata().with_context(|| {
            format!(
                "no network at {}; train one with `cargo xtask train`, fetch the published ones with `cargo xtask fetch models`, or give --classifier and --distilled",
                path.display()
            )
        })?;
    }
    Ok((classifier, distilled))
}
