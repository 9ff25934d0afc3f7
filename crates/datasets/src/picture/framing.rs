//! How a picture of any size becomes one of the size that a network takes.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{Rgb, RgbImage, imageops};
use serde::{Deserialize, Serialize};

use super::Result;
use super::error::PictureError;

/// The longest side that a picture may have, before and after framing.
pub(crate) const MAX_SIDE: u32 = 65_535;
/// The most pixels that framing may be asked to make.
const MAX_FRAMED_PIXELS: u64 = 100_000_000;

/// How pixels are weighted when a picture is resized, as Pillow does it: if it shrinks, the filter is widened, so that every
/// pixel counts (what torchvision calls antialiasing). Results are within two grey levels of Pillow's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Filter {
    /// The nearest pixel, never a mixture of several.
    Nearest,
    /// Triangle, one pixel wide to each side.
    #[default]
    Bilinear,
    /// Cubic convolution with a = -0.5, two pixels wide to each side.
    Bicubic,
    /// Windowed sinc, three pixels wide to each side.
    Lanczos,
}

/// How a picture file of any size becomes `height` x `width` pixels.
///
/// As JSON it is `"keep"`, or one key with its fields, such as `{"crop": {"resize": 256, "height": 224, "width": 224,
/// "filter": "bilinear"}}`; `filter` may be left out.
///
/// ```
/// use riptide_datasets::picture::{Filter, Framing};
///
/// // torchvision's Resize(256) and CenterCrop(224).
/// let framing = Framing::crop(256, 224, 224);
/// assert_eq!(framing.output(), Some((224, 224)));
/// assert_eq!(Framing::Keep.output(), None);
/// let sharper = Framing::stretch(224, 224).filter(Filter::Bicubic);
/// assert_ne!(sharper, Framing::stretch(224, 224));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Framing {
    /// Keep pictures as they are; all must have the same size.
    #[default]
    Keep,
    /// Stretch each to this size; the aspect ratio is not kept. Pictures that have the size already stay byte for byte.
    Stretch {
        /// Rows of the result, in pixels.
        height: u32,
        /// Columns of the result, in pixels.
        width: u32,
        /// The filter.
        #[serde(default)]
        filter: Filter,
    },
    /// Resize the shorter side to `resize` pixels with the aspect ratio kept, then cut out the centre: torchvision's
    /// `Resize(resize)` and `CenterCrop((height, width))`, with their rounding.
    Crop {
        /// Pixels of the shorter side before the cut; at least `height` and `width`.
        resize: u32,
        /// Rows of the result, in pixels.
        height: u32,
        /// Columns of the result, in pixels.
        width: u32,
        /// The filter.
        #[serde(default)]
        filter: Filter,
    },
    /// Resize so that the whole picture fits, with the aspect ratio kept, and fill the borders: Pillow's `ImageOps.pad`, with
    /// its rounding.
    Letterbox {
        /// Rows of the result, in pixels.
        height: u32,
        /// Columns of the result, in pixels.
        width: u32,
        /// The colour of the borders: red, green, blue.
        #[serde(default)]
        fill: [u8; 3],
        /// The filter.
        #[serde(default)]
        filter: Filter,
    },
}

impl Framing {
    /// [`Framing::Stretch`] with the bilinear filter.
    pub fn stretch(height: u32, width: u32) -> Self {
        Self::Stretch {
            height,
            width,
            filter: Filter::default(),
        }
    }

    /// [`Framing::Crop`] with the bilinear filter.
    pub fn crop(resize: u32, height: u32, width: u32) -> Self {
        Self::Crop {
            resize,
            height,
            width,
            filter: Filter::default(),
        }
    }

    /// [`Framing::Letterbox`] with black borders and the bilinear filter.
    pub fn letterbox(height: u32, width: u32) -> Self {
        Self::Letterbox {
            height,
            width,
            fill: [0; 3],
            filter: Filter::default(),
        }
    }

    /// The same with another filter; [`Framing::Keep`] has none and stays.
    #[must_use]
    pub fn filter(mut self, wanted: Filter) -> Self {
        match &mut self {
            Self::Keep => {}
            Self::Stretch { filter, .. } | Self::Crop { filter, .. } | Self::Letterbox { filter, .. } => {
                *filter = wanted
            }
        }
        self
    }

    /// Rows and columns of the result; `None` if they are the picture's own.
    pub fn output(&self) -> Option<(u32, u32)> {
        match *self {
            Self::Keep => None,
            Self::Stretch { height, width, .. }
            | Self::Crop { height, width, .. }
            | Self::Letterbox { height, width, .. } => Some((height, width)),
        }
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// [`PictureError::InvalidOption`] if a side is 0 or over 65,535, if the result had over 100 million pixels, or if the
    /// shorter side to crop from is shorter than what is cut out.
    pub fn check(&self) -> Result<()> {
        let invalid = |reason| {
            Err(PictureError::InvalidOption {
                option: "framing",
                reason,
            })
        };
        let Some((height, width)) = self.output() else {
            return Ok(());
        };
        if !(1..=MAX_SIDE).contains(&height) || !(1..=MAX_SIDE).contains(&width) {
            return invalid(format!(
                "{height} x {width} is not between 1 and {MAX_SIDE} pixels a side"
            ));
        }
        if u64::from(height) * u64::from(width) > MAX_FRAMED_PIXELS {
            return invalid(format!("{height} x {width} is more than {MAX_FRAMED_PIXELS} pixels"));
        }
        if let Self::Crop { resize, .. } = *self
            && !(height.max(width)..=MAX_SIDE).contains(&resize)
        {
            return invalid(format!(
                "a shorter side of {resize} pixels is not between the longer side of the {height} x {width} that are cut \
                 out and {MAX_SIDE}"
            ));
        }
        Ok(())
    }

    /// Frames a picture; `max_pixels` bounds what is made on the way.
    pub(super) fn apply(&self, image: RgbImage, max_pixels: u64) -> Result<RgbImage> {
        let (width, height) = image.dimensions();
        match *self {
            Self::Keep => Ok(image),
            Self::Stretch { height, width, filter } => resize(image, height, width, filter),
            Self::Crop {
                resize: shorter,
                height: rows,
                width: columns,
                filter,
            } => {
                let (tall, wide) = with_shorter_side(shorter, height, width);
                if u64::from(tall) * u64::from(wide) > max_pixels || tall.max(wide) > MAX_SIDE {
                    return Err(PictureError::TooLarge {
                        height: tall,
                        width: wide,
                        limit: max_pixels,
                    });
                }
                let image = resize(image, tall, wide, filter)?;
                if (tall, wide) == (rows, columns) {
                    return Ok(image);
                }
                let (top, left) = (
                    half_even(tall.saturating_sub(rows)),
                    half_even(wide.saturating_sub(columns)),
                );
                Ok(imageops::crop_imm(&image, left, top, columns, rows).to_image())
            }
            Self::Letterbox {
                height: rows,
                width: columns,
                fill,
                filter,
            } => {
                let (tall, wide) = contained(height, width, rows, columns);
                let image = resize(image, tall, wide, filter)?;
                if (tall, wide) == (rows, columns) {
                    return Ok(image);
                }
                let mut framed = RgbImage::from_pixel(columns, rows, Rgb(fill));
                let (top, left) = (
                    half_even(rows.saturating_sub(tall)),
                    half_even(columns.saturating_sub(wide)),
                );
                imageops::replace(&mut framed, &image, left.into(), top.into());
                Ok(framed)
            }
        }
    }
}

/// The size of a picture whose shorter side becomes `shorter`; the longer side is rounded down, as torchvision does it.
fn with_shorter_side(shorter: u32, height: u32, width: u32) -> (u32, u32) {
    let longer = u64::from(shorter) * u64::from(height.max(width)) / u64::from(height.min(width).max(1));
    let longer = u32::try_from(longer).unwrap_or(u32::MAX);
    if height <= width {
        (shorter, longer)
    } else {
        (longer, shorter)
    }
}

/// The largest size of a picture's aspect ratio inside `rows` x `columns`, rounded as Pillow's `ImageOps.contain` does it.
fn contained(height: u32, width: u32, rows: u32, columns: u32) -> (u32, u32) {
    let (h, w, r, c) = (f64::from(height), f64::from(width), f64::from(rows), f64::from(columns));
    let (picture, frame) = (w / h, c / r);
    // The cast saturates, and both sides are bounded by the frame's.
    let side = |value: f64, most: u32| (value.round_ties_even() as u32).clamp(1, most);
    if picture > frame {
        (side(h / w * c, rows), columns)
    } else if picture < frame {
        (rows, side(w / h * r, columns))
    } else {
        (rows, columns)
    }
}

/// Half of a length; a tie goes to the even number, as Python rounds.
fn half_even(length: u32) -> u32 {
    let half = length / 2;
    half + u32::from(length % 2 == 1 && half % 2 == 1)
}

fn resize(image: RgbImage, height: u32, width: u32, filter: Filter) -> Result<RgbImage> {
    if image.dimensions() == (width, height) {
        return Ok(image);
    }
    let filter = match filter {
        Filter::Nearest => return Ok(nearest(&image, height, width)),
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
        Filter::Lanczos => FilterType::Lanczos3,
    };
    // Along rows first, then along columns, with whole grey levels between, as Pillow does it: a filter that sharpens overshoots
    // at edges, and what is cut off at 0 and 255 on the way depends on the order.
    let rows = image.height();
    let narrower = convolved(image, rows, width, filter)?;
    convolved(narrower, height, width, filter)
}

fn convolved(image: RgbImage, height: u32, width: u32, filter: FilterType) -> Result<RgbImage> {
    if image.dimensions() == (width, height) {
        return Ok(image);
    }
    // Neither can happen with sizes that were checked; if it does, this picture is refused and not the process.
    let impossible = |reason: String| PictureError::Damaged { reason };
    let mut target = RgbImage::new(width, height);
    // Typed, so that only the code for this kind of pixel is compiled.
    let from = TypedImageRef::<U8x3>::from_buffer(image.width(), image.height(), image.as_raw())
        .map_err(|error| impossible(error.to_string()))?;
    let mut to =
        TypedImage::<U8x3>::from_buffer(width, height, &mut target).map_err(|error| impossible(error.to_string()))?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    Resizer::new()
        .resize_typed(&from, &mut to, &options)
        .map_err(|error| impossible(error.to_string()))?;
    Ok(target)
}

/// Positions are summed up step by step as Pillow sums them: on a tie between two pixels the rounding of the sum decides.
fn nearest(image: &RgbImage, height: u32, width: u32) -> RgbImage {
    let positions = |from: u32, to: u32| -> Vec<u32> {
        let step = f64::from(from) / f64::from(to);
        let sums = std::iter::successors(Some(step * 0.5), |sum| Some(sum + step));
        // The cast cuts off.
        sums.take(to as usize)
            .map(|sum| (sum as u32).min(from.saturating_sub(1)))
            .collect()
    };
    let (rows, columns) = (positions(image.height(), height), positions(image.width(), width));
    let mut target = RgbImage::new(width, height);
    for (line, &y) in target.rows_mut().zip(&rows) {
        for (pixel, &x) in line.zip(&columns) {
            *pixel = *image.get_pixel(x, y);
        }
    }
    target
}
