//! `.npy` arrays of images from something that can only be read once.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::convert::Converter;
use super::read_header;
use super::shape::{ArrayOptions, ImageShape};
use crate::error::{DatasetError, Result};
use crate::image_set::ImageSet;
use crate::source::ImageSource;

/// Images from a `.npy` stream, such as standard input: of all kinds that [`NpyImages`](super::NpyImages) reads.
///
/// The stream may hold several arrays, one behind the other, each with its own header: a sender that does not know beforehand
/// how many images there will be writes one array per message (`numpy.save(sys.stdout.buffer, frames)`). All must have the
/// same size of image.
///
/// Only the chunk that was asked for is in memory, and it grows as the data arrives, so a header that promises too much costs
/// nothing. A chunk is handed out as soon as its last image has come: nothing is read ahead. If the stream ends early, the
/// whole images before its end are handed out first, and then the error.
#[derive(Debug)]
pub struct NpyStream<R> {
    reader: R,
    name: PathBuf,
    options: ArrayOptions,
    shape: ImageShape,
    converter: Converter,
    /// The next image of this array.
    next: u64,
    /// Images of the arrays before this one.
    before: u64,
    state: State,
    messages: bool,
}

#[derive(Debug)]
enum State {
    Open,
    /// The stream ended in the middle of an image, which was not yet said.
    Short(DatasetError),
    Over,
}

impl<R: Read> NpyStream<R> {
    /// Reads the first header. `name` stands for the stream in errors, such as `standard input`.
    ///
    /// # Errors
    /// Returns an error if the stream is not `.npy`, or if it has another dtype, shape or order.
    pub fn new(reader: R, name: impl AsRef<Path>) -> Result<Self> {
        Self::with(reader, name, ArrayOptions::default())
    }

    /// As [`new`](Self::new), for arrays that do not show their layout or their range.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with(mut reader: R, name: impl AsRef<Path>, options: ArrayOptions) -> Result<Self> {
        let name = name.as_ref().to_path_buf();
        let header = read_header(&mut reader, &name)?;
        let shape = ImageShape::of(&header, &name, options)?;
        Ok(Self {
            reader,
            converter: Converter::new(name.clone(), shape, options),
            name,
            options,
            shape,
            next: 0,
            before: 0,
            state: State::Open,
            messages: true,
        })
    }

    /// The same, of one array that nothing may follow.
    pub(crate) fn only_one(mut self) -> Self {
        self.messages = false;
        self
    }

    /// Rows of an image, in pixels.
    pub fn height(&self) -> usize {
        self.shape.height
    }

    /// Columns of an image, in pixels.
    pub fn width(&self) -> usize {
        self.shape.width
    }

    /// Goes on to the next array; `false` at the end of the stream.
    fn next_array(&mut self) -> Result<bool> {
        let mut first = [0u8];
        loop {
            match self.reader.read(&mut first) {
                Ok(0) => return Ok(false),
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DatasetError::io(&self.name, error)),
            }
        }
        let whole = self.shape.len.saturating_mul(self.shape.stored_bytes as u64);
        if !self.messages || first != [0x93] {
            return Err(DatasetError::Oversized {
                path: self.name.clone(),
                expected: whole,
                found: whole.saturating_add(1),
            });
        }
        let header = read_header(&mut first.as_slice().chain(&mut self.reader), &self.name)?;
        let shape = ImageShape::of(&header, &self.name, self.options)?;
        if (shape.height, shape.width) != (self.shape.height, self.shape.width) {
            return Err(DatasetError::WrongShape {
                path: self.name.clone(),
                expected: format!(
                    "images of {} x {}, as in the arrays before",
                    self.shape.height, self.shape.width
                ),
                found: header.shape,
            });
        }
        self.before = self.before.saturating_add(self.shape.len);
        self.next = 0;
        self.shape = shape;
        self.converter.reshape(shape);
        Ok(true)
    }

    /// The next images of this array, of which `count` are wanted.
    fn read(&mut self, count: u64) -> Result<ImageSet> {
        let bytes = self.shape.stored_bytes as u64;
        let wanted = count.saturating_mul(bytes);
        let mut stored = Vec::new();
        let read = (&mut self.reader).take(wanted).read_to_end(&mut stored);
        // An interruption of the stream is like its end: what has come before is told first.
        let found = stored.len() as u64;
        if found != wanted {
            let offset = self.next.saturating_mul(bytes);
            let short = match read {
                Err(source) => DatasetError::io(&self.name, source),
                Ok(_) => DatasetError::Truncated {
                    path: self.name.clone(),
                    expected: self.shape.len.saturating_mul(bytes),
                    found: offset.saturating_add(found),
                },
            };
            stored.truncate(stored.len() - stored.len() % self.shape.stored_bytes);
            if stored.is_empty() {
                return Err(short);
            }
            self.state = State::Short(short);
        }
        let images = (stored.len() / self.shape.stored_bytes) as u64;
        let pixels = self.converter.convert(stored, self.before.saturating_add(self.next))?;
        self.next += images;
        ImageSet::unlabelled(pixels, self.shape.height, self.shape.width)
    }
}

impl<R: Read> ImageSource for NpyStream<R> {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Short(error) => return Err(error),
            State::Over => return Ok(None),
            State::Open => {}
        }
        while self.next == self.shape.len {
            if !self.next_array()? {
                self.converter.end();
                return Ok(None);
            }
        }
        self.state = State::Open;
        let count = (max.max(1).min(self.shape.together()) as u64).min(self.shape.len - self.next);
        self.read(count).map(Some)
    }

    fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Over => Some(0),
            // How many arrays there will be, nobody knows; one is the rule.
            _ if self.before > 0 => None,
            _ => Some(self.shape.len - self.next),
        }
    }

    fn is_live(&self) -> bool {
        self.messages
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        Some((self.shape.height, self.shape.width))
    }
}
