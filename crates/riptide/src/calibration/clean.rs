//! One reading of clean images: what both networks answer, and a bounded sample of the images themselves.

use std::collections::{BTreeMap, HashSet};

use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riptide_datasets::ImageSet;
use riptide_detectors::{Probabilities, check_rows};
use riptide_files::{Progress, Unit};

use super::{Calibrate, Calibrated, Seen, calibrate, declare, labels};
use crate::error::{Error, Result};
use crate::images::Images;
use crate::pair::Pair;
use crate::probe::Probe;

/// What one reading of clean images leaves.
pub(crate) struct Clean {
    pub(crate) probabilities: Probabilities,
    pub(crate) mirrored: Option<Vec<f32>>,
    /// One an image, or none at all.
    pub(crate) labels: Vec<u32>,
    pub(crate) class_names: Vec<String>,
    pub(crate) probe: Option<Probe>,
    name: String,
    sample: Option<Sampling>,
    size: (usize, usize),
}

/// A sample of images of bounded size, drawn while they are read: each image gets a random number by its place, and those
/// with the smallest stay. It depends on the seed and the number of images alone, not on how they arrive.
pub(crate) struct Sampling {
    n: usize,
    rng: ChaCha8Rng,
    /// Pixels by random number and place.
    kept: BTreeMap<(u64, usize), Vec<u8>>,
}

impl Sampling {
    pub(crate) fn of(config: &Calibrate) -> Self {
        Self::new(config.n_images, config.seed)
    }

    /// A sample of at most `n` images.
    pub(crate) fn new(n: usize, seed: u64) -> Self {
        Self {
            n,
            rng: ChaCha8Rng::seed_from_u64(seed),
            kept: BTreeMap::new(),
        }
    }

    fn offer(&mut self, place: usize, image: &[u8]) {
        let number = self.rng.next_u64();
        let is_full = self.kept.len() >= self.n;
        if is_full && self.kept.last_key_value().is_none_or(|(&(last, _), _)| number >= last) {
            return;
        }
        self.kept.insert((number, place), image.to_vec());
        if self.kept.len() > self.n {
            self.kept.pop_last();
        }
    }

    /// The places and pixels of at most `n` images, in the order of their places.
    fn take(self, n: usize) -> BTreeMap<usize, Vec<u8>> {
        let kept = self.kept.into_iter().take(n);
        kept.map(|((_, place), pixels)| (place, pixels)).collect()
    }
}

impl Clean {
    /// Reads all images, a chunk at a time. Without `sampling` no image is kept.
    pub(crate) fn read(
        pair: &Pair,
        mut images: Images<'_>,
        views: u8,
        mut sampling: Option<Sampling>,
        task: &str,
        progress: &mut dyn Progress,
    ) -> Result<Self> {
        let mut probabilities = Probabilities {
            n_classes: pair.distilled().n_classes(),
            ..Default::default()
        };
        let mut both = (views == 2).then(Vec::new);
        let (mut labels, mut class_names, mut probe) = (Vec::new(), Vec::new(), None);
        progress.begin(task, images.remaining(), Unit::Images);
        while let Some((first, chunk)) = images.next_chunk(pair.input_size())? {
            let rows = pair.probabilities(&chunk).and_then(|rows| {
                check_rows(&rows.classifier, rows.n_classes, "classifier")?;
                check_rows(&rows.distilled, rows.n_classes, "distilled network")?;
                Ok(rows)
            });
            probabilities.extend(&rows.map_err(|error| error.after(first, chunk.files()))?)?;
            if let Some(both) = &mut both {
                both.extend(pair.classifier_probabilities(&declare::mirrored(&chunk)?)?);
            }
            if let Some(sampling) = &mut sampling {
                for (i, image) in chunk.images().enumerate() {
                    sampling.offer(first + i, image);
                }
            }
            progress.advance(chunk.len() as u64);
            labels.extend_from_slice(chunk.labels().unwrap_or_default());
            class_names = chunk.class_names().to_vec();
            // A picture that was passed over may have been the first.
            if probabilities.len() == chunk.len() {
                probe = Probe::of(pair, &chunk)?;
            }
        }
        progress.end();
        if probabilities.is_empty() {
            return Err(images.none());
        }
        Ok(Self {
            probabilities,
            mirrored: both,
            labels,
            class_names,
            probe,
            name: images.name().to_owned(),
            sample: sampling,
            size: pair.input_size(),
        })
    }

    /// At most `n` of the images that were sampled, in their order, without labels.
    pub(crate) fn take_sample(&mut self, n: usize) -> Result<ImageSet> {
        let sample = self.sample.take().map(|sampling| sampling.take(n)).unwrap_or_default();
        let pixels = sample.into_values().flatten().collect();
        Ok(ImageSet::unlabelled(pixels, self.size.0, self.size.1)?)
    }

    /// Calibrates on a sample of these images, the rest of which are the reference.
    pub(crate) fn calibrate(
        mut self,
        pair: &Pair,
        class_names: Option<&[String]>,
        config: &Calibrate,
        progress: &mut dyn Progress,
    ) -> Result<Calibrated> {
        let n = self.probabilities.len();
        let wanted = config.n_images.min(n / 2);
        let (Some(sampling), true) = (self.sample.take(), wanted >= config.least()) else {
            return Err(self.too_few(wanted, config));
        };
        let sample = sampling.take(wanted);
        let places: Vec<usize> = sample.keys().copied().collect();
        let pixels = sample.into_values().flatten().collect();
        let images = ImageSet::unlabelled(pixels, self.size.0, self.size.1)?;
        let mapped = self.mapped(class_names);
        let (labels, note) = told(mapped, config)?;
        let of = |places: &[usize]| -> Option<Vec<u32>> {
            let labels = labels.as_ref()?;
            places.iter().map(|&place| labels.get(place).copied()).collect()
        };
        let chosen: HashSet<usize> = places.iter().copied().collect();
        let rest: Vec<usize> = (0..n).filter(|place| !chosen.contains(place)).collect();
        let reference = Seen {
            labels: of(&rest),
            ..self.seen(&rest)
        };
        let made = calibrate(pair, &images, of(&places), &reference, config, progress)?;
        Ok(Calibrated { note, ..made })
    }

    /// Calibrates on other images; all of these are the reference.
    pub(crate) fn calibrate_on(
        &self,
        pair: &Pair,
        images: &ImageSet,
        class_names: Option<&[String]>,
        config: &Calibrate,
        progress: &mut dyn Progress,
    ) -> Result<Calibrated> {
        let n = images.len().min(config.n_images);
        if n < config.least() {
            return Err(self.too_few(n, config));
        }
        let images = &images.slice(0..n)?;
        let (labels, note) = told(self.mapped(class_names), config)?;
        // What the reference's answers say of the labels' order holds for the other images of the same set.
        let other = images
            .labels()
            .filter(|_| labels.is_some())
            .map(|labels| labels::renamed(labels, images.class_names(), class_names, self.probabilities.n_classes));
        let other = match other.transpose() {
            Ok(labels) => labels,
            Err(reason) => return Err(Error::Calibration { reason }),
        };
        let all: Vec<usize> = (0..self.probabilities.len()).collect();
        let reference = Seen {
            labels,
            ..self.seen(&all)
        };
        let made = calibrate(pair, images, other, &reference, config, progress)?;
        Ok(Calibrated { note, ..made })
    }

    /// The labels in the classifier's classes, if there are any: or why they cannot be used.
    fn mapped(&self, class_names: Option<&[String]>) -> Option<Result<Vec<u32>, String>> {
        if self.labels.len() != self.probabilities.len() {
            return None;
        }
        let answers = self.probabilities.predicted_classes();
        let n_classes = self.probabilities.n_classes;
        let mapped = labels::renamed(&self.labels, &self.class_names, class_names, n_classes);
        Some(mapped.and_then(|labels| labels::believed(labels, &answers, n_classes)))
    }

    /// What was answered to the images at these places.
    fn seen(&self, places: &[usize]) -> Seen {
        let n_classes = self.probabilities.n_classes;
        let rows = |values: &[f32]| {
            let rows = places
                .iter()
                .filter_map(|&place| values.get(place * n_classes..(place + 1) * n_classes));
            rows.flatten().copied().collect::<Vec<f32>>()
        };
        Seen {
            probabilities: Probabilities {
                classifier: rows(&self.probabilities.classifier),
                distilled: rows(&self.probabilities.distilled),
                n_classes,
            },
            mirrored: self.mirrored.as_deref().map(rows),
            labels: None,
        }
    }

    fn too_few(&self, n: usize, config: &Calibrate) -> Error {
        Error::TooFew {
            name: self.name.clone(),
            reason: format!(
                "{n} images could be kept apart for the calibration, which needs at least {}; give more images that neither \
                 network was trained on",
                config.least()
            ),
        }
    }
}

/// The labels if they can be used; if not, what to say, or an error if labels were asked for.
fn told(mapped: Option<Result<Vec<u32>, String>>, config: &Calibrate) -> Result<(Option<Vec<u32>>, Option<String>)> {
    use riptide_detectors::accuracy::Target;
    match mapped {
        None => Ok((None, None)),
        Some(Ok(labels)) => Ok((Some(labels), None)),
        Some(Err(reason)) if config.target == Some(Target::Errors) => Err(Error::Calibration { reason }),
        Some(Err(reason)) => {
            let note =
                format!("the labels are not used: {reason}; the calibration learns from changed answers instead");
            Ok((None, Some(note)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: usize, of: usize, take: usize) -> Vec<usize> {
        let config = Calibrate::default().n_images(n).seed(3);
        let mut sampling = Sampling::of(&config);
        (0..of).for_each(|place| sampling.offer(place, &[place as u8]));
        let taken = sampling.take(take);
        assert!(taken.iter().all(|(&place, pixels)| pixels == &[place as u8]));
        taken.into_keys().collect()
    }

    #[test]
    fn a_sample_is_bounded_in_order_and_a_part_of_the_larger_one() {
        let (small, large) = (sample(10, 100, 10), sample(50, 100, 50));
        assert_eq!((small.len(), large.len()), (10, 50));
        assert!(small.is_sorted() && small.iter().all(|place| large.contains(place)));
        assert_eq!(sample(50, 100, 10), small);
        assert_eq!(sample(50, 8, 4).len(), 4);
    }
}
