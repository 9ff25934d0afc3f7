//! Images from anywhere, a bounded number at a time.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use riptide_datasets::source::SetSource;
use riptide_datasets::{Framing, ImageSet, ImageSource, OpenOptions};

use crate::error::{Error, Result};
use crate::locate::locate;

/// Images that are read a chunk at a time, so that any number of them takes a bounded amount of memory.
///
/// Everything that scores takes them: a path that was [opened](Self::open), a set in memory (`ImageSet` or `&ImageSet`), or
/// any [`ImageSource`] of your own.
pub struct Images<'a> {
    source: Box<dyn ImageSource + 'a>,
    name: String,
    files: Option<Vec<PathBuf>>,
    framing: Framing,
    next: usize,
    /// What was looked at already and is still to come.
    ahead: Option<ImageSet>,
    /// Opens the same images once more, if that is possible.
    again: Option<Again<'a>>,
}

/// From where images come once more.
enum Again<'a> {
    Path(PathBuf, OpenOptions),
    Owned(Arc<ImageSet>),
    Borrowed(&'a ImageSet),
}

impl Again<'_> {
    fn open(&self) -> Result<Box<dyn ImageSource + '_>> {
        Ok(match self {
            Self::Path(path, options) => riptide_datasets::open(path, *options)?,
            Self::Owned(set) => Box::new(set.source()),
            Self::Borrowed(set) => Box::new(set.source()),
        })
    }
}

impl Images<'static> {
    /// Opens what is at `path`: a `.npy` file of uint8 (N, H, W, 3), a folder, archive or batch file of CIFAR-10, a folder of
    /// pictures (one folder a class, or flat), a glob pattern, one picture, `-` for a `.npy` stream on standard input, or with
    /// the feature `fetch` an address `hf://OWNER/REPO/FILE.npy`.
    ///
    /// # Errors
    /// [`Error::Images`] if it cannot be read, [`Error::FeatureMissing`] for an address without the feature.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, OpenOptions::default())
    }

    /// As [`open`](Self::open), with the part of CIFAR-10 and the size that pictures are stretched to.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        let local = locate(path)?.into_owned();
        let source = riptide_datasets::open(&local, options)?;
        // Standard input comes only once.
        let is_stream = path.as_os_str() == "-";
        Ok(Self {
            framing: options.pictures.framing,
            again: (!is_stream).then_some(Again::Path(local, options)),
            ..Self::named(path.display().to_string(), source)
        })
    }
}

impl<'a> Images<'a> {
    /// Images from a source; `name` stands in errors.
    pub fn named(name: impl Into<String>, source: impl ImageSource + 'a) -> Self {
        Self {
            files: source.files(),
            source: Box::new(source),
            name: name.into(),
            framing: Framing::Keep,
            next: 0,
            ahead: None,
            again: None,
        }
    }

    /// At most `n` of the images with labels, chosen by chance from all, with their places among all; these images stay as they are.
    /// `None` if they have no labels, cannot be read twice, or do not say how many they are.
    pub(crate) fn labelled_sample(&self, n: usize, size: (usize, usize)) -> Result<Option<(Vec<usize>, ImageSet)>> {
        match &self.again {
            Some(again) if again.open()?.next_chunk(1)?.is_some_and(|one| one.labels().is_some()) => {
                self.sample(n, size)
            }
            _ => Ok(None),
        }
    }

    /// At most `n` of the images, with their places among all: chosen by chance from all, or if they can be read only once the first ones.
    /// These images stay as they are. `None` if there are none.
    pub(crate) fn some(&mut self, n: usize, size: (usize, usize)) -> Result<Option<(Vec<usize>, ImageSet)>> {
        if let Some(sample) = self.sample(n, size)? {
            return Ok(Some(sample));
        }
        if self.ahead.is_none() {
            let next = self.next;
            self.ahead = self.next_chunk(size)?.map(|(_, chunk)| chunk);
            self.next = next;
        }
        let Some(ahead) = &self.ahead else {
            return Ok(None);
        };
        let first = ahead.slice(0..ahead.len().min(n))?;
        Ok(Some(((self.next..self.next + first.len()).collect(), first)))
    }

    fn sample(&self, n: usize, size: (usize, usize)) -> Result<Option<(Vec<usize>, ImageSet)>> {
        let (Some(again), Some(total)) = (&self.again, self.remaining()) else {
            return Ok(None);
        };
        // By chance, since folders are sorted by class; ascending, since a source only goes forward.
        let mut places: Vec<usize> = (0..usize::try_from(total).unwrap_or(usize::MAX)).collect();
        places.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
        places.truncate(n);
        places.sort_unstable();
        let all = again.open()?.pick(&places)?;
        if let Some(all) = &all {
            self.check_size(all, size)?;
        }
        places.truncate(all.as_ref().map_or(0, ImageSet::len));
        Ok(all.map(|all| (places, all)))
    }

    /// How picture files are framed when they are read; a monitor that is fitted on these images keeps it.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// How many images are still to come, if that is known.
    pub fn remaining(&self) -> Option<u64> {
        let ahead = self.ahead.as_ref().map_or(0, ImageSet::len) as u64;
        Some(self.source.remaining()? + ahead)
    }

    /// The files, in order, if each image is a file of its own.
    pub fn files(&self) -> Option<&[PathBuf]> {
        self.files.as_deref()
    }

    /// Where the images come from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of images that are read at a time: enough to keep every core busy, little beside the networks themselves.
    const CHUNK_BYTES: usize = 12 << 20;

    /// The next images of `size` (height, width), with the place of the first among all; `None` at the end.
    pub(crate) fn next_chunk(&mut self, size: (usize, usize)) -> Result<Option<(usize, ImageSet)>> {
        let bytes = size.0.saturating_mul(size.1).saturating_mul(3).max(1);
        let chunk = match self.ahead.take() {
            None => self.source.next_chunk((Self::CHUNK_BYTES / bytes).max(1))?,
            ahead => ahead,
        };
        let Some(chunk) = chunk else {
            return Ok(None);
        };
        self.check_size(&chunk, size)?;
        let first = self.next;
        self.next += chunk.len();
        Ok(Some((first, chunk)))
    }

    fn check_size(&self, images: &ImageSet, expected: (usize, usize)) -> Result<()> {
        let found = (images.height(), images.width());
        if found == expected {
            return Ok(());
        }
        Err(Error::ImageSize {
            name: self.name.clone(),
            found,
            expected,
        })
    }

    /// Whether nothing has been read yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.next == 0
    }

    /// The error if there are no images.
    pub(crate) fn none(&self) -> Error {
        Error::TooFew {
            name: self.name.clone(),
            reason: "no images".into(),
        }
    }

    /// Reads everything that is left into memory; all must be of `size` (height, width).
    ///
    /// # Errors
    /// [`Error::Images`] if reading fails, [`Error::ImageSize`], [`Error::TooFew`] if there are none.
    pub fn read_all(mut self, size: (usize, usize)) -> Result<ImageSet> {
        let mut all: Option<ImageSet> = None;
        while let Some((_, chunk)) = self.next_chunk(size)? {
            match &mut all {
                None => all = Some(chunk),
                Some(all) => all.append(&chunk)?,
            }
        }
        all.ok_or_else(|| self.none())
    }
}

impl fmt::Debug for Images<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images")
            .field("name", &self.name)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

impl From<ImageSet> for Images<'_> {
    fn from(set: ImageSet) -> Self {
        let set = Arc::new(set);
        Self {
            again: Some(Again::Owned(Arc::clone(&set))),
            ..Self::named("the images", SetSource::new(set))
        }
    }
}

impl<'a> From<&'a ImageSet> for Images<'a> {
    fn from(set: &'a ImageSet) -> Self {
        Self {
            again: Some(Again::Borrowed(set)),
            ..Self::named("the images", set.source())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_labelled_sample_is_of_all_classes_and_leaves_the_images_as_they_are() {
        let pixels: Vec<u8> = (0..5000u32)
            .flat_map(|i| [(i / 256) as u8, (i % 256) as u8, 0])
            .collect();
        let labels: Vec<u32> = (0..5000).map(|i| i / 500).collect();
        let names = (0..10).map(|class| class.to_string()).collect();
        let set = ImageSet::new(pixels, 1, 1, labels, names).unwrap();
        let mut images = Images::from(&set);
        let (places, sample) = images.labelled_sample(512, (1, 1)).unwrap().unwrap();
        assert_eq!((places.len(), sample.len()), (512, 512));
        assert_eq!(sample.pixels(), set.select(&places).unwrap().pixels());
        let mut classes = sample.labels().unwrap().to_vec();
        classes.dedup();
        assert_eq!(classes, (0..10).collect::<Vec<_>>());
        assert_eq!(
            images
                .next_chunk((1, 1))
                .unwrap()
                .map(|(first, chunk)| (first, chunk.len())),
            Some((0, 5000))
        );
        assert!(matches!(
            Images::from(&set).labelled_sample(512, (2, 1)),
            Err(Error::ImageSize { .. })
        ));
        let unlabelled = ImageSet::unlabelled(vec![0; 30], 1, 1).unwrap();
        assert!(Images::from(unlabelled).labelled_sample(5, (1, 1)).unwrap().is_none());
    }

    #[test]
    fn images_that_come_once_are_looked_at_and_come_all_the_same() {
        let set = ImageSet::unlabelled((0..30).collect(), 1, 1).unwrap();
        let mut images = Images::named("a stream", set.clone().into_source());
        for _ in 0..2 {
            let (places, some) = images.some(3, (1, 1)).unwrap().unwrap();
            assert_eq!((places, some.pixels()), (vec![0, 1, 2], &set.pixels()[..9]));
            assert_eq!(images.remaining(), Some(10));
        }
        assert_eq!(images.read_all((1, 1)).unwrap().pixels(), set.pixels());
    }
}
