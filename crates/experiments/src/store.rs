//! Finished passes kept on disk, so that a run that was stopped goes on where it was.

use std::path::{Path, PathBuf};

use npyz::WriterBuilder;
use riptide_detectors::Probabilities;

use crate::ExperimentError;
use crate::files::write_atomically;

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

    /// The kept pass of `n` images, or nothing where there is none or it is not whole.
    pub(crate) fn load(&self, key: &str, n: usize, n_classes: usize) -> Option<Probabilities> {
        let file = std::fs::File::open(self.path(key)).ok()?;
        let npy = npyz::NpyFile::new(std::io::BufReader::new(file)).ok()?;
        if npy.shape() != [n as u64, 2, n_classes as u64] {
            return None;
        }
        let values: Vec<f32> = npy.into_vec().ok()?;
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
        write_atomically(&self.path(key), &npy(&[n, 2, k], values, &self.path(key))?)
    }
}

/// The bytes of a float32 `.npy` file, C order.
pub(crate) fn npy(
    shape: &[usize],
    values: impl IntoIterator<Item = f32>,
    path: &Path,
) -> Result<Vec<u8>, ExperimentError> {
    let shape: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape)
        .writer(&mut bytes)
        .begin_nd()
        .map_err(ExperimentError::io(path))?;
    writer.extend(values).map_err(ExperimentError::io(path))?;
    writer.finish().map_err(ExperimentError::io(path))?;
    Ok(bytes)
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
