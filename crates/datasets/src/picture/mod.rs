//! One picture: from the bytes of an image file to 8-bit colour pixels of the size that a network takes.
//!
//! The formats are PNG, JPEG, BMP, GIF (first frame), TIFF, WebP and PNM; the content decides, never a name. Everything
//! becomes 8-bit RGB: grey is repeated, an alpha channel is dropped, 16-bit values are scaled down, CMYK is converted without
//! a colour profile.
//!
//! Decoding is strict. A picture whose data end early, or that its decoder can only complete by guessing, is an error and
//! never a half-grey picture: a broken transfer would otherwise look like drift. Bytes after the end of a picture are ignored.

mod error;
mod file;
mod framing;
mod jpeg;
mod many;
mod options;
mod whole;

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use riptide_files::memory;

pub use error::PictureError;
pub use file::decode_file;
pub(crate) use file::{size_of_file, start};
pub(crate) use framing::MAX_SIDE;
pub use framing::{Filter, Framing};
pub(crate) use many::{Encoded, decode_many};
pub use options::{Orient, PictureOptions};

/// The result of decoding one picture.
pub(crate) type Result<T, E = PictureError> = std::result::Result<T, E>;

/// A decoded picture: 8-bit colour.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    height: usize,
    width: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// Rows, in pixels; at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns, in pixels; at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The pixels, `(H, W, 3)` row-major, red first.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels, `(H, W, 3)` row-major, red first, without a copy.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    fn of(image: RgbImage) -> Self {
        Self {
            height: image.height() as usize,
            width: image.width() as usize,
            pixels: image.into_raw(),
        }
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} x {})", self.height, self.width)
    }
}

/// What the first bytes of a picture say about it, before anything is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Rows and columns after decoding, turned upright if that was asked for, before framing.
    pub size: (u32, u32),
    /// Bytes that decoding takes at most, roughly.
    pub(crate) cost: u64,
    format: ImageFormat,
}

/// Decodes the bytes of one image file, and frames the picture as the options say.
///
/// # Errors
/// Returns an error if the bytes are no picture of a format that is read, if the picture is larger than the options allow
/// (told from its header, before anything is decoded), if its data end early or are damaged, or if the options are out of
/// their range.
///
/// ```
/// use riptide_datasets::picture::{self, Framing, PictureOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // A PNM file of 2 x 2 pixels, reduced to one.
/// let file = b"P6 2 2 255\n\x00\x00\x00\xff\xff\xff\x00\x00\x00\xff\xff\xff";
/// let options = PictureOptions::default().framing(Framing::stretch(1, 1));
/// let picture = picture::decode(file, &options)?;
/// assert_eq!((picture.height(), picture.width()), (1, 1));
/// assert_eq!(picture.pixels(), [128, 128, 128]);
///
/// // The same, cut short.
/// assert!(picture::decode(&file[..18], &options).is_err());
/// # Ok(())
/// # }
/// ```
pub fn decode(bytes: &[u8], options: &PictureOptions) -> Result<Picture> {
    options.check()?;
    let header = header(bytes, options)?;
    decode_as(bytes, &header, options)
}

/// The size of a picture as its header has it. See [`decode`] for the bytes and the errors.
///
/// # Errors
/// Returns an error if the bytes are no picture of a format that is read, or if it is larger than the options allow.
pub fn header(bytes: &[u8], options: &PictureOptions) -> Result<Header> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    let format = format_of(bytes)?;
    let (size, color_bytes, orientation) = if format == ImageFormat::Jpeg {
        let frame = jpeg::frame(bytes)?;
        (
            (frame.height, frame.width),
            frame.decoded_bytes_per_pixel(),
            frame.orientation,
        )
    } else {
        // The decoder is only made here: it reads the header, and allocates nothing by it.
        let mut decoder = decoder(bytes, format, options)?;
        let (width, height) = decoder.dimensions();
        let color = decoder.color_type();
        refuse_floats(color)?;
        let orientation = match options.orient {
            Orient::AsStored => Orientation::NoTransforms,
            Orient::Upright => decoder.orientation().unwrap_or(Orientation::NoTransforms),
        };
        let conversion = if color == ColorType::Rgb8 { 0 } else { 3 };
        (
            (height, width),
            u64::from(color.bytes_per_pixel()) + conversion,
            orientation,
        )
    };
    let (height, width) = size;
    let pixels = u64::from(height) * u64::from(width);
    let too_large = PictureError::TooLarge {
        height,
        width,
        limit: options.max_pixels,
    };
    if pixels == 0 {
        return Err(PictureError::Damaged {
            reason: format!("it claims to have {height} x {width} pixels"),
        });
    }
    if pixels > options.max_pixels || height > MAX_SIDE || width > MAX_SIDE {
        return Err(too_large);
    }
    let cost = pixels.saturating_mul(color_bytes);
    if cost > options.max_pixels.saturating_mul(options::MOST_BYTES_PER_PIXEL) {
        return Err(too_large);
    }
    Ok(Header {
        size: if options.orient == Orient::Upright && turns_sideways(orientation) {
            (width, height)
        } else {
            size
        },
        cost,
        format,
    })
}

/// The most bytes that are allocated without asking first whether there is memory for them.
const ASKED_FOR: u64 = 64 << 20;

/// Decodes and frames a picture whose header has been checked.
pub(crate) fn decode_as(bytes: &[u8], header: &Header, options: &PictureOptions) -> Result<Picture> {
    // Decoders allocate what the header says, and end the program if there is no memory for it.
    if header.cost > ASKED_FOR {
        let (height, width) = header.size;
        let what = format!("decoding {height} x {width} pixels");
        memory::check(what, header.cost).map_err(PictureError::NoMemory)?;
    }
    let mut orientation = Orientation::NoTransforms;
    let image = if header.format == ImageFormat::Jpeg {
        let (image, found) = jpeg::decode(bytes)?;
        orientation = found;
        DynamicImage::ImageRgb8(image)
    } else {
        whole::check(bytes, header.format)?;
        let mut decoder = decoder(bytes, header.format, options)?;
        if options.orient == Orient::Upright {
            orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        }
        DynamicImage::from_decoder(decoder).map_err(PictureError::from_decoder)?
    };
    let mut image = image;
    if options.orient == Orient::Upright {
        image.apply_orientation(orientation);
    }
    options
        .framing
        .apply(image.into_rgb8(), options.max_pixels)
        .map(Picture::of)
}

/// Whether a file that starts so is a picture beyond doubt. The two letters that BMP and PNM files start with are not enough.
pub(crate) fn is_surely_one(start: &[u8]) -> bool {
    let weak = [ImageFormat::Bmp, ImageFormat::Pnm];
    format_of(start).is_ok_and(|format| !weak.contains(&format))
}

fn format_of(bytes: &[u8]) -> Result<ImageFormat> {
    match image::guess_format(bytes) {
        Ok(format) if format.reading_enabled() => Ok(format),
        _ => Err(PictureError::NotAPicture),
    }
}

fn decoder<'a>(bytes: &'a [u8], format: ImageFormat, options: &PictureOptions) -> Result<impl ImageDecoder + 'a> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(options.max_pixels.saturating_mul(options::MOST_BYTES_PER_PIXEL));
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    reader.into_decoder().map_err(PictureError::from_decoder)
}

/// Pixels that are not whole numbers have no agreed range, so that any conversion would be a guess.
fn refuse_floats(color: ColorType) -> Result<()> {
    if matches!(color, ColorType::Rgb32F | ColorType::Rgba32F) {
        let reason = "its pixels are floating-point numbers; convert it to 8 or 16 bits".to_owned();
        return Err(PictureError::Unsupported { reason });
    }
    Ok(())
}

fn turns_sideways(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    )
}
