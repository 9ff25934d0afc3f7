//! Files that a command writes, looked at before it begins.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use riptide::datasets::is_read;
use riptide::files::{atomic, shown};

/// Errors if the file that an option names cannot be written, is read by the command too, or lies in a folder that is.
///
/// `images` is where the images are, if there are any; `others` are other files and folders that are read.
pub fn check_output(option: &str, out: &Path, images: Option<&Path>, others: &[Option<&Path>]) -> anyhow::Result<()> {
    let refused = |what: &str| -> anyhow::Result<()> {
        bail!(
            "{option} {}: {what}, and would be overwritten; name another file",
            shown(out)
        )
    };
    // An address of the Hub names a file of the cache.
    let images = images.map(|images| riptide::locate(images).unwrap_or_else(|_| images.into()));
    if images.is_some_and(|images| is_read(images, out)) {
        return refused("is read as images");
    }
    for other in others.iter().flatten() {
        if other.is_dir() {
            let real = fs::canonicalize(other).unwrap_or_else(|_| other.to_path_buf());
            if place(out).starts_with(real) {
                bail!(
                    "{option} {}: lies in {}, which is read; name another place",
                    shown(out),
                    shown(other)
                );
            }
        } else if is_read(other, out) {
            return refused("is read");
        }
    }
    Ok(atomic::check(out)?)
}

/// Errors if two options name the same file.
pub fn check_different(one: (&str, &Path), other: (&str, &Path)) -> anyhow::Result<()> {
    if place(one.1) == place(other.1) || is_read(one.1, other.1) {
        bail!("{} and {} name the same file, {}", one.0, other.0, shown(one.1));
    }
    Ok(())
}

/// Where a file is or will be, without links.
fn place(file: &Path) -> PathBuf {
    if let Ok(real) = fs::canonicalize(file) {
        return real;
    }
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = fs::canonicalize(parent).unwrap_or_else(|_| parent.to_path_buf());
    parent.join(file.file_name().unwrap_or_default())
}
