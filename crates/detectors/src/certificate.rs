//! What a monitor can promise about its own alarms, measured on corruptions that its model did not see.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use riptide_stats::{Interval, clopper_pearson};
use serde::{Deserialize, Serialize};

use crate::accuracy::{AccuracyOptions, FamilyEvidence, SetEvidence, Verdict, WindowValue};
use crate::drift::check_level;
use crate::error::DetectorError;
use crate::sequential::SequentialConfig;

/// The options of a [`Certificate`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CertifyConfig {
    /// Batch sizes, each at least 2; 50, 100, 200, 500 and 1000 by default.
    pub sizes: Vec<usize>,
    /// The share of a batch that is corrupted, the rest being clean, each above 0 and at most 1; 0.25, 0.5 and 1 by default.
    pub contaminations: Vec<f64>,
    /// Batches drawn for every set, contamination and size; 400 by default.
    pub batches: usize,
    /// The power that counts as found, strictly between 0 and 1; 0.95 by default.
    pub power: f64,
    /// How batches are judged.
    pub options: AccuracyOptions,
    /// The sequential test.
    pub sequential: SequentialConfig,
    /// Streams drawn for every set to count the images to an alarm; 100 by default.
    pub streams: usize,
    /// Length of each stream, in images; 3000 by default.
    pub stream_length: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for CertifyConfig {
    fn default() -> Self {
        Self {
            sizes: vec![50, 100, 200, 500, 1000],
            contaminations: vec![0.25, 0.5, 1.0],
            batches: 400,
            power: 0.95,
            options: AccuracyOptions::default(),
            sequential: SequentialConfig::default(),
            streams: 100,
            stream_length: 3000,
            seed: 0,
        }
    }
}

impl CertifyConfig {
    /// Sets the batch sizes.
    #[must_use]
    pub fn sizes(self, sizes: Vec<usize>) -> Self {
        Self { sizes, ..self }
    }

    /// Sets the contaminations.
    #[must_use]
    pub fn contaminations(self, contaminations: Vec<f64>) -> Self {
        Self { contaminations, ..self }
    }

    /// Sets the number of batches.
    #[must_use]
    pub fn batches(self, batches: usize) -> Self {
        Self { batches, ..self }
    }

    /// Sets how batches are judged.
    #[must_use]
    pub fn options(self, options: AccuracyOptions) -> Self {
        Self { options, ..self }
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets the power that counts as found.
    #[must_use]
    pub fn power(self, power: f64) -> Self {
        Self { power, ..self }
    }

    fn check(&self) -> Result<(), DetectorError> {
        self.options.check()?;
        self.sequential.check()?;
        check_level(self.power)?;
        let counts = [
            ("batches", self.batches),
            ("streams", self.streams),
            ("stream_length", self.stream_length),
            ("sizes", self.sizes.iter().copied().min().unwrap_or(0)),
            ("contaminations", self.contaminations.len()),
        ];
        for (option, count) in counts {
            if count == 0 {
                return Err(DetectorError::option(option, "0 or empty", "at least 1"));
            }
        }
        if let Some(share) = self
            .contaminations
            .iter()
            .find(|share| !(**share > 0.0 && **share <= 1.0))
        {
            return Err(DetectorError::option("contaminations", share, "above 0 and at most 1"));
        }
        Ok(())
    }
}

/// A declared set, or a mixture of it with clean images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    /// The kind of corruption.
    pub family: String,
    /// The severity.
    pub severity: u8,
    /// The share of corrupted images, 0..=1.
    pub contamination: f64,
}

/// How often batches of one size from one mixture were called what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertificateCell {
    /// Where the batches came from.
    pub mixture: Mixture,
    /// Images in a batch.
    pub n: usize,
    /// True drop of accuracy in the mixture, against the clean images.
    pub drop: f64,
    /// Batches that alarmed: harmful, or outside what was declared. With Clopper and Pearson's 95 % limits.
    pub alarms: Interval,
    /// Batches that were called harmful, likewise.
    pub harmful: Interval,
    /// Batches that were called fit, likewise.
    pub fit: Interval,
    /// Batches that were called outside, likewise.
    pub outside: Interval,
}

/// What the certificate says about one batch size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SizeSummary {
    /// Images in a batch.
    pub n: usize,
    /// The least drop d such that every mixture with a drop of d or more is found with a lower limit of at least the power
    /// asked for; none if the mixture with the largest drop is not.
    pub least_detectable_drop: Option<f64>,
    /// The worst rate of alarms among mixtures whose drop is at most the tolerated one; none if there is none.
    pub false_alarms: Option<Interval>,
    /// The mixture with that rate.
    pub false_alarms_in: Option<Mixture>,
    /// The rate of alarms on clean batches.
    pub clean_alarms: Interval,
    /// Mixtures with a drop above the tolerated one that are missed: the lower limit of alarms is below the power. Largest drop
    /// first.
    pub missed: Vec<Mixture>,
    /// Mixtures with a drop of at most the tolerated one that alarm significantly more often than the level. Most alarms first.
    pub alarming: Vec<Mixture>,
}

/// How many images the sequential test takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamSummary {
    /// Where the images came from.
    pub mixture: Mixture,
    /// True drop of accuracy in the mixture.
    pub drop: f64,
    /// Streams that alarmed before their end, with Clopper and Pearson's 95 % limits.
    pub alarms: Interval,
    /// Median number of images to the alarm; none if fewer than half of the streams alarmed.
    pub median_images: Option<u64>,
}

/// The certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Certificate {
    /// The options that it was made with.
    pub config: CertifyConfig,
    /// Accuracy on the clean images, 0..=1.
    pub accuracy: f64,
    /// The families declared.
    pub families: Vec<String>,
    /// One entry a batch size, in the order asked for.
    pub sizes: Vec<SizeSummary>,
    /// Every mixture and size.
    pub cells: Vec<CertificateCell>,
    /// Every mixture under the sequential test.
    pub streams: Vec<StreamSummary>,
}

/// Certifies a fitted model from what it kept; no network is run. Each family is judged by the model that did not see it.
/// Images of a batch are drawn with replacement. The same seed gives the same bytes for any number of threads.
///
/// # Errors
/// [`DetectorError::Empty`] without evidence or with an empty set, [`DetectorError::InvalidOption`] for an option out of range.
pub fn certify(evidence: &[FamilyEvidence], config: &CertifyConfig) -> Result<Certificate, DetectorError> {
    config.check()?;
    let first = evidence.first().ok_or(DetectorError::Empty {
        what: "the evidence",
        unit: "family",
    })?;
    let mut sources = Vec::new();
    for kept in evidence {
        let mut all = kept.sets.iter().chain([&kept.clean]);
        if kept.sets.is_empty() || all.any(|set| !set.is_whole()) {
            return Err(DetectorError::shape(
                "the evidence of a family",
                "arrays of one length, at least 1",
                format!("others in {}", kept.family),
            ));
        }
        // Clean batches under every left-out model, then each set at each contamination.
        sources.push(Source::new(kept, None, 0.0));
        for set in &kept.sets {
            for &contamination in &config.contaminations {
                sources.push(Source::new(kept, Some(set), contamination));
            }
        }
    }
    let found: Vec<Found> = sources
        .par_iter()
        .enumerate()
        .map(|(place, source)| source.run(place as u64, config))
        .collect::<Result<_, _>>()?;
    let (mut cells, mut streams) = (Vec::new(), Vec::new());
    for found in found {
        cells.extend(found.cells);
        streams.push(found.stream);
    }
    let sizes = config.sizes.iter().map(|&n| summarise(n, &cells, config)).collect();
    Ok(Certificate {
        config: config.clone(),
        accuracy: first.clean.accuracy(),
        families: evidence.iter().map(|kept| kept.family.clone()).collect(),
        sizes,
        cells,
        streams,
    })
}

/// Where batches come from.
struct Source<'a> {
    evidence: &'a FamilyEvidence,
    set: Option<&'a SetEvidence>,
    mixture: Mixture,
    drop: f64,
}

struct Found {
    cells: Vec<CertificateCell>,
    stream: StreamSummary,
}

impl<'a> Source<'a> {
    fn new(evidence: &'a FamilyEvidence, set: Option<&'a SetEvidence>, contamination: f64) -> Self {
        let drop = set.map_or(0.0, |set| evidence.clean.accuracy() - set.accuracy());
        Self {
            mixture: Mixture {
                family: evidence.family.clone(),
                severity: set.map_or(0, |set| set.severity),
                contamination,
            },
            drop: contamination * drop,
            evidence,
            set,
        }
    }

    fn run(&self, place: u64, config: &CertifyConfig) -> Result<Found, DetectorError> {
        let mut cells = Vec::with_capacity(config.sizes.len());
        for (step, &n) in config.sizes.iter().enumerate() {
            let mut rng = stream(config.seed, [1, place, step as u64]);
            cells.push(self.cell(n, config, &mut rng));
        }
        let mut rng = stream(config.seed, [2, place, 0]);
        Ok(Found {
            cells,
            stream: self.stream(config, &mut rng)?,
        })
    }

    /// The set and the place of the next image: corrupted with the chance of the contamination.
    fn next(&self, corrupted: bool, rng: &mut ChaCha8Rng) -> (&SetEvidence, usize) {
        let set = self.set.filter(|_| corrupted).unwrap_or(&self.evidence.clean);
        (set, rng.random_range(0..set.len()))
    }

    fn cell(&self, n: usize, config: &CertifyConfig, rng: &mut ChaCha8Rng) -> CertificateCell {
        let model = &self.evidence.model;
        let margins = model.margins(&config.options);
        let n_corrupted = (self.mixture.contamination * n as f64).round() as usize;
        let (mut harmful, mut fit, mut outside) = (0, 0, 0);
        for _ in 0..config.batches {
            let mut window = WindowValue::new(model.n_classes());
            for place in 0..n {
                let (set, image) = self.next(place < n_corrupted, rng);
                set.put(image, &mut window);
            }
            match model.judged(&window, &config.options, &margins).verdict {
                Verdict::Harmful => harmful += 1,
                Verdict::Fit => fit += 1,
                Verdict::Outside => outside += 1,
                Verdict::Undecided => {}
            }
        }
        let rate = |count: usize| clopper_pearson(count, config.batches, 0.95);
        CertificateCell {
            mixture: self.mixture.clone(),
            n,
            drop: self.drop,
            alarms: rate(harmful + outside),
            harmful: rate(harmful),
            fit: rate(fit),
            outside: rate(outside),
        }
    }

    fn stream(&self, config: &CertifyConfig, rng: &mut ChaCha8Rng) -> Result<StreamSummary, DetectorError> {
        let start = self
            .evidence
            .model
            .sequential(&config.options, &config.sequential.path(2))?;
        let mut delays = Vec::with_capacity(config.streams);
        for _ in 0..config.streams {
            let mut test = start.clone();
            for _ in 0..config.stream_length {
                let corrupted = rng.random::<f64>() < self.mixture.contamination;
                let (set, image) = self.next(corrupted, rng);
                let error = set.error.get(image).copied().unwrap_or_default();
                if test.update(f64::from(error).clamp(0.0, 1.0))? {
                    break;
                }
            }
            delays.push(test.alarm_at().unwrap_or(u64::MAX));
        }
        delays.sort_unstable();
        let alarmed = delays.iter().filter(|&&delay| delay != u64::MAX).count();
        Ok(StreamSummary {
            mixture: self.mixture.clone(),
            drop: self.drop,
            alarms: clopper_pearson(alarmed, config.streams, 0.95),
            median_images: delays.get(delays.len() / 2).copied().filter(|&delay| delay != u64::MAX),
        })
    }
}

fn summarise(n: usize, cells: &[CertificateCell], config: &CertifyConfig) -> SizeSummary {
    let tolerated = config.options.tolerated_drop;
    let of_size = || cells.iter().filter(|cell| cell.n == n);
    let mut mixtures: Vec<&CertificateCell> = of_size().filter(|cell| cell.mixture.contamination > 0.0).collect();
    mixtures.sort_by(|a, b| b.drop.total_cmp(&a.drop));
    // From the largest drop down, as long as every mixture is found.
    let found = |cell: &&&CertificateCell| cell.alarms.lower >= config.power;
    let least = mixtures.iter().take_while(found).last().map(|cell| cell.drop);
    let harmless = || mixtures.iter().filter(|cell| cell.drop <= tolerated);
    let worst = harmless().max_by(|a, b| a.alarms.estimate.total_cmp(&b.alarms.estimate));
    let mut alarming: Vec<&&CertificateCell> = harmless()
        .filter(|cell| cell.alarms.lower > config.options.level)
        .collect();
    alarming.sort_by(|a, b| b.alarms.estimate.total_cmp(&a.alarms.estimate));
    let clean = of_size().filter(|cell| cell.mixture.contamination <= 0.0);
    let clean: Vec<f64> = clean.map(|cell| cell.alarms.estimate).collect();
    let alarms = clean.iter().sum::<f64>() * config.batches as f64;
    let missed = mixtures.iter().filter(|cell| cell.drop > tolerated && !found(cell));
    SizeSummary {
        n,
        least_detectable_drop: least.filter(|drop| *drop > 0.0),
        false_alarms: worst.map(|cell| cell.alarms),
        false_alarms_in: worst.map(|cell| cell.mixture.clone()),
        clean_alarms: clopper_pearson(alarms.round() as usize, clean.len() * config.batches, 0.95),
        missed: missed.map(|cell| cell.mixture.clone()).collect(),
        alarming: alarming.into_iter().map(|cell| cell.mixture.clone()).collect(),
    }
}

/// The stream of one purpose and place.
fn stream(seed: u64, place: [u64; 3]) -> ChaCha8Rng {
    let mut key = [0; 32];
    let [a, b, c] = place;
    for (bytes, word) in key.chunks_exact_mut(8).zip([seed, a, b, c]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}
