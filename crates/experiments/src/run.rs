//! The experiment from images to results.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use riptide_corruptions::{Corruption, Extended, Group, Severity};
use riptide_datasets::ImageSet;
use riptide_detectors::accuracy::CLEAN;
use riptide_detectors::{DetectorError, Probabilities};
use riptide_files::lock::FolderLock;
use riptide_files::{Progress, Unit, digest};
use riptide_models::NetworkPair;

use crate::accuracy::{KnownSet, compare};
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
/// | `decisions.csv`, `natural.csv`, `streams.csv`, `estimates.csv` | the accuracy test beside the published decision |
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
    let (views, declared) = if params.comparison.is_some() {
        (usize::from(params.views), params.declared.as_slice())
    } else {
        (1, [].as_slice())
    };
    let sets = 1 + params.severities.len() * (params.corruptions.len() + declared.len());
    progress.begin(
        "scoring",
        Some((views * sets * images.clean().len()) as u64),
        Unit::Images,
    );
    let (clean, known_clean) = passes.clean(progress)?;
    let (mut corrupted, mut known) = (Vec::new(), Vec::new());
    for &severity in &params.severities {
        for &corruption in &params.corruptions {
            let (pass, set) = passes.corrupted(corruption, severity, progress)?;
            corrupted.push(pass);
            known.extend(set);
        }
    }
    let mut further = Vec::new();
    for &severity in &params.severities {
        for &kind in declared {
            further.extend(passes.declared(kind, severity, progress)?);
        }
    }
    let mut timings = passes.timings;
    progress.message("sweep, figures and report");
    let start = Instant::now();
    let batches = sweep(&clean, &corrupted, &draw, protocol)?;
    let mut summary = Summary::new(images, passes.networks_digest, protocol, &clean, &corrupted, &batches)?;
    if let Some(clean) = known_clean {
        progress.message("comparison with the accuracy test");
        match compare(&clean, &known, &further, protocol) {
            Ok(found) => summary.comparison = Some(found),
            Err(error) => summary.no_comparison = Some(reason(error)?),
        }
    }
    let summary = summary;
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

/// What of an error means that there is nothing to compare, rather than that the run failed.
fn reason(error: ExperimentError) -> Result<String, ExperimentError> {
    match error {
        ExperimentError::TooFew { .. } | ExperimentError::Detector(DetectorError::NoFit { .. }) => {
            Ok(error.to_string())
        }
        error => Err(error),
    }
}

/// The pass of a set for the sweep, and the set as the accuracy test sees it, if that is asked for.
type Both<P> = (P, Option<KnownSet>);

impl Passes<'_> {
    fn clean(&mut self, progress: &mut dyn Progress) -> Result<Both<Pass>, ExperimentError> {
        progress.message("clean");
        let images = self.images;
        let of = (CLEAN, CLEAN, 0);
        self.pass(images.digest(), of, || Ok(Cow::Borrowed(images.clean())), progress)
    }

    fn corrupted(
        &mut self,
        corruption: Corruption,
        severity: Severity,
        progress: &mut dyn Progress,
    ) -> Result<Both<CorruptedPass>, ExperimentError> {
        progress.message(&format!("{corruption} {severity}"));
        let start = Instant::now();
        let images = self.images;
        let identity = images.identity(corruption, severity)?;
        self.timings.images += start.elapsed();
        let of = (corruption.name(), group_name(corruption.group()), severity.get());
        let make = || Ok(Cow::Owned(images.corrupted(corruption, severity)?));
        let (pass, set) = self.pass(&identity, of, make, progress)?;
        let pass = CorruptedPass {
            corruption,
            severity,
            pass,
        };
        Ok((pass, set))
    }

    /// A set that models are fitted on and nothing is judged by.
    fn declared(
        &mut self,
        kind: Extended,
        severity: Severity,
        progress: &mut dyn Progress,
    ) -> Result<Option<KnownSet>, ExperimentError> {
        progress.message(&format!("{kind} {severity}"));
        let images = self.images;
        let identity = images.made(kind.into(), severity);
        let of = (kind.name(), EXTENDED, severity.get());
        let make = || Ok(Cow::Owned(images.declared(kind, severity)?));
        Ok(self.pass(&identity, of, make, progress)?.1)
    }

    /// One set through both networks, or from what was kept; mirrored too if that is asked for.
    fn pass<'a>(
        &mut self,
        identity: &str,
        (family, group, severity): (&str, &str, u8),
        make: impl Fn() -> Result<Cow<'a, ImageSet>, ExperimentError>,
        progress: &mut dyn Progress,
    ) -> Result<Both<Pass>, ExperimentError> {
        let params = self.protocol.params();
        let probabilities = self.probabilities(&self.key(identity), &make, false, progress)?;
        let pass = Pass::new(&probabilities, self.images.labels(), &params.scores)?;
        let Some(comparison) = &params.comparison else {
            return Ok((pass, None));
        };
        let mirrored = if params.views > 1 {
            let key = self.key(&format!("{identity} mirrored"));
            Some(self.probabilities(&key, &make, true, progress)?.classifier)
        } else {
            None
        };
        let name = (family, group);
        let labels = self.images.labels();
        let set = KnownSet::new(name, severity, probabilities, mirrored, labels, &comparison.fit)?;
        Ok((pass, Some(set)))
    }

    fn key(&self, images: &str) -> String {
        digest::of_parts(&[self.networks_digest.as_bytes(), images.as_bytes()])
    }

    fn probabilities<'a>(
        &mut self,
        key: &str,
        make: &impl Fn() -> Result<Cow<'a, ImageSet>, ExperimentError>,
        mirrored: bool,
        progress: &mut dyn Progress,
    ) -> Result<Probabilities, ExperimentError> {
        let n = self.images.clean().len();
        if let Some(kept) = self.store.load(key, n, self.networks.n_classes()) {
            progress.skip(n as u64);
            return Ok(kept);
        }
        let start = Instant::now();
        let images = make()?;
        let width = images.width();
        let pixels = if mirrored {
            Cow::Owned(mirror(images.pixels(), width))
        } else {
            Cow::Borrowed(images.pixels())
        };
        self.timings.images += start.elapsed();
        let start = Instant::now();
        let shape = [images.len(), images.height(), width];
        let networks = self.networks;
        let probabilities = networks.probabilities(&pixels, shape, |n| progress.advance(n as u64))?;
        self.timings.scoring += start.elapsed();
        self.timings.scored += images.len();
        self.store.save(key, &probabilities)?;
        Ok(probabilities)
    }
}

/// The group that all damage of our own counts as.
const EXTENDED: &str = "extended";

/// The name of a group of corruptions.
fn group_name(group: Group) -> &'static str {
    match group {
        Group::Noise => "noise",
        Group::Blur => "blur",
        Group::Weather => "weather",
        Group::Digital => "digital",
    }
}

/// Images of three channels, each row from right to left.
fn mirror(pixels: &[u8], width: usize) -> Vec<u8> {
    let rows = pixels.chunks(3 * width.max(1));
    rows.flat_map(|row| row.rchunks(3).flatten().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrored_rows_keep_their_colours() {
        assert_eq!(
            mirror(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 2),
            [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]
        );
    }
}
