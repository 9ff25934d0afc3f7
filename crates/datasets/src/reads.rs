//! Whether reading images would read a certain file: for programs that are about to write it.

use std::fs;
use std::path::Path;

use crate::expand;
use crate::image_folder;
use crate::table::{self, Manifest, has_extension};

/// Whether [`open`](crate::open) at `images` would read `file`, which exists: it is that file by this or another name, in the
/// folder, matches the pattern, or stands in the table. Paths that lead to the same file by links are the same file.
///
/// A file that does not exist is never read, and neither is one if `images` is `-`, standard input. What cannot be found out, as
/// for a folder that cannot be listed, is taken for not read.
///
/// ```
/// use riptide_datasets::is_read;
///
/// let folder = tempfile::tempdir()?;
/// let (one, other) = (folder.path().join("a.png"), folder.path().join("b.csv"));
/// std::fs::write(&one, b"")?;
/// std::fs::write(&other, b"")?;
/// assert!(is_read(folder.path(), &one) && !is_read(folder.path(), &other));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn is_read(images: impl AsRef<Path>, file: impl AsRef<Path>) -> bool {
    let (images, file) = (images.as_ref(), file.as_ref());
    if images == Path::new("-") || !file.exists() {
        return false;
    }
    let (base, _) = table::split(images);
    if is_same(base, file) {
        return true;
    }
    let listed = expand::files(base).unwrap_or_default();
    if listed.iter().any(|listed| is_same(listed, file)) {
        return true;
    }
    let is_table = has_extension(base, &["csv", "tsv"]);
    let is_batch = |folder: &Path| {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files = files.map(|entry| entry.path());
        files.any(|path| has_extension(&path, &["bin", "txt"]) && is_same(&path, file))
    };
    is_table && Manifest::lists(base, |listed| is_same(listed, file))
        || base.is_dir() && (is_batch(base) || is_batch(&base.join("cifar-10-batches-bin")))
        || (base.is_dir() || !base.exists()) && image_folder::lists(base, |listed| is_same(listed, file))
}

/// Whether two paths lead to the same file.
fn is_same(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        identity(one).is_some_and(|found| Some(found) == identity(other))
    }
    #[cfg(not(unix))]
    {
        let real = |path: &Path| fs::canonicalize(path).ok();
        real(one).is_some_and(|found| Some(found) == real(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_in_whatever_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("set/cat/deep")).unwrap();
        for name in ["set/cat/deep/0.png", "x.npy", "a-0.tar", "other.png", "list.png"] {
            fs::write(path(name), b"").unwrap();
        }
        fs::write(path("table.csv"), "image,label\nlist.png,1\n").unwrap();
        for (images, file) in [
            ("x.npy", "x.npy"),
            ("set", "set/cat/deep/0.png"),
            ("set/cat/deep/*.png", "set/cat/deep/0.png"),
            ("a-{0..1}.tar", "a-0.tar"),
            ("table.csv", "table.csv"),
            ("table.csv", "list.png"),
            ("./set/../x.npy", "x.npy"),
        ] {
            assert!(is_read(path(images), path(file)), "{images} {file}");
        }
        for (images, file) in [
            ("set", "other.png"),
            ("x.npy", "new.npy"),
            ("table.csv", "x.npy"),
            ("-", "x.npy"),
        ] {
            assert!(!is_read(path(images), path(file)), "{images} {file}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_to_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("x.npy"), b"").unwrap();
        fs::hard_link(path("x.npy"), path("hard.npy")).unwrap();
        std::os::unix::fs::symlink(path("x.npy"), path("soft.npy")).unwrap();
        assert!(is_read(path("x.npy"), path("hard.npy")) && is_read(path("soft.npy"), path("hard.npy")));
    }
}
