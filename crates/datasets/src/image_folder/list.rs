//! Which files of a folder are pictures, and of which class.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use image::ImageFormat;
use riptide_files::shown;

use crate::cifar10;
use crate::error::{DatasetError, Result};
use crate::picture;

/// How deep folders may be inside each other; deeper ones are a link to a folder above them.
const MAX_DEPTH: usize = 32;

/// Pictures that cannot be read. Passing over them would leave out images without a word; as pictures they are refused by name.
const OTHER_PICTURES: [&str; 8] = ["heic", "heif", "avif", "jxl", "jp2", "tga", "psd", "dng"];

/// Names of folders that hold parts of a data set and not its classes.
const PARTS: [&str; 9] = [
    "train",
    "training",
    "test",
    "testing",
    "val",
    "valid",
    "validation",
    "dev",
    "eval",
];

/// What was found.
#[derive(Debug, Clone, Default)]
pub(super) struct Listing {
    /// Each picture with its label.
    pub(super) pictures: VecDeque<(PathBuf, u32)>,
    /// The names of the classes, by label; empty if there are none.
    pub(super) class_names: Vec<String>,
    /// Files that are no pictures.
    pub(super) skipped: Vec<PathBuf>,
}

impl Listing {
    /// Lists what is at a path: a folder, a file, or a glob pattern.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let mut listing = Self::default();
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => listing.folder(path)?,
            Ok(_) => {
                cifar10::refuse_other_versions(path)?;
                listing.pictures.push_back((path.to_path_buf(), 0));
            }
            Err(error) => match path.to_str().filter(|text| text.contains(['*', '?', '['])) {
                Some(pattern) => listing.glob(path, pattern)?,
                None => return Err(DatasetError::io(path, error)),
            },
        }
        Ok(listing)
    }

    fn folder(&mut self, path: &Path) -> Result<()> {
        cifar10::refuse_other_versions(path)?;
        let (files, folders) = entries(path)?;
        let flat = self.only_pictures(files);
        for folder in folders {
            let mut files = Vec::new();
            below(&folder, 1, &mut files)?;
            files.sort_unstable();
            let files = self.only_pictures(files);
            if files.is_empty() {
                continue;
            }
            let label = u32::try_from(self.class_names.len()).unwrap_or(u32::MAX);
            self.class_names.push(class_name(&folder)?);
            self.pictures.extend(files.into_iter().map(|file| (file, label)));
        }
        if let Some(example) = flat.first()
            && !self.class_names.is_empty()
        {
            let example = shown(example);
            let reason =
                format!("images both in class folders and beside them, such as {example}; move one or the other");
            return Err(DatasetError::malformed(path, reason));
        }
        let is_part = |name: &String| PARTS.contains(&name.to_lowercase().as_str());
        if let Some(part) = self.class_names.first()
            && self.class_names.iter().all(is_part)
        {
            let reason = format!(
                "its folders ({}) are parts of a data set, not classes; open one of them, such as {}",
                self.class_names.join(", "),
                shown(&path.join(part))
            );
            return Err(DatasetError::malformed(path, reason));
        }
        self.pictures.extend(flat.into_iter().map(|file| (file, 0)));
        Ok(())
    }

    fn glob(&mut self, path: &Path, pattern: &str) -> Result<()> {
        let broken = |error: glob::PatternError| DatasetError::malformed(path, format!("not a glob pattern: {error}"));
        // A dot in front hides a name; a pattern that says it finds it.
        let options = glob::MatchOptions {
            require_literal_leading_dot: true,
            ..glob::MatchOptions::default()
        };
        let mut files = Vec::new();
        for file in glob::glob_with(pattern, options).map_err(broken)? {
            let file = file.map_err(|error| {
                let path = error.path().to_path_buf();
                DatasetError::io(path, error.into())
            })?;
            let mut parts = file.components().filter_map(|part| match part {
                Component::Normal(name) => Some(name),
                _ => None,
            });
            if !parts.any(is_litter) && !file.is_dir() {
                files.push(file);
            }
        }
        files.sort_unstable();
        let files = self.only_pictures(files);
        self.pictures.extend(files.into_iter().map(|file| (file, 0)));
        Ok(())
    }

    /// The files that are pictures by their extension or, if that says nothing, by their first bytes; the others go to `skipped`.
    fn only_pictures(&mut self, files: Vec<PathBuf>) -> Vec<PathBuf> {
        let (pictures, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| {
            let extension = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            ImageFormat::from_path(file).is_ok_and(|format| format.reading_enabled())
                || OTHER_PICTURES.contains(&extension.as_str())
                || picture::is_surely_one(&picture::start(file))
        });
        self.skipped.extend(others);
        pictures
    }
}

/// The name of a class as JSON can hold it.
fn class_name(folder: &Path) -> Result<String> {
    let name = folder.file_name().unwrap_or_default();
    match name.to_str() {
        Some(name) => Ok(name.to_owned()),
        None => Err(DatasetError::malformed(
            folder,
            "the folder's name is the name of a class and must be UTF-8; rename it",
        )),
    }
}

/// Files in a folder and in all folders below it.
fn below(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH {
        let reason =
            format!("folders are more than {MAX_DEPTH} deep inside each other; is one a link to a folder above it?");
        return Err(DatasetError::malformed(folder, reason));
    }
    let (here, folders) = entries(folder)?;
    files.extend(here);
    for folder in folders {
        below(&folder, depth + 1, files)?;
    }
    Ok(())
}

/// The files and the folders in a folder, each sorted by name, without hidden ones and what archives from a Mac leave behind.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let io = |source| DatasetError::io(folder, source);
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") || is_litter(&name) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            folders.push(path);
        } else {
            files.push(path);
        }
    }
    files.sort_unstable();
    folders.sort_unstable();
    Ok((files, folders))
}

/// The folder in which archives made on a Mac keep copies that look like pictures and are none.
fn is_litter(name: &OsStr) -> bool {
    name == "__MACOSX"
}
