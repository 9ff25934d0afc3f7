//! Finished passes kept on disk, so that a run that was stopped resumes where it was.

use std::path::PathBuf;

use riptide_detectors::Probabilities;
use riptide_files::{FileError, atomic, npy};

use crate::error::ExperimentError;

/// A folder of finished passes: one `.npy` of float32 (N, 2, n_classes) a set of images, classifier first, named by the
/// digest of networks and images.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.npy"))
    }

    /// The kept pass of `n` images; none if there is none or it is not whole.
    pub(crate) fn load(&self, key: &str, n: usize, n_classes: usize) -> Option<Probabilities> {
        let bytes = std::fs::read(self.path(key)).ok()?;
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
        Ok(atomic::write(self.path(key), &npy::encode(&[n, 2, k], values))?)
    }
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
        let path = store.path("key");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert!(
            store.load("key", 2, 2).is_none(),
            "a truncated file is not a finished pass"
        );
    }
}
