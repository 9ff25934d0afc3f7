//! Whether a picture file is there to its end, for the formats whose decoders stop reading before it.
//!
//! BMP, TIFF and PNM need no such check: their decoders need every byte of the pixels.

use image::ImageFormat;

use super::Result;
use super::error::PictureError;

/// Checks that the file goes on to its end.
pub(super) fn check(bytes: &[u8], format: ImageFormat) -> Result<()> {
    let end = match format {
        ImageFormat::Png => png_end(bytes),
        ImageFormat::Gif => gif_end(bytes),
        ImageFormat::WebP => webp_end(bytes),
        _ => Some(0),
    };
    if format == ImageFormat::WebP && ends_in_zeros(bytes) {
        return Err(PictureError::Damaged {
            reason: "its data end in zeros, as those of a transfer that broke off".to_owned(),
        });
    }
    match end {
        Some(end) if end <= bytes.len() => Ok(()),
        _ => Err(PictureError::EndsEarly),
    }
}

/// The place after the chunk IEND; `None` if the chunks end before it.
fn png_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 8;
    loop {
        let length = u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize;
        let kind = bytes.get(at + 4..at + 8)?;
        // Length, kind, data, checksum.
        let next = at.checked_add(length)?.checked_add(12)?;
        bytes.get(..next)?;
        if kind == b"IEND" {
            return Some(next);
        }
        at = next;
    }
}

/// The place after the trailer; `None` if the blocks end before it.
fn gif_end(bytes: &[u8]) -> Option<usize> {
    /// The bytes of a colour table, by the field of flags that declares it.
    fn table(flags: u8) -> usize {
        if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
    }
    let mut at = 13 + table(*bytes.get(10)?);
    loop {
        match *bytes.get(at)? {
            0x2c => at += 11 + table(*bytes.get(at + 9)?),
            0x21 => at += 2,
            0x3b => return Some(at + 1),
            // Neither block nor trailer. Programs that write no trailer pad with zeros; only a decoder can tell whether the
            // first frame was whole.
            _ => return Some(at),
        }
        // Sub-blocks, each with its length before it; one of length 0 ends them.
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
    }
}

/// Whether a chunk of compressed pixels ends in zeros that no encoder writes, or chunks are nothing but zeros. WebP has no checksum, and
/// its decoder takes zeros for data.
///
/// An encoder ends after the last symbol, with the few bytes that its coder still holds. Metadata, and transparency that is not
/// compressed, may end in zeros.
fn ends_in_zeros(bytes: &[u8]) -> bool {
    const MOST: usize = 32;
    let mut at = 12;
    while let Some((kind, length)) = bytes.get(at..at + 4).zip(bytes.get(at + 4..at + 8)) {
        let length = <[u8; 4]>::try_from(length).map_or(0, u32::from_le_bytes) as usize;
        let data = bytes.get(at + 8..).unwrap_or_default();
        let data = data.get(..length).unwrap_or(data);
        let is_pixels = matches!(kind, b"VP8 " | b"VP8L" | b"ANMF");
        if kind == [0; 4] || is_pixels && data.len() > MOST && data.iter().rev().take(MOST).all(|&byte| byte == 0) {
            return true;
        }
        at = at.saturating_add(8).saturating_add(length).saturating_add(length % 2);
    }
    false
}

/// The place where the RIFF container says that it ends.
fn webp_end(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?) as usize;
    length.checked_add(8)
}
