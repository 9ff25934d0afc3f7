//! Pictures one behind the other from something that can only be read once, each preceded by its length.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::error::{DatasetError, Result};
use crate::gather::{Gatherer, Record};
use crate::image_set::ImageSet;
use crate::picture::{Encoded, PictureOptions};
use crate::source::{ImageSource, OnError, Skipped};

/// Pictures in any format that [`picture::decode`](crate::picture::decode) reads, until the stream ends. Before each stands its
/// length in bytes, as four bytes, most significant first. In Python:
///
/// ```python
/// out.write(len(jpeg).to_bytes(4, "big") + jpeg); out.flush()
/// ```
///
/// A chunk is handed out as soon as its last picture has come. If the stream ends in the middle of a picture, or a picture
/// cannot be decoded, the pictures before it are handed out first, and then the error.
#[derive(Debug)]
pub struct PictureStream<R> {
    reader: R,
    name: PathBuf,
    max_bytes: u64,
    next: u64,
    gatherer: Gatherer,
}

impl<R: Read> PictureStream<R> {
    /// A stream of pictures. `name` stands for it in errors, such as `standard input`.
    ///
    /// # Errors
    /// Returns an error if the options are out of their range.
    pub fn new(reader: R, name: impl AsRef<Path>, options: PictureOptions) -> Result<Self> {
        Ok(Self {
            reader,
            name: name.as_ref().to_path_buf(),
            max_bytes: options.max_bytes,
            next: 0,
            gatherer: Gatherer::new(options, None, Vec::new())?,
        })
    }

    /// Says what to do about pictures that cannot be read: [`OnError::Fail`] by default.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.gatherer.on_error(on_error);
        self
    }
}

/// The next picture's bytes; `None` at the end.
fn next(reader: &mut impl Read, name: &Path, image: u64, max_bytes: u64) -> Result<Option<Vec<u8>>> {
    let io = |source| DatasetError::io(name, source);
    let mut length = Vec::new();
    reader.take(4).read_to_end(&mut length).map_err(io)?;
    let length = match length.as_slice() {
        [] => return Ok(None),
        &[a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])),
        _ => {
            let reason = format!("the stream ends in the middle of the length of picture {image}");
            return Err(DatasetError::malformed(name, reason));
        }
    };
    if length == 0 || length > max_bytes {
        let reason = format!(
            "picture {image} would be {length} bytes long, expected 1 to {max_bytes}; before each picture stands its length as \
             four bytes, most significant first"
        );
        return Err(DatasetError::malformed(name, reason));
    }
    let mut bytes = Vec::new();
    let read = reader.take(length).read_to_end(&mut bytes);
    match read {
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(io(error)),
        _ if bytes.len() as u64 == length => Ok(Some(bytes)),
        _ => {
            let reason = format!(
                "the stream ends after {} of the {length} bytes of picture {image}",
                bytes.len()
            );
            Err(DatasetError::malformed(name, reason))
        }
    }
}

impl<R: Read> ImageSource for PictureStream<R> {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        let Self {
            reader,
            name,
            max_bytes,
            next: image,
            gatherer,
        } = self;
        gatherer.chunk(max, || {
            let Some(bytes) = next(reader, name, *image, *max_bytes)? else {
                return Ok(None);
            };
            let place = Record::place(name, &format!("picture {image}"));
            *image += 1;
            Ok(Some(Record {
                place,
                file: None,
                picture: Encoded::Bytes(bytes),
                label: None,
                values: Vec::new(),
            }))
        })
    }

    fn remaining(&self) -> Option<u64> {
        None
    }

    fn is_live(&self) -> bool {
        true
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        self.gatherer.image_size()
    }

    fn unreadable(&self) -> Option<&Skipped> {
        Some(self.gatherer.unreadable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(red: u8) -> Vec<u8> {
        [b"P6 2 1 255\n".as_slice(), &[red, 0, 0, 0, 0, 9]].concat()
    }

    fn framed(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
    }

    fn stream(bytes: &[u8]) -> PictureStream<&[u8]> {
        PictureStream::new(bytes, "stdin", PictureOptions::default()).unwrap()
    }

    #[test]
    fn pictures_come_one_by_one() {
        let bytes: Vec<u8> = (0..5).flat_map(|red| framed(&picture(red))).collect();
        let mut source = stream(&bytes);
        let mut reds = Vec::new();
        while let Some(chunk) = source.next_chunk(2).unwrap() {
            assert!(chunk.len() <= 2);
            reds.extend(chunk.images().map(|image| image[0]));
        }
        assert_eq!(reds, [0, 1, 2, 3, 4]);
        assert!(stream(&[]).next_chunk(2).unwrap().is_none());
    }

    #[test]
    fn what_came_before_an_error_is_told_first() {
        let good = [framed(&picture(1)), framed(&picture(2))].concat();
        let damaged = picture(3);
        for (rest, words) in [
            (vec![0, 0], "middle of the length of picture 2"),
            (vec![0, 0, 0, 0], "picture 2 would be 0 bytes long"),
            (b"\x89PNG\r\n".to_vec(), "before each picture stands its length"),
            (
                framed(&picture(3))[..12].to_vec(),
                "after 8 of the 17 bytes of picture 2",
            ),
            (
                framed(&damaged[..14]),
                "picture 2 (image 2): unreadable: its data end early",
            ),
            (framed(b"no picture at all"), "picture 2 (image 2): not a picture"),
            (
                framed(b"P6 1 1 255\nabc"),
                "picture 2: the picture is 1 x 1 pixels, expected 1 x 2",
            ),
        ] {
            let bytes = [good.clone(), rest].concat();
            let mut source = stream(&bytes);
            assert_eq!(source.next_chunk(10).unwrap().unwrap().len(), 2, "{words}");
            let error = source.next_chunk(10).unwrap_err().to_string();
            assert!(error.starts_with("stdin: ") && error.contains(words), "{error}");
            assert!(source.next_chunk(10).unwrap().is_none(), "{words}");
        }
    }
}
