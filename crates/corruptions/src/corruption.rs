//! The names of the corruptions and the four groups they fall into.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::CorruptionError;

/// One of the nineteen corruptions of CIFAR-10-C (Hendrycks and Dietterich, 2019).
///
/// The fifteen of the benchmark come first, in the order of the paper, then the four that the authors keep for
/// validation. Serde, [`FromStr`] and [`Display`](fmt::Display) use the file names of CIFAR-10-C, such as
/// `gaussian_noise`.
///
/// ```
/// use riptide_corruptions::Corruption;
///
/// let corruption: Corruption = "motion_blur".parse()?;
/// assert_eq!(corruption, Corruption::MotionBlur);
/// assert_eq!(Corruption::ALL.len(), 19);
/// # Ok::<(), riptide_corruptions::CorruptionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Corruption {
    /// Normal noise added to every value.
    GaussianNoise = 0,
    /// Poisson noise: the fewer photons, the grainier.
    ShotNoise = 1,
    /// Salt and pepper on single values.
    ImpulseNoise = 2,
    /// Out-of-focus blur with a disk.
    DefocusBlur = 3,
    /// Neighbouring pixels shuffled between two blurs, as through frosted glass.
    GlassBlur = 4,
    /// A one-sided streak in a random direction.
    MotionBlur = 5,
    /// The mean of many enlargements.
    ZoomBlur = 6,
    /// Snow flakes driven by wind.
    Snow = 7,
    /// Ice crystals on the lens.
    Frost = 8,
    /// Banks of fog from a diamond-square fractal.
    Fog = 9,
    /// Value of HSV raised.
    Brightness = 10,
    /// Contrast lowered around each channel's mean.
    Contrast = 11,
    /// A random affine map and small random displacements.
    ElasticTransform = 12,
    /// Shrunk and enlarged again.
    Pixelate = 13,
    /// Written as JPEG and read again.
    JpegCompression = 14,
    /// Normal noise in proportion to the value.
    SpeckleNoise = 15,
    /// Gaussian blur.
    GaussianBlur = 16,
    /// Drops of water or mud on the lens.
    Spatter = 17,
    /// Saturation of HSV changed.
    Saturate = 18,
}

/// What kind of damage a [`Corruption`] models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Random errors of single values.
    Noise,
    /// Loss of detail by optics or movement.
    Blur,
    /// Weather and dirt between the object and the sensor.
    Weather,
    /// Processing after the picture was taken.
    Digital,
}

impl Corruption {
    /// All nineteen, the fifteen of the benchmark first.
    pub const ALL: [Self; 19] = [
        Self::GaussianNoise,
        Self::ShotNoise,
        Self::ImpulseNoise,
        Self::DefocusBlur,
        Self::GlassBlur,
        Self::MotionBlur,
        Self::ZoomBlur,
        Self::Snow,
        Self::Frost,
        Self::Fog,
        Self::Brightness,
        Self::Contrast,
        Self::ElasticTransform,
        Self::Pixelate,
        Self::JpegCompression,
        Self::SpeckleNoise,
        Self::GaussianBlur,
        Self::Spatter,
        Self::Saturate,
    ];

    /// The name in CIFAR-10-C, for instance `jpeg_compression`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GaussianNoise => "gaussian_noise",
            Self::ShotNoise => "shot_noise",
            Self::ImpulseNoise => "impulse_noise",
            Self::DefocusBlur => "defocus_blur",
            Self::GlassBlur => "glass_blur",
            Self::MotionBlur => "motion_blur",
            Self::ZoomBlur => "zoom_blur",
            Self::Snow => "snow",
            Self::Frost => "frost",
            Self::Fog => "fog",
            Self::Brightness => "brightness",
            Self::Contrast => "contrast",
            Self::ElasticTransform => "elastic_transform",
            Self::Pixelate => "pixelate",
            Self::JpegCompression => "jpeg_compression",
            Self::SpeckleNoise => "speckle_noise",
            Self::GaussianBlur => "gaussian_blur",
            Self::Spatter => "spatter",
            Self::Saturate => "saturate",
        }
    }

    /// The group this corruption belongs to.
    pub const fn group(self) -> Group {
        match self {
            Self::GaussianNoise | Self::ShotNoise | Self::ImpulseNoise | Self::SpeckleNoise => Group::Noise,
            Self::DefocusBlur | Self::GlassBlur | Self::MotionBlur | Self::ZoomBlur | Self::GaussianBlur => Group::Blur,
            Self::Snow | Self::Frost | Self::Fog | Self::Spatter => Group::Weather,
            Self::Brightness
            | Self::Contrast
            | Self::ElasticTransform
            | Self::Pixelate
            | Self::JpegCompression
            | Self::Saturate => Group::Digital,
        }
    }

    /// Whether the corruption draws random numbers. The others do not depend on the seed.
    pub const fn is_random(self) -> bool {
        !matches!(
            self,
            Self::DefocusBlur
                | Self::ZoomBlur
                | Self::Brightness
                | Self::Contrast
                | Self::Pixelate
                | Self::JpegCompression
                | Self::GaussianBlur
                | Self::Saturate
        )
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Corruption {
    type Err = CorruptionError;

    /// Accepts the names of CIFAR-10-C.
    ///
    /// # Errors
    /// Returns [`CorruptionError::UnknownCorruption`] for anything else.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|corruption| corruption.name() == name)
            .ok_or_else(|| CorruptionError::UnknownCorruption {
                name: name.to_owned(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_are_the_serde_names() {
        for (position, corruption) in Corruption::ALL.into_iter().enumerate() {
            assert_eq!(corruption as usize, position);
            assert_eq!(corruption.name().parse::<Corruption>().unwrap(), corruption);
            assert_eq!(serde_json::to_string(&corruption).unwrap(), format!("\"{corruption}\""));
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_names_there_are() {
        let message = "rain".parse::<Corruption>().unwrap_err().to_string();
        assert!(
            message.contains("rain") && message.contains("elastic_transform"),
            "{message}"
        );
    }
}
