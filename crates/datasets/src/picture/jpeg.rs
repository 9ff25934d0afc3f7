//! JPEG files, strictly.
//!
//! A JPEG stream has no checksum, and every common decoder completes what is missing with grey. Three things find out:
//! the markers are walked to the end of the image, which a file that was cut does not have; the scans and restart intervals
//! that the header calls for are counted; and the decoder gets the stream with a few bytes of ones before each restart and
//! end marker. No code word consists of ones only (ITU-T T.81, annex C), so a decoder that still needs data when an interval
//! is over meets an invalid code and fails, in place of reading zeros.

use image::RgbImage;
use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::Result;
use super::error::{PictureError, one_line};

/// Ones, as they stand inside coded data; longer than a decoder reads ahead.
const ONES: [u8; 16] = [0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0];

/// What the markers before the first scan say.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) height: u32,
    pub(super) width: u32,
    pub(super) orientation: Orientation,
    progressive: bool,
    components: Vec<Component>,
}

#[derive(Debug, Clone)]
struct Component {
    id: u8,
    horizontal: u32,
    vertical: u32,
    /// For each coefficient, the number of low bits that are still to come; 255 if nothing has come.
    missing_bits: [u8; 64],
}

impl Frame {
    /// Bytes that decoding takes for a pixel: the colours, and for progressive files the coefficients.
    pub(super) fn decoded_bytes_per_pixel(&self) -> u64 {
        // Rounded up: two bytes a coefficient, and with chroma subsampling fewer of them.
        let coefficients = if self.progressive {
            2 * self.components.len() as u64
        } else {
            0
        };
        3 + coefficients
    }

    /// The number of units that a scan over these components codes, between which restart markers are counted.
    fn units(&self, ids: &[u8]) -> u64 {
        let most = |side: fn(&Component) -> u32| self.components.iter().map(side).max().unwrap_or(1).max(1);
        let (across, down) = (most(|c| c.horizontal), most(|c| c.vertical));
        let blocks = |length: u32, factor: u32, most: u32| {
            let samples = (u64::from(length) * u64::from(factor)).div_ceil(u64::from(most));
            samples.div_ceil(8)
        };
        match self.components.iter().find(|component| ids == [component.id]) {
            Some(alone) => blocks(self.width, alone.horizontal, across) * blocks(self.height, alone.vertical, down),
            None => {
                u64::from(self.width).div_ceil(u64::from(8 * across))
                    * u64::from(self.height).div_ceil(u64::from(8 * down))
            }
        }
    }
}

/// Reads the markers up to the first scan.
pub(super) fn frame(bytes: &[u8]) -> Result<Frame> {
    let mut walk = Walk::new(bytes);
    while walk.step()? {
        if walk.in_scan {
            break;
        }
    }
    walk.finish_frame()
}

/// Decodes a whole file to RGB, as its rows are stored.
pub(super) fn decode(bytes: &[u8]) -> Result<(RgbImage, Orientation)> {
    let mut walk = Walk::new(bytes);
    walk.padded = Some(Vec::with_capacity(bytes.len() + 64));
    while walk.step()? {
        if walk.in_scan {
            walk.coded_data()?;
        }
    }
    walk.check_complete()?;
    let padded = walk.padded.take().unwrap_or_default();
    let frame = walk.finish_frame()?;
    let side = |side: u32| side as usize;
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(side(frame.width))
        .set_max_height(side(frame.height))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(padded.as_slice()), options);
    let pixels = decoder.decode().map_err(damaged)?;
    let contradiction = || PictureError::Damaged {
        reason: "its headers contradict each other".to_owned(),
    };
    if pixels.len() != side(frame.width) * side(frame.height) * 3 {
        return Err(contradiction());
    }
    let image = RgbImage::from_raw(frame.width, frame.height, pixels).ok_or_else(contradiction)?;
    Ok((image, frame.orientation))
}

fn damaged(error: DecodeErrors) -> PictureError {
    match error {
        DecodeErrors::ExhaustedData => PictureError::EndsEarly,
        error => PictureError::Damaged {
            reason: one_line(&format!("{error:?}").replace('"', "")),
        },
    }
}

/// Goes through the markers of a file.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    frame: Option<Frame>,
    orientation: Orientation,
    restart_interval: u32,
    scans: usize,
    /// Whether the last marker started a scan.
    in_scan: bool,
    /// The components of the scan that has just started.
    scanned: Vec<u8>,
    /// The stream with ones before restart and end markers, if it is wanted.
    padded: Option<Vec<u8>>,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            frame: None,
            orientation: Orientation::NoTransforms,
            restart_interval: 0,
            scans: 0,
            in_scan: false,
            scanned: Vec::new(),
            padded: None,
        }
    }

    fn finish_frame(self) -> Result<Frame> {
        let mut frame = self.frame.ok_or_else(|| PictureError::Damaged {
            reason: "it has no frame header before its data".to_owned(),
        })?;
        frame.orientation = self.orientation;
        Ok(frame)
    }

    /// Reads one marker with its segment; `false` after the end marker.
    fn step(&mut self) -> Result<bool> {
        let start = self.at;
        // A marker is preceded by any number of fill bytes; bytes that belong nowhere are for the decoder to refuse.
        let mut at = start;
        let marker = loop {
            match self.bytes.get(at..at + 2) {
                Some(&[0xff, marker]) if marker != 0xff && marker != 0 => break marker,
                Some(_) => at += 1,
                None => return Err(PictureError::EndsEarly),
            }
        };
        at += 2;
        match marker {
            0xd8 | 0x01 | 0xd0..=0xd7 => self.at = at,
            0xd9 => {
                self.at = at;
                if let Some(padded) = &mut self.padded {
                    // The first scan of a progressive file must run into its end marker for the decoder to find it.
                    let progressive = self.frame.as_ref().is_some_and(|frame| frame.progressive);
                    if !progressive || self.scans > 1 {
                        padded.extend_from_slice(&ONES);
                    }
                    padded.extend_from_slice(&[0xff, 0xd9]);
                }
                return Ok(false);
            }
            _ => {
                let length = match self.bytes.get(at..at + 2) {
                    Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
                    _ => return Err(PictureError::EndsEarly),
                };
                let segment = self
                    .bytes
                    .get(at + 2..at + length.max(2))
                    .ok_or(PictureError::EndsEarly)?;
                self.segment(marker, segment)?;
                self.at = at + length.max(2);
            }
        }
        if let Some(padded) = &mut self.padded {
            padded.extend_from_slice(self.bytes.get(start..self.at).unwrap_or_default());
        }
        Ok(true)
    }

    fn segment(&mut self, marker: u8, segment: &[u8]) -> Result<()> {
        let damaged = |reason: &str| PictureError::Damaged {
            reason: reason.to_owned(),
        };
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let &[precision, h1, h0, w1, w0, n, ref rest @ ..] = segment else {
                    return Err(damaged("its frame header is too short"));
                };
                if !matches!(marker, 0xc0..=0xc2) || precision != 8 {
                    let reason = "lossless, arithmetic, hierarchical and 12-bit JPEG files are not read; save it as an ordinary one";
                    return Err(PictureError::Unsupported {
                        reason: reason.to_owned(),
                    });
                }
                if self.frame.is_some() {
                    return Err(damaged("it has two frame headers"));
                }
                let components: Vec<Component> = rest
                    .chunks_exact(3)
                    .take(n.into())
                    .map(|fields| Component {
                        id: fields.first().copied().unwrap_or_default(),
                        horizontal: u32::from(fields.get(1).copied().unwrap_or_default() >> 4),
                        vertical: u32::from(fields.get(1).copied().unwrap_or_default() & 15),
                        missing_bits: [255; 64],
                    })
                    .collect();
                let sampled = |c: &Component| (1..=4).contains(&c.horizontal) && (1..=4).contains(&c.vertical);
                if components.len() != usize::from(n) || components.is_empty() || !components.iter().all(sampled) {
                    return Err(damaged("its frame header is wrong"));
                }
                self.frame = Some(Frame {
                    height: u16::from_be_bytes([h1, h0]).into(),
                    width: u16::from_be_bytes([w1, w0]).into(),
                    orientation: Orientation::NoTransforms,
                    progressive: marker == 0xc2,
                    components,
                });
            }
            0xdd => {
                let &[high, low, ..] = segment else {
                    return Err(damaged("its restart interval is wrong"));
                };
                self.restart_interval = u16::from_be_bytes([high, low]).into();
            }
            0xda => self.scan(segment).ok_or_else(|| damaged("a scan header is wrong"))?,
            0xe1 => {
                if let Some(exif) = segment.strip_prefix(b"Exif\0\0")
                    && let Some(orientation) = Orientation::from_exif_chunk(exif)
                {
                    self.orientation = orientation;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes what a scan brings; `None` if its header is wrong.
    fn scan(&mut self, segment: &[u8]) -> Option<()> {
        let (&n, rest) = segment.split_first()?;
        let fields = rest.get(..2 * usize::from(n))?;
        let &[first, last, bits, ..] = rest.get(2 * usize::from(n)..)? else {
            return None;
        };
        let frame = self.frame.as_mut()?;
        self.scanned = fields
            .chunks_exact(2)
            .filter_map(|field| field.first().copied())
            .collect();
        // Sequential files bring all coefficients of a component at once, whatever the fields say.
        let (range, bits) = match frame.progressive {
            true => (usize::from(first)..usize::from(last) + 1, bits & 15),
            false => (0..64, 0),
        };
        for component in frame
            .components
            .iter_mut()
            .filter(|component| self.scanned.contains(&component.id))
        {
            component.missing_bits.get_mut(range.clone())?.fill(bits);
        }
        self.scans += 1;
        self.in_scan = true;
        Some(())
    }

    /// Goes through the coded data of a scan, up to the marker that ends it.
    fn coded_data(&mut self) -> Result<()> {
        self.in_scan = false;
        let mut restarts = 0_u64;
        let mut start = self.at;
        let mut at = self.at;
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let Some(found) = rest.iter().position(|&byte| byte == 0xff) else {
                return Err(PictureError::EndsEarly);
            };
            at += found;
            match self.bytes.get(at + 1) {
                None => return Err(PictureError::EndsEarly),
                Some(0) => at += 2,
                Some(0xff) => at += 1,
                Some(0xd0..=0xd7) => {
                    restarts += 1;
                    if let Some(padded) = &mut self.padded {
                        padded.extend_from_slice(self.bytes.get(start..at).unwrap_or_default());
                        padded.extend_from_slice(&ONES);
                    }
                    start = at;
                    at += 2;
                }
                Some(_) => break,
            }
        }
        if let Some(padded) = &mut self.padded {
            padded.extend_from_slice(self.bytes.get(start..at).unwrap_or_default());
        }
        self.at = at;
        let units = self.frame.as_ref().map_or(0, |frame| frame.units(&self.scanned));
        if self.restart_interval > 0 && restarts + 1 < units.div_ceil(self.restart_interval.into()) {
            return Err(PictureError::EndsEarly);
        }
        Ok(())
    }

    /// Checks that every bit of every coefficient has come.
    fn check_complete(&self) -> Result<()> {
        let complete = |frame: &Frame| {
            frame
                .components
                .iter()
                .all(|component| component.missing_bits == [0; 64])
        };
        match &self.frame {
            Some(frame) if !complete(frame) => Err(PictureError::EndsEarly),
            _ => Ok(()),
        }
    }
}
