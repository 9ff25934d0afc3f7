//! What raw images go through before a network: from bytes (N, H, W, 3) to floats (N, 3, H, W).

mod pixels;

use std::borrow::Cow;
use std::fmt;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::ModelError;
pub use pixels::{ColourOrder, PixelRange, Pixels};

/// How the bytes of an image become the floats that a network takes.
///
/// In every case a byte `b` of a channel becomes a number that depends only on `b`, the channel and the image, so that one table of
/// 3 x 256 numbers an image, see [`Preprocessing::table`], says all of it, once the colours are in the network's order, see
/// [`Preprocessing::arrange`].
///
/// ```
/// use riptide_models::preprocess::Preprocessing;
/// let table = Preprocessing::None.table(&[0, 128, 255]);
/// assert_eq!(table[2][255], 1.0);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Preprocessing {
    /// `x = b / 255`, then `(x - mean) / (std + 1e-12)` with the mean and the population standard deviation over all pixels and channels of
    /// the image.
    #[default]
    ScaleByInstance,
    /// `x = b / 255`, then `(x - mean[channel]) / std[channel]` with constants, as most published classifiers have it.
    MeanStd {
        /// One mean for each of red, green and blue, in units of `b / 255`.
        mean: [f32; 3],
        /// One standard deviation for each of red, green and blue, in units of `b / 255`; all above 0.
        std: [f32; 3],
    },
    /// `b / 255` and no more.
    None,
    /// Any other order of the colours or range of the numbers. `Preprocessing::from(pixels)` gives one of the other variants if that says
    /// the same.
    Pixels(Pixels),
}

impl From<Pixels> for Preprocessing {
    fn from(pixels: Pixels) -> Self {
        let Pixels {
            order,
            range,
            by_instance,
            mean,
            std,
        } = pixels;
        match (order, range) {
            (ColourOrder::Rgb, PixelRange::Unit) if (mean, std) == ([0.0; 3], [1.0; 3]) => match by_instance {
                true => Self::ScaleByInstance,
                false => Self::None,
            },
            (ColourOrder::Rgb, PixelRange::Unit) if !by_instance => Self::MeanStd { mean, std },
            _ => Self::Pixels(pixels),
        }
    }
}

impl From<Preprocessing> for Pixels {
    fn from(preprocessing: Preprocessing) -> Self {
        match preprocessing {
            Preprocessing::ScaleByInstance => Self::default().by_instance(true),
            Preprocessing::MeanStd { mean, std } => Self::default().mean(mean).std(std),
            Preprocessing::None => Self::default(),
            Preprocessing::Pixels(pixels) => pixels,
        }
    }
}

impl fmt::Display for Preprocessing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Pixels::from(*self).fmt(f)
    }
}

impl Preprocessing {
    /// Checks the constants.
    ///
    /// # Errors
    /// [`ModelError::Config`] if a mean is not finite, a standard deviation is not finite and above 0, or [`Pixels`] contradict themselves.
    pub fn validate(&self) -> Result<(), ModelError> {
        Pixels::from(*self).validate()
    }

    /// The order in which the network takes the colours.
    pub fn order(&self) -> ColourOrder {
        match self {
            Self::Pixels(pixels) => pixels.order,
            _ => ColourOrder::Rgb,
        }
    }

    /// The same with the colours in another order. Constants stay with their channel: the first mean belongs to the network's first channel.
    #[must_use]
    pub fn with_order(self, order: ColourOrder) -> Self {
        Pixels::from(self).order(order).into()
    }

    /// The same view of an image in numbers of moderate size, for a network that is yet to be trained: as it is, if no byte becomes more
    /// than 4 in absolute value, else -1 to 1 in the same order of the colours. A first layer learns badly from numbers in the hundreds.
    ///
    /// ```
    /// use riptide_models::preprocess::{PixelRange, Pixels, Preprocessing};
    /// let bytes = Preprocessing::from(Pixels::default().range(PixelRange::Bytes));
    /// assert_eq!(bytes.moderate(), Pixels::default().range(PixelRange::Signed).into());
    /// assert_eq!(Preprocessing::None.moderate(), Preprocessing::None);
    /// ```
    #[must_use]
    pub fn moderate(self) -> Self {
        const LARGEST: f32 = 4.0;
        let pixels = Pixels::from(self);
        let is_moderate = |table: &[f32; 256]| table[0].abs() <= LARGEST && table[255].abs() <= LARGEST;
        match pixels.by_instance || pixels.table().iter().all(is_moderate) {
            true => self,
            false => Pixels::default().order(pixels.order).range(PixelRange::Signed).into(),
        }
    }

    /// An image's bytes, (H, W, 3) red, green, blue, in the order in which the network takes the colours.
    pub fn arrange<'a>(&self, image: &'a [u8]) -> Cow<'a, [u8]> {
        self.order().arrange(image)
    }

    /// What each value of each channel of `image` becomes: `table[channel][byte]`.
    ///
    /// `image` is one image's (H, W, 3) bytes in the network's order of colours; only a scaling by instance looks at it. Sums are taken in
    /// integers, so the table does not depend on the order of the pixels. An image of one colour in all channels becomes all zeros under
    /// [`Preprocessing::ScaleByInstance`].
    pub fn table(&self, image: &[u8]) -> [[f32; 256]; 3] {
        let pixels = Pixels::from(*self);
        if !pixels.by_instance {
            return pixels.table();
        }
        let (mean, std) = instance_statistics(image);
        let std = std + 1e-12;
        [std::array::from_fn(|byte| ((byte as f64 / 255.0 - mean) / std) as f32); 3]
    }

    /// Turns raw images into the input of a network of three channels.
    ///
    /// `images` is u8 (N, H, W, 3); the result is f32 (N, 3, H, W) on the same device.
    ///
    /// # Errors
    /// [`ModelError::Images`] if `images` has another type or shape.
    pub fn apply(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        self.apply_channels(images, 3)
    }

    /// Turns raw images into the input of a network of `channels` channels, 3 or 1: u8 (N, H, W, 3) to f32 (N, `channels`, H, W) on the
    /// same device. A network of one channel takes the grey value, whatever the order of the colours, and the first mean and standard
    /// deviation.
    ///
    /// # Errors
    /// [`ModelError::Images`] if `images` has another type or shape, [`ModelError::Config`] for another number of channels.
    pub fn apply_channels(&self, images: &Tensor, channels: usize) -> Result<Tensor, ModelError> {
        let order = match channels {
            1 => ColourOrder::Grey,
            3 => self.order(),
            other => {
                return Err(ModelError::Config {
                    field: "channels",
                    value: other.to_string(),
                    expected: "1 or 3".into(),
                });
            }
        };
        let (n, height, width) = match (images.dtype(), images.dims()) {
            (DType::U8, &[n, height, width, 3]) if height * width > 0 => (n, height, width),
            (dtype, dims) => {
                return Err(ModelError::Images {
                    found: format!("{dtype:?} tensor of shape {dims:?}").to_lowercase(),
                    expected: "u8 (N, H, W, 3)".into(),
                });
            }
        };
        let bytes = images.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<u8>()?;
        let plane = height * width;
        let mut scaled = vec![0f32; n * channels * plane];
        bytes
            .par_chunks_exact(3 * plane)
            .zip(scaled.par_chunks_exact_mut(channels * plane))
            .for_each(|(image, scaled)| {
                let image = order.arrange(image);
                let table = self.table(&image);
                for ((channel, table), plane) in table.iter().enumerate().zip(scaled.chunks_exact_mut(plane)) {
                    for (pixel, value) in image.chunks_exact(3).zip(plane) {
                        *value = table[usize::from(pixel[channel])];
                    }
                }
            });
        Ok(Tensor::from_vec(scaled, (n, channels, height, width), images.device())?)
    }
}

/// Scales raw images by their own mean and standard deviation, as [`Preprocessing::ScaleByInstance`] says.
///
/// `images` is u8 (N, H, W, 3); the result is f32 (N, 3, H, W): per image `(x - mean) / (std + 1e-12)` with `x = byte / 255` and mean and
/// population standard deviation over all its pixels and channels.
///
/// # Errors
/// [`ModelError::Images`] if `images` has another type or shape.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use riptide_models::preprocess::scale_by_instance;
///
/// let images = Tensor::arange(0u8, 24, &Device::Cpu)?.reshape((1, 2, 4, 3))?;
/// let scaled = scale_by_instance(&images)?;
/// assert_eq!(scaled.dims(), [1, 3, 2, 4]);
/// assert!(scaled.mean_all()?.to_scalar::<f32>()?.abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn scale_by_instance(images: &Tensor) -> Result<Tensor, ModelError> {
    Preprocessing::ScaleByInstance.apply(images)
}

/// Mean and population standard deviation of `bytes / 255`.
fn instance_statistics(bytes: &[u8]) -> (f64, f64) {
    if bytes.is_empty() {
        return (0.0, 0.0);
    }
    let (sum, squares) = bytes.chunks(4096).fold((0u64, 0u64), |(sum, squares), chunk| {
        let (s, q) = chunk.iter().fold((0u32, 0u32), |(s, q), &byte| {
            let byte = u32::from(byte);
            (s + byte, q + byte * byte)
        });
        (sum + u64::from(s), squares + u64::from(q))
    });
    let n = bytes.len() as u64;
    // n * squares - sum^2 is exact in u128, so images of one value have a variance of exactly 0.
    let scatter = u128::from(n) * u128::from(squares) - u128::from(sum) * u128::from(sum);
    let n = n as f64;
    (sum as f64 / n / 255.0, (scatter as f64).sqrt() / n / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_known_pixel_lands_in_its_channel() {
        let mut pixels = vec![0u8; 2 * 2 * 3 * 3];
        pixels[18 + (3 + 2) * 3 + 1] = 255; // image 1, row 1, column 2, green
        let images = Tensor::from_vec(pixels, (2, 2, 3, 3), &Device::Cpu).unwrap();
        let values = Preprocessing::None.apply(&images).unwrap().to_vec1_all();
        let expected = 18 + 6 + 3 + 2;
        assert_eq!(values.iter().position(|&value| value == 1.0), Some(expected));
        assert_eq!(values.iter().filter(|&&value| value != 0.0).count(), 1);
    }

    #[test]
    fn an_image_of_one_colour_becomes_zeros() {
        let images = Tensor::full(77u8, (1, 4, 4, 3), &Device::Cpu).unwrap();
        assert!(
            scale_by_instance(&images)
                .unwrap()
                .to_vec1_all()
                .iter()
                .all(|&value| value == 0.0)
        );
    }

    #[test]
    fn mean_std_uses_the_constants_of_the_channel() {
        let preprocessing = Preprocessing::MeanStd {
            mean: [0.0, 0.5, 1.0],
            std: [1.0, 0.5, 0.25],
        };
        let table = preprocessing.table(&[]);
        assert_eq!([table[0][255], table[1][255], table[2][0]], [1.0, 1.0, -4.0]);
        assert!(
            Preprocessing::MeanStd {
                mean: [0.0; 3],
                std: [1.0, 0.0, 1.0]
            }
            .validate()
            .is_err()
        );
        assert!(
            Preprocessing::MeanStd {
                mean: [f32::NAN; 3],
                std: [1.0; 3]
            }
            .validate()
            .is_err()
        );
    }

    #[test]
    fn configurations_written_before_there_were_pixels_are_read() {
        let read = |text: &str| serde_json::from_str::<Preprocessing>(text).unwrap();
        let (mean, std) = ([0.5; 3], [0.25; 3]);
        let mean_std = Preprocessing::MeanStd { mean, std };
        assert_eq!(read("\"scale_by_instance\""), Preprocessing::ScaleByInstance);
        assert_eq!(read("\"none\""), Preprocessing::None);
        let text = "{\"mean_std\":{\"mean\":[0.5,0.5,0.5],\"std\":[0.25,0.25,0.25]}}";
        assert_eq!(read(text), mean_std);
        assert_eq!(serde_json::to_string(&mean_std).unwrap(), text);
        for preprocessing in [Preprocessing::ScaleByInstance, mean_std, Preprocessing::None] {
            assert_eq!(Preprocessing::from(Pixels::from(preprocessing)), preprocessing);
            let other = preprocessing.with_order(ColourOrder::Bgr);
            assert_eq!(read(&serde_json::to_string(&other).unwrap()), other);
            assert_eq!(other.with_order(ColourOrder::Rgb), preprocessing);
        }
        let caffe = "{\"pixels\":{\"order\":\"bgr\",\"range\":\"0..255\",\"mean\":[103.939,116.779,123.68]}}";
        assert_eq!(read(caffe).table(&[])[2][255], (255.0 - f64::from(123.68f32)) as f32);
        for wrong in [
            "{\"pixels\":{\"order\":\"rbg\"}}",
            "{\"pixels\":{\"range\":\"0..2\"}}",
            "{\"pixels\":{\"scale\":1}}",
        ] {
            assert!(serde_json::from_str::<Preprocessing>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn colours_reach_their_channels() {
        let images = Tensor::from_vec(vec![10u8, 20, 30, 40, 50, 60], (1, 1, 2, 3), &Device::Cpu).unwrap();
        let bytes = Pixels::default().range(PixelRange::Bytes);
        let values = |pixels: Pixels, channels| {
            let scaled = Preprocessing::from(pixels).apply_channels(&images, channels).unwrap();
            assert_eq!(scaled.dims(), [1, channels, 1, 2]);
            scaled.to_vec1_all()
        };
        assert_eq!(values(bytes, 3), [10.0, 40.0, 20.0, 50.0, 30.0, 60.0]);
        let bgr = bytes.order(ColourOrder::Bgr).mean([1.0, 2.0, 3.0]);
        assert_eq!(values(bgr, 3), [29.0, 59.0, 18.0, 48.0, 7.0, 37.0]);
        assert_eq!(
            values(bytes.order(ColourOrder::Grey), 3),
            [18.0, 48.0, 18.0, 48.0, 18.0, 48.0]
        );
        // A network of one channel takes grey, whatever the order says.
        assert_eq!(values(bytes, 1), [18.0, 48.0]);
        assert_eq!(values(bgr, 1), [17.0, 47.0]);
        let signed = values(Pixels::default().range(PixelRange::Signed), 1);
        approx::assert_relative_eq!(signed[0], 18.0 / 127.5 - 1.0, max_relative = 1e-6);
        assert!(Preprocessing::None.apply_channels(&images, 2).is_err());
    }

    #[test]
    fn grey_is_scaled_by_its_own_statistics() {
        let images = Tensor::from_vec(vec![10u8, 20, 30, 40, 50, 60], (1, 1, 2, 3), &Device::Cpu).unwrap();
        let grey = Preprocessing::ScaleByInstance.with_order(ColourOrder::Grey);
        assert_eq!(grey.apply_channels(&images, 1).unwrap().to_vec1_all(), [-1.0, 1.0]);
        // Two orders of the same colours have the same statistics.
        let (rgb, bgr) = (
            Preprocessing::ScaleByInstance,
            Preprocessing::ScaleByInstance.with_order(ColourOrder::Bgr),
        );
        let (rgb, bgr) = (
            rgb.apply(&images).unwrap().to_vec1_all(),
            bgr.apply(&images).unwrap().to_vec1_all(),
        );
        assert_eq!([&rgb[..2], &rgb[2..4], &rgb[4..]], [&bgr[4..], &bgr[2..4], &bgr[..2]]);
    }

    #[test]
    fn contradictions_are_refused() {
        let wrong = Pixels::default().by_instance(true).range(PixelRange::Bytes);
        assert!(Preprocessing::from(wrong).validate().is_err());
        assert!(
            Preprocessing::from(Pixels::default().std([1.0, 1.0, 0.0]))
                .validate()
                .is_err()
        );
        assert!(
            Preprocessing::ScaleByInstance
                .with_order(ColourOrder::Grey)
                .validate()
                .is_ok()
        );
    }

    #[test]
    fn statistics_match_two_passes_in_f64() {
        let bytes: Vec<u8> = (0..10_007u32).map(|i| (i * i % 251) as u8).collect();
        let x: Vec<f64> = bytes.iter().map(|&byte| f64::from(byte) / 255.0).collect();
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let std = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64).sqrt();
        let (m, s) = instance_statistics(&bytes);
        approx::assert_relative_eq!(m, mean, max_relative = 1e-12);
        approx::assert_relative_eq!(s, std, max_relative = 1e-12);
    }

    #[test]
    fn images_of_another_layout_are_refused() {
        let images = Tensor::zeros((1, 3, 4, 4), DType::U8, &Device::Cpu).unwrap();
        let error = scale_by_instance(&images).unwrap_err().to_string();
        assert!(error.contains("u8 tensor of shape [1, 3, 4, 4]"), "{error}");
    }

    trait ToVec {
        fn to_vec1_all(&self) -> Vec<f32>;
    }

    impl ToVec for Tensor {
        fn to_vec1_all(&self) -> Vec<f32> {
            self.flatten_all().unwrap().to_vec1().unwrap()
        }
    }
}
