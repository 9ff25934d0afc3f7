//! The general form of what happens to a pixel: the order of the colours, the range of the numbers, mean and standard deviation.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// The colours of a pixel in the order in which a network takes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ColourOrder {
    /// Red, green, blue: what most networks take.
    #[default]
    Rgb,
    /// Blue, green, red, as OpenCV reads pictures and Caffe's networks take them.
    Bgr,
    /// One grey value, `(19595 R + 38470 G + 7471 B + 32768) >> 16`, which is ITU-R 601 luma rounded as Pillow's `convert("L")` rounds it. A
    /// network of three channels gets it three times.
    Grey,
}

impl ColourOrder {
    /// Every order.
    pub const ALL: [Self; 3] = [Self::Rgb, Self::Bgr, Self::Grey];

    /// `rgb`, `bgr` or `grey`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
            Self::Grey => "grey",
        }
    }

    /// The pixels of an image, (H, W, 3) red, green, blue, in this order; three equal numbers a pixel for grey.
    ///
    /// ```
    /// use riptide_models::preprocess::ColourOrder;
    /// assert_eq!(*ColourOrder::Bgr.arrange(&[1, 2, 3]), [3, 2, 1]);
    /// assert_eq!(*ColourOrder::Grey.arrange(&[255, 0, 0]), [76, 76, 76]);
    /// ```
    pub fn arrange(self, image: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Rgb => Cow::Borrowed(image),
            Self::Bgr => Cow::Owned(mapped(image, |[r, g, b]| [b, g, r])),
            Self::Grey => Cow::Owned(mapped(image, |pixel| [luma(pixel); 3])),
        }
    }
}

fn mapped(image: &[u8], change: impl Fn([u8; 3]) -> [u8; 3]) -> Vec<u8> {
    let (pixels, _) = image.as_chunks::<3>();
    pixels.iter().flat_map(|&pixel| change(pixel)).collect()
}

/// The weights add up to 2^16, so the sum is at most 255 * 2^16 + 2^15 and its upper part a byte.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue) + 32768;
    (sum >> 16) as u8
}

impl fmt::Display for ColourOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ColourOrder {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let known = Self::ALL.into_iter().find(|order| order.name() == text);
        known.ok_or_else(|| ModelError::Config {
            field: "preprocessing.order",
            value: text.into(),
            expected: "rgb, bgr or grey".into(),
        })
    }
}

/// The numbers that the bytes 0 to 255 become first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PixelRange {
    /// `b`, as it is.
    #[serde(rename = "0..255")]
    Bytes,
    /// `b / 255`.
    #[default]
    #[serde(rename = "0..1")]
    Unit,
    /// `b / 127.5 - 1`.
    #[serde(rename = "-1..1")]
    Signed,
}

impl PixelRange {
    fn of(self, byte: u8) -> f64 {
        let byte = f64::from(byte);
        match self {
            Self::Bytes => byte,
            Self::Unit => byte / 255.0,
            Self::Signed => byte / 127.5 - 1.0,
        }
    }
}

/// What happens to a pixel, in general: its colours are put in `order`, each becomes a number in `range`, and then
/// `(x - mean[channel]) / std[channel]`.
///
/// Mean and standard deviation are in the units of `range` and in the order of the network's channels, so that the first of them belongs to
/// blue if `order` is blue, green, red.
///
/// ```
/// use riptide_models::preprocess::{ColourOrder, PixelRange, Pixels, Preprocessing};
/// // Keras's networks in the mode "caffe".
/// let pixels = Pixels::default().order(ColourOrder::Bgr).range(PixelRange::Bytes).mean([103.939, 116.779, 123.68]);
/// let table = Preprocessing::from(pixels).table(&[]);
/// assert_eq!(table[0][0], -103.939);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Pixels {
    /// The order of the colours.
    pub order: ColourOrder,
    /// The numbers that the bytes become.
    pub range: PixelRange,
    /// Whether the mean and standard deviation are the image's own, `std + 1e-12`, over all its pixels and channels; `range`, `mean` and
    /// `std` must be the default then.
    pub by_instance: bool,
    /// One mean per channel.
    pub mean: [f32; 3],
    /// One standard deviation per channel, all above 0.
    pub std: [f32; 3],
}

impl Default for Pixels {
    fn default() -> Self {
        Self {
            order: ColourOrder::Rgb,
            range: PixelRange::Unit,
            by_instance: false,
            mean: [0.0; 3],
            std: [1.0; 3],
        }
    }
}

impl Pixels {
    /// Sets the order of the colours.
    #[must_use]
    pub fn order(mut self, order: ColourOrder) -> Self {
        self.order = order;
        self
    }

    /// Sets the numbers that the bytes become.
    #[must_use]
    pub fn range(mut self, range: PixelRange) -> Self {
        self.range = range;
        self
    }

    /// Sets whether the image is scaled by its own mean and standard deviation.
    #[must_use]
    pub fn by_instance(mut self, by_instance: bool) -> Self {
        self.by_instance = by_instance;
        self
    }

    /// Sets the mean of each channel.
    #[must_use]
    pub fn mean(mut self, mean: [f32; 3]) -> Self {
        self.mean = mean;
        self
    }

    /// Sets the standard deviation of each channel.
    #[must_use]
    pub fn std(mut self, std: [f32; 3]) -> Self {
        self.std = std;
        self
    }

    /// Whether everything but the order is the default.
    fn is_plain(&self) -> bool {
        let Self { range, mean, std, .. } = *self;
        (range, mean, std) == (PixelRange::Unit, [0.0; 3], [1.0; 3])
    }

    pub(super) fn validate(&self) -> Result<(), ModelError> {
        constants(&self.mean, &self.std)?;
        if self.by_instance && !self.is_plain() {
            return Err(ModelError::Config {
                field: "preprocessing.by_instance",
                value: "true".into(),
                expected: "false if there is a range, a mean or a standard deviation".into(),
            });
        }
        Ok(())
    }

    /// What each byte of each channel becomes, if the image's own statistics do not matter.
    pub(super) fn table(&self) -> [[f32; 256]; 3] {
        let (mean, std) = (self.mean.map(f64::from), self.std.map(f64::from));
        std::array::from_fn(|channel| {
            std::array::from_fn(|byte| ((self.range.of(byte as u8) - mean[channel]) / std[channel]) as f32)
        })
    }
}

/// Checks means and standard deviations.
pub(super) fn constants(mean: &[f32], std: &[f32]) -> Result<(), ModelError> {
    if let Some(value) = mean.iter().find(|value| !value.is_finite()) {
        return Err(ModelError::Config {
            field: "preprocessing.mean",
            value: value.to_string(),
            expected: "finite".into(),
        });
    }
    if let Some(value) = std.iter().find(|value| !(value.is_finite() && **value > 0.0)) {
        return Err(ModelError::Config {
            field: "preprocessing.std",
            value: value.to_string(),
            expected: "finite and above 0".into(),
        });
    }
    Ok(())
}

impl fmt::Display for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.order {
            ColourOrder::Rgb => {}
            ColourOrder::Bgr => f.write_str("blue, green, red; ")?,
            ColourOrder::Grey => f.write_str("grey; ")?,
        }
        if self.by_instance {
            return f.write_str("scaled by instance");
        }
        f.write_str(match self.range {
            PixelRange::Bytes => "0 to 255",
            PixelRange::Unit => "divided by 255",
            PixelRange::Signed => "-1 to 1",
        })?;
        if self.mean != [0.0; 3] {
            write!(f, ", less {:?}", self.mean)?;
        }
        if self.std != [1.0; 3] {
            write!(f, ", divided by {:?}", self.std)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pillow 13: `Image.new("RGB", (1, 1), pixel).convert("L")`.
    #[test]
    fn grey_is_pillows() {
        for (pixel, grey) in [
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([255, 255, 255], 255),
            ([1, 2, 3], 2),
            ([200, 100, 50], 124),
            ([17, 211, 96], 140),
            ([254, 255, 254], 255),
        ] {
            assert_eq!(luma(pixel), grey, "{pixel:?}");
        }
    }

    #[test]
    fn the_general_form_is_told_in_words() {
        let caffe = Pixels::default()
            .order(ColourOrder::Bgr)
            .range(PixelRange::Bytes)
            .mean([104.0, 117.0, 124.0]);
        assert_eq!(
            caffe.to_string(),
            "blue, green, red; 0 to 255, less [104.0, 117.0, 124.0]"
        );
        assert_eq!(
            Pixels::default().range(PixelRange::Signed).std([0.5; 3]).to_string(),
            "-1 to 1, divided by [0.5, 0.5, 0.5]"
        );
    }
}
