//! The files of a monitor's folder, by name and digest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path};

use riptide_files::{FileError, digest};

use crate::error::{Error, Result};

/// Bytes that a JSON file of a monitor may have.
const MAX_JSON: u64 = 16 << 20;

/// Digests of every file under `root` but those named, by path relative to it.
pub(super) fn digests(root: &Path, without: &[&str]) -> Result<BTreeMap<String, String>> {
    let names = list(root)?.into_iter().filter(|name| !without.contains(&name.as_str()));
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
    let mut text = String::new();
    let file = File::open(path).map_err(FileError::on("read", path))?;
    let mut limited = file.take(MAX_JSON + 1);
    limited.read_to_string(&mut text).map_err(FileError::on("read", path))?;
    if text.len() as u64 > MAX_JSON {
        return Err(Error::malformed(
            path,
            format!("is larger than {MAX_JSON} bytes; it is no file of a monitor"),
        ));
    }
    Ok(text)
}

/// Paths of every file under `root`, relative to it, `/` between their parts, sorted.
fn list(root: &Path) -> Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    let mut folders = vec![(root.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(FileError::on("read", &folder))? {
            let entry = entry.map_err(FileError::on("read", &folder))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(FileError::on("read", entry.path()))?;
            if kind.is_dir() {
                folders.push((entry.path(), format!("{name}/")));
            } else {
                files.insert(name);
            }
        }
    }
    Ok(files)
}
