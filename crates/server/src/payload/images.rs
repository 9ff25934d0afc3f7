//! From numbers, bytes and encoded pictures to the 8-bit images that a monitor takes.

use riptide::datasets::picture::{self, PictureOptions};
use riptide::files::npy;

use super::numbers::Numbers;
use super::rejection::{Rejection, Taken};
use crate::config::PixelScale;

/// What a monitor takes.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) n_classes: usize,
    pub(crate) pixels: PixelScale,
    pub(crate) pictures: PictureOptions,
    /// The most images of a request.
    pub(crate) most_images: usize,
}

/// Images of a request: 8-bit, (N, H, W, 3) row-major, of the monitor's size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Images {
    pub(crate) n: usize,
    pub(crate) pixels: Vec<u8>,
}

/// How the values of an image lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// (N, H, W, 3)
    ChannelsLast,
    /// (N, 3, H, W)
    ChannelsFirst,
    /// (N, H, W) or (N, H, W, 1)
    Grey,
}

impl Expected {
    fn image_bytes(&self) -> usize {
        self.height * self.width * 3
    }

    /// The layout of an array and its number of images.
    fn layout(&self, shape: &[usize]) -> Taken<(usize, Layout)> {
        let size = (self.height, self.width);
        let (n, layout, found) = match *shape {
            [n, h, w, 3] => (n, Layout::ChannelsLast, (h, w)),
            [n, 3, h, w] => (n, Layout::ChannelsFirst, (h, w)),
            [n, h, w, 1] | [n, h, w] => (n, Layout::Grey, (h, w)),
            _ => {
                let message = format!(
                    "images of the shape {}; expected [N, H, W, 3] or [N, 3, H, W]",
                    short(shape)
                );
                return Err(Rejection::unfit(message));
            }
        };
        if found != size {
            let message = format!(
                "images of {} x {} pixels; the classifier takes {} x {}",
                found.0, found.1, size.0, size.1
            );
            return Err(Rejection::unfit(message));
        }
        self.check_count(n)?;
        Ok((n, layout))
    }

    fn check_count(&self, n: usize) -> Taken<()> {
        match n {
            0 => Err(Rejection::unfit("no images")),
            n if n > self.most_images => {
                let message = format!("{n} images in a request; at most {} are taken", self.most_images);
                Err(Rejection::too_large(message))
            }
            _ => Ok(()),
        }
    }

    /// Images from 8-bit values.
    pub(crate) fn read_bytes(&self, values: &[u8], shape: &[usize]) -> Taken<Images> {
        let (n, layout) = self.layout(shape)?;
        let area = self.height * self.width;
        let channels = if layout == Layout::Grey { 1 } else { 3 };
        if n.checked_mul(area * channels) != Some(values.len()) {
            return Err(lying(shape, values.len()));
        }
        Ok(Images {
            n,
            pixels: arrange(values, layout, area),
        })
    }

    /// Images from numbers, whose scale is told or found out.
    pub(crate) fn read_numbers(&self, values: &[f32], are_whole: bool, shape: &[usize]) -> Taken<Images> {
        let (n, layout) = self.layout(shape)?;
        let area = self.height * self.width;
        let channels = if layout == Layout::Grey { 1 } else { 3 };
        if n.checked_mul(area * channels) != Some(values.len()) {
            return Err(lying(shape, values.len()));
        }
        let are_bytes = match self.pixels {
            PixelScale::Byte => true,
            PixelScale::Unit => false,
            PixelScale::Auto => are_whole || values.iter().any(|&value| value > 1.0),
        };
        let (factor, most) = if are_bytes { (1.0, 255.0) } else { (255.0, 1.0) };
        let mut bytes = Vec::with_capacity(values.len());
        for (place, &value) in values.iter().enumerate() {
            // NaN is in no range.
            if !(0.0..=most).contains(&value) {
                let image = place / (area * channels);
                let message = format!(
                    "image {image} has the value {value}, outside 0 to {most}; send images before normalisation"
                );
                return Err(Rejection::unfit(message));
            }
            // Exact for every whole number of 255ths, whichever width of float it was divided in.
            bytes.push((value * factor).round() as u8);
        }
        Ok(Images {
            n,
            pixels: arrange(&bytes, layout, area),
        })
    }

    /// Images from encoded pictures.
    pub(crate) fn read_pictures<B: AsRef<[u8]>>(&self, pictures: &[B]) -> Taken<Images> {
        self.check_count(pictures.len())?;
        let mut pixels = Vec::new();
        for (place, bytes) in pictures.iter().enumerate() {
            let picture = picture::decode(bytes.as_ref(), &self.pictures)
                .map_err(|error| Rejection::unfit(format!("picture {place}: {error}")))?;
            if (picture.height(), picture.width()) != (self.height, self.width) {
                let message = format!(
                    "picture {place} has {} x {} pixels; the classifier takes {} x {}: choose a framing in the service's settings",
                    picture.height(),
                    picture.width(),
                    self.height,
                    self.width
                );
                return Err(Rejection::unfit(message));
            }
            pixels.extend_from_slice(picture.pixels());
        }
        debug_assert_eq!(pixels.len(), pictures.len() * self.image_bytes());
        Ok(Images {
            n: pictures.len(),
            pixels,
        })
    }

    /// Images of either kind.
    pub(crate) fn read_json(&self, numbers: &Numbers) -> Taken<Images> {
        if numbers.pictures.is_empty() {
            self.read_numbers(&numbers.values, numbers.are_whole, &numbers.shape)
        } else {
            self.read_pictures(&numbers.pictures)
        }
    }

    /// Images from a `.npy` file: 8-bit values or floats.
    pub(crate) fn read_npy(&self, bytes: &[u8]) -> Taken<Images> {
        let malformed = |error: npy::NpyError| Rejection::malformed(error.to_string());
        let header = npy::Header::read(&mut &*bytes).map_err(malformed)?;
        match header.dtype.as_str() {
            "|u1" => {
                let array = npy::decode::<u8>(bytes).map_err(malformed)?;
                self.read_bytes(&array.values, &array.shape)
            }
            "<f4" => {
                let array = npy::decode::<f32>(bytes).map_err(malformed)?;
                self.read_numbers(&array.values, false, &array.shape)
            }
            "<f8" => {
                let array = npy::decode::<f64>(bytes).map_err(malformed)?;
                let values: Vec<f32> = array.values.into_iter().map(|value| value as f32).collect();
                self.read_numbers(&values, false, &array.shape)
            }
            other => Err(Rejection::unfit(format!(
                "an array of {other}; expected |u1, <f4 or <f8"
            ))),
        }
    }

    /// Class probabilities, row-major (N, n_classes).
    pub(crate) fn answers(&self, values: Vec<f32>, shape: &[usize]) -> Taken<Vec<f32>> {
        let n = match *shape {
            [n, classes] if classes == self.n_classes => n,
            _ => {
                let message = format!(
                    "answers of the shape {}; expected [N, {}]",
                    short(shape),
                    self.n_classes
                );
                return Err(Rejection::unfit(message));
            }
        };
        self.check_count(n)?;
        if n.checked_mul(self.n_classes) != Some(values.len()) {
            return Err(lying(shape, values.len()));
        }
        for (place, row) in values.chunks_exact(self.n_classes.max(1)).enumerate() {
            let sum: f64 = row.iter().copied().map(f64::from).sum();
            // The same tolerance as scoring has, which would refuse the row later.
            if row.iter().any(|value| !(0.0..=1.01).contains(value)) || (sum - 1.0).abs() > 1e-2 {
                let message = format!(
                    "answer {place} is no row of probabilities (its sum is {sum:.4}); log probabilities, not logits"
                );
                return Err(Rejection::unfit(message));
            }
        }
        Ok(values)
    }

    /// Class probabilities from a `.npy` file.
    pub(crate) fn answers_npy(&self, bytes: &[u8]) -> Taken<Vec<f32>> {
        let malformed = |error: npy::NpyError| Rejection::malformed(error.to_string());
        let header = npy::Header::read(&mut &*bytes).map_err(malformed)?;
        match header.dtype.as_str() {
            "<f4" => {
                let array = npy::decode::<f32>(bytes).map_err(malformed)?;
                self.answers(array.values, &array.shape)
            }
            "<f8" => {
                let array = npy::decode::<f64>(bytes).map_err(malformed)?;
                self.answers(
                    array.values.into_iter().map(|value| value as f32).collect(),
                    &array.shape,
                )
            }
            other => Err(Rejection::unfit(format!("an array of {other}; expected <f4 or <f8"))),
        }
    }
}

/// Values in the order (N, H, W, 3).
fn arrange(values: &[u8], layout: Layout, area: usize) -> Vec<u8> {
    match layout {
        Layout::ChannelsLast => values.to_vec(),
        Layout::Grey => values.iter().flat_map(|&value| [value; 3]).collect(),
        Layout::ChannelsFirst => {
            let mut pixels = Vec::with_capacity(values.len());
            for image in values.chunks_exact(3 * area) {
                let (red, rest) = image.split_at(area);
                let (green, blue) = rest.split_at(area);
                for ((&r, &g), &b) in red.iter().zip(green).zip(blue) {
                    pixels.extend_from_slice(&[r, g, b]);
                }
            }
            pixels
        }
    }
}

fn lying(shape: &[usize], found: usize) -> Rejection {
    Rejection::malformed(format!("the shape {} does not go with {found} values", short(shape)))
}

/// A shape for a message.
fn short(shape: &[usize]) -> String {
    match shape.get(..6) {
        Some(first) => format!("{first:?}…"),
        None => format!("{shape:?}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn expected() -> Expected {
        Expected {
            height: 2,
            width: 1,
            n_classes: 2,
            pixels: PixelScale::Auto,
            pictures: PictureOptions::default(),
            most_images: 3,
        }
    }

    #[test]
    fn layouts_and_scales_give_the_same_image() {
        let wanted = Images {
            n: 1,
            pixels: vec![10, 20, 30, 40, 50, 60],
        };
        let e = expected();
        assert_eq!(e.read_bytes(&[10, 20, 30, 40, 50, 60], &[1, 2, 1, 3]).unwrap(), wanted);
        assert_eq!(e.read_bytes(&[10, 40, 20, 50, 30, 60], &[1, 3, 2, 1]).unwrap(), wanted);
        let bytes = [10.0_f32, 20.0, 30.0, 40.0, 50.0, 60.0];
        assert_eq!(e.read_numbers(&bytes, false, &[1, 2, 1, 3]).unwrap(), wanted);
        let unit = bytes.map(|value| value / 255.0);
        assert_eq!(e.read_numbers(&unit, false, &[1, 2, 1, 3]).unwrap(), wanted);
        assert_eq!(e.read_bytes(&[7, 9], &[1, 2, 1]).unwrap().pixels, [7, 7, 7, 9, 9, 9]);
    }

    #[test]
    fn every_byte_survives_scaling() {
        let e = expected();
        for byte in 0..=255_u8 {
            for unit in [
                f32::from(byte) / 255.0,
                (f64::from(byte) / 255.0) as f32,
                f32::from(byte) * (1.0 / 255.0),
            ] {
                let images = e
                    .read_numbers(&[unit, 0.5, 0.0, 0.0, 0.0, 0.0], false, &[1, 2, 1, 3])
                    .unwrap();
                assert_eq!(images.pixels.first(), Some(&byte));
            }
        }
        // Black and white as whole numbers are dark, as fractions they are black and white.
        let values = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(e.read_numbers(&values, true, &[1, 2, 1, 3]).unwrap().pixels[0], 1);
        assert_eq!(e.read_numbers(&values, false, &[1, 2, 1, 3]).unwrap().pixels[0], 255);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let e = expected();
        let values = [0.5_f32; 6];
        let refused = |result: Taken<Images>| result.unwrap_err().message;
        assert!(refused(e.read_numbers(&values, false, &[1, 4, 4, 3])).contains("4 x 4"));
        assert!(refused(e.read_numbers(&values, false, &[6])).contains("shape [6]"));
        assert!(refused(e.read_numbers(&values, false, &[2, 2, 1, 3])).contains("does not go with"));
        assert!(refused(e.read_numbers(&values, false, &[usize::MAX, 2, 1, 3])).contains("at most 3"));
        assert!(refused(e.read_bytes(&[], &[0, 2, 1, 3])).contains("no images"));
        for bad in [f32::NAN, f32::INFINITY, -0.1, 256.0] {
            assert!(refused(e.read_numbers(&[0.1, bad, 0.1, 0.1, 0.1, 0.1], false, &[1, 2, 1, 3])).contains("outside"));
        }
        assert_eq!(e.read_pictures(&[b"no picture"]).unwrap_err().status, 422);
        for (row, shape) in [(vec![0.5, 0.5], vec![1, 2]), (vec![1.0, 0.0, 0.2, 0.8], vec![2, 2])] {
            assert!(e.answers(row, &shape).is_ok());
        }
        for row in [[0.5, 0.6], [-1.0, 2.0], [f32::NAN, 1.0], [3.0, -2.0]] {
            assert!(e.answers(row.to_vec(), &[1, 2]).is_err());
        }
        assert!(e.answers(vec![0.5, 0.5], &[2]).is_err() && e.answers(vec![0.5, 0.5], &[2, 2]).is_err());
    }
}
