//! A monitor tried on corrupted images of its own before it is relied on.

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use riptide_corruptions::{Corruption, Corruptor, Severity};
use riptide_datasets::ImageSet;
use riptide_files::{Progress, Unit};
use serde::Serialize;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::outcome::Outcome;

/// Corrupts clean images that the distilled network was not trained on, and sees whether the monitor finds the harm: whether the
/// verdict of a calibrated monitor is harmful or outside what was declared, and whether the harm test of another alarms.
///
/// No labels are needed: harm is counted as flips, images to which the classifier no longer gives the answer that it gave
/// their clean twins. Batches are drawn from the corrupted images without replacement: drawn with it, a few images that happen
/// to be harder than the reference would count as many, and clean batches would be found harmful. So no batch is larger than
/// the number of images, and a batch of all of them is drawn once.
///
/// ```no_run
/// use riptide::SelfTest;
/// use riptide::prelude::*;
///
/// let fit = Fit::default();
/// let fitted = fit.run_with(Classifier::open("classifier.onnx")?, Images::open("training/")?, None, &mut Silent)?;
/// let images = fitted.held_out.sample(500)?;
/// let tested = SelfTest::default().run(&fitted.monitor, &images, &mut Silent)?;
/// for row in tested.missed() {
///     println!("{} {} is not found", row.corruption, row.severity);
/// }
/// # Ok::<(), riptide::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SelfTest {
    /// The corruptions; noise, contrast, fog, blur and brightness by default.
    pub corruptions: Vec<Corruption>,
    /// The severities; 3 and 5 by default.
    pub severities: Vec<Severity>,
    /// The sizes of the batches, each at least 1; 100 and 500 by default. Those above the number of images are left out; if all
    /// are, all images are one batch.
    pub batch_sizes: Vec<usize>,
    /// Batches of each size, at least 1; 20 by default.
    pub n_batches: usize,
    /// Decides the corruptions' noise and the batches.
    pub seed: u64,
}

impl Default for SelfTest {
    fn default() -> Self {
        Self {
            corruptions: vec![
                Corruption::GaussianNoise,
                Corruption::Contrast,
                Corruption::Fog,
                Corruption::DefocusBlur,
                Corruption::Brightness,
            ],
            severities: vec![Severity::ALL[2], Severity::ALL[4]],
            batch_sizes: vec![100, 500],
            n_batches: 20,
            seed: 0,
        }
    }
}

/// What a [`SelfTest`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SelfTested {
    /// Number of images.
    pub n_images: usize,
    /// Share of the clean batches that were found harmful, for each batch size; large if the images are unlike the reference.
    pub clean: Vec<Found>,
    /// One row for each corruption at each severity.
    pub rows: Vec<SelfTestRow>,
}

/// One corruption at one severity.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SelfTestRow {
    /// The corruption.
    pub corruption: Corruption,
    /// Its severity.
    pub severity: Severity,
    /// Share of the images to which the classifier gives another class than to their clean twins.
    pub flipped: f64,
    /// How often it was found, for each batch size.
    pub found: Vec<Found>,
}

/// How many of some batches were found harmful.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Found {
    /// Images of a batch.
    pub batch_size: usize,
    /// Share of the batches that were found harmful.
    pub share: f64,
}

impl SelfTested {
    /// From this share of flips on, a corruption does harm that should be found.
    pub const HARM: f64 = 0.1;
    /// Below this share of flips, a corruption does so little harm that it should not be found.
    pub const HARMLESS: f64 = 0.03;

    /// The rows whose harm fewer than half of the largest batches showed.
    pub fn missed(&self) -> impl Iterator<Item = &SelfTestRow> {
        let missed = |row: &&SelfTestRow| row.flipped >= Self::HARM && row.share_of_largest() < 0.5;
        self.rows.iter().filter(missed)
    }

    /// The rows that do next to no harm, and that at least half of the largest batches were found harmful with.
    pub fn false_alarms(&self) -> impl Iterator<Item = &SelfTestRow> {
        let alarmed = |row: &&SelfTestRow| row.flipped < Self::HARMLESS && row.share_of_largest() >= 0.5;
        self.rows.iter().filter(alarmed)
    }
}

impl SelfTestRow {
    fn share_of_largest(&self) -> f64 {
        let largest = self.found.iter().max_by_key(|found| found.batch_size);
        largest.map_or(0.0, |found| found.share)
    }
}

impl SelfTest {
    /// Sets what decides the corruptions' noise and the batches.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the sizes of the batches.
    #[must_use]
    pub fn batch_sizes(mut self, batch_sizes: impl Into<Vec<usize>>) -> Self {
        self.batch_sizes = batch_sizes.into();
        self
    }

    /// Sets the number of batches of each size.
    #[must_use]
    pub fn n_batches(mut self, n_batches: usize) -> Self {
        self.n_batches = n_batches;
        self
    }

    /// Sets the corruptions.
    #[must_use]
    pub fn corruptions(mut self, corruptions: impl Into<Vec<Corruption>>) -> Self {
        self.corruptions = corruptions.into();
        self
    }

    /// Sets the severities.
    #[must_use]
    pub fn severities(mut self, severities: impl Into<Vec<Severity>>) -> Self {
        self.severities = severities.into();
        self
    }

    /// Tries a monitor on `images`, clean ones of the monitor's size that its distilled network was not trained on; each goes through
    /// both networks once as it is and once for each corruption and severity.
    ///
    /// # Errors
    /// [`Error::Option`] for a size or number of batches of 0, [`Error::TooFew`] if there are no images,
    /// and as [`Monitor::score`].
    pub fn run(&self, monitor: &Monitor, images: &ImageSet, progress: &mut dyn Progress) -> Result<SelfTested> {
        if self.n_batches == 0 || self.batch_sizes.contains(&0) {
            return Err(Error::option("number or size of batches", 0, "at least 1"));
        }
        let mut sizes = self.batch_sizes.clone();
        sizes.retain(|&size| size <= images.len());
        if sizes.is_empty() {
            sizes.push(images.len());
        }
        let passes = 1 + self.corruptions.len() * self.severities.len();
        progress.begin(
            "testing the monitor",
            Some((passes * images.len()) as u64),
            Unit::Images,
        );
        let corruptor = Corruptor::new(self.seed);
        let clean = pass(monitor, images, None, progress)?;
        let mut stream = 0;
        let mut found = |images: &[Batch]| -> Result<Vec<Found>> {
            stream += 1;
            sizes
                .iter()
                .map(|&batch_size| self.found(monitor, images, batch_size, stream))
                .collect()
        };
        let mut tested = SelfTested {
            n_images: images.len(),
            clean: found(&clean.images)?,
            rows: Vec::new(),
        };
        for &corruption in &self.corruptions {
            for &severity in &self.severities {
                let corrupted = pass(monitor, images, Some((&corruptor, corruption, severity)), progress)?;
                let pairs = clean.answers.iter().zip(&corrupted.answers);
                let flips = pairs.filter(|(a, b)| a != b).count();
                tested.rows.push(SelfTestRow {
                    corruption,
                    severity,
                    flipped: flips as f64 / images.len() as f64,
                    found: found(&corrupted.images)?,
                });
            }
        }
        progress.end();
        Ok(tested)
    }

    /// Batches drawn from the images, by a stream of random numbers of their own.
    fn found(&self, monitor: &Monitor, images: &[Batch], batch_size: usize, stream: u64) -> Result<Found> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream << 32 | batch_size as u64);
        let n_batches = if batch_size == images.len() { 1 } else { self.n_batches };
        let mut n_found = 0;
        for _ in 0..n_batches {
            let mut batch = Batch::default();
            for at in index::sample(&mut rng, images.len(), batch_size) {
                if let Some(image) = images.get(at) {
                    batch.merge(image)?;
                }
            }
            let outcome = Outcome::new(monitor, &batch)?;
            n_found += usize::from(match outcome.verdict {
                Some(_) => outcome.is_alarming(),
                None => outcome.is_harmful,
            });
        }
        Ok(Found {
            batch_size,
            share: n_found as f64 / n_batches as f64,
        })
    }
}

/// What both networks make of images.
#[derive(Default)]
struct Pass {
    /// Each image as a batch.
    images: Vec<Batch>,
    answers: Vec<usize>,
}

/// Scores images, corrupted a few at a time, so that they are not in memory twice.
fn pass(
    monitor: &Monitor,
    images: &ImageSet,
    corruption: Option<(&Corruptor, Corruption, Severity)>,
    progress: &mut dyn Progress,
) -> Result<Pass> {
    const CHUNK: usize = 64;
    let mut all = Pass::default();
    for first in (0..images.len()).step_by(CHUNK) {
        let mut part = images.slice(first..images.len().min(first + CHUNK))?;
        if let Some((corruptor, corruption, severity)) = corruption {
            part = corruptor.apply_from(&part, first as u64, corruption, severity)?;
        }
        progress.advance(part.len() as u64);
        for chunk in monitor.score_stream(part).without_errors() {
            let chunk = chunk?;
            for place in 0..chunk.scores.len() {
                let mut image = Batch::default();
                image.add(monitor, &chunk, place..place + 1)?;
                all.images.push(image);
            }
            all.answers.extend(chunk.answers().classifier);
        }
    }
    if all.images.is_empty() {
        return Err(Error::TooFew {
            name: "the images".into(),
            reason: "no images to test the monitor with".into(),
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use riptide_datasets::shapes::{Shapes, TEST_FIRST_INDEX};
    use riptide_files::Silent;

    use super::*;
    use crate::{Import, shipped_networks};

    #[test]
    fn noise_flips_answers_and_is_found() {
        let (classifier, distilled) = shipped_networks(&riptide_pretrained::SHAPES).unwrap();
        let images = |first, n| Shapes::new(0).generate(TEST_FIRST_INDEX + first, n);
        let import = Import::default();
        let monitor = import.run(classifier, distilled, images(0, 200), &mut Silent).unwrap();
        let held_out = images(200, 150);
        let test = SelfTest::default()
            .corruptions([Corruption::GaussianNoise, Corruption::Brightness])
            .batch_sizes([50, 100, 500])
            .n_batches(5);
        let tested = test.run(&monitor, &held_out, &mut Silent).unwrap();
        assert_eq!((tested.n_images, tested.rows.len(), tested.clean.len()), (150, 4, 2));
        let noise = &tested.rows[1];
        assert_eq!((noise.corruption, noise.severity.get()), (Corruption::GaussianNoise, 5));
        assert!(
            noise.flipped > 0.2 && noise.found.iter().all(|found| found.share == 1.0),
            "{noise:?}"
        );
        assert!(tested.clean.iter().all(|found| found.share < 0.5), "{tested:?}");
        assert_eq!(test.run(&monitor, &held_out, &mut Silent).unwrap(), tested);
        assert!(test.clone().n_batches(0).run(&monitor, &held_out, &mut Silent).is_err());
        let whole = test
            .clone()
            .batch_sizes([500])
            .run(&monitor, &held_out, &mut Silent)
            .unwrap();
        assert_eq!(whole.clean[0].batch_size, 150);
        let none = held_out.slice(0..0).unwrap();
        assert!(matches!(
            test.run(&monitor, &none, &mut Silent),
            Err(Error::TooFew { .. })
        ));
    }

    #[test]
    fn what_is_missed_or_a_false_alarm_follows_from_the_largest_batches() {
        let row = |flipped, share| SelfTestRow {
            corruption: Corruption::Fog,
            severity: Severity::ALL[2],
            flipped,
            found: vec![
                Found { batch_size: 500, share },
                Found {
                    batch_size: 100,
                    share: 0.0,
                },
            ],
        };
        let tested = SelfTested {
            n_images: 10,
            clean: Vec::new(),
            rows: vec![row(0.2, 0.9), row(0.2, 0.1), row(0.05, 0.0), row(0.01, 0.6)],
        };
        assert_eq!(tested.missed().collect::<Vec<_>>(), [&tested.rows[1]]);
        assert_eq!(tested.false_alarms().collect::<Vec<_>>(), [&tested.rows[3]]);
    }
}
