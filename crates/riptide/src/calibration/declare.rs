//! The declared sets: clean images corrupted by every family at every severity, and what both networks answer.

use std::path::{Path, PathBuf};

use riptide_corruptions::{Corruptor, Family, Severity};
use riptide_datasets::ImageSet;
use riptide_detectors::Probabilities;
use riptide_detectors::accuracy::{AccuracyConfig, CLEAN, DeclaredSet, DescribedSet};
use riptide_files::{FileError, Progress, Unit, atomic, digest, npy, regular};

use super::Calibrate;
use crate::error::{Error, Result};
use crate::pair::Pair;

/// Bytes of images that are corrupted and passed at a time.
const CHUNK_BYTES: usize = 12 << 20;
/// How the name of a file with the digest of kept answers ends.
const DIGEST: &str = "sha256";

/// What is declared about one pair of networks.
pub(super) struct Declared<'a> {
    pub(super) pair: &'a Pair,
    pub(super) images: &'a ImageSet,
    /// Labels in the classifier's classes if its errors are the target.
    pub(super) labels: Option<&'a [u32]>,
    pub(super) config: &'a Calibrate,
    pub(super) accuracy: &'a AccuracyConfig,
}

/// What was answered to one set.
struct Answered {
    probabilities: Probabilities,
    mirrored: Option<Vec<f32>>,
}

impl Declared<'_> {
    /// Passes the clean images and every corrupted set, one after the other. Of each, only what the fit needs is kept.
    pub(super) fn describe(&self, progress: &mut dyn Progress) -> Result<(DescribedSet, Vec<DescribedSet>)> {
        let sets = self.config.families.len() * Severity::ALL.len();
        let total = (self.images.len() as u64).saturating_mul(1 + sets as u64);
        progress.begin("calibrating", Some(total), Unit::Images);
        progress.message("clean images");
        let clean = self.pass(None, progress)?;
        let answers = clean.probabilities.predicted_classes();
        let wrong = |probabilities: &Probabilities| match self.labels {
            Some(labels) => errors(probabilities, labels),
            None => {
                let now = probabilities.predicted_classes();
                now.iter().zip(&answers).map(|(now, then)| now != then).collect()
            }
        };
        let kept = self.kept(&clean)?;
        let mut described = Vec::with_capacity(sets);
        for &family in &self.config.families {
            for severity in Severity::ALL {
                progress.message(&format!("{family}, severity {severity}"));
                let answered = self.answered(kept.as_deref(), family, severity, progress)?;
                let wrong = wrong(&answered.probabilities);
                let Answered {
                    probabilities,
                    mirrored,
                } = answered;
                let set = Some((family, severity));
                described.push(self::described(set, probabilities, mirrored, wrong, self.accuracy)?);
            }
        }
        progress.end();
        let wrong = wrong(&clean.probabilities);
        let clean = self::described(None, clean.probabilities, clean.mirrored, wrong, self.accuracy)?;
        Ok((clean, described))
    }

    /// The answers to a corrupted set, from the folder of an earlier run if they are there.
    fn answered(
        &self,
        folder: Option<&Path>,
        family: Family,
        severity: Severity,
        progress: &mut dyn Progress,
    ) -> Result<Answered> {
        let path = folder.map(|folder| folder.join(format!("{family}-{severity}.npy")));
        if let Some(path) = path.as_ref().filter(|path| path.exists()) {
            let answered = self.read(path)?;
            progress.skip(self.images.len() as u64);
            return Ok(answered);
        }
        let answered = self.pass(Some((family, severity)), progress)?;
        if let Some(path) = &path {
            self.write(path, &answered)?;
        }
        Ok(answered)
    }

    /// Corrupts the images and passes them through the networks, a chunk at a time.
    fn pass(&self, set: Option<(Family, Severity)>, progress: &mut dyn Progress) -> Result<Answered> {
        let corruptor = Corruptor::new(self.config.seed);
        let images = self.images;
        let bytes = images.height().saturating_mul(images.width()).saturating_mul(3).max(1);
        let chunk = (CHUNK_BYTES / bytes).max(1);
        let mut probabilities = Probabilities {
            n_classes: self.pair.distilled().n_classes(),
            ..Default::default()
        };
        let mut both = (self.config.views == 2).then(Vec::new);
        for first in (0..images.len()).step_by(chunk) {
            let part = images.slice(first..images.len().min(first + chunk))?;
            let part = match set {
                None => part,
                Some((family, severity)) => {
                    corruptor
                        .apply_from(&part, first as u64, family, severity)
                        .map_err(|error| Error::Calibration {
                            reason: error.to_string(),
                        })?
                }
            };
            probabilities.extend(&self.pair.probabilities(&part)?)?;
            if let Some(both) = &mut both {
                both.extend(self.pair.classifier_probabilities(&mirrored(&part)?)?);
            }
            progress.advance(part.len() as u64);
        }
        Ok(Answered {
            probabilities,
            mirrored: both,
        })
    }

    /// The folder that keeps the answers, after making sure that it belongs to these networks and images.
    fn kept(&self, clean: &Answered) -> Result<Option<PathBuf>> {
        const KEY: &str = "calibration.key";
        let Some(folder) = &self.config.checkpoint else {
            return Ok(None);
        };
        let answers = [&clean.probabilities.classifier, &clean.probabilities.distilled];
        let answers = answers.map(|values| digest::of_bytes(&npy::encode(&[values.len()], values.iter().copied())));
        let [classifier, distilled] = &answers;
        let (seed, views) = (self.config.seed.to_string(), self.config.views.to_string());
        let images = self.images.digest();
        let parts = [classifier, distilled, &images, &seed, &views].map(|part| part.as_bytes());
        let key = digest::of_parts(&parts);
        std::fs::create_dir_all(folder).map_err(FileError::on("create", folder))?;
        let path = folder.join(KEY);
        match std::fs::read_to_string(&path) {
            Ok(found) if found.trim() == key => {}
            Ok(_) => {
                let reason =
                    "keeps a calibration of other networks, images or options; give another folder, or delete it";
                return Err(Error::malformed(folder, reason));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                atomic::write(&path, format!("{key}\n").as_bytes())?;
            }
            Err(error) => return Err(FileError::on("read", &path)(error).into()),
        }
        Ok(Some(folder.clone()))
    }

    /// The answers as an array (networks, images, classes) of f32: the classifier, the distilled network, the mirrored view.
    fn write(&self, path: &Path, answered: &Answered) -> Result<()> {
        let Probabilities {
            classifier,
            distilled,
            n_classes,
        } = &answered.probabilities;
        let mirrored = answered.mirrored.as_deref().unwrap_or_default();
        let networks = 2 + usize::from(answered.mirrored.is_some());
        let values = classifier.iter().chain(distilled).chain(mirrored).copied();
        let bytes = npy::encode(&[networks, self.images.len(), *n_classes], values);
        // The digest comes first, so that answers are never without it.
        atomic::write(path.with_extension(DIGEST), digest::of_bytes(&bytes).as_bytes())?;
        Ok(atomic::write(path, &bytes)?)
    }

    fn read(&self, path: &Path) -> Result<Answered> {
        let damaged = |reason: String| Error::malformed(path, format!("{reason}; delete it, and it is made again"));
        let bytes = regular::read(path, regular::NUMBERS)?;
        if regular::read_text(path.with_extension(DIGEST), regular::TEXT).ok() != Some(digest::of_bytes(&bytes)) {
            return Err(damaged(
                "has another digest than it was written with, or none".to_owned(),
            ));
        }
        let array = npy::decode::<f32>(&bytes).map_err(|error| damaged(error.to_string()))?;
        let n_classes = self.pair.distilled().n_classes();
        let expected = [1 + usize::from(self.config.views), self.images.len(), n_classes];
        if array.shape != expected {
            return Err(damaged(format!("has the shape {:?}, not {expected:?}", array.shape)));
        }
        let one = self.images.len() * n_classes;
        let mut parts = array.values.chunks_exact(one.max(1)).map(<[f32]>::to_vec);
        let mut part = || parts.next().unwrap_or_default();
        let (classifier, distilled) = (part(), part());
        Ok(Answered {
            probabilities: Probabilities::new(classifier, distilled, n_classes)?,
            mirrored: (self.config.views == 2).then(part),
        })
    }
}

/// A set reduced to what the fit needs; the clean one if `set` is none.
pub(super) fn described(
    set: Option<(Family, Severity)>,
    probabilities: Probabilities,
    mirrored: Option<Vec<f32>>,
    wrong: Vec<bool>,
    config: &AccuracyConfig,
) -> Result<DescribedSet> {
    let set = DeclaredSet {
        family: set.map_or(CLEAN, |(family, _)| family.name()).to_owned(),
        severity: set.map_or(0, |(_, severity)| severity.get()),
        probabilities,
        mirrored,
        wrong,
    };
    Ok(set.describe(config)?)
}

/// Whether each of the classifier's answers differs from the label.
pub(super) fn errors(probabilities: &Probabilities, labels: &[u32]) -> Vec<bool> {
    let answers = probabilities.predicted_classes();
    let pairs = answers.iter().zip(labels);
    pairs.map(|(&answer, &label)| answer != label as usize).collect()
}

/// The images with left and right exchanged.
pub(crate) fn mirrored(images: &ImageSet) -> Result<ImageSet> {
    let width = images.width().max(1);
    let mut pixels = Vec::with_capacity(images.pixels().len());
    for row in images.pixels().chunks_exact(width * 3) {
        pixels.extend(row.chunks_exact(3).rev().flatten());
    }
    Ok(images.with_pixels(pixels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirrored_image_is_read_from_the_right() {
        let images = ImageSet::unlabelled((0..12).collect(), 2, 2).unwrap();
        let twice = mirrored(&images).unwrap();
        assert_eq!(twice.pixels(), [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]);
        assert_eq!(mirrored(&twice).unwrap(), images);
    }
}
