//! From the records of an archive, a table or a stream, each of which is a picture and what is known of it, to image sets.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::error::{DatasetError, Result};
use crate::image_set::ImageSet;
use crate::picture::{self, Encoded, Picture, PictureError, PictureOptions};
use crate::source::{OnError, Skipped};

/// Records that are read, and then decoded in parallel, at a time: their number, and their bytes unless one has more.
const TOGETHER: usize = 64;
const TOGETHER_BYTES: usize = 32 << 20;
/// The most bytes of pixels of one chunk, unless one image has more.
const CHUNK_BYTES: usize = 256 << 20;

/// One picture, not yet decoded.
#[derive(Debug)]
pub(crate) struct Record {
    /// Where it stands, for errors: the file, and the row or the name inside it.
    pub(crate) place: PathBuf,
    /// What results call it, if it has a name.
    pub(crate) file: Option<PathBuf>,
    pub(crate) picture: Encoded,
    pub(crate) label: Option<u32>,
    /// The values of the columns that are carried along.
    pub(crate) values: Vec<String>,
}

impl Record {
    /// How a row of a table, or a picture of a stream, is called in errors.
    pub(crate) fn place(file: &std::path::Path, inside: &str) -> PathBuf {
        let mut place = file.as_os_str().to_owned();
        place.push(": ");
        place.push(inside);
        place.into()
    }

    fn bytes(&self) -> usize {
        match &self.picture {
            Encoded::Bytes(bytes) => bytes.len(),
            // One cannot be asked for its length without being opened.
            Encoded::File(_) => TOGETHER_BYTES / TOGETHER,
        }
    }
}

/// Decodes records and puts them together. All images must come out with the same size, and either all have a label, a name or
/// none.
#[derive(Debug)]
pub(crate) struct Gatherer {
    options: PictureOptions,
    on_error: OnError,
    /// If there are any, every record has a label, below their number.
    class_names: Option<Vec<String>>,
    columns: Vec<String>,
    /// Rows and columns of the pictures, if they are known.
    size: Option<(u32, u32)>,
    /// Records that are decoded and not yet handed out.
    ready: VecDeque<(Record, picture::Result<Picture>)>,
    /// Images handed out or passed over.
    next: u64,
    has_given: bool,
    unreadable: Skipped,
    /// Whether they have been told of.
    is_told: bool,
    /// What ended the records; it is told after the images before it.
    pending: Option<DatasetError>,
    is_over: bool,
}

/// The images of a chunk so far.
#[derive(Default)]
struct Part {
    len: usize,
    pixels: Vec<u8>,
    labels: Vec<u32>,
    files: Vec<PathBuf>,
    values: Vec<Vec<String>>,
}

impl Gatherer {
    /// For records that carry `columns` along and, if there are class names, a label each.
    pub(crate) fn new(options: PictureOptions, class_names: Option<Vec<String>>, columns: Vec<String>) -> Result<Self> {
        options.check().map_err(DatasetError::picture_option)?;
        Ok(Self {
            options,
            on_error: OnError::Fail,
            class_names,
            columns,
            size: options.framing.output(),
            ready: VecDeque::new(),
            next: 0,
            has_given: false,
            unreadable: Skipped::default(),
            is_told: false,
            pending: None,
            is_over: false,
        })
    }

    /// Says what to do about pictures that cannot be read.
    pub(crate) fn on_error(&mut self, on_error: OnError) {
        self.on_error = on_error;
    }

    /// The size of the images, if it is known.
    pub(crate) fn image_size(&self) -> Option<(usize, usize)> {
        self.size.map(|(height, width)| (height as usize, width as usize))
    }

    /// The pictures that were passed over.
    pub(crate) fn unreadable(&self) -> &Skipped {
        &self.unreadable
    }

    /// The next chunk, of at most `max` of the records that `next` gives. It ends before an error, which is returned in its turn,
    /// and before a picture that is passed over.
    pub(crate) fn chunk(
        &mut self,
        max: usize,
        mut next: impl FnMut() -> Result<Option<Record>>,
    ) -> Result<Option<ImageSet>> {
        let max = max.max(1);
        let mut part = Part {
            values: vec![Vec::new(); self.columns.len()],
            ..Part::default()
        };
        while part.len < max && part.pixels.len() < CHUNK_BYTES {
            if self.ready.is_empty() {
                self.decode_more(max - part.len, &mut next);
            }
            match self.ready.pop_front() {
                None => break,
                Some((record, Ok(picture))) => self.add(record, &picture, &mut part),
                Some(unreadable) if part.len > 0 => {
                    self.ready.push_front(unreadable);
                    break;
                }
                Some((record, Err(reason))) => {
                    let is_skipped =
                        self.on_error == OnError::Skip && !matches!(reason, PictureError::WrongSize { .. });
                    if !is_skipped {
                        return Err(self.failure(record, reason));
                    }
                    self.next += 1;
                    self.unreadable.note(record.place, reason);
                }
            }
        }
        if part.len > 0 {
            self.has_given = true;
            return self.set(part).map(Some);
        }
        if let Some(error) = self.pending.take() {
            self.is_over = true;
            return Err(error);
        }
        self.is_over = true;
        if self.unreadable.count > 0 && !std::mem::replace(&mut self.is_told, true) {
            let Skipped { count, files } = self.unreadable.clone();
            let error = DatasetError::Unreadable { files, count };
            if !self.has_given {
                return Err(error);
            }
            tracing::warn!("skipped: {error}");
        }
        Ok(None)
    }

    /// Reads and decodes the next records, at most `wanted`.
    fn decode_more(&mut self, wanted: usize, next: &mut impl FnMut() -> Result<Option<Record>>) {
        if self.is_over || self.pending.is_some() {
            return;
        }
        let (mut records, mut pictures, mut bytes) = (Vec::new(), Vec::new(), 0);
        while records.len() < wanted.min(TOGETHER) && bytes < TOGETHER_BYTES {
            match next() {
                Ok(Some(mut record)) => {
                    bytes += record.bytes();
                    pictures.push(std::mem::replace(&mut record.picture, Encoded::Bytes(Vec::new())));
                    records.push(record);
                }
                Ok(None) => {
                    self.is_over = true;
                    break;
                }
                Err(error) => {
                    self.pending = Some(error);
                    break;
                }
            }
        }
        let decoded = picture::decode_many(pictures, &self.options, &mut self.size);
        self.ready.extend(records.into_iter().zip(decoded));
    }

    /// The error of a picture; nothing is read after it.
    fn failure(&mut self, record: Record, reason: PictureError) -> DatasetError {
        self.ready.clear();
        self.pending = None;
        self.is_over = true;
        match reason {
            PictureError::WrongSize { found, expected } => DatasetError::PictureSize {
                path: record.place,
                found,
                expected,
            },
            source => DatasetError::Picture {
                place: record.place,
                image: self.next,
                source,
            },
        }
    }

    fn add(&mut self, record: Record, picture: &Picture, part: &mut Part) {
        if self.class_names.is_some() {
            part.labels.push(record.label.unwrap_or_default());
        }
        part.files.extend(record.file);
        for (values, value) in part.values.iter_mut().zip(record.values) {
            values.push(value);
        }
        part.pixels.extend_from_slice(picture.pixels());
        part.len += 1;
        self.next += 1;
    }

    fn set(&self, part: Part) -> Result<ImageSet> {
        let (height, width) = self.image_size().unwrap_or_default();
        let mut set = match &self.class_names {
            None => ImageSet::unlabelled(part.pixels, height, width)?,
            Some(names) => ImageSet::new(part.pixels, height, width, part.labels, names.clone())?,
        };
        if part.files.len() == part.len {
            set = set.with_files(part.files)?;
        }
        for (name, values) in self.columns.iter().zip(part.values) {
            set = set.with_column(name.clone(), values)?;
        }
        Ok(set)
    }
}
