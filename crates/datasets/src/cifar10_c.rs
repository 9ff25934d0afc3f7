//! CIFAR-10-C (Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
//! 2019), and any other images in its layout.
//!
//! A folder holds one `NAME.npy` per corruption, `uint8` `(5 n, H, W, 3)`: the same n images at severities 1 to 5, one after
//! the other; and `labels.npy` with `5 n` integers. In the published set n is 10,000. A file `batches.meta.txt` (one class
//! name per line, as in CIFAR-10) may name other classes than CIFAR-10's.

use std::path::{Path, PathBuf};

use crate::cifar10::CLASS_NAMES;
use crate::error::{DatasetError, Result};
use crate::image_set::{ImageSet, check_labels};
use crate::npy::{ArrayOptions, Layout, NpyImages, NpySource, read_labels};
use crate::source::ImageSource;

/// The severities in a file.
pub const SEVERITIES: u8 = 5;

const LABELS: &str = "labels.npy";
const NAMES: &str = "batches.meta.txt";
/// The longest file of class names that is read.
const MAX_NAMES_BYTES: u64 = 1 << 20;

/// A folder in the layout of CIFAR-10-C. Opening it reads the labels; images are read when they are asked for.
#[derive(Debug, Clone)]
pub struct Cifar10C {
    folder: PathBuf,
    corruptions: Vec<String>,
    labels: Vec<u32>,
    class_names: Vec<String>,
}

impl Cifar10C {
    /// Opens a folder (or one that holds a folder `CIFAR-10-C`, as the archive unpacks).
    ///
    /// # Errors
    /// Returns an error if the folder, its `labels.npy` or any corruption is missing, or if the labels are broken, out of
    /// range or not five times as many as the images.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let mut folder = folder.as_ref().to_path_buf();
        if !folder.join(LABELS).is_file() && folder.join("CIFAR-10-C").join(LABELS).is_file() {
            folder.push("CIFAR-10-C");
        }
        let corruptions = find(&folder)?;
        let path = folder.join(LABELS);
        if !path.is_file() {
            let hint = "a folder in the CIFAR-10-C layout holds labels.npy and NAME.npy for each corruption".to_owned();
            return Err(DatasetError::NotFound { path, hint });
        }
        if corruptions.is_empty() {
            let hint = "expected NAME.npy for at least one corruption".to_owned();
            return Err(DatasetError::Empty { path: folder, hint });
        }
        let labels = read_labels(&path)?;
        if labels.is_empty() || !labels.len().is_multiple_of(usize::from(SEVERITIES)) {
            return Err(DatasetError::WrongShape {
                path,
                expected: "(5 n,): one label an image, for each of five severities".to_owned(),
                found: vec![labels.len() as u64],
            });
        }
        let class_names = class_names(&folder)?;
        check_labels(&path.display().to_string(), &labels, class_names.len())?;
        Ok(Self {
            folder,
            corruptions,
            labels,
            class_names,
        })
    }

    /// The corruptions that are there, by name, sorted.
    pub fn corruptions(&self) -> &[String] {
        &self.corruptions
    }

    /// Images at one severity: a fifth of a file.
    pub fn len(&self) -> usize {
        self.labels.len() / usize::from(SEVERITIES)
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The names of the classes, by label.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The images of one corruption at one severity (1 to 5), with their labels.
    ///
    /// # Errors
    /// Returns an error if the corruption is missing, if the severity is out of range, or if the file is broken or has another
    /// number of images than there are labels.
    pub fn severity(&self, name: &str, severity: u8) -> Result<ImageSet> {
        let path = self.folder.clone();
        self.source(name, severity)?
            .read_all()?
            .ok_or_else(|| DatasetError::Empty {
                path,
                hint: "expected at least one image a severity".to_owned(),
            })
    }

    /// The same a chunk at a time.
    ///
    /// # Errors
    /// As [`severity`](Self::severity).
    pub fn source(&self, name: &str, severity: u8) -> Result<NpySource> {
        if !(1..=SEVERITIES).contains(&severity) {
            let reason = format!("{severity} is not one of 1 to {SEVERITIES}");
            return Err(DatasetError::InvalidOption {
                option: "severity",
                reason,
            });
        }
        if !self.corruptions.iter().any(|known| known == name) {
            let hint = format!("the corruptions in this folder are {}", self.corruptions.join(", "));
            return Err(DatasetError::NotFound {
                path: self.folder.join(format!("{name}.npy")),
                hint,
            });
        }
        let layout = ArrayOptions::default().layout(Some(Layout::Nhwc));
        let images = NpyImages::open_with(self.folder.join(format!("{name}.npy")), layout)?;
        if images.len() != self.labels.len() {
            let (height, width) = (images.height() as u64, images.width() as u64);
            return Err(DatasetError::WrongShape {
                path: images.path().to_path_buf(),
                expected: format!(
                    "({}, H, W, 3), as many images as labels.npy has labels",
                    self.labels.len()
                ),
                found: vec![images.len() as u64, height, width, 3],
            });
        }
        let range = usize::from(severity - 1) * self.len()..usize::from(severity) * self.len();
        let labels = self.labels.get(range.clone()).map(<[u32]>::to_vec);
        Ok(images.into_part(range, labels, self.class_names.clone()))
    }
}

/// The names of the `.npy` files in a folder, but for the labels, sorted.
fn find(folder: &Path) -> Result<Vec<String>> {
    let io = |source| DatasetError::io(folder, source);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".npy")) else {
            continue;
        };
        if stem != "labels" && !stem.starts_with('.') {
            names.push(stem.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn class_names(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join(NAMES);
    match std::fs::metadata(&path) {
        Err(_) => return Ok(CLASS_NAMES.map(str::to_owned).to_vec()),
        Ok(metadata) if metadata.len() > MAX_NAMES_BYTES => {
            return Err(DatasetError::Oversized {
                path,
                expected: MAX_NAMES_BYTES,
                found: metadata.len(),
            });
        }
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(&path).map_err(|source| DatasetError::io(&path, source))?;
    let names: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Err(DatasetError::malformed(&path, "no class names; expected one a line"));
    }
    Ok(names)
}
