//! Where downloaded files are kept on this machine. Nothing here needs a network, or the feature `fetch`.

use std::path::{Path, PathBuf};

pub(crate) const CIFAR10: &str = "cifar10";
pub(crate) const CIFAR10_ARCHIVE: &str = "cifar-10-binary.tar.gz";
pub(crate) const CIFAR10C: &str = "cifar10c";
#[cfg(feature = "fetch")]
pub(crate) const FROST: &str = "frost";
pub(crate) const MODELS: &str = "models";

/// The cache: `explicit` if it is given, else `$RIPTIDE_CACHE`, else `$XDG_CACHE_HOME/riptide`, else `~/.cache/riptide`; if
/// even the home folder is not known, `.riptide-cache` in the current folder.
pub fn dir(explicit: Option<PathBuf>) -> PathBuf {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    explicit
        .or_else(|| set("RIPTIDE_CACHE"))
        .or_else(|| set("XDG_CACHE_HOME").map(|base| base.join("riptide")))
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache").join("riptide")))
        .unwrap_or_else(|| PathBuf::from(".riptide-cache"))
}

/// CIFAR-10 in a cache, for [`cifar10::load`](crate::cifar10::load): the folder `cifar-10-batches-bin` if somebody has
/// unpacked it there, else the published archive's path, whether it has been fetched or not.
pub fn cifar10(cache: &Path) -> PathBuf {
    let folder = cache.join(CIFAR10);
    let unpacked = folder.join(crate::cifar10::ARCHIVE_FOLDER);
    if unpacked.is_dir() {
        return unpacked;
    }
    folder.join(CIFAR10_ARCHIVE)
}

/// The folder of CIFAR-10-C in a cache, for [`Cifar10C::open`](crate::cifar10_c::Cifar10C::open), whether anything of it has
/// been fetched or not.
pub fn cifar10c(cache: &Path) -> PathBuf {
    cache.join(CIFAR10C)
}

/// The folder of the published Keras networks in a cache, `model.h5` and `distilled_model.h5`, whether they have been
/// fetched or not.
pub fn models(cache: &Path) -> PathBuf {
    cache.join(MODELS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpacked_cifar10_is_preferred() {
        let cache = tempfile::tempdir().unwrap();
        assert!(cifar10(cache.path()).ends_with("cifar10/cifar-10-binary.tar.gz"));
        let unpacked = cache.path().join("cifar10/cifar-10-batches-bin");
        std::fs::create_dir_all(&unpacked).unwrap();
        assert_eq!(cifar10(cache.path()), unpacked);
    }

    #[test]
    fn what_is_given_comes_before_the_environment() {
        assert_eq!(dir(Some("here".into())), Path::new("here"));
    }
}
