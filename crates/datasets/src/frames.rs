//! Raw frames from something that can only be read once.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{DatasetError, Result};
use crate::image_set::{ImageSet, image_bytes};
use crate::source::ImageSource;

/// The most bytes of one chunk, unless one frame has more.
const MAX_CHUNK_BYTES: usize = 256 << 20;

/// Frames one behind the other, without a header, until the stream ends: each has `height` rows of `width` pixels of a byte red,
/// a byte green and a byte blue. This is what `ffmpeg … -f rawvideo -pix_fmt rgb24 -` writes.
///
/// A chunk is handed out as soon as its last frame has come. If the stream ends in the middle of a frame, the whole frames
/// before it are handed out first, and then the error.
#[derive(Debug)]
pub struct RawFrames<R> {
    reader: R,
    name: PathBuf,
    height: usize,
    width: usize,
    frame_bytes: usize,
    next: u64,
    short: Option<DatasetError>,
    is_over: bool,
}

impl<R: Read> RawFrames<R> {
    /// Frames of `height` x `width` pixels. `name` stands for the stream in errors, such as `standard input`.
    ///
    /// # Errors
    /// Returns an error if the height or width is 0, or both together are too large.
    pub fn new(reader: R, name: impl AsRef<Path>, height: usize, width: usize) -> Result<Self> {
        Ok(Self {
            reader,
            name: name.as_ref().to_path_buf(),
            height,
            width,
            frame_bytes: image_bytes(height, width)?,
            next: 0,
            short: None,
            is_over: false,
        })
    }
}

impl<R: Read> ImageSource for RawFrames<R> {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        if let Some(short) = self.short.take() {
            return Err(short);
        }
        if self.is_over {
            return Ok(None);
        }
        let count = max.clamp(1, (MAX_CHUNK_BYTES / self.frame_bytes).max(1));
        let wanted = count.saturating_mul(self.frame_bytes);
        let mut pixels = Vec::new();
        let outcome = (&mut self.reader).take(wanted as u64).read_to_end(&mut pixels);
        let rest = pixels.len() % self.frame_bytes;
        let frames = pixels.len() / self.frame_bytes;
        self.next += frames as u64;
        self.is_over = pixels.len() < wanted;
        let short = match outcome {
            Err(source) => Some(DatasetError::io(&self.name, source)),
            Ok(_) if rest > 0 => Some(DatasetError::malformed(
                &self.name,
                format!(
                    "the stream ends in the middle of frame {}, after {rest} of its {} bytes ({} x {} x 3)",
                    self.next, self.frame_bytes, self.height, self.width
                ),
            )),
            Ok(_) => None,
        };
        pixels.truncate(pixels.len() - rest);
        match (frames, short) {
            (0, Some(short)) => Err(short),
            (0, None) => Ok(None),
            (_, short) => {
                self.short = short;
                ImageSet::unlabelled(pixels, self.height, self.width).map(Some)
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        None
    }

    fn is_live(&self) -> bool {
        true
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        Some((self.height, self.width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_frames_come_before_the_error() {
        let bytes: Vec<u8> = (0..100).collect();
        let mut frames = RawFrames::new(&bytes[..96], "stdin", 2, 4).unwrap();
        assert_eq!(frames.image_size(), Some((2, 4)));
        assert_eq!(frames.next_chunk(3).unwrap().unwrap().pixels(), &bytes[..72]);
        assert_eq!(frames.next_chunk(3).unwrap().unwrap().pixels(), &bytes[72..96]);
        assert!(frames.next_chunk(3).unwrap().is_none());

        let mut frames = RawFrames::new(&bytes[..], "stdin", 2, 4).unwrap();
        assert_eq!(frames.next_chunk(9).unwrap().unwrap().len(), 4);
        let error = frames.next_chunk(9).unwrap_err().to_string();
        assert_eq!(
            error,
            "stdin: the stream ends in the middle of frame 4, after 4 of its 24 bytes (2 x 4 x 3)"
        );
        assert!(frames.next_chunk(9).unwrap().is_none());
        assert!(
            RawFrames::new(&bytes[..0], "stdin", 2, 4)
                .unwrap()
                .next_chunk(9)
                .unwrap()
                .is_none()
        );
        assert!(RawFrames::new(&bytes[..], "stdin", 0, 4).is_err());
        assert!(RawFrames::new(&bytes[..], "stdin", usize::MAX, 4).is_err());
    }
}
