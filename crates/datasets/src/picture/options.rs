//! How pictures are decoded.

use serde::{Deserialize, Serialize};

use super::error::PictureError;
use super::framing::Framing;

/// Memory that decoding may take for each pixel of the limit. Eight-bit colour takes 3, 16-bit colour 9 with its conversion,
/// a progressive JPEG 6 to 9: a kind that needs more reaches the limit with fewer pixels.
pub(super) const MOST_BYTES_PER_PIXEL: u64 = 5;

/// Which way up a picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Orient {
    /// As its rows are stored, as PIL and torchvision read it. Photographs taken with the camera held upright then lie on
    /// their side, in training as in use.
    #[default]
    AsStored,
    /// Turned as its EXIF orientation says, as image viewers (and PIL's `ImageOps.exif_transpose`) show it.
    Upright,
}

/// How pictures are decoded and framed, and how large they may be.
///
/// ```
/// use riptide_datasets::picture::{Framing, Orient, PictureOptions};
///
/// let options = PictureOptions::default().framing(Framing::crop(256, 224, 224)).orient(Orient::Upright);
/// assert_eq!(options.framing.output(), Some((224, 224)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PictureOptions {
    /// How a picture becomes one of the size that is needed; [`Framing::Keep`] by default.
    pub framing: Framing,
    /// Which way up it is; [`Orient::AsStored`] by default.
    pub orient: Orient,
    /// The most pixels that a picture may have, 100 million by default; told from its header, before it is decoded. Decoding
    /// may take five bytes a pixel of this limit, so that 16-bit colour and progressive JPEG files reach it with about half
    /// as many pixels.
    pub max_pixels: u64,
    /// The longest file that is read, in bytes; 256 MiB by default.
    pub max_bytes: u64,
}

impl Default for PictureOptions {
    fn default() -> Self {
        Self {
            framing: Framing::Keep,
            orient: Orient::AsStored,
            max_pixels: 100_000_000,
            max_bytes: 256 << 20,
        }
    }
}

impl PictureOptions {
    /// Sets [`framing`](Self::framing).
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Sets [`orient`](Self::orient).
    #[must_use]
    pub fn orient(mut self, orient: Orient) -> Self {
        self.orient = orient;
        self
    }

    /// Sets [`max_pixels`](Self::max_pixels).
    #[must_use]
    pub fn max_pixels(mut self, max_pixels: u64) -> Self {
        self.max_pixels = max_pixels;
        self
    }

    /// Sets [`max_bytes`](Self::max_bytes).
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    pub(crate) fn check(&self) -> Result<(), PictureError> {
        for (option, value) in [("max_pixels", self.max_pixels), ("max_bytes", self.max_bytes)] {
            if value == 0 {
                let reason = "0 allows no picture at all; give at least 1".to_owned();
                return Err(PictureError::InvalidOption { option, reason });
            }
        }
        self.framing.check()
    }
}
