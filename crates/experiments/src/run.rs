//! The experiment from images to results.

use std::path::Path;
use std::time::{Duration, Instant};

use riptide_corruptions::{Corruption, Severity};
use riptide_datasets::ImageSet;
use riptide_detectors::Probabilities;
use riptide_files::lock::FolderLock;
use riptide_files::{Progress, Unit, digest};
use riptide_models::NetworkPair;

use crate::contamination::{Draw, sweep};
use crate::error::ExperimentError;
use crate::export;
use crate::figures::{self, Contact, Findings};
use crate::harmfulness::{CorruptedPass, Pass};
use crate::protocol::Protocol;
use crate::report::{self, Pictures};
use crate::store::Store;
use crate::subject::TestImages;
use crate::summary::Summary;

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

/// Runs the experiment and writes everything into `out`, which is created if it does not exist.
///
/// Finished passes are kept in `out/passes`, keyed by the digests of networks and images: a run that was stopped resumes
/// where it was, and ends with the same bytes as an undisturbed one. A second run into the same folder is refused as long as
/// the first is at work. The files written:
///
/// | file | content |
/// | --- | --- |
/// | `pvalues.csv` | every batch |
/// | `summary.csv`, `harm.csv` | every score, severity, kind and contamination: the two-sample test, the harm-directed test |
/// | `summary.json` | [`Summary`] |
/// | `scores.npy`, `scores.json` | float32 (sets, images, scores), and what each row is |
/// | `figures/*.svg`, `figures/*.png` | the figures |
/// | `report.html` | one page with everything |
///
/// # Errors
/// Any [`ExperimentError`]; what was finished before stays.
pub fn run(
    networks: &NetworkPair,
    images: &TestImages,
    protocol: &Protocol,
    out: &Path,
    progress: &mut dyn Progress,
) -> Result<(Summary, Timings), ExperimentError> {
    check(networks, images)?;
    // Two runs in one folder would mix their files.
    let _lock = FolderLock::acquire(out)?;
    let params = protocol.params();
    let draw = Draw::new(images.clean().len(), protocol)?;
    let mut passes = Passes {
        networks,
        networks_digest: networks.digest(),
        images,
        protocol,
        store: Store::new(out.join("passes")),
        timings: Timings::default(),
    };
    let sets = 1 + params.severities.len() * params.corruptions.len();
    progress.begin("scoring", Some((sets * images.clean().len()) as u64), Unit::Images);
    let clean = passes.clean(progress)?;
    let mut corrupted = Vec::new();
    for &severity in &params.severities {
        for &corruption in &params.corruptions {
            corrupted.push(passes.corrupted(corruption, severity, progress)?);
        }
    }
    let mut timings = passes.timings;
    progress.message("sweep, figures and report");
    let start = Instant::now();
    let batches = sweep(&clean, &corrupted, &draw, protocol)?;
    let summary = Summary::new(images, passes.networks_digest, protocol, &clean, &corrupted, &batches)?;
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
    progress.end();
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
    let (height, width) = (images.clean().height(), images.clean().width());
    let (rows, columns) = networks.input_size();
    if (height, width) != (rows, columns) {
        return Err(ExperimentError::Mismatch(format!(
            "the images of {} are {height} x {width}, the networks take {rows} x {columns}; resize the images, or use \
             networks for this size",
            images.name()
        )));
    }
    Ok(())
}

struct Passes<'a> {
    networks: &'a NetworkPair,
    /// Kept, since it takes a pass over all parameters and every set asks for it.
    networks_digest: String,
    images: &'a TestImages,
    protocol: &'a Protocol,
    store: Store,
    timings: Timings,
}

impl Passes<'_> {
    fn clean(&mut self, progress: &mut dyn Progress) -> Result<Pass, ExperimentError> {
        progress.message("clean");
        let key = self.key(self.images.digest());
        if let Some(pass) = self.kept(&key, progress)? {
            return Ok(pass);
        }
        self.score(&key, self.images.clean(), progress)
    }

    fn corrupted(
        &mut self,
        corruption: Corruption,
        severity: Severity,
        progress: &mut dyn Progress,
    ) -> Result<CorruptedPass, ExperimentError> {
        progress.message(&format!("{corruption} {severity}"));
        let start = Instant::now();
        let key = self.key(&self.images.identity(corruption, severity)?);
        self.timings.images += start.elapsed();
        let pass = match self.kept(&key, progress)? {
            Some(pass) => pass,
            None => {
                let start = Instant::now();
                let images = self.images.corrupted(corruption, severity)?;
                self.timings.images += start.elapsed();
                self.score(&key, &images, progress)?
            }
        };
        Ok(CorruptedPass {
            corruption,
            severity,
            pass,
        })
    }

    fn key(&self, images: &str) -> String {
        digest::of_parts(&[self.networks_digest.as_bytes(), images.as_bytes()])
    }

    fn kept(&self, key: &str, progress: &mut dyn Progress) -> Result<Option<Pass>, ExperimentError> {
        let n = self.images.clean().len();
        let Some(probabilities) = self.store.load(key, n, self.networks.n_classes()) else {
            return Ok(None);
        };
        progress.skip(n as u64);
        self.finish(&probabilities).map(Some)
    }

    fn score(&mut self, key: &str, images: &ImageSet, progress: &mut dyn Progress) -> Result<Pass, ExperimentError> {
        let start = Instant::now();
        let shape = [images.len(), images.height(), images.width()];
        let networks = self.networks;
        let probabilities = networks.probabilities(images.pixels(), shape, |n| progress.advance(n as u64))?;
        self.timings.scoring += start.elapsed();
        self.timings.scored += images.len();
        self.store.save(key, &probabilities)?;
        self.finish(&probabilities)
    }

    fn finish(&self, probabilities: &Probabilities) -> Result<Pass, ExperimentError> {
        Pass::new(probabilities, self.images.labels(), &self.protocol.params().scores)
    }
}
