//! Where CIFAR-10 may be on disk.

use std::path::{Path, PathBuf};

use super::{ARCHIVE_FOLDER, Split};
use crate::cache::{CIFAR10, CIFAR10_ARCHIVE};

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
