//! Monitors as folders that a person can read.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `monitor.json` | format and version, the [`Facts`] with the seal of each, the SHA-256 of every other file but `options.json` |
//! | `options.json` | the [`Options`], free to edit |
//! | `reference_scores.npy` | the reference's scores, f64 (N,) |
//! | `reference_answers.npy` | the class that the classifier and the distilled network gave each image, u32 (N, 2) |
//! | `reference_confidences.npy` | the classifier's largest probability for each image, f32 (N,) |
//! | `calibration.json`, `calibration.npy` | of a calibrated monitor: the models, and what those that did not see a family say of it; see `encoding` |
//! | `classifier/`, `distilled/` | the networks, in their own format |
//! | `probe_images.npy`, `probe_probabilities.npy` | in place of `classifier/` if that is a function: a few images of the reference, u8 (n, H, W, 3), and what it answered, f32 (n, n_classes) |

mod calibration;
mod folder;
mod version1;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use riptide_datasets::ImageSet;
use riptide_detectors::{Answers, DetectorError};
use riptide_files::{self as files, FileError, atomic, digest, npy, regular};
use riptide_models::Network;
use serde::{Deserialize, Serialize};

use crate::classifier::Classifier;
use crate::encoding;
use crate::error::{Error, Result};
use crate::facts::{ClassifierFacts, Facts};
use crate::monitor::{Monitor, Parts};
use crate::options::Options;
use crate::pair::Pair;
use crate::probe::Probe;

/// The file that says what a monitor's folder holds.
const MANIFEST: &str = "monitor.json";
const OPTIONS: &str = "options.json";
const SCORES: &str = "reference_scores.npy";
const ANSWERS: &str = "reference_answers.npy";
const CONFIDENCES: &str = "reference_confidences.npy";
const CLASSIFIER: &str = "classifier";
const DISTILLED: &str = "distilled";
const PROBE_IMAGES: &str = "probe_images.npy";
const PROBE_PROBABILITIES: &str = "probe_probabilities.npy";
/// The files that have no digest in the manifest.
const UNSEALED: [&str; 2] = [MANIFEST, OPTIONS];

const FORMAT: &str = "riptide-monitor";
/// The version that is written.
const VERSION: u64 = 2;
/// How far a probability of the classifier that is given again may lie from the saved one.
const PROBE_TOLERANCE: f32 = 1e-3;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    version: u64,
    /// Version of the program that wrote it.
    created_by: String,
    facts: Facts,
    /// SHA-256 of each fact, by its name.
    seal: BTreeMap<String, String>,
    /// SHA-256 of every file but this one and the options, by path relative to the folder, `/` between its parts.
    files: BTreeMap<String, String>,
}

impl Monitor {
    /// Saves the monitor as the folder `dir`, which appears whole or not at all. A monitor that is there already is replaced;
    /// a folder with anything else in it is not.
    ///
    /// # Errors
    /// [`Error::Malformed`] if `dir` holds something that is no monitor, [`Error::File`] and [`Error::Network`] if it cannot
    /// be written.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        Self::check_destination(dir)?;
        files::folder::write(dir, |root| {
            write(&root.join(SCORES), &encoding::scores(self.reference_scores()))?;
            if let Some(answers) = self.reference_answers() {
                write(&root.join(ANSWERS), &encoding::answers(answers))?;
            }
            if let Some(confidences) = self.reference_confidences() {
                write(&root.join(CONFIDENCES), &encoding::confidences(confidences))?;
            }
            if let Some(calibration) = self.calibration() {
                calibration::write(root, calibration)?;
            }
            if let Some(network) = self.pair().network() {
                network.save(root.join(CLASSIFIER))?;
            }
            if let Some(probe) = self.probe() {
                riptide_datasets::npy::write_images(root.join(PROBE_IMAGES), &probe.images)?;
                write(
                    &root.join(PROBE_PROBABILITIES),
                    &encoding::probe(&probe.probabilities, probe.images.len(), self.n_classes()),
                )?;
            }
            self.distilled().save(root.join(DISTILLED))?;
            let path = root.join(OPTIONS);
            write(&path, &json(&path, self.options())?)?;
            let path = root.join(MANIFEST);
            let manifest = Manifest {
                format: FORMAT.into(),
                version: VERSION,
                created_by: concat!("riptide ", env!("CARGO_PKG_VERSION")).into(),
                facts: self.facts().clone(),
                seal: self.facts().seal().map_err(|error| bad_json(&path, &error))?,
                files: folder::digests(root, &UNSEALED)?,
            };
            write(&path, &json(&path, &manifest)?)
        })
    }

    /// Errors if [`save`](Self::save) could not write to `dir`, or would not because something else is there: for asking
    /// before a long fit.
    ///
    /// # Errors
    /// [`Error::File`] if `dir` is a file or cannot be written, [`Error::Malformed`] if it is a folder that holds anything but
    /// a monitor.
    pub fn check_destination(dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        files::folder::recover(dir)?;
        files::folder::check(dir)?;
        if !dir.exists() {
            return Ok(());
        }
        let mut entries = fs::read_dir(dir).map_err(FileError::on("read", dir))?;
        if entries.next().is_none() {
            return Ok(());
        }
        let files = match dir.join(MANIFEST).is_file() {
            true => manifest(dir).map(|manifest| manifest.files),
            false if version1::is_here(dir) => version1::files(dir),
            false => Err(Error::malformed(dir, "holds no monitor")),
        };
        let only_a_monitor =
            files.and_then(|files| folder::only(dir, &files, &[MANIFEST, OPTIONS, version1::MANIFEST]));
        only_a_monitor.map_err(|error| {
            let reason = format!(
                "is not replaced, since it holds more or other than a monitor ({error}); choose another folder"
            );
            Error::malformed(dir, reason)
        })
    }

    /// Loads a monitor that [`save`](Self::save) wrote, after checking every fact against its seal and every file against its
    /// digest.
    ///
    /// Folders of format version 1 (`detector.json`) are read too, if nothing in them that decides what the reference's
    /// scores are was changed by hand.
    ///
    /// # Errors
    /// [`Error::FactChanged`], naming the fact; [`Error::Changed`], naming the file; [`Error::Malformed`] if `dir` holds no
    /// monitor, one of a newer version, or one whose classifier is a function ([`load_with`](Self::load_with) takes it);
    /// [`Error::Option`] for options out of range.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        load(dir.as_ref(), None)
    }

    /// Loads a monitor whose classifier is a function, after asking `classifier` about a few images of the reference and
    /// comparing its answers with those that were saved.
    ///
    /// # Errors
    /// As [`load`](Self::load); [`Error::FactChanged`] if the classifier answers otherwise than the one that was fitted.
    pub fn load_with(dir: impl AsRef<Path>, classifier: Classifier) -> Result<Self> {
        load(dir.as_ref(), Some(classifier))
    }
}

/// Loads the monitor that is there now. If another one takes its place meanwhile, files of both are read: then it is the other
/// one that is loaded. What was read is compared with the manifest, so that the two are never mixed; only the options have no
/// digest, and are taken as read with the manifest that is there before and after.
fn load(dir: &Path, own: Option<Classifier>) -> Result<Monitor> {
    const TRIES: usize = 20;
    let now = || fs::read(dir.join(MANIFEST)).ok();
    for _ in 1..TRIES {
        if fs::metadata(dir.join(MANIFEST)).is_ok_and(|found| !found.is_file() || found.len() > regular::TEXT) {
            break;
        }
        let before = now();
        let loaded = load_once(dir, own.clone());
        if now() == before {
            return loaded;
        }
    }
    load_once(dir, own)
}

fn load_once(dir: &Path, own: Option<Classifier>) -> Result<Monitor> {
    let path = dir.join(MANIFEST);
    if !path.is_file() {
        // A save that was cut off may have put the folder aside.
        files::folder::recover(dir)?;
    }
    if !path.is_file() {
        if version1::is_here(dir) {
            return version1::load(dir);
        }
        return Err(Error::malformed(
            dir,
            "no monitor; fit one, or import existing networks as one",
        ));
    }
    let Manifest { facts, seal, files, .. } = manifest(dir)?;
    if let Some((fact, reason)) = facts.changed(&seal).map_err(|error| bad_json(&path, &error))? {
        return Err(Error::FactChanged { path, fact, reason });
    }
    folder::check(dir, &path, &files, &UNSEALED)?;
    let options = options(dir)?;
    let scores = read_array::<f64>(&dir.join(SCORES), &facts.reference.scores, 1)?;
    let answers = match &facts.reference.answers {
        None => None,
        Some(digest) => {
            let pairs = read_array::<u32>(&dir.join(ANSWERS), digest, 2)?;
            let class = |place: usize| pairs.chunks_exact(2).map(|pair| pair[place] as usize).collect();
            Some(Answers {
                classifier: class(0),
                distilled: class(1),
            })
        }
    };
    let confidences = match &facts.reference.confidences {
        None => None,
        Some(digest) => Some(read_array::<f32>(&dir.join(CONFIDENCES), digest, 1)?),
    };
    let calibration = match &facts.calibration {
        None => None,
        Some(facts) => Some(calibration::read(dir, facts)?),
    };
    let distilled = Network::load(dir.join(DISTILLED))?;
    let (classifier, probe) = match (&facts.classifier, own) {
        (ClassifierFacts::Network(_), None) => (Network::load(dir.join(CLASSIFIER))?.into(), None),
        (ClassifierFacts::Network(_), Some(_)) => {
            return Err(Error::malformed(
                dir,
                "holds its classifier; load it without giving one",
            ));
        }
        (ClassifierFacts::Logged, None) => {
            let [height, width] = facts.input_size;
            (Classifier::logged(facts.class_names.len(), (height, width)), None)
        }
        (ClassifierFacts::Logged, Some(_)) => {
            return Err(Error::malformed(
                dir,
                "was fitted to logged probabilities; load it without giving a classifier",
            ));
        }
        (ClassifierFacts::Function(_), None) => {
            let reason = "was fitted to a classifier that is a function and is not saved; give it again when loading";
            return Err(Error::malformed(dir, reason));
        }
        (ClassifierFacts::Function(digest), Some(own)) => {
            let probe = read_probe(dir, &path, digest, &own)?;
            (own, Some(probe))
        }
    };
    for (fact, saved, found) in [
        ("distilled", Some(&facts.distilled), distilled.digest()),
        (
            "classifier",
            match &facts.classifier {
                ClassifierFacts::Network(digest) => Some(digest),
                ClassifierFacts::Function(_) | ClassifierFacts::Logged => None,
            },
            classifier.network().map(Network::digest).unwrap_or_default(),
        ),
    ] {
        if saved.is_some_and(|saved| *saved != found) {
            let reason = format!(
                "the network in `{fact}` is not the one that the monitor was fitted with; restore it, or fit again"
            );
            return Err(Error::FactChanged { path, fact, reason });
        }
    }
    let parts = Parts {
        facts,
        options,
        pair: Pair::new(classifier, distilled)?,
        scores,
        answers,
        confidences,
        calibration,
        probe,
    };
    Monitor::from_parts(parts).map_err(|error| match error {
        Error::Option { .. } | Error::Detector(DetectorError::InvalidOption { .. }) => {
            Error::malformed(dir.join(OPTIONS), error.to_string())
        }
        other => other,
    })
}

fn manifest(dir: &Path) -> Result<Manifest> {
    #[derive(Deserialize)]
    struct Version {
        format: String,
        version: u64,
    }
    let path = dir.join(MANIFEST);
    let text = folder::read_json(&path)?;
    let Version { format, version } = serde_json::from_str(&text).map_err(|error| bad_json(&path, &error))?;
    if format != FORMAT {
        return Err(Error::malformed(
            &path,
            format!("its `format` is {format:?}, not {FORMAT:?}"),
        ));
    }
    if version != VERSION {
        let reason =
            format!("format version {version}; this program reads versions 1 and {VERSION}: update it, or fit again");
        return Err(Error::malformed(&path, reason));
    }
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| bad_json(&path, &error))?;
    // A folder is replaced if it holds nothing but what its manifest lists, so that the list must not be anybody's.
    match manifest.files.keys().find(|name| !is_known(name)) {
        None => Ok(manifest),
        Some(other) => {
            let reason = format!("lists the file `{other}`, which no monitor has; restore the file, or fit again");
            Err(Error::malformed(&path, reason))
        }
    }
}

/// Whether a monitor may have a file of this name, besides the manifest and the options.
fn is_known(name: &str) -> bool {
    use riptide_models::{CONFIG_FILE, ONNX_FILE, WEIGHTS_FILE};
    let own = [SCORES, ANSWERS, CONFIDENCES, PROBE_IMAGES, PROBE_PROBABILITIES];
    match name.split_once('/') {
        None => own.contains(&name) || calibration::FILES.contains(&name),
        Some((folder, file)) => {
            [CLASSIFIER, DISTILLED].contains(&folder) && [CONFIG_FILE, ONNX_FILE, WEIGHTS_FILE].contains(&file)
        }
    }
}

/// The options of a saved monitor; the default ones if the file is missing.
fn options(dir: &Path) -> Result<Options> {
    let path = dir.join(OPTIONS);
    if !path.exists() {
        return Ok(Options::default());
    }
    serde_json::from_str(&folder::read_json(&path)?).map_err(|error| Error::malformed(&path, error.to_string()))
}

/// The values of a saved array whose rows have `width` values, after comparing its digest with the sealed one.
fn read_array<T: npy::Element>(path: &Path, sealed: &str, width: usize) -> Result<Vec<T>> {
    let bytes = regular::read(path, regular::NUMBERS)?;
    let found = digest::of_bytes(&bytes);
    if found != sealed {
        return Err(Error::Changed {
            path: path.into(),
            expected: sealed.to_owned(),
            found,
        });
    }
    let array = npy::decode(&bytes).map_err(|error| Error::malformed(path, error.to_string()))?;
    let fits = match array.shape.as_slice() {
        [_] => width == 1,
        [_, columns] => *columns == width,
        _ => false,
    };
    match fits {
        true => Ok(array.values),
        false => Err(Error::malformed(
            path,
            format!("has the shape {:?}, not (N, {width})", array.shape),
        )),
    }
}

/// Compares what a function answers now with what was saved.
fn read_probe(dir: &Path, manifest: &Path, sealed: &str, own: &Classifier) -> Result<Probe> {
    let path = dir.join(PROBE_PROBABILITIES);
    let probabilities = read_array::<f32>(&path, sealed, own.n_classes())?;
    let mut images = riptide_datasets::open(dir.join(PROBE_IMAGES), Default::default())?;
    let images: ImageSet = images
        .read_all()?
        .ok_or_else(|| Error::malformed(dir.join(PROBE_IMAGES), "holds no images"))?;
    let size = (images.height(), images.width());
    if size != own.input_size() {
        let expected = format!("{size:?}");
        return Err(Error::mismatch(
            "size of the classifier's images",
            expected,
            format!("{:?}", own.input_size()),
        ));
    }
    let now = own.predict_proba(&images, |_| ())?;
    let worst = now
        .iter()
        .zip(&probabilities)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0_f32, f32::max);
    if now.len() != probabilities.len() || worst > PROBE_TOLERANCE {
        return Err(Error::FactChanged {
            path: manifest.into(),
            fact: "classifier",
            reason: format!(
                "the classifier given answers otherwise than the one that the monitor was fitted to: a probability differs by {worst}; \
                 give the same classifier, or fit again"
            ),
        });
    }
    Ok(Probe { images, probabilities })
}

fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| bad_json(path, &error))?;
    text.push(b'\n');
    Ok(text)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    Ok(atomic::write(path, bytes)?)
}

fn bad_json(path: &Path, error: &serde_json::Error) -> Error {
    Error::malformed(path, format!("{error}; restore the file, or fit again"))
}
