//! The labelled images that the experiment and the training of a classifier work on, by name.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use riptide_datasets::cifar10::{self, Split};
use riptide_datasets::shapes::{Shapes, TEST_FIRST_INDEX, TRAIN_FIRST_INDEX};
use riptide_datasets::{DatasetError, Framing, ImageSet, OpenOptions, cache_dir};
use riptide_models::Network;
use riptide_pretrained::Pretrained;

use crate::error::{Error, Result};
use crate::images::Images;

/// Labelled images by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dataset {
    /// CIFAR-10 if it has been fetched, else the generated shapes.
    Auto,
    /// The generated shapes, which need no download.
    Shapes,
    /// CIFAR-10, as it was fetched into the cache.
    Cifar10,
    /// Anything that [`Images::open`] takes and that has labels.
    Path(PathBuf),
}

impl FromStr for Dataset {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            "shapes" => Self::Shapes,
            "cifar10" => Self::Cifar10,
            path => Self::Path(path.strip_prefix("folder:").unwrap_or(path).into()),
        })
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Shapes => f.write_str("shapes"),
            Self::Cifar10 => f.write_str("cifar10"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Dataset {
    /// Settles [`Dataset::Auto`] one way or the other.
    #[must_use]
    pub fn settle(self) -> Self {
        match self {
            Self::Auto if cifar10_path().exists() => Self::Cifar10,
            Self::Auto => Self::Shapes,
            settled => settled,
        }
    }

    /// The name for people.
    pub fn title(&self) -> String {
        match self {
            Self::Auto | Self::Shapes => "Shapes".to_owned(),
            Self::Cifar10 => "CIFAR-10".to_owned(),
            Self::Path(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                name.to_string_lossy().into_owned()
            }
        }
    }

    /// Whether these are CIFAR-10's images: by name, or because the path is a folder in CIFAR-10's own layout.
    pub fn is_cifar10(&self) -> bool {
        match self {
            Self::Cifar10 => true,
            Self::Path(path) => [Split::Train, Split::Test]
                .iter()
                .any(|&split| cifar10::is_in(path, split)),
            Self::Auto | Self::Shapes => false,
        }
    }

    /// Labelled test images of `size` (height, width): CIFAR-10's test split, `n_shapes` shapes that no training set reaches,
    /// or all that is at the path, stretched if need be.
    ///
    /// # Errors
    /// [`Error::Images`] and [`Error::ImageSize`] if they cannot be read or have another size.
    pub fn test_images(&self, n_shapes: usize, size: (usize, usize)) -> Result<ImageSet> {
        match self {
            Self::Auto | Self::Shapes => shapes(TEST_FIRST_INDEX, n_shapes),
            Self::Cifar10 => cached_cifar10(Split::Test),
            Self::Path(_) => self.read(Split::Test, size),
        }
    }

    /// Labelled training images of `size` (height, width): CIFAR-10's training split, `n_shapes` shapes, or all that is at the
    /// path, in an order in which the last ones are of every class.
    ///
    /// # Errors
    /// As [`test_images`](Self::test_images).
    pub fn training_images(&self, n_shapes: usize, size: (usize, usize)) -> Result<ImageSet> {
        match self {
            Self::Auto | Self::Shapes => shapes(TRAIN_FIRST_INDEX, n_shapes),
            Self::Cifar10 => cached_cifar10(Split::Train),
            Self::Path(_) => {
                let images = self.read(Split::Train, size)?;
                if self.is_cifar10() {
                    return Ok(images);
                }
                // An image folder is sorted by class, and validation takes the last images.
                let mut order: Vec<usize> = (0..images.len()).collect();
                order.sort_by_key(|index| (*index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32));
                Ok(images.select(&order)?)
            }
        }
    }

    fn read(&self, split: Split, size: (usize, usize)) -> Result<ImageSet> {
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let framing = Framing::stretch(side(size.0), side(size.1));
        let options = OpenOptions::default().split(split).framing(framing);
        Images::open_with(self.to_string(), options)?.read_all(size)
    }

    /// The networks that ship with Riptide for these images: classifier, then distilled network; none for images at a path
    /// that are not CIFAR-10's.
    pub fn shipped(&self) -> Option<&'static Pretrained> {
        let name = match self {
            Self::Auto | Self::Shapes => "shapes",
            _ if self.is_cifar10() => "cifar10",
            _ => return None,
        };
        riptide_pretrained::ALL
            .iter()
            .copied()
            .find(|networks| networks.name == name)
    }
}

/// The classifier and the distilled network of a shipped pair.
///
/// # Errors
/// [`Error::Network`] if the bytes are damaged.
pub fn shipped_networks(networks: &Pretrained) -> Result<(Network, Network)> {
    let classifier = Network::from_bytes(networks.classifier.config, networks.classifier.weights)?;
    let distilled = Network::from_bytes(networks.distilled.config, networks.distilled.weights)?;
    Ok((classifier, distilled))
}

fn cached_cifar10(split: Split) -> Result<ImageSet> {
    match cifar10::load(cifar10_path(), split) {
        Err(DatasetError::NotFound { path, .. }) => Err(Error::malformed(
            path,
            "CIFAR-10 is not in the cache; fetch it with `riptide fetch cifar10`, or name the folder that holds it",
        )),
        other => Ok(other?),
    }
}

fn cifar10_path() -> PathBuf {
    cifar10::in_cache(cache_dir(None))
}
/// Generated images, if there is memory for them.
fn shapes(first: u64, n: usize) -> Result<ImageSet> {
    const BYTES: u64 = 32 * 32 * 3;
    // What is made of them takes as much again.
    riptide_files::memory::check(format!("{n} generated images"), (n as u64).saturating_mul(2 * BYTES))?;
    Ok(Shapes::new(0).generate(first, n))
}
