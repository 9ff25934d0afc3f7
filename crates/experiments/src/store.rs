//! Finished passes kept on disk, so that a run that was stopped resumes where it was.
//!
//! A file's name ends in a digest of what is in it: one that was changed afterwards is scored again.

use std::path::{Path, PathBuf};

use riptide_detectors::Probabilities;
use riptide_files::{FileError, atomic, digest, npy};

use crate::error::ExperimentError;

/// A folder of finished passes: one `.npy` of float32 (N, 2, n_classes) for each set of images, classifier first, named by the
/// digest of networks and images, and by its own.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where a pass of these bytes is kept. The key is digested too, so that a file cannot stand in for another set.
    fn path(&self, key: &str, bytes: &[u8]) -> PathBuf {
        let digest = digest::of_parts(&[key.as_bytes(), bytes]);
        self.folder
            .join(format!("{key}-{}.npy", digest.get(..16).unwrap_or(&digest)))
    }

    /// The file that is kept for a set of images.
    fn find(&self, key: &str) -> Option<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).ok()?;
        let mut paths = entries.flatten().map(|entry| entry.path());
        paths.find(|path| name(path).strip_prefix(key).is_some_and(|rest| rest.starts_with('-')))
    }

    /// The kept pass of `n` images; none if there is none or it is not whole.
    pub(crate) fn load(&self, key: &str, n: usize, n_classes: usize) -> Option<Probabilities> {
        let path = self.find(key)?;
        let bytes = std::fs::read(&path).ok()?;
        if self.path(key, &bytes) != path {
            return None;
        }
        let npy::Array { shape, values } = npy::decode::<f32>(&bytes).ok()?;
        if shape != [n, 2, n_classes] || n_classes == 0 {
            return None;
        }
        let mut kept = Probabilities {
            classifier: Vec::with_capacity(n * n_classes),
            distilled: Vec::with_capacity(n * n_classes),
            n_classes,
        };
        for row in values.chunks_exact(2 * n_classes) {
            let (classifier, distilled) = row.split_at(n_classes);
            kept.classifier.extend_from_slice(classifier);
            kept.distilled.extend_from_slice(distilled);
        }
        Some(kept)
    }

    /// Keeps a finished pass.
    pub(crate) fn save(&self, key: &str, pass: &Probabilities) -> Result<(), ExperimentError> {
        let k = pass.n_classes;
        let n = pass.classifier.len() / k.max(1);
        let rows = pass.classifier.chunks_exact(k).zip(pass.distilled.chunks_exact(k));
        let values = rows.flat_map(|(classifier, distilled)| classifier.iter().chain(distilled).copied());
        std::fs::create_dir_all(&self.folder).map_err(FileError::on("create", &self.folder))?;
        let bytes = npy::encode(&[n, 2, k], values);
        Ok(atomic::write(self.path(key, &bytes), &bytes)?)
    }
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_comes_back_and_other_shapes_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("passes"));
        let pass = Probabilities {
            classifier: vec![0.25, 0.75, 1.0, 0.0],
            distilled: vec![0.5; 4],
            n_classes: 2,
        };
        assert!(store.load("key", 2, 2).is_none());
        store.save("key", &pass).unwrap();
        let kept = store.load("key", 2, 2).unwrap();
        assert_eq!((kept.classifier, kept.distilled), (pass.classifier, pass.distilled));
        assert!(store.load("key", 3, 2).is_none());
        let path = store.find("key").unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        for damaged in [&whole[..whole.len() - 3], &changed] {
            std::fs::write(&path, damaged).unwrap();
            assert!(store.load("key", 2, 2).is_none(), "not the pass that was kept");
        }
    }
}
