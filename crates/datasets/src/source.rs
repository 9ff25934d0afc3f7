//! Images that arrive in chunks, so that any number of them needs only a bounded amount of memory.

use std::borrow::Borrow;
use std::path::PathBuf;

use crate::error::Result;
use crate::image_set::ImageSet;

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

    /// The files that are still to be read, if each image is a file of its own.
    fn files(&self) -> Option<Vec<PathBuf>> {
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

    fn files(&self) -> Option<Vec<PathBuf>> {
        (**self).files()
    }

    fn pick(&mut self, places: &[usize]) -> Result<Option<ImageSet>> {
        (**self).pick(places)
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

    fn pick(&mut self, places: &[usize]) -> Result<Option<ImageSet>> {
        let set = self.set.borrow();
        let places = places.iter().map(|place| place.saturating_add(self.next));
        let inside: Vec<usize> = places.filter(|place| *place < set.len()).collect();
        let picked = set.select(&inside)?;
        self.next = set.len();
        Ok(Some(picked).filter(|picked| !picked.is_empty()))
    }
}
