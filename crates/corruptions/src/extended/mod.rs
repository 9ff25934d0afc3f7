//! Sixteen kinds of damage of our own, apart from the nineteen of CIFAR-10-C.
//!
//! Lengths are shares of the image's shorter side, so that a severity means about the same for images of any size. Values
//! are in units of 0 to 1 and rounded to the nearest byte.

mod geometry;
mod light;
mod pattern;
mod tone;

use std::fmt;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::Severity;
use crate::effect::{Effect, Size};

/// One of sixteen kinds of damage that are not in CIFAR-10-C.
///
/// They are an extension of this crate: no benchmark uses them, and no published figure can be compared with theirs. They
/// widen what a monitor is calibrated on, since each is unlike the nineteen and unlike the others. Each grows in strength
/// from severity 1 to 5, is seeded as the nineteen are, and takes images of any size; below 16 pixels a side, little is left
/// of the structure that a kind has.
///
/// ```
/// use riptide_corruptions::{Corruptor, Extended, Severity};
/// use riptide_datasets::shapes::Shapes;
///
/// let clean = Shapes::new(0).generate(0, 4);
/// let shaded = Corruptor::new(7).apply(&clean, Extended::Shadow, Severity::new(3)?)?;
/// assert_eq!(shaded.shape(), clean.shape());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Extended {
    /// Each channel brighter or darker, as with a wrong white balance.
    ColourCast = 0,
    /// `x^gamma`: middle tones lifted or pressed down.
    Gamma = 1,
    /// Darker towards the rim, as through a wide lens.
    Vignette = 2,
    /// One side of the picture in shadow.
    Shadow = 3,
    /// Hues turned around the colour circle.
    HueShift = 4,
    /// A block of one colour before the object.
    Occlusion = 5,
    /// Brighter and darker bands along one axis.
    Stripes = 6,
    /// A checkerboard laid over.
    Checkerboard = 7,
    /// A wave in each channel, in any direction.
    SineWaves = 8,
    /// Large soft blotches of colour.
    Blotches = 9,
    /// Whole rows or columns stuck at black or white.
    SaltLines = 10,
    /// Few levels in each channel.
    Posterize = 11,
    /// Edges overdrawn by an unsharp mask.
    Sharpen = 12,
    /// Turned and shifted.
    Rotation = 13,
    /// Every few pixels taken, the rest interpolated.
    Resampling = 14,
    /// The picture twice, one copy shifted.
    Ghosting = 15,
}

impl Extended {
    /// All sixteen.
    pub const ALL: [Self; 16] = [
        Self::ColourCast,
        Self::Gamma,
        Self::Vignette,
        Self::Shadow,
        Self::HueShift,
        Self::Occlusion,
        Self::Stripes,
        Self::Checkerboard,
        Self::SineWaves,
        Self::Blotches,
        Self::SaltLines,
        Self::Posterize,
        Self::Sharpen,
        Self::Rotation,
        Self::Resampling,
        Self::Ghosting,
    ];

    /// The name, for instance `colour_cast`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ColourCast => "colour_cast",
            Self::Gamma => "gamma",
            Self::Vignette => "vignette",
            Self::Shadow => "shadow",
            Self::HueShift => "hue_shift",
            Self::Occlusion => "occlusion",
            Self::Stripes => "stripes",
            Self::Checkerboard => "checkerboard",
            Self::SineWaves => "sine_waves",
            Self::Blotches => "blotches",
            Self::SaltLines => "salt_lines",
            Self::Posterize => "posterize",
            Self::Sharpen => "sharpen",
            Self::Rotation => "rotation",
            Self::Resampling => "resampling",
            Self::Ghosting => "ghosting",
        }
    }

    /// Whether it draws random numbers. The others do not depend on the seed.
    pub const fn is_random(self) -> bool {
        !matches!(self, Self::Posterize | Self::Sharpen | Self::Resampling)
    }

    /// Everything that does not depend on the single image.
    pub(crate) fn prepare(self, severity: Severity, size: Size) -> Box<dyn Effect> {
        match self {
            Self::ColourCast => Box::new(light::ColourCast::new(severity)),
            Self::Gamma => Box::new(light::Gamma::new(severity)),
            Self::Vignette => Box::new(light::Vignette::new(severity, size)),
            Self::Shadow => Box::new(light::Shadow::new(severity, size)),
            Self::HueShift => Box::new(light::HueShift::new(severity)),
            Self::Occlusion => Box::new(geometry::Occlusion::new(severity, size)),
            Self::Stripes => Box::new(pattern::Stripes::new(severity, size)),
            Self::Checkerboard => Box::new(pattern::Checkerboard::new(severity, size)),
            Self::SineWaves => Box::new(pattern::SineWaves::new(severity, size)),
            Self::Blotches => Box::new(pattern::Blotches::new(severity, size)),
            Self::SaltLines => Box::new(pattern::SaltLines::new(severity, size)),
            Self::Posterize => Box::new(tone::Posterize::new(severity)),
            Self::Sharpen => Box::new(tone::Sharpen::new(severity, size)),
            Self::Rotation => Box::new(geometry::Rotation::new(severity, size)),
            Self::Resampling => Box::new(geometry::Resampling::new(severity, size)),
            Self::Ghosting => Box::new(geometry::Ghosting::new(severity, size)),
        }
    }
}

impl fmt::Display for Extended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A value in units of 0..=1 as a byte: clipped, times 255, rounded to the nearest.
fn nearest(value: f64) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as i32 as u8
}

/// A number from `low` up to `high`, evenly spread.
fn between(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// One of the whole numbers from 0 up to, but without, `n`, which is at least 1.
fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    ((rng.random::<f64>() * n as f64) as usize).min(n.saturating_sub(1))
}

/// 1 or -1, with equal chances.
fn sign(rng: &mut ChaCha8Rng) -> f64 {
    if rng.random::<bool>() { 1.0 } else { -1.0 }
}

/// The shorter side, in pixels.
fn shorter(size: Size) -> f64 {
    size.height.min(size.width) as f64
}

#[cfg(test)]
mod tests {
    use riptide_datasets::ImageSet;
    use riptide_datasets::shapes::Shapes;

    use super::*;
    use crate::{Corruptor, Family};

    fn difference(clean: &ImageSet, damaged: &ImageSet) -> f64 {
        let pairs = clean.pixels().iter().zip(damaged.pixels());
        let sum: u64 = pairs.map(|(&a, &b)| u64::from(a.abs_diff(b))).sum();
        sum as f64 / clean.pixels().len() as f64
    }

    /// Shapes, and the same pictures enlarged and made oblong by repeating pixels.
    fn sets() -> [ImageSet; 2] {
        let small = Shapes::new(4).generate(0, 160);
        let (height, width) = (48, 80);
        let mut pixels = Vec::new();
        for image in small.images().take(60) {
            for y in 0..height {
                for x in 0..width {
                    let from = (y * 32 / height * 32 + x * 32 / width) * 3;
                    pixels.extend_from_slice(&image[from..from + 3]);
                }
            }
        }
        let large = ImageSet::unlabelled(pixels, height, width).unwrap();
        [small, large]
    }

    #[test]
    fn damage_grows_with_the_severity_and_is_never_nothing() {
        for clean in sets() {
            for kind in Extended::ALL {
                let differences = Severity::ALL.map(|severity| {
                    let damaged = Corruptor::new(1).apply(&clean, kind, severity).unwrap();
                    difference(&clean, &damaged)
                });
                assert!(differences[0] > 1.0, "{kind}: {differences:?}");
                assert!(
                    differences.is_sorted_by(|a, b| a * 1.1 < *b),
                    "{kind}, {:?}: {differences:?}",
                    clean.shape()
                );
            }
        }
    }

    #[test]
    fn names_differ_from_the_nineteen_and_are_the_serde_names() {
        for (position, kind) in Extended::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, position);
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
            assert!(kind.name().parse::<crate::Corruption>().is_err());
            assert_eq!(kind.name().parse::<Family>().unwrap(), Family::Extended(kind));
        }
    }

    #[test]
    fn flat_pictures_keep_what_a_kind_does_not_touch() {
        let grey = ImageSet::unlabelled(vec![128; 3 * 32 * 32 * 3], 32, 32).unwrap();
        let kept = [
            Extended::HueShift,
            Extended::Rotation,
            Extended::Resampling,
            Extended::Ghosting,
            Extended::Sharpen,
        ];
        for kind in kept {
            for severity in Severity::ALL {
                let damaged = Corruptor::new(3).apply(&grey, kind, severity).unwrap();
                let most = damaged.pixels().iter().map(|value| value.abs_diff(128)).max();
                assert!(most <= Some(1), "{kind} {severity}: {most:?}");
            }
        }
    }
}
