//! Images from anywhere, a bounded number at a time.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use riptide_datasets::source::SetSource;
use riptide_datasets::table::ProbabilityRows;
use riptide_datasets::{Framing, ImageSet, ImageSource, OpenOptions, Skipped};
use riptide_models::Network;
use riptide_models::onnx::Check;

use crate::classifier::Classifier;
use crate::error::{Error, Result};
use crate::labelled::labelled;
use crate::locate::locate;

/// The most images that a classifier from an ONNX file is checked on.
const CHECKED: usize = 64;

/// Images that are read a chunk at a time, so that any number of them takes a bounded amount of memory.
///
/// Everything that scores takes them: a path that was [opened](Self::open), a set in memory (`ImageSet` or `&ImageSet`), or
/// any [`ImageSource`] of your own.
pub struct Images<'a> {
    source: Box<dyn ImageSource + 'a>,
    name: String,
    logged: Option<ProbabilityRows>,
    framing: Framing,
    next: usize,
    /// Opens the same images once more, if that is possible.
    again: Option<Again<'a>>,
}

/// Reads the images at some places from a source that is opened anew, see [`ImageSource::pick`].
type Pick<'a> = dyn Fn(&[usize]) -> riptide_datasets::Result<Option<ImageSet>> + 'a;

/// From where images come once more.
enum Again<'a> {
    Source(Box<Pick<'a>>),
    Path(PathBuf, OpenOptions),
    Owned(Arc<ImageSet>),
    Borrowed(&'a ImageSet),
}

impl Again<'_> {
    /// The images at `places`, which ascend.
    fn pick(&self, places: &[usize]) -> Result<Option<ImageSet>> {
        Ok(match self {
            Self::Source(pick) => pick(places)?,
            Self::Path(path, options) => riptide_datasets::open(path, options.clone())?.pick(places)?,
            Self::Owned(set) => set.source().pick(places)?,
            Self::Borrowed(set) => set.source().pick(places)?,
        })
    }
}

impl Images<'static> {
    /// Opens what is at `path`: a folder of pictures (one folder a class, or flat), a glob pattern, one picture; a `.npy` array or
    /// one from a `.npz` archive; tar shards, a CSV table that lists pictures, with the feature `parquet` Parquet files; a folder,
    /// archive or batch file of CIFAR-10; `-` for standard input; or with the feature `fetch` an address
    /// `hf://OWNER/REPO/FILE.npy`. See [`riptide_datasets::open`].
    ///
    /// # Errors
    /// [`Error::Images`] if it cannot be read, [`Error::FeatureMissing`] for an address without the feature.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, OpenOptions::default())
    }

    /// As [`open`](Self::open), with options: how pictures are framed, which columns of a table are what, and the like.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        let local = locate(path)?.into_owned();
        let source = riptide_datasets::open(&local, options.clone())?;
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
            source: Box::new(source),
            name: name.into(),
            logged: None,
            framing: Framing::Keep,
            next: 0,
            again: None,
        }
    }

    /// Images from a source that can be opened more than once: a classifier's file can then be checked on a few of them, and labels
    /// of theirs are looked at, before the first is read. `name` stands in errors; `framing` is what picture files among them are framed
    /// with, see [`framing`](Self::framing).
    ///
    /// ```
    /// use riptide::datasets::{Framing, ImageSource};
    /// use riptide::prelude::*;
    ///
    /// let pixels = vec![7; 5 * 4 * 4 * 3];
    /// let open = || Ok(Box::new(ImageSet::unlabelled(pixels.clone(), 4, 4)?.into_source()) as Box<dyn ImageSource>);
    /// let images = Images::reopened("seven", Framing::Keep, open)?;
    /// assert_eq!((images.remaining(), images.image_size()), (Some(5), Some((4, 4))));
    /// # Ok::<(), riptide::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Images`] if it cannot be opened.
    pub fn reopened(
        name: impl Into<String>,
        framing: Framing,
        open: impl Fn() -> riptide_datasets::Result<Box<dyn ImageSource + 'a>> + 'a,
    ) -> Result<Self> {
        let source = open()?;
        let pick: Box<Pick<'a>> = Box::new(move |places| open()?.pick(places));
        Ok(Self {
            framing,
            again: Some(Again::Source(pick)),
            ..Self::named(name, source)
        })
    }

    /// The same images with labels from elsewhere, one an image in their order: the place of the class among the classifier's
    /// outputs, from 0.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the number of images is known and another.
    pub fn with_labels(self, labels: Vec<u32>) -> Result<Self> {
        Ok(Self {
            source: Box::new(labelled(self.source, labels)?),
            ..self
        })
    }

    /// At most `n` of the images with labels, chosen by chance from all, with their places among all; these images stay as they are.
    /// `None` if they have no labels, cannot be read twice, do not say how many they are, or come with logged probabilities.
    pub(crate) fn labelled_sample(&self, n: usize, size: (usize, usize)) -> Result<Option<(Vec<usize>, ImageSet)>> {
        let (Some(again), Some(total), None) = (&self.again, self.remaining(), &self.logged) else {
            return Ok(None);
        };
        if total == 0 || again.pick(&[0])?.is_none_or(|one| one.labels().is_none()) {
            return Ok(None);
        }
        // By chance, since folders are sorted by class; ascending, since a source only goes forward.
        let mut places: Vec<usize> = (0..usize::try_from(total).unwrap_or(usize::MAX)).collect();
        places.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
        places.truncate(n);
        places.sort_unstable();
        let all = again.pick(&places)?.filter(|all| all.labels().is_some());
        if let Some(all) = &all {
            self.check_size((all.height(), all.width()), size)?;
        }
        places.truncate(all.as_ref().map_or(0, ImageSet::len));
        Ok(all.map(|all| (places, all)))
    }

    /// [Checks](Classifier::verify) a classifier on a few of the images, taken evenly from all; these images stay as they are.
    /// `None` if they cannot be read twice or do not say how many they are: the classifier is then as it was opened.
    pub(crate) fn verify(&self, classifier: &mut Classifier) -> Result<Option<Check>> {
        let (Some(again), Some(total)) = (&self.again, self.remaining()) else {
            return Ok(None);
        };
        if classifier.network().and_then(Network::onnx).is_none() {
            return Ok(None);
        }
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        let n = total.min(CHECKED);
        let places: Vec<usize> = (0..n).map(|i| i * (total / n.max(1))).collect();
        let Some(few) = again.pick(&places)? else {
            return Ok(None);
        };
        self.check_size((few.height(), few.width()), classifier.input_size())?;
        let place = |image: usize| places.get(image).copied().unwrap_or(image);
        classifier.verify(&few).map_err(|error| error.at(place, |_| None))
    }

    /// How picture files are framed when they are read; a monitor that is fitted on these images keeps it.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// How many images are still to come, if that is known.
    pub fn remaining(&self) -> Option<u64> {
        self.source.remaining()
    }

    /// Height and width of the images, if they are known before one is read.
    pub fn image_size(&self) -> Option<(usize, usize)> {
        self.source.image_size()
    }

    /// The same images, each with the class probabilities that the classifier gave it, which are read row for row with them: for
    /// a [logged](crate::Classifier::logged) classifier.
    ///
    /// More rows than images, or fewer, are an error when the images end.
    #[must_use]
    pub fn with_probabilities(mut self, rows: ProbabilityRows) -> Self {
        self.logged = Some(rows);
        self
    }

    /// The pictures so far that were passed over because they cannot be read, if the images were opened so
    /// ([`OpenOptions::on_error`]). Their places count: the image after one is not called by its number.
    pub fn unreadable(&self) -> Option<&Skipped> {
        self.source.unreadable()
    }

    /// Where the images come from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of images that are read at a time: enough to keep every core busy, little beside the networks themselves.
    const CHUNK_BYTES: usize = 12 << 20;

    /// Images of one chunk of a live stream whose reader did not say how many it needs.
    const LIVE_CHUNK: usize = 64;

    /// The next images of `size` (height, width), with the place of the first among all; `None` at the end.
    pub(crate) fn next_chunk(&mut self, size: (usize, usize)) -> Result<Option<(usize, ImageSet)>> {
        self.next_at_most(usize::MAX, size)
    }

    /// As [`next_chunk`](Self::next_chunk), at most `max` images.
    pub(crate) fn next_at_most(&mut self, max: usize, size: (usize, usize)) -> Result<Option<(usize, ImageSet)>> {
        if let Some(found) = self.source.image_size() {
            self.check_size(found, size)?;
        }
        let bytes = size.0.saturating_mul(size.1).saturating_mul(3).max(1);
        let chunk = self.source.next_chunk((Self::CHUNK_BYTES / bytes).min(max).max(1))?;
        // The places of pictures that were passed over count.
        let skipped = self.unreadable().map_or(0, |skipped| skipped.count);
        let first = self.next + usize::try_from(skipped).unwrap_or(usize::MAX);
        let Some(chunk) = chunk else {
            self.check_end(first)?;
            return Ok(None);
        };
        self.check_size((chunk.height(), chunk.width()), size)?;
        self.next += chunk.len();
        Ok(Some((first, self.log(first, chunk)?)))
    }

    /// Puts the logged probabilities on a chunk, if there are any.
    fn log(&mut self, first: usize, chunk: ImageSet) -> Result<ImageSet> {
        let Some(rows) = &mut self.logged else {
            return Ok(chunk);
        };
        rows.skip_to(first as u64)?;
        let probabilities = rows.next_rows(chunk.len())?;
        if probabilities.len() != chunk.len() * rows.n_classes() {
            return Err(Error::Logged {
                name: rows.path().display().to_string(),
                reason: format!("{} rows, but there are more images in {}", rows.position(), self.name),
            });
        }
        Ok(chunk.with_probabilities(rows.n_classes(), probabilities)?)
    }

    /// Returns an error if there are more logged probabilities than the `n` images.
    fn check_end(&mut self, n: usize) -> Result<()> {
        let Some(rows) = &mut self.logged else {
            return Ok(());
        };
        rows.skip_to(n as u64)?;
        match rows.position() == n as u64 && rows.next_rows(1)?.is_empty() {
            true => Ok(()),
            false => Err(Error::Logged {
                name: rows.path().display().to_string(),
                reason: format!("not as many rows as the {n} images of {}", self.name),
            }),
        }
    }

    fn check_size(&self, found: (usize, usize), expected: (usize, usize)) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        Err(Error::ImageSize {
            name: self.name.clone(),
            found,
            expected,
        })
    }

    /// How many images to ask for if `needed` of them complete an answer: all of these of a live stream, so that the answer
    /// does not wait for later ones, and a whole chunk of anything else, which costs less.
    pub(crate) fn enough_for(&self, needed: Option<usize>) -> usize {
        match self.source.is_live() {
            true => needed.unwrap_or(Self::LIVE_CHUNK),
            false => usize::MAX,
        }
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
}
