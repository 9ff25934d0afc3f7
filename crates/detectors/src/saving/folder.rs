//! Folders that are written whole or not at all, and read back only as they were written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::DetectorError;

/// The file that says what the folder holds.
pub const MANIFEST: &str = "detector.json";

/// The format's name in [`MANIFEST`].
const FORMAT: &str = "riptide-detector";

/// The version that is written, and the newest that is read.
pub const FORMAT_VERSION: u64 = 1;

/// Bytes that [`MANIFEST`] may have.
const MAX_MANIFEST: u64 = 16 << 20;

/// What [`MANIFEST`] holds: who wrote it, the content, and the digest of every other file.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest<T> {
    format: String,
    version: u64,
    /// Kind of detector, as `KsDrift`.
    kind: String,
    /// Version of the program that wrote it.
    created_by: String,
    #[serde(flatten)]
    content: T,
    /// SHA-256, hexadecimal, by path relative to the folder, `/` between its parts.
    files: BTreeMap<String, String>,
}

/// Writes a detector folder: `fill` puts the files into an empty folder beside `dir`; the manifest is added, everything is
/// synced, and the folder takes `dir`'s place by renaming.
///
/// An existing `dir` is replaced only where it is empty or a detector folder; otherwise, and on any error, it stays as it
/// was. Where the program is killed between the two renames, the old folder is still there whole, under a name that starts with `.NAME.old`.
pub(crate) fn write<T: Serialize>(
    dir: &Path,
    kind: &str,
    content: T,
    fill: impl FnOnce(&Path) -> Result<(), DetectorError>,
) -> Result<(), DetectorError> {
    let name = dir.file_name().ok_or_else(|| DetectorError::BadFormat {
        path: dir.into(),
        reason: "not the name of a folder; give a path that ends in one".into(),
    })?;
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    check_replaceable(dir)?;
    fs::create_dir_all(&parent).map_err(DetectorError::io("create", &parent))?;
    let name = name.to_string_lossy();
    let staging = tempfile::Builder::new()
        .prefix(&format!(".{name}.new"))
        .tempdir_in(&parent)
        .map_err(DetectorError::io("create a folder in", &parent))?;
    let root = staging.path().join("detector");
    fs::create_dir(&root).map_err(DetectorError::io("create", &root))?;
    fill(&root)?;

    let files = digests(&root)?;
    let manifest = Manifest {
        format: FORMAT.into(),
        version: FORMAT_VERSION,
        kind: kind.into(),
        created_by: format!("riptide-detectors {}", env!("CARGO_PKG_VERSION")),
        content,
        files,
    };
    let path = root.join(MANIFEST);
    let mut text = serde_json::to_string_pretty(&manifest).map_err(|error| bad_json(&path, &error))?;
    text.push('\n');
    fs::write(&path, text).map_err(DetectorError::io("write", &path))?;
    sync_all(&root)?;

    let old = tempfile::Builder::new()
        .prefix(&format!(".{name}.old"))
        .tempdir_in(&parent)
        .map_err(DetectorError::io("create a folder in", &parent))?;
    let aside = old.path().join("detector");
    let replaces = dir.exists();
    if replaces {
        fs::rename(dir, &aside).map_err(DetectorError::io("rename", dir))?;
    }
    if let Err(error) = fs::rename(&root, dir) {
        if replaces && fs::rename(&aside, dir).is_err() {
            // The old folder could not be put back: leave it where it is.
            let _ = old.keep();
        }
        return Err(DetectorError::io("rename to", dir)(error));
    }
    Ok(())
}

/// Reads a detector folder's content and checks every file's digest.
pub(crate) fn read<T: DeserializeOwned>(dir: &Path, kind: &str) -> Result<T, DetectorError> {
    let path = dir.join(MANIFEST);
    let manifest: Manifest<T> = parse(&path, kind)?;
    for name in manifest.files.keys() {
        let safe = Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !safe || name.is_empty() {
            let reason = format!("lists the file `{name}`, which lies outside the folder; do not use it");
            return Err(DetectorError::BadFormat { path, reason });
        }
    }
    let found: BTreeSet<String> = list(dir)?.into_iter().filter(|name| name != MANIFEST).collect();
    if let Some(extra) = found.iter().find(|name| !manifest.files.contains_key(*name)) {
        let reason = "is not part of the detector that was saved here; remove it".into();
        return Err(DetectorError::BadFormat {
            path: dir.join(extra),
            reason,
        });
    }
    for (name, expected) in &manifest.files {
        let path = dir.join(name);
        let found = file_digest(&path)?;
        if &found != expected {
            return Err(DetectorError::DigestMismatch {
                path,
                expected: expected.clone(),
                found,
            });
        }
    }
    Ok(manifest.content)
}

fn parse<T: DeserializeOwned>(path: &Path, kind: &str) -> Result<Manifest<T>, DetectorError> {
    let bad = |reason: String| DetectorError::BadFormat {
        path: path.into(),
        reason,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(DetectorError::io("read", path))?;
    file.take(MAX_MANIFEST + 1)
        .read_to_string(&mut text)
        .map_err(DetectorError::io("read", path))?;
    if text.len() as u64 > MAX_MANIFEST {
        return Err(bad(format!(
            "is larger than {MAX_MANIFEST} bytes; it is no {FORMAT} file"
        )));
    }
    let value: Value = serde_json::from_str(&text).map_err(|error| bad_json(path, &error))?;
    if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(bad(format!("is no {FORMAT} file: its `format` is not \"{FORMAT}\"")));
    }
    let version = value.get("version").and_then(Value::as_u64);
    let version = version.ok_or_else(|| bad("has no `version`; save the detector again".into()))?;
    if version != FORMAT_VERSION {
        let advice = match version > FORMAT_VERSION {
            true => "update this program",
            false => "save the detector again with this program",
        };
        return Err(DetectorError::UnsupportedVersion {
            path: path.into(),
            found: version,
            supported: FORMAT_VERSION,
            advice,
        });
    }
    let found = value.get("kind").and_then(Value::as_str).unwrap_or("nothing");
    if found != kind {
        return Err(bad(format!("holds a {found}, not a {kind}")));
    }
    serde_json::from_value(value).map_err(|error| bad_json(path, &error))
}

fn bad_json(path: &Path, error: &serde_json::Error) -> DetectorError {
    DetectorError::BadFormat {
        path: path.into(),
        reason: format!("{error}; save the detector again"),
    }
}

/// Errors where `dir` could not be saved to because it holds something that is no detector: for asking before a long fit.
///
/// # Errors
/// [`DetectorError::BadFormat`], [`DetectorError::Io`] where `dir` is there and cannot be read.
pub fn check_replaceable(dir: &Path) -> Result<(), DetectorError> {
    if !dir.exists() || dir.join(MANIFEST).is_file() {
        return Ok(());
    }
    let mut entries = fs::read_dir(dir).map_err(DetectorError::io("read", dir))?;
    if entries.next().is_none() {
        return Ok(());
    }
    let reason = format!("holds files but no {MANIFEST}: it is not replaced; choose another folder");
    Err(DetectorError::BadFormat {
        path: dir.into(),
        reason,
    })
}

/// Digests of every file under `root`.
fn digests(root: &Path) -> Result<BTreeMap<String, String>, DetectorError> {
    list(root)?
        .into_iter()
        .map(|name| Ok((name.clone(), file_digest(&root.join(&name))?)))
        .collect()
}

/// Paths of every file under `root`, relative to it, `/` between their parts, sorted.
fn list(root: &Path) -> Result<BTreeSet<String>, DetectorError> {
    let mut files = BTreeSet::new();
    let mut folders = vec![(root.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(DetectorError::io("read", &folder))? {
            let entry = entry.map_err(DetectorError::io("read", &folder))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(DetectorError::io("read", &entry.path()))?;
            if kind.is_dir() {
                folders.push((entry.path(), format!("{name}/")));
            } else {
                files.insert(name);
            }
        }
    }
    Ok(files)
}

fn file_digest(path: &Path) -> Result<String, DetectorError> {
    let mut file = File::open(path).map_err(DetectorError::io("read", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(DetectorError::io("read", path)(error)),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Hands every file under `root` to the disk, so that the rename cannot come before the content.
fn sync_all(root: &Path) -> Result<(), DetectorError> {
    for name in list(root)? {
        let path = root.join(name);
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(DetectorError::io("write", &path))?;
    }
    Ok(())
}
