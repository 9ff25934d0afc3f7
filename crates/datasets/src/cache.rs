//! Where downloaded files are kept on this machine.

use std::path::PathBuf;

/// The folder of CIFAR-10 in a cache.
pub(crate) const CIFAR10: &str = "cifar10";
/// The name of CIFAR-10's published archive.
pub(crate) const CIFAR10_ARCHIVE: &str = "cifar-10-binary.tar.gz";

/// The folder that downloaded data sets are kept in: `explicit` if it is given, else `$RIPTIDE_CACHE`, else
/// `$XDG_CACHE_HOME/riptide`, else `~/.cache/riptide`; if even the home folder is not known, `.riptide-cache` in the current
/// folder. The feature `fetch` fills it; nothing here needs that feature, or a network.
///
/// ```
/// use riptide_datasets::cache_dir;
///
/// assert_eq!(cache_dir(Some("here".into())).to_str(), Some("here"));
/// ```
pub fn cache_dir(explicit: Option<PathBuf>) -> PathBuf {
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
