//! Validated 8-bit colour images, with or without labels.

use std::ops::Range;

use riptide_files::digest::Hasher;
use serde::{Deserialize, Serialize};

use crate::error::{DatasetError, Result};

mod details;

use details::Details;

/// Colour channels of an image: red, green, blue.
pub const CHANNELS: usize = 3;

/// Images of one size, `uint8`, in the order `(N, H, W, 3)` (row-major, RGB last), with labels if they are known.
///
/// A value of this type is always consistent: the pixels make up exactly `len()` images, and if there are labels, there is
/// one per image and each names a class.
///
/// ```
/// use riptide_datasets::ImageSet;
///
/// # fn main() -> Result<(), riptide_datasets::DatasetError> {
/// // Two images of 2 x 2 pixels: a black "cat" and a white "dog".
/// let pixels = [[0u8; 12], [255u8; 12]].concat();
/// let images = ImageSet::new(pixels, 2, 2, vec![0, 1], vec!["cat".into(), "dog".into()])?;
/// assert_eq!(images.shape(), [2, 2, 2, 3]);
/// assert_eq!(images.select(&[1])?.image(0), Some(&[255u8; 12][..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct ImageSet {
    height: usize,
    width: usize,
    pixels: Vec<u8>,
    labels: Option<Vec<u32>>,
    class_names: Vec<String>,
    #[serde(skip)]
    details: Details,
}

/// Sets are equal if size, pixels, labels and class names are.
impl PartialEq for ImageSet {
    fn eq(&self, other: &Self) -> bool {
        let key = |set: &Self| (set.height, set.width);
        key(self) == key(other)
            && self.pixels == other.pixels
            && self.labels == other.labels
            && self.class_names == other.class_names
    }
}

impl Eq for ImageSet {}

/// The fields as they come out of a file, before they are checked.
#[derive(Deserialize)]
struct Unchecked {
    height: usize,
    width: usize,
    pixels: Vec<u8>,
    labels: Option<Vec<u32>>,
    class_names: Vec<String>,
}

impl TryFrom<Unchecked> for ImageSet {
    type Error = DatasetError;

    fn try_from(raw: Unchecked) -> Result<Self> {
        match raw.labels {
            Some(labels) => Self::new(raw.pixels, raw.height, raw.width, labels, raw.class_names),
            None => {
                let mut set = Self::unlabelled(raw.pixels, raw.height, raw.width)?;
                set.class_names = raw.class_names;
                Ok(set)
            }
        }
    }
}

impl ImageSet {
    /// Labelled images: `pixels` is `(N, height, width, 3)` row-major, `labels` has N entries below `class_names.len()`.
    ///
    /// # Errors
    /// Returns an error if the height or width is 0, if there are not `N * height * width * 3` pixel bytes, or if a label is out
    /// of range.
    pub fn new(
        pixels: Vec<u8>,
        height: usize,
        width: usize,
        labels: Vec<u32>,
        class_names: Vec<String>,
    ) -> Result<Self> {
        let bytes = image_bytes(height, width)?;
        if labels.len().checked_mul(bytes) != Some(pixels.len()) {
            return Err(DatasetError::PixelCount {
                pixels: pixels.len(),
                images: labels.len(),
                height,
                width,
            });
        }
        check_labels("image set", &labels, class_names.len())?;
        Ok(Self {
            height,
            width,
            pixels,
            labels: Some(labels),
            class_names,
            details: Details::default(),
        })
    }

    /// Images without labels or class names: `pixels` is `(N, height, width, 3)` row-major.
    ///
    /// # Errors
    /// Returns an error if the height or width is 0, or if the pixels are not a whole number of images.
    pub fn unlabelled(pixels: Vec<u8>, height: usize, width: usize) -> Result<Self> {
        let bytes = image_bytes(height, width)?;
        if !pixels.len().is_multiple_of(bytes) {
            let images = pixels.len().div_ceil(bytes);
            return Err(DatasetError::PixelCount {
                pixels: pixels.len(),
                images,
                height,
                width,
            });
        }
        Ok(Self {
            height,
            width,
            pixels,
            labels: None,
            class_names: Vec::new(),
            details: Details::default(),
        })
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.image_bytes()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Rows of an image, in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of an image, in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// `[N, H, W, 3]`.
    pub fn shape(&self) -> [usize; 4] {
        [self.len(), self.height, self.width, CHANNELS]
    }

    /// All pixels, `(N, H, W, 3)` row-major.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels of image `index`, `(H, W, 3)` row-major.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        let bytes = self.image_bytes();
        let start = index.checked_mul(bytes)?;
        self.pixels.get(start..start.checked_add(bytes)?)
    }

    /// Each image in turn, `(H, W, 3)` row-major.
    pub fn images(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.pixels.chunks_exact(self.image_bytes())
    }

    /// One label per image, if labels are known.
    pub fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    /// The names of the classes, by label; empty if they are not known.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The pixels, `(N, H, W, 3)` row-major, without a copy.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// The same images with labels put on (or replaced).
    ///
    /// # Errors
    /// Returns an error if there is not one label per image, or if a label is not below `class_names.len()`.
    pub fn with_labels(self, labels: Vec<u32>, class_names: Vec<String>) -> Result<Self> {
        let details = self.details;
        let set = Self::new(self.pixels, self.height, self.width, labels, class_names)?;
        Ok(Self { details, ..set })
    }

    /// The same images, labels and names with other pixels, as a corruption makes them.
    ///
    /// # Errors
    /// Returns an error if there are more or fewer pixel bytes than these images have.
    pub fn with_pixels(&self, pixels: Vec<u8>) -> Result<Self> {
        if pixels.len() != self.pixels.len() {
            let (images, height, width) = (self.len(), self.height, self.width);
            return Err(DatasetError::PixelCount {
                pixels: pixels.len(),
                images,
                height,
                width,
            });
        }
        Ok(Self {
            pixels,
            labels: self.labels.clone(),
            class_names: self.class_names.clone(),
            height: self.height,
            width: self.width,
            details: Details {
                probabilities: None,
                ..self.details.clone()
            },
        })
    }

    /// The images at `indices`, in that order; an index may come more than once.
    ///
    /// # Errors
    /// Returns an error if an index is not below [`len`](Self::len).
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        let mut pixels = Vec::with_capacity(indices.len() * self.image_bytes());
        let mut labels = self.labels.as_ref().map(|_| Vec::with_capacity(indices.len()));
        for &index in indices {
            let outside = || DatasetError::IndexOutOfRange {
                index: index as u64,
                len: self.len() as u64,
            };
            pixels.extend_from_slice(self.image(index).ok_or_else(outside)?);
            if let (Some(to), Some(from)) = (&mut labels, &self.labels) {
                to.push(*from.get(index).ok_or_else(outside)?);
            }
        }
        Ok(Self {
            height: self.height,
            width: self.width,
            pixels,
            labels,
            class_names: self.class_names.clone(),
            details: self.details.select(indices),
        })
    }

    /// The images of a range of indices.
    ///
    /// # Errors
    /// Returns an error if the range ends after [`len`](Self::len), or before it starts.
    pub fn slice(&self, range: Range<usize>) -> Result<Self> {
        let outside = || DatasetError::IndexOutOfRange {
            index: range.end.max(range.start) as u64,
            len: self.len() as u64,
        };
        if range.start > range.end || range.end > self.len() {
            return Err(outside());
        }
        let bytes = self.image_bytes();
        let pixels = self
            .pixels
            .get(range.start * bytes..range.end * bytes)
            .ok_or_else(outside)?
            .to_vec();
        let labels = match &self.labels {
            Some(labels) => Some(labels.get(range.clone()).ok_or_else(outside)?.to_vec()),
            None => None,
        };
        Ok(Self {
            height: self.height,
            width: self.width,
            pixels,
            labels,
            class_names: self.class_names.clone(),
            details: self.details.slice(range),
        })
    }

    /// Adds the images of `other` behind these. Files, columns and logged probabilities stay if both sets have them.
    ///
    /// # Errors
    /// Returns an error if the images have another size or other class names, or if only one of the two sets has labels.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        if (self.height, self.width) != (other.height, other.width) {
            let size = |s: &Self| format!("{} x {}", s.height, s.width);
            return Err(DatasetError::Mismatch {
                what: "image size",
                left: size(self),
                right: size(other),
            });
        }
        if self.class_names != other.class_names || self.labels.is_some() != other.labels.is_some() {
            let classes = |s: &Self| match s.labels {
                Some(_) => format!("labels of {:?}", s.class_names),
                None => "no labels".to_owned(),
            };
            return Err(DatasetError::Mismatch {
                what: "classes",
                left: classes(self),
                right: classes(other),
            });
        }
        self.details.append(&other.details);
        self.pixels.extend_from_slice(&other.pixels);
        if let (Some(labels), Some(more)) = (&mut self.labels, &other.labels) {
            labels.extend_from_slice(more);
        }
        Ok(())
    }

    /// SHA-256, in lower-case hexadecimal, of the shape (four little-endian `u64`), the pixels, and the labels if
    /// there are any (little-endian `u32`). Class names do not count.
    pub fn digest(&self) -> String {
        let mut hasher = Hasher::default();
        for extent in self.shape() {
            hasher.update((extent as u64).to_le_bytes());
        }
        hasher.update(&self.pixels);
        if let Some(labels) = &self.labels {
            hasher.update(b"labels");
            for label in labels {
                hasher.update(label.to_le_bytes());
            }
        }
        hasher.finish()
    }

    fn image_bytes(&self) -> usize {
        self.height * self.width * CHANNELS
    }
}

impl std::fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageSet")
            .field("shape", &self.shape())
            .field("labelled", &self.labels.is_some())
            .field("class_names", &self.class_names)
            .finish_non_exhaustive()
    }
}

/// Bytes of one image, checked: both sides at least 1, and no overflow.
pub(crate) fn image_bytes(height: usize, width: usize) -> Result<usize> {
    let bytes = height.checked_mul(width).and_then(|area| area.checked_mul(CHANNELS));
    match bytes {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(DatasetError::InvalidOption {
            option: "image size",
            reason: format!("{height} x {width} pixels cannot be held; both sides must be at least 1"),
        }),
    }
}

/// Checks that every label is below `n_classes`.
pub(crate) fn check_labels(origin: &str, labels: &[u32], n_classes: usize) -> Result<()> {
    match labels.iter().position(|&label| label as usize >= n_classes) {
        None => Ok(()),
        Some(index) => Err(DatasetError::LabelOutOfRange {
            origin: origin.to_owned(),
            index: index as u64,
            label: labels.get(index).copied().unwrap_or_default().into(),
            n_classes,
        }),
    }
}

#[cfg(test)]
mod tests;
