//! What images look like, and what could have made a window's look different: plain properties of pixels, compared with those of
//! reference images and with what each corruption of CIFAR-10-C does to them.
//!
//! With Y = 0.299 R + 0.587 G + 0.114 B of a pixel, all channels in 0..=1:
//!
//! | property | is |
//! | --- | --- |
//! | brightness | mean of Y |
//! | contrast | standard deviation of Y |
//! | saturation | mean of (max - min) / max over the channels, 0 for black |
//! | sharpness | mean of \|Y(left) + Y(right) + Y(above) + Y(below) - 4 Y\| inside the border |
//! | noise | Immerkær's estimate (1996) of the standard deviation of noise: sqrt(pi / 2) / 6 times the mean of \|Y * N\| inside the border, N the difference of two Laplacians |

use riptide::corruptions::{Corruption, Corruptor, Severity};
use riptide::prelude::{ImageSet, Images, Monitor};
use serde::{Deserialize, Serialize};

/// The properties, in the order in which they are kept.
pub(crate) const PROPERTIES: [&str; 5] = ["brightness", "contrast", "saturation", "sharpness", "noise"];
/// How many there are.
const N: usize = PROPERTIES.len();

/// Reference images that are looked at.
const MOST: usize = 1000;
/// Pixels of the images that are corrupted: enough of them for a mean, few enough for a start within seconds.
const CORRUPTED_PIXELS: usize = 65_536;

/// Mean distances, in standard deviations of the reference's images, below which nothing is said to have changed.
const NOTICEABLE: f64 = 0.3;

/// What the reference looks like, and what corruptions make of it.
#[derive(Debug)]
pub(crate) struct Appearance {
    mean: [f64; N],
    deviation: [f64; N],
    corrupted: Vec<(String, u8, [f64; N])>,
}

/// What changed in a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Each property: its mean in the window and in the reference, and by how many of the reference's standard deviations they differ.
    pub(crate) properties: Vec<Property>,
    /// The corruption that changes the reference most like this, if anything changed and one of them does.
    pub(crate) looks_like: Option<LooksLike>,
}

/// One property of a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) window: f64,
    pub(crate) reference: f64,
    pub(crate) shift: f64,
}

/// A corruption and its severity, 1 to 5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LooksLike {
    pub(crate) corruption: String,
    pub(crate) severity: u8,
}

/// The properties of one image, (H, W, 3) row-major.
pub(crate) fn of_image(pixels: &[u8], height: usize, width: usize) -> [f32; N] {
    let rows = pixels.as_chunks::<3>().0;
    let unit = |byte: u8| f64::from(byte) / 255.0;
    let luma: Vec<f64> = rows
        .iter()
        .map(|&[r, g, b]| 0.299 * unit(r) + 0.587 * unit(g) + 0.114 * unit(b))
        .collect();
    let n = luma.len().max(1) as f64;
    let brightness = luma.iter().sum::<f64>() / n;
    let contrast = (luma.iter().map(|y| (y - brightness).powi(2)).sum::<f64>() / n).sqrt();
    let saturated = rows.iter().map(|pixel| {
        let (least, most) = (
            pixel.iter().min().copied().unwrap_or(0),
            pixel.iter().max().copied().unwrap_or(0),
        );
        if most == 0 {
            0.0
        } else {
            f64::from(most - least) / f64::from(most)
        }
    });
    let saturation = saturated.sum::<f64>() / n;
    let (mut edges, mut noise, mut inside) = (0.0, 0.0, 0.0);
    for y in 1..height.saturating_sub(1) {
        let row = |y: usize| luma.get(y * width..(y + 1) * width).unwrap_or_default();
        let three = row(y - 1).windows(3).zip(row(y).windows(3)).zip(row(y + 1).windows(3));
        for ((above, middle), below) in three {
            let (&[a, b, c], &[d, e, f], &[g, h, i]) = (above, middle, below) else {
                continue;
            };
            inside += 1.0;
            edges += (b + d + f + h - 4.0 * e).abs();
            noise += (a - 2.0 * b + c - 2.0 * d + 4.0 * e - 2.0 * f + g - 2.0 * h + i).abs();
        }
    }
    let inside = f64::max(inside, 1.0);
    let noise = (std::f64::consts::PI / 2.0).sqrt() / 6.0 * noise / inside;
    [brightness, contrast, saturation, edges / inside, noise].map(|value| value as f32)
}

/// The properties of each image, one after the other.
pub(crate) fn of_images(pixels: &[u8], height: usize, width: usize) -> Vec<f32> {
    pixels
        .chunks_exact((height * width * 3).max(1))
        .flat_map(|image| of_image(image, height, width))
        .collect()
}

/// Means over images of properties that were found one after the other.
fn means(properties: &[f32]) -> Option<[f64; N]> {
    let rows = properties.as_chunks::<N>().0;
    let mut sums = [0.0; N];
    for row in rows {
        sums.iter_mut()
            .zip(row)
            .for_each(|(sum, &value)| *sum += f64::from(value));
    }
    (!rows.is_empty()).then(|| sums.map(|sum| sum / rows.len() as f64))
}

impl Appearance {
    /// Looks at reference images, which must have the monitor's size.
    pub(crate) fn of(monitor: &Monitor, images: Images<'_>) -> riptide::Result<Self> {
        let images = images.read_all(monitor.input_size())?;
        let images = images.slice(0..images.len().min(MOST))?;
        Ok(Self::of_set(&images))
    }

    fn of_set(images: &ImageSet) -> Self {
        let (height, width) = (images.height(), images.width());
        let all = of_images(images.pixels(), height, width);
        let mean = means(&all).unwrap_or_default();
        let mut deviation = [0.0; N];
        let rows = all.as_chunks::<N>().0;
        for (place, deviation) in deviation.iter_mut().enumerate() {
            let of = |row: &[f32; N]| f64::from(row.get(place).copied().unwrap_or_default());
            let middle = mean.get(place).copied().unwrap_or_default();
            let sum: f64 = rows.iter().map(|row| (of(row) - middle).powi(2)).sum();
            // Images that all look the same still have a scale.
            *deviation = (sum / rows.len().max(1) as f64).sqrt().max(1e-3);
        }
        let few = (CORRUPTED_PIXELS / (height * width).max(1))
            .clamp(2, 64)
            .min(images.len());
        let mut corrupted = Vec::new();
        // The means of the few, so that what differs is the corruption and not the choice.
        let clean = images.slice(0..few);
        if let Ok(clean) = &clean {
            let base = means(&of_images(clean.pixels(), height, width)).unwrap_or_default();
            for corruption in Corruption::ALL {
                for severity in Severity::ALL {
                    // What cannot be applied to images of this size has no look.
                    let Ok(changed) = Corruptor::new(0).apply(clean, corruption, severity) else {
                        continue;
                    };
                    let found = means(&of_images(changed.pixels(), height, width)).unwrap_or_default();
                    corrupted.push((
                        corruption.to_string(),
                        severity.get(),
                        shifts(&found, &base, &deviation),
                    ));
                }
            }
        }
        Self {
            mean,
            deviation,
            corrupted,
        }
    }

    /// What changed in a window, from the properties of its images; nothing is known of a window without any.
    pub(crate) fn change(&self, properties: &[f32]) -> Option<Change> {
        let window = means(properties)?;
        let shift = shifts(&window, &self.mean, &self.deviation);
        let size = length(&shift);
        let distance = |other: &[f64; N]| {
            length(&std::array::from_fn::<f64, N, _>(|i| {
                shift.get(i).unwrap_or(&0.0) - other.get(i).unwrap_or(&0.0)
            }))
        };
        let nearest = self
            .corrupted
            .iter()
            .map(|(name, severity, other)| (name, *severity, distance(other)));
        let nearest = nearest.min_by(|a, b| a.2.total_cmp(&b.2));
        // Something must have changed, and the corruption must explain most of it.
        let looks_like = nearest.filter(|(_, _, distance)| size > NOTICEABLE && *distance < size / 2.0);
        let values = PROPERTIES.iter().zip(window).zip(self.mean).zip(shift);
        Some(Change {
            properties: values
                .map(|(((name, window), reference), shift)| Property {
                    name: (*name).to_owned(),
                    window,
                    reference,
                    shift,
                })
                .collect(),
            looks_like: looks_like.map(|(name, severity, _)| LooksLike {
                corruption: name.clone(),
                severity,
            }),
        })
    }
}

fn shifts(found: &[f64; N], base: &[f64; N], deviation: &[f64; N]) -> [f64; N] {
    let mut shift = [0.0; N];
    let values = found.iter().zip(base).zip(deviation);
    for (shift, ((found, base), deviation)) in shift.iter_mut().zip(values) {
        *shift = (found - base) / deviation;
    }
    shift
}

fn length(values: &[f64; N]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use riptide::datasets::shapes::Shapes;

    use super::*;

    #[test]
    fn properties_are_what_they_are_called() {
        let flat = of_image(&[255; 48], 4, 4);
        assert!(
            (flat[0] - 1.0).abs() < 1e-6 && flat[1..].iter().all(|value| value.abs() < 1e-6),
            "{flat:?}"
        );
        let red: Vec<u8> = [255, 0, 0].repeat(16);
        assert_eq!(of_image(&red, 4, 4)[2], 1.0);
        // Columns of black and white: the sharpest there are.
        let stripes: Vec<u8> = (0..16).flat_map(|i| [if i % 2 == 0 { 0 } else { 255 }; 3]).collect();
        let found = of_image(&stripes, 4, 4);
        assert!(
            (found[1] - 0.5).abs() < 1e-6 && (found[3] - 2.0).abs() < 1e-6 && found[4].abs() < 1e-6,
            "{found:?}"
        );
        // Noise of a known deviation on grey.
        let mut seed = 1_u64;
        let mut uniform = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as f64 / (1 << 24) as f64
        };
        let noisy: Vec<u8> = (0..64 * 64)
            .flat_map(|_| [(128.0 + 20.0 * ((0..12).map(|_| uniform()).sum::<f64>() - 6.0)) as u8; 3])
            .collect();
        assert!((of_image(&noisy, 64, 64)[4] * 255.0 - 20.0).abs() < 1.0);
        assert_eq!(of_image(&[1, 2, 3], 1, 1)[3..], [0.0, 0.0]);
    }

    #[test]
    fn corruptions_are_recognised_on_other_images() {
        let appearance = Appearance::of_set(&Shapes::new(0).generate(0, 300));
        let fresh = Shapes::new(0).generate(1000, 200);
        let look = |images: &ImageSet| appearance.change(&of_images(images.pixels(), 32, 32)).unwrap();
        assert_eq!(look(&fresh).looks_like, None);
        let mut right = 0;
        let kinds = [
            Corruption::GaussianNoise,
            Corruption::MotionBlur,
            Corruption::Brightness,
            Corruption::Fog,
            Corruption::Contrast,
            Corruption::Saturate,
        ];
        for corruption in kinds {
            let changed = Corruptor::new(7)
                .apply(&fresh, corruption, Severity::new(5).unwrap())
                .unwrap();
            right += usize::from(
                look(&changed)
                    .looks_like
                    .is_some_and(|found| found.corruption == corruption.to_string()),
            );
        }
        assert!(right >= 4, "{right} of {}", kinds.len());
        assert_eq!(appearance.change(&[]), None);
    }
}
