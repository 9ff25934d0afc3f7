//! From the elements of an array to the 8-bit colour images of a set.

use std::path::PathBuf;

use half::f16;

use super::shape::{ArrayOptions, ImageShape, Kind, Layout, ValueRange};
use crate::error::{DatasetError, Result};
use crate::image_set::CHANNELS;

/// Half a level of 0..1: a value so far outside still rounds to a byte.
const HALF_LEVEL: f64 = 0.5 / 255.0;
/// Largest values between this and [`HALF_LEVEL`] above 1 say neither 0 to 1 nor 0 to 255.
const CLEARLY_BYTES: f64 = 2.0;
/// A change by rounding that is put down to the floating-point numbers themselves, in levels of 255.
const EXACT: f64 = 0.01;

/// Turns stored images into pixels (N, H, W, 3).
///
/// The range of floating-point numbers, if it is not given, is what the first image that is not all zeros says, whatever the
/// chunks are that images come in. A later image that contradicts it is an error.
#[derive(Debug)]
pub(crate) struct Converter {
    name: PathBuf,
    shape: ImageShape,
    range: Option<ValueRange>,
    is_given: bool,
    /// The largest distance of a value from its byte, in levels.
    largest_change: f64,
    values: Vec<f64>,
}

impl Converter {
    pub(crate) fn new(name: PathBuf, shape: ImageShape, options: ArrayOptions) -> Self {
        Self {
            name,
            shape,
            range: options.range,
            is_given: options.range.is_some(),
            largest_change: 0.0,
            values: Vec::new(),
        }
    }

    /// The pixels of whole images, the first of which is image `first` of the array.
    pub(crate) fn convert(&mut self, stored: Vec<u8>, first: u64) -> Result<Vec<u8>> {
        let ImageShape {
            height,
            width,
            channels,
            ..
        } = self.shape;
        if self.shape.is_plain() {
            return Ok(stored);
        }
        let images = stored.len() / self.shape.stored_bytes;
        let mut pixels = Vec::with_capacity(images * height * width * CHANNELS);
        let mut levels = Vec::new();
        for (image, stored) in (first..).zip(stored.chunks_exact(self.shape.stored_bytes)) {
            let levels = match self.shape.kind {
                Kind::U8 => stored,
                _ => {
                    self.quantise(stored, image, &mut levels)?;
                    levels.as_slice()
                }
            };
            match (self.shape.layout, channels) {
                (_, 1) => pixels.extend(levels.iter().flat_map(|&level| [level; CHANNELS])),
                (Layout::Nchw, _) => {
                    let mut planes = levels.chunks_exact(height * width);
                    if let (Some(red), Some(green), Some(blue)) = (planes.next(), planes.next(), planes.next()) {
                        let pixel = red.iter().zip(green).zip(blue);
                        pixels.extend(pixel.flat_map(|((&red, &green), &blue)| [red, green, blue]));
                    }
                }
                _ => pixels.extend_from_slice(levels),
            }
        }
        Ok(pixels)
    }

    /// Goes on with an array of another shape.
    pub(crate) fn reshape(&mut self, shape: ImageShape) {
        self.shape = shape;
    }

    /// Says once, at the end, by how much rounding changed the values, unless they were bytes already.
    pub(crate) fn end(&mut self) {
        let change = std::mem::take(&mut self.largest_change);
        if change > EXACT {
            tracing::warn!(
                "{}: floating-point values were rounded to 8 bits; the largest change was {change:.2} of a level of 255",
                riptide_files::shown(&self.name)
            );
        }
    }

    /// Replaces `levels` by the bytes of one image.
    fn quantise(&mut self, stored: &[u8], image: u64, levels: &mut Vec<u8>) -> Result<()> {
        self.values.clear();
        read(self.shape.kind, stored, &mut self.values);
        let bad = |value: f64, expected: &str| {
            let reason = format!("image {image} has the value {value}, expected {expected}");
            DatasetError::malformed(&self.name, reason)
        };
        if let Some(&value) = self.values.iter().find(|value| !value.is_finite()) {
            return Err(bad(value, "finite numbers"));
        }
        let least = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let ambiguous = || DatasetError::AmbiguousRange {
            path: self.name.clone(),
            image,
            least,
            largest,
        };
        let is_dark_fraction = largest <= 1.0 + HALF_LEVEL && self.values.iter().any(|value| value.fract() != 0.0);
        let range = match self.range {
            // What was concluded from another image must hold for this one; what was given is not questioned.
            Some(ValueRange::Bytes) if !self.is_given && largest > 0.0 && is_dark_fraction => return Err(ambiguous()),
            Some(ValueRange::Unit) if !self.is_given && largest > 1.0 + HALF_LEVEL => return Err(ambiguous()),
            Some(range) => range,
            // All black, in either range.
            None if least == 0.0 && largest == 0.0 => ValueRange::Unit,
            None if least < -HALF_LEVEL => return Err(ambiguous()),
            None if is_dark_fraction => *self.range.insert(ValueRange::Unit),
            None if largest > CLEARLY_BYTES => *self.range.insert(ValueRange::Bytes),
            None => return Err(ambiguous()),
        };
        let (shift, scale, expected) = match range {
            ValueRange::Bytes => (0.0, 1.0, "0 to 255"),
            ValueRange::Unit => (0.0, 255.0, "0 to 1"),
            ValueRange::Symmetric => (1.0, 127.5, "-1 to 1"),
        };
        levels.clear();
        for &value in &self.values {
            let exact = (value + shift) * scale;
            let level = exact.round_ties_even();
            if !(0.0..=255.0).contains(&level) {
                return Err(bad(value, expected));
            }
            self.largest_change = self.largest_change.max((exact - level).abs());
            levels.push(level as u8);
        }
        Ok(())
    }
}

/// Appends numbers of one kind.
pub(crate) fn read(kind: Kind, stored: &[u8], values: &mut Vec<f64>) {
    /// The numbers of `N` bytes each.
    fn numbers<const N: usize>(stored: &[u8], number: impl Fn([u8; N]) -> f64) -> impl Iterator<Item = f64> {
        stored.as_chunks::<N>().0.iter().map(move |bytes| number(*bytes))
    }
    match kind {
        Kind::U8 => values.extend(stored.iter().map(|&level| f64::from(level))),
        Kind::F16 { big_endian: false } => values.extend(numbers(stored, |b| f16::from_le_bytes(b).to_f64())),
        Kind::F16 { big_endian: true } => values.extend(numbers(stored, |b| f16::from_be_bytes(b).to_f64())),
        Kind::F32 { big_endian: false } => values.extend(numbers(stored, |b| f64::from(f32::from_le_bytes(b)))),
        Kind::F32 { big_endian: true } => values.extend(numbers(stored, |b| f64::from(f32::from_be_bytes(b)))),
        Kind::F64 { big_endian: false } => values.extend(numbers(stored, f64::from_le_bytes)),
        Kind::F64 { big_endian: true } => values.extend(numbers(stored, f64::from_be_bytes)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use riptide_files::npy::{Header, encode_header};

    use super::*;

    fn converter(dtype: &str, shape: &[u64], range: Option<ValueRange>) -> Converter {
        let header = Header::read(&mut &encode_header(dtype, shape)[..]).unwrap();
        let layout = (shape.len() == 3).then_some(Layout::Nhw);
        let options = ArrayOptions::default().range(range).layout(layout);
        let shape = ImageShape::of(&header, Path::new("x.npy"), options).unwrap();
        Converter::new("x.npy".into(), shape, options)
    }

    /// Grey images of two pixels each.
    fn grey(values: &[f32], range: Option<ValueRange>) -> Result<Vec<u8>> {
        let mut converter = converter("<f4", &[values.len() as u64 / 2, 1, 2], range);
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let pixels = converter.convert(bytes, 100)?;
        Ok(pixels.chunks_exact(3).map(|pixel| pixel[0]).collect())
    }

    #[test]
    fn axes_are_put_in_order_and_grey_is_repeated() {
        let planes = vec![1, 2, 3, 4, 5, 6];
        assert_eq!(
            converter("|u1", &[1, 3, 1, 2], None).convert(planes, 0).unwrap(),
            [1, 3, 5, 2, 4, 6]
        );
        assert_eq!(
            converter("|u1", &[1, 1, 2], None).convert(vec![7, 9], 0).unwrap(),
            [7, 7, 7, 9, 9, 9]
        );
        assert_eq!(
            converter("|u1", &[2, 2, 1, 3], None)
                .convert((0..12).collect(), 0)
                .unwrap(),
            (0..12).collect::<Vec<u8>>()
        );
    }

    #[test]
    fn every_byte_comes_back_from_every_type_and_range() {
        let levels: Vec<u8> = (0..=255).collect();
        for range in [ValueRange::Bytes, ValueRange::Unit, ValueRange::Symmetric] {
            let value = |level: u8| match range {
                ValueRange::Bytes => f64::from(level),
                ValueRange::Unit => f64::from(level) / 255.0,
                ValueRange::Symmetric => f64::from(level) / 127.5 - 1.0,
            };
            for dtype in ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"] {
                let encode = |level: &u8| match dtype {
                    "<f2" => f16::from_f64(value(*level)).to_le_bytes().to_vec(),
                    ">f2" => f16::from_f64(value(*level)).to_be_bytes().to_vec(),
                    "<f4" => (value(*level) as f32).to_le_bytes().to_vec(),
                    ">f4" => (value(*level) as f32).to_be_bytes().to_vec(),
                    "<f8" => value(*level).to_le_bytes().to_vec(),
                    _ => value(*level).to_be_bytes().to_vec(),
                };
                // The range need not be given if it can be seen.
                for given in [Some(range), None] {
                    let mut converter = converter(dtype, &[1, 16, 16], given);
                    let found = converter.convert(levels.iter().flat_map(encode).collect(), 0);
                    if given.is_none() && range == ValueRange::Symmetric {
                        assert!(matches!(found, Err(DatasetError::AmbiguousRange { .. })));
                        continue;
                    }
                    let found: Vec<u8> = found.unwrap().chunks_exact(3).map(|pixel| pixel[2]).collect();
                    assert_eq!(found, levels, "{dtype} {range:?}");
                    let tolerance = if dtype.ends_with('2') { 0.13 } else { EXACT };
                    assert!(converter.largest_change < tolerance, "{dtype} {range:?}");
                }
            }
        }
    }

    #[test]
    fn the_first_image_that_is_not_black_decides() {
        assert_eq!(
            grey(&[0.0, 0.0, 0.5, 1.0, 0.0, 1.0], None).unwrap(),
            [0, 0, 128, 255, 0, 255]
        );
        assert_eq!(
            grey(&[0.0, 0.0, 0.4, 200.0, 0.0, 1.0], None).unwrap(),
            [0, 0, 0, 200, 0, 1]
        );
        assert_eq!(grey(&[0.0, 0.0], None).unwrap(), [0, 0]);
        // Half a level outside still rounds to a byte.
        assert_eq!(grey(&[-0.001, 1.001], None).unwrap(), [0, 255]);
    }

    #[test]
    fn what_does_not_say_its_range_is_refused_unless_it_is_given() {
        for (values, image) in [
            (&[0.0, 1.0][..], 100),
            (&[0.3, 1.5], 100),
            (&[-0.9, 0.9], 100),
            (&[-2.1, 2.6], 100),
            (&[0.0, 0.5, 3.0, 200.0], 101),
            (&[3.0, 200.0, 0.0, 0.5], 101),
        ] {
            let error = grey(values, None).unwrap_err();
            assert!(
                matches!(error, DatasetError::AmbiguousRange { image: found, .. } if found == image),
                "{error}"
            );
        }
        assert_eq!(grey(&[0.0, 1.0], Some(ValueRange::Unit)).unwrap(), [0, 255]);
        assert_eq!(
            grey(&[3.0, 200.0, 0.0, 0.5], Some(ValueRange::Bytes)).unwrap(),
            [3, 200, 0, 0]
        );
        assert_eq!(grey(&[-1.0, 1.0], Some(ValueRange::Symmetric)).unwrap(), [0, 255]);
    }

    #[test]
    fn values_outside_name_the_image() {
        for (values, range, words) in [
            (&[0.1, 0.2, f32::NAN, 0.0][..], None, "image 101 has the value NaN"),
            (
                &[f32::INFINITY, 0.0],
                Some(ValueRange::Bytes),
                "image 100 has the value inf",
            ),
            (
                &[1.0, 255.0, 256.0, 9.0],
                None,
                "image 101 has the value 256, expected 0 to 255",
            ),
            (
                &[0.0, 1.5],
                Some(ValueRange::Unit),
                "image 100 has the value 1.5, expected 0 to 1",
            ),
            (
                &[-1.5, 0.0],
                Some(ValueRange::Symmetric),
                "image 100 has the value -1.5, expected -1 to 1",
            ),
        ] {
            let error = grey(values, range).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
