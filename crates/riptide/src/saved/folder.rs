//! The files of a monitor's folder, by name and digest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path};

use riptide_files::{FileError, digest, regular};

use crate::error::{Error, Result};

/// Digests of every file under `root` but those named, by path relative to it.
pub(super) fn digests(root: &Path, without: &[&str]) -> Result<BTreeMap<String, String>> {
    let names = list(root)?
        .into_iter()
        .filter(|name| !name.ends_with('/') && !without.contains(&name.as_str()));
    names
        .map(|name| {
            let digest = digest::of_file(root.join(&name))?;
            Ok((name, digest))
        })
        .collect()
}

/// Errors unless the files under `dir`, but those named, are exactly `files` with these digests. `manifest` is where the
/// digests come from.
pub(super) fn check(dir: &Path, manifest: &Path, files: &BTreeMap<String, String>, without: &[&str]) -> Result<()> {
    for name in files.keys() {
        let mut parts = Path::new(name).components();
        if name.is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
            let reason = format!("lists the file `{name}`, which lies outside the folder; do not use it");
            return Err(Error::malformed(manifest, reason));
        }
    }
    only(dir, files, without)?;
    for (name, expected) in files {
        let path = dir.join(name);
        let (_, length) = regular::open(&path)?;
        if length > regular::NUMBERS {
            let reason = format!("is {length} bytes long; it is no file of a monitor");
            return Err(Error::malformed(path, reason));
        }
        let found = digest::of_file(&path)?;
        if &found != expected {
            return Err(Error::Changed {
                path,
                expected: expected.clone(),
                found,
            });
        }
    }
    Ok(())
}

/// Errors if there are files under `dir` other than `files` and those named.
pub(super) fn only(dir: &Path, files: &BTreeMap<String, String>, without: &[&str]) -> Result<()> {
    let found = list(dir)?;
    let mut others = found.iter().filter(|name| !without.contains(&name.as_str()));
    match others.find(|name| !files.contains_key(*name)) {
        None => Ok(()),
        Some(extra) => {
            let reason = "is not part of the monitor that was saved here; remove it";
            Err(Error::malformed(dir.join(extra), reason))
        }
    }
}

/// The text of a JSON file of a monitor.
pub(super) fn read_json(path: &Path) -> Result<String> {
    Ok(regular::read_text(path, regular::TEXT)?)
}

/// Paths of every file under `root`, relative to it, `/` between their parts, sorted; of an empty folder, its own with `/` behind
/// it.
fn list(root: &Path) -> Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    let mut folders = vec![(root.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let mut is_empty = true;
        for entry in fs::read_dir(&folder).map_err(FileError::on("read", &folder))? {
            is_empty = false;
            let entry = entry.map_err(FileError::on("read", &folder))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(FileError::on("read", entry.path()))?;
            if kind.is_dir() {
                folders.push((entry.path(), format!("{name}/")));
            } else {
                files.insert(name);
            }
        }
        if is_empty && !prefix.is_empty() {
            files.insert(prefix);
        }
    }
    Ok(files)
}
