//! Images that arrive in chunks, so that any number of them needs only a bounded amount of memory.

use std::borrow::Borrow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::image_set::ImageSet;
use crate::picture::PictureError;

/// Images that are read a chunk at a time.
///
/// All chunks of a source have the same height, width and class names, and either all have labels or none has.
pub trait ImageSource {
    /// The next images, at most `max` of them (and at least one); `None` at the end.
    ///
    /// `max` 0 is taken as 1.
    ///
    /// # Errors
    /// Returns an error if the file behind it is broken or cannot be read. After an error the source must not be read on.
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>>;

    /// How many images are still to come, if that is known beforehand.
    fn remaining(&self) -> Option<u64>;

    /// Height and width of the images, if they are known before one is read.
    fn image_size(&self) -> Option<(usize, usize)> {
        None
    }

    /// Whether images may still be on their way, as from a camera: whoever wants to answer in time asks for no more than the
    /// answer needs.
    fn is_live(&self) -> bool {
        false
    }

    /// The pictures before the end of the last chunk that were passed over because they cannot be read, if any ever are.
    ///
    /// A source that passes over a picture ends the chunk before it. The place of a chunk's first image among all of the input is
    /// therefore the number of images handed out before the chunk, plus [`Skipped::count`] after it was handed out.
    fn unreadable(&self) -> Option<&Skipped> {
        None
    }

    /// Reads only the images at these places, which ascend and count from the next image; places beyond the last are passed over.
    /// `None` if there are none. What is left afterwards is not defined. Sources that can pass over images without decoding them do so.
    ///
    /// # Errors
    /// As [`next_chunk`](Self::next_chunk).
    fn pick(&mut self, places: &[usize]) -> Result<Option<ImageSet>> {
        const CHUNK: usize = 256;
        let (mut places, mut first, mut all) = (places.iter().copied().peekable(), 0, None::<ImageSet>);
        while places.peek().is_some()
            && let Some(chunk) = self.next_chunk(CHUNK)?
        {
            let end = first + chunk.len();
            let inside: Vec<usize> = std::iter::from_fn(|| places.next_if(|place| *place < end))
                .filter_map(|place| place.checked_sub(first))
                .collect();
            first = end;
            let picked = chunk.select(&inside)?;
            match &mut all {
                None => all = Some(picked),
                Some(all) => all.append(&picked)?,
            }
        }
        Ok(all.filter(|all| !all.is_empty()))
    }

    /// Reads everything that is left into one set; `None` when there was nothing left.
    ///
    /// # Errors
    /// As [`next_chunk`](Self::next_chunk).
    fn read_all(&mut self) -> Result<Option<ImageSet>> {
        const CHUNK: usize = 8192;
        let Some(mut all) = self.next_chunk(CHUNK)? else {
            return Ok(None);
        };
        while let Some(more) = self.next_chunk(CHUNK)? {
            all.append(&more)?;
        }
        Ok(Some(all))
    }
}

impl<S: ImageSource + ?Sized> ImageSource for Box<S> {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        (**self).next_chunk(max)
    }

    fn remaining(&self) -> Option<u64> {
        (**self).remaining()
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        (**self).image_size()
    }

    fn is_live(&self) -> bool {
        (**self).is_live()
    }

    fn pick(&mut self, places: &[usize]) -> Result<Option<ImageSet>> {
        (**self).pick(places)
    }

    fn unreadable(&self) -> Option<&Skipped> {
        (**self).unreadable()
    }
}

/// What to do about pictures that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnError {
    /// Return an error.
    #[default]
    Fail,
    /// Pass over them, and count and name them ([`ImageSource::unreadable`]). If none can be read it is an error all the same.
    Skip,
}

/// Pictures that were passed over because they cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// The first hundred, with the reasons.
    pub files: Vec<(PathBuf, PictureError)>,
}

impl Skipped {
    const NAMED: usize = 100;

    pub(crate) fn note(&mut self, path: PathBuf, reason: PictureError) {
        self.count += 1;
        if self.files.len() < Self::NAMED {
            self.files.push((path, reason));
        }
    }
}

/// A set in memory, owned or borrowed, handed out in chunks. Made by [`ImageSet::into_source`] and [`ImageSet::source`].
#[derive(Debug, Clone)]
pub struct SetSource<S = ImageSet> {
    set: S,
    next: usize,
}

impl<S: Borrow<ImageSet>> SetSource<S> {
    /// A set behind any pointer as an [`ImageSource`].
    pub fn new(set: S) -> Self {
        Self { set, next: 0 }
    }
}

impl ImageSet {
    /// The set as an [`ImageSource`].
    pub fn into_source(self) -> SetSource {
        SetSource { set: self, next: 0 }
    }

    /// The set as an [`ImageSource`] that leaves it where it is.
    pub fn source(&self) -> SetSource<&Self> {
        SetSource { set: self, next: 0 }
    }
}

impl<S: Borrow<ImageSet>> ImageSource for SetSource<S> {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        let set = self.set.borrow();
        let end = self.next.saturating_add(max.max(1)).min(set.len());
        if self.next == end {
            return Ok(None);
        }
        let chunk = set.slice(self.next..end)?;
        self.next = end;
        Ok(Some(chunk))
    }

    fn remaining(&self) -> Option<u64> {
        Some((self.set.borrow().len() - self.next) as u64)
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        let set = self.set.borrow();
        Some((set.height(), set.width()))
    }

    fn pick(&mut self, places: &[usize]) -> Result<Option<ImageSet>> {
        let set = self.set.borrow();
        let places = places.iter().map(|place| place.saturating_add(self.next));
        let inside: Vec<usize> = places.filter(|place| *place < set.len()).collect();
        let picked = set.select(&inside)?;
        self.next = set.len();
        Ok(Some(picked).filter(|picked| !picked.is_empty()))
    }
}
