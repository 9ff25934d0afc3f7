//! Pictures as data URIs, so that drawings and pages need no other file.

use base64::Engine;
use image::{ExtendedColorType, ImageEncoder, RgbImage, imageops};

use crate::error::DrawError;

/// Longest side of an embedded picture; larger images are made smaller.
const LONGEST: u32 = 96;
/// Longest side that is kept without loss; larger pictures are kept as JPEG, so that a page stays small.
const LOSSLESS: u32 = 48;
/// Quality of those, 1 to 100.
const QUALITY: u8 = 88;

/// A picture, u8 (height, width, 3), row-major, as a data URI: PNG up to 48 pixels on its longer side, else JPEG, made
/// smaller to at most 96.
///
/// # Errors
/// [`DrawError::Picture`] if the bytes are not as many as the size says, or there are none; [`DrawError::Encode`] if the
/// picture cannot be encoded.
///
/// ```
/// let uri = riptide_draw::data_uri(&[128; 12], 2, 2)?;
/// assert!(uri.starts_with("data:image/png;base64,"));
/// # Ok::<(), riptide_draw::DrawError>(())
/// ```
pub fn data_uri(pixels: &[u8], height: usize, width: usize) -> Result<String, DrawError> {
    let fail = || DrawError::Picture {
        bytes: pixels.len(),
        height,
        width,
    };
    let size = u32::try_from(width).ok().zip(u32::try_from(height).ok());
    let size = size.filter(|_| height.checked_mul(width).and_then(|n| n.checked_mul(3)) == Some(pixels.len()));
    let (columns, rows) = size.filter(|_| !pixels.is_empty()).ok_or_else(fail)?;
    let mut picture = RgbImage::from_raw(columns, rows, pixels.to_vec()).ok_or_else(fail)?;
    let longest = columns.max(rows);
    if longest > LONGEST {
        let side = |side: u32| (u64::from(side) * u64::from(LONGEST) / u64::from(longest)).max(1) as u32;
        picture = imageops::thumbnail(&picture, side(columns), side(rows));
    }
    let (width, height) = picture.dimensions();
    let mut bytes = Vec::new();
    let kind = if width.max(height) <= LOSSLESS {
        let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        encoder.write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8)?;
        "png"
    } else {
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, QUALITY);
        encoder.write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8)?;
        "jpeg"
    };
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    Ok(format!("data:image/{kind};base64,{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pictures_are_made_small_and_small_ones_kept() {
        let decode = |uri: &str| {
            let text = uri.split(',').nth(1).unwrap();
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
            image::load_from_memory(&bytes).unwrap().into_rgb8()
        };
        let small: Vec<u8> = (0..32 * 16 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let uri = data_uri(&small, 16, 32).unwrap();
        assert!(uri.starts_with("data:image/png;"));
        assert_eq!(decode(&uri).into_raw(), small);
        let uri = data_uri(&vec![90; 200 * 300 * 3], 200, 300).unwrap();
        assert!(uri.starts_with("data:image/jpeg;"));
        let picture = decode(&uri);
        assert_eq!(picture.dimensions(), (96, 64));
        assert!(picture.pixels().all(|pixel| pixel.0.iter().all(|c| c.abs_diff(90) < 3)));
        assert!(data_uri(&small, 16, 31).is_err() && data_uri(&[], 0, 0).is_err());
        assert!(data_uri(&[], usize::MAX, usize::MAX).is_err());
    }
}
