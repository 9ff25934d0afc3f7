//! What raw images go through before a network: from bytes (N, H, W, 3) to floats (N, 3, H, W).

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// How the bytes of an image become the floats that a network takes.
///
/// In every case a byte `b` of a channel becomes a number that depends only on `b`, the channel and the image, so that one table of
/// 3 x 256 numbers an image, see [`Preprocessing::table`], says all of it.
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
}

impl Preprocessing {
    /// Checks the constants.
    ///
    /// # Errors
    /// [`ModelError::Config`] if a mean is not finite, or a standard deviation is not finite and above 0.
    pub fn validate(&self) -> Result<(), ModelError> {
        if let Self::MeanStd { mean, std } = self {
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
        }
        Ok(())
    }

    /// What each value of each channel of `image` becomes: `table[channel][byte]`.
    ///
    /// `image` is one image's (H, W, 3) bytes; [`Preprocessing::MeanStd`] and [`Preprocessing::None`] do not look at it. Sums are taken in
    /// integers, so the table does not depend on the order of the pixels. An image of one colour in all channels becomes all zeros under
    /// [`Preprocessing::ScaleByInstance`].
    pub fn table(&self, image: &[u8]) -> [[f32; 256]; 3] {
        let (mean, std) = match self {
            Self::ScaleByInstance => {
                let (mean, std) = instance_statistics(image);
                ([mean; 3], [std + 1e-12; 3])
            }
            Self::MeanStd { mean, std } => (mean.map(f64::from), std.map(f64::from)),
            Self::None => ([0.0; 3], [1.0; 3]),
        };
        std::array::from_fn(|channel| {
            std::array::from_fn(|byte| ((byte as f64 / 255.0 - mean[channel]) / std[channel]) as f32)
        })
    }

    /// Turns raw images into a network's input.
    ///
    /// `images` is u8 (N, H, W, 3); the result is f32 (N, 3, H, W) on the same device.
    ///
    /// # Errors
    /// [`ModelError::Images`] if `images` has another type or shape.
    pub fn apply(&self, images: &Tensor) -> Result<Tensor, ModelError> {
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
        let mut scaled = vec![0f32; n * 3 * plane];
        bytes
            .par_chunks_exact(3 * plane)
            .zip(scaled.par_chunks_exact_mut(3 * plane))
            .for_each(|(image, scaled)| {
                let table = self.table(image);
                for ((channel, table), plane) in table.iter().enumerate().zip(scaled.chunks_exact_mut(plane)) {
                    for (pixel, value) in image.chunks_exact(3).zip(plane) {
                        *value = table[usize::from(pixel[channel])];
                    }
                }
            });
        Ok(Tensor::from_vec(scaled, (n, 3, height, width), images.device())?)
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
