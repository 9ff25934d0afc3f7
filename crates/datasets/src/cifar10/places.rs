//! Where CIFAR-10 may be on disk.

use std::path::{Path, PathBuf};

use super::{ARCHIVE_FOLDER, Split};
use crate::cache::{CIFAR10, CIFAR10_ARCHIVE};
use crate::error::{DatasetError, Result};

const PYTHON: &str = "this is the Python version of CIFAR-10 (pickle files), which is not read; use the binary version, \
    cifar-10-binary.tar.gz, or save the images as a .npy file";
const PYTHON100: &str =
    "this is the Python version of CIFAR-100 (pickle files), which is not read; save the images as a .npy file";
pub(super) const CIFAR100: &str = "this is the binary version of CIFAR-100 (records of 3074 bytes, where CIFAR-10 has 3073), \
    which is not read; save the images as a .npy file";

/// CIFAR-10 in a cache such as [`cache_dir`](crate::cache_dir)'s, for [`load`](super::load): the folder `cifar10/cifar-10-batches-bin` if
/// somebody has unpacked it there, else the path of the published archive, whether it has been fetched or not.
pub fn in_cache(cache: impl AsRef<Path>) -> PathBuf {
    let folder = cache.as_ref().join(CIFAR10);
    let unpacked = folder.join(ARCHIVE_FOLDER);
    if unpacked.is_dir() {
        return unpacked;
    }
    folder.join(CIFAR10_ARCHIVE)
}

/// Whether a folder holds batch files of CIFAR-10 of this split, directly or in the archive's folder.
pub fn is_in(folder: impl AsRef<Path>, split: Split) -> bool {
    let folder = folder.as_ref();
    let batches = |folder: &Path| split.files().iter().any(|file| folder.join(file).is_file());
    batches(folder) || batches(&folder.join(ARCHIVE_FOLDER))
}

/// Whether a file is called as one of CIFAR-10's batch files.
pub(super) fn is_batch_file(path: &Path) -> bool {
    let names = [Split::Train, Split::Test].into_iter().flat_map(Split::files);
    let name = path.file_name().unwrap_or_default();
    names.into_iter().any(|file| name == *file)
}

/// What a file of this name in an archive or a folder says that it is, if it is of a version that is not read.
pub(super) fn other_version_of(name: &str) -> Option<&'static str> {
    match name {
        "test_batch" | "batches.meta" => Some(PYTHON),
        "train.bin" | "test.bin" | "fine_label_names.txt" => Some(CIFAR100),
        _ if name
            .strip_prefix("data_batch_")
            .is_some_and(|number| matches!(number.as_bytes(), [b'1'..=b'5'])) =>
        {
            Some(PYTHON)
        }
        _ => None,
    }
}

/// Refuses the folders and files of the versions of CIFAR-10 and CIFAR-100 that are not read, in words that say so.
pub(crate) fn refuse_other_versions(path: &Path) -> Result<()> {
    let has = |folder: &Path, names: &[&str]| names.iter().all(|name| folder.join(name).is_file());
    let version = if path.is_dir() {
        let python = path.join("cifar-10-batches-py");
        let python = [path, &python].into_iter().any(|folder| {
            ["test_batch", "data_batch_1", "batches.meta"]
                .iter()
                .any(|name| has(folder, &[name]))
        });
        let named = |folder: &str, files: &[&str]| has(path, files) || has(&path.join(folder), files);
        if python {
            Some(PYTHON)
        } else if named("cifar-100-python", &["train", "test", "meta"]) {
            Some(PYTHON100)
        } else if named("cifar-100-binary", &["train.bin", "test.bin"]) {
            Some(CIFAR100)
        } else {
            None
        }
    } else {
        path.file_name()
            .and_then(|name| name.to_str())
            .and_then(other_version_of)
    };
    version.map_or(Ok(()), |reason| Err(DatasetError::malformed(path, reason)))
}
