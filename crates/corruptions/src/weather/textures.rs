//! The ice textures that frost lays over images.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use riptide_files::digest;
use serde::{Deserialize, Serialize};

use super::ice::{self, Texture};
use crate::CorruptionError;

/// The files of the published textures with their SHA-256. A sixth file that is published beside them is never used.
const PUBLISHED: [(&str, &str); 5] = [
    (
        "frost1.png",
        "ff9f907860bd7a835d459e32f9d588062b7f61ee267343cc7222b56753a14755",
    ),
    (
        "frost2.png",
        "fe211a89b336999c207a852ce05818d4545d0b57c5beadd824b4cc9d9a9b6137",
    ),
    (
        "frost3.png",
        "2d0d50b4a9bb213f38b024ef7768731bb83cc08d2f26b5766bbc167cdfa0e504",
    ),
    (
        "frost4.jpg",
        "3f8b91ca1a9fa7167b09e773da53f5ae60d0a1fd88f02a783f6e328a72887f6e",
    ),
    (
        "frost5.jpg",
        "5fc6a19df4a429ba68abdcc8f8a4278d4c9f81c9ccafd2c92ab0c8cf8992ebd2",
    ),
];

/// Where frost textures come from. Results made with different ones are not comparable image by image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrostSource {
    /// The five files of the published generator, recognised by their digests.
    Published,
    /// Files with the published names but other contents.
    Custom,
    /// Ice computed by this crate, with the brightness and contrast of the published files.
    Procedural,
}

impl fmt::Display for FrostSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Published => "published",
            Self::Custom => "custom",
            Self::Procedural => "procedural",
        })
    }
}

/// Pictures of ice, one of which is laid over an image by [`Corruption::Frost`](crate::Corruption::Frost).
///
/// Cheap to clone.
#[derive(Clone)]
pub struct FrostTextures {
    source: FrostSource,
    textures: Arc<[Texture]>,
}

impl FrostTextures {
    /// The names of the published files, as [`load`](Self::load) looks for them.
    pub const FILES: [&str; 5] = [
        PUBLISHED[0].0,
        PUBLISHED[1].0,
        PUBLISHED[2].0,
        PUBLISHED[3].0,
        PUBLISHED[4].0,
    ];

    /// Reads the five published textures, [`FILES`](Self::FILES), from a folder and shrinks them to a fifth.
    ///
    /// # Errors
    /// Returns [`CorruptionError::Texture`] if a file is missing or is not a picture.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self, CorruptionError> {
        let mut published = true;
        let mut textures = Vec::with_capacity(PUBLISHED.len());
        for (name, sha256) in PUBLISHED {
            let path = dir.as_ref().join(name);
            let bytes = std::fs::read(&path).map_err(|error| CorruptionError::Texture {
                path: path.clone(),
                reason: error.to_string(),
            })?;
            published &= digest::of_bytes(&bytes) == sha256;
            let picture = image::load_from_memory(&bytes)
                .map_err(|error| CorruptionError::Texture {
                    path: path.clone(),
                    reason: error.to_string(),
                })?
                .to_rgb8();
            let (width, height) = (picture.width() as usize, picture.height() as usize);
            textures.push(
                Texture {
                    width,
                    pixels: picture.into_raw(),
                }
                .shrunk(height),
            );
        }
        let source = if published {
            FrostSource::Published
        } else {
            FrostSource::Custom
        };
        Ok(Self {
            source,
            textures: textures.into(),
        })
    }

    /// Ice computed by this crate, always the same: no files needed. The strength is that of the published textures
    /// (mean colour, contrast and fineness of grain of each), the pictures are not.
    pub fn procedural() -> Self {
        static ICE: LazyLock<Arc<[Texture]>> = LazyLock::new(|| ice::textures().into());
        Self {
            source: FrostSource::Procedural,
            textures: Arc::clone(&ICE),
        }
    }

    /// Where these textures come from.
    pub fn source(&self) -> FrostSource {
        self.source
    }

    /// There is at least one.
    pub(crate) fn all(&self) -> &[Texture] {
        &self.textures
    }
}

impl fmt::Debug for FrostTextures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrostTextures")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
