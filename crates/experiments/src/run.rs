//! The experiment from images to results.

use std::path::Path;
use std::time::{Duration, Instant};

use riptide_corruptions::{Corruption, Severity};
use riptide_datasets::ImageSet;
use riptide_detectors::Probabilities;
use riptide_files::digest;
use riptide_models::NetworkPair;

use crate::contamination::{Draw, sweep};
use crate::export;
use crate::figures::{self, Contact, Findings};
use crate::harmfulness::{CorruptedPass, Pass};
use crate::report::Pictures;
use crate::store::Store;
use crate::subject::TestImages;
use crate::summary::Summary;
use crate::{ExperimentError, Protocol, report};

/// Told what an experiment is doing; every method may do nothing.
pub trait Observer {
    /// Scoring begins: so many sets of so many images each, the clean set among them.
    fn begin(&mut self, _sets: usize, _images: usize) {}
    /// A set begins.
    fn set(&mut self, _name: &str) {}
    /// So many images more have passed through both networks.
    fn scored(&mut self, _images: usize) {}
    /// So many images more were found finished from an earlier run.
    fn kept(&mut self, _images: usize) {}
    /// All sets are scored; the sweep, the figures and the report begin.
    fn sweeping(&mut self) {}
}

/// An observer that says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// Where the time of a run went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    /// Reading or making corrupted images.
    pub images: Duration,
    /// Passing images through both networks.
    pub scoring: Duration,
    /// Sweep, figures, report and writing.
    pub rest: Duration,
    /// Images that passed through both networks in this run.
    pub scored: usize,
}

/// Runs the experiment and writes everything into `out`, which is made if need be.
///
/// Finished passes are kept in `out/passes`, keyed by the digests of networks and images: a run that was stopped goes on
/// where it was, and ends with the same bytes as an undisturbed one. The files written:
/// `pvalues.csv` (every batch), `summary.csv` (a row a score, severity, kind and contamination), `summary.json`
/// ([`Summary`]), `harm.csv` (the harm-directed test, a row likewise), `scores.npy` (float32, (sets, images, scores)) with `scores.json` as its index, `figures/*.svg` and
/// `.png`, and `report.html`.
///
/// # Errors
/// Any [`ExperimentError`]; what was finished before it stays.
pub fn run(
    networks: &NetworkPair,
    images: &TestImages,
    protocol: &Protocol,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<(Summary, Timings), ExperimentError> {
    check(networks, images)?;
    let params = protocol.params();
    let draw = Draw::new(images.clean().len(), protocol)?;
    let mut passes = Passes {
        networks,
        images,
        protocol,
        store: Store::new(out.join("passes")),
        timings: Timings::default(),
    };
    observer.begin(
        1 + params.severities.len() * params.corruptions.len(),
        images.clean().len(),
    );
    let clean = passes.clean(observer)?;
    let mut corrupted = Vec::new();
    for &severity in &params.severities {
        for &corruption in &params.corruptions {
            corrupted.push(passes.corrupted(corruption, severity, observer)?);
        }
    }
    let mut timings = passes.timings;
    observer.sweeping();
    let start = Instant::now();
    let batches = sweep(&clean, &corrupted, &draw, protocol)?;
    let summary = Summary::new(images, networks, protocol, &clean, &corrupted, &batches)?;
    export::write(out, &summary, &batches, &clean, &corrupted)?;
    let found = Findings {
        summary: &summary,
        images,
        clean: &clean,
        corrupted: &corrupted,
    };
    let contact = Contact::new(&found)?;
    let drawn = figures::draw(&found, &contact);
    figures::write(out, &drawn)?;
    let pictures = Pictures {
        figures: &drawn,
        contact: contact.strips(&found),
        strips: figures::strips(&found)?,
    };
    report::write(out, &summary, pictures)?;
    timings.rest = start.elapsed();
    Ok((summary, timings))
}

fn check(networks: &NetworkPair, images: &TestImages) -> Result<(), ExperimentError> {
    let classes = images.clean().class_names().len();
    if classes != networks.n_classes() {
        return Err(ExperimentError::Mismatch(format!(
            "{} has {classes} classes, the networks give {}; use networks trained on this dataset",
            images.name(),
            networks.n_classes()
        )));
    }
    Ok(())
}

struct Passes<'a> {
    networks: &'a NetworkPair,
    images: &'a TestImages,
    protocol: &'a Protocol,
    store: Store,
    timings: Timings,
}

impl Passes<'_> {
    fn clean(&mut self, observer: &mut dyn Observer) -> Result<Pass, ExperimentError> {
        observer.set("clean");
        let key = self.key(self.images.digest());
        if let Some(pass) = self.kept(&key, observer)? {
            return Ok(pass);
        }
        self.score(&key, self.images.clean(), observer)
    }

    fn corrupted(
        &mut self,
        corruption: Corruption,
        severity: Severity,
        observer: &mut dyn Observer,
    ) -> Result<CorruptedPass, ExperimentError> {
        observer.set(&format!("{corruption} {severity}"));
        let start = Instant::now();
        let key = self.key(&self.images.identity(corruption, severity)?);
        self.timings.images += start.elapsed();
        let pass = match self.kept(&key, observer)? {
            Some(pass) => pass,
            None => {
                let start = Instant::now();
                let images = self.images.corrupted(corruption, severity)?;
                self.timings.images += start.elapsed();
                self.score(&key, &images, observer)?
            }
        };
        Ok(CorruptedPass {
            corruption,
            severity,
            pass,
        })
    }

    fn key(&self, images: &str) -> String {
        digest::of_parts(&[self.networks.digest().as_bytes(), images.as_bytes()])
    }

    fn kept(&self, key: &str, observer: &mut dyn Observer) -> Result<Option<Pass>, ExperimentError> {
        let n = self.images.clean().len();
        let Some(probabilities) = self.store.load(key, n, self.networks.n_classes()) else {
            return Ok(None);
        };
        observer.kept(n);
        self.finish(&probabilities).map(Some)
    }

    fn score(&mut self, key: &str, images: &ImageSet, observer: &mut dyn Observer) -> Result<Pass, ExperimentError> {
        let start = Instant::now();
        let shape = [images.len(), images.height(), images.width()];
        let networks = self.networks;
        let probabilities = networks.probabilities(images.pixels(), shape, |n| observer.scored(n))?;
        self.timings.scoring += start.elapsed();
        self.timings.scored += images.len();
        self.store.save(key, &probabilities)?;
        self.finish(&probabilities)
    }

    fn finish(&self, probabilities: &Probabilities) -> Result<Pass, ExperimentError> {
        Pass::new(probabilities, self.images.labels(), &self.protocol.params().scores)
    }
}
