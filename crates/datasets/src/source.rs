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
}

/// A set in memory, owned or borrowed, handed out in chunks. Made by [`ImageSet::into_source`] and [`ImageSet::source`].
#[derive(Debug, Clone)]
pub struct SetSource<S = ImageSet> {
    set: S,
    next: usize,
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
}
