//! What a tar archive holds, and where.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use tar::{EntryType, PaxExtensions};

use crate::error::{DatasetError, Result};

/// The most members of one shard.
const MAX_MEMBERS: usize = 10_000_000;
/// The longest extended header: it holds the member's name, which no system lets grow longer.
const MAX_EXTENSION_BYTES: u64 = 64 << 10;
/// Extensions of pictures.
const PICTURES: [&str; 13] = [
    "jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "pbm", "pnm", "img",
];

/// Bytes of a member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Members that belong together.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) key: String,
    /// The picture's name in the archive.
    pub(super) name: String,
    pub(super) picture: Place,
    pub(super) cls: Option<Place>,
    pub(super) json: Option<Place>,
}

/// A sample as its members come.
#[derive(Debug, Default)]
struct Parts {
    key: String,
    picture: Option<(String, Place)>,
    cls: Option<Place>,
    json: Option<Place>,
}

/// The samples of an archive in its order.
pub(super) fn samples(path: &Path, file: &File, length: u64) -> Result<VecDeque<Sample>> {
    let mut samples = VecDeque::new();
    let mut parts = Parts::default();
    let end = members(path, file, length, |name, place| {
        let Some((key, extension)) = split(&name) else {
            return Ok(());
        };
        if key != parts.key {
            samples.extend(std::mem::take(&mut parts).finish(path)?);
            parts.key = key.to_owned();
        }
        // The last part of an extension such as `.left.jpg` says what the member is.
        let kind = extension.rsplit('.').next().unwrap_or(extension).to_ascii_lowercase();
        let part = match kind.as_str() {
            "cls" => &mut parts.cls,
            "json" => &mut parts.json,
            kind if PICTURES.contains(&kind) => {
                if let Some((other, _)) = &parts.picture {
                    let reason = format!("{} has two pictures, {other} and {name}", parts.key);
                    return Err(DatasetError::malformed(path, reason));
                }
                parts.picture = Some((name, place));
                return Ok(());
            }
            _ => return Ok(()),
        };
        match part.replace(place) {
            None => Ok(()),
            Some(_) => Err(DatasetError::malformed(
                path,
                format!("{name} comes twice, or beside another .{kind}"),
            )),
        }
    })?;
    samples.extend(parts.finish(path)?);
    if !end.is_marked {
        tracing::warn!(
            "{}: the archive has no end mark; it may have been cut short",
            riptide_files::shown(path)
        );
    }
    Ok(samples)
}

impl Parts {
    /// The sample, if there is one; labels without a picture are an error.
    fn finish(self, path: &Path) -> Result<Option<Sample>> {
        match self.picture {
            Some((name, picture)) => Ok(Some(Sample {
                key: self.key,
                name,
                picture,
                cls: self.cls,
                json: self.json,
            })),
            None if self.cls.is_none() && self.json.is_none() => Ok(None),
            None => Err(DatasetError::malformed(path, format!("{} has no picture", self.key))),
        }
    }
}

/// A member's key and its extensions: the name is split at its first dot. Hidden names are passed over.
fn split(name: &str) -> Option<(&str, &str)> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = start + name.get(start..)?.find('.').filter(|&dot| dot > 0)?;
    Some((name.get(..dot)?, name.get(dot + 1..)?))
}

/// How an archive ended.
struct End {
    is_marked: bool,
}

/// Calls `take` with the name and the place of every regular member. Only headers are read.
fn members(path: &Path, file: &File, length: u64, mut take: impl FnMut(String, Place) -> Result<()>) -> Result<End> {
    let broken = |error: std::io::Error| DatasetError::malformed(path, format!("not a tar archive: {error}"));
    let mut archive = tar::Archive::new(file);
    // Raw: extended headers are members of their own, whose length can be looked at before they are read.
    let entries = archive.entries_with_seek().map_err(broken)?.raw(true);
    let (mut long_name, mut long_size, mut last) = (None, None, 0);
    for (index, entry) in entries.enumerate() {
        let mut entry = entry.map_err(broken)?;
        if index == MAX_MEMBERS {
            return Err(DatasetError::malformed(
                path,
                format!("more than {MAX_MEMBERS} members; make smaller shards"),
            ));
        }
        let (offset, mut size) = (entry.raw_file_position(), entry.size());
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::GNULongName | EntryType::XHeader) {
            if size > MAX_EXTENSION_BYTES {
                let reason = format!("a name of {size} bytes, at most {MAX_EXTENSION_BYTES} are read");
                return Err(DatasetError::malformed(path, reason));
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(broken)?;
            if kind == EntryType::GNULongName {
                let name = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
                long_name = Some(String::from_utf8_lossy(name).into_owned());
            } else {
                for extension in PaxExtensions::new(&bytes) {
                    let extension = extension.map_err(broken)?;
                    let value = String::from_utf8_lossy(extension.value_bytes()).into_owned();
                    match extension.key_bytes() {
                        b"path" => long_name = Some(value),
                        b"size" => long_size = value.parse().ok(),
                        _ => {}
                    }
                }
            }
        } else {
            let name = long_name
                .take()
                .unwrap_or_else(|| String::from_utf8_lossy(&entry.path_bytes()).into_owned());
            if long_size.take().is_some_and(|found: u64| found != size) {
                let reason = format!("{name} has two lengths; members of more than 8 GiB are not read");
                return Err(DatasetError::malformed(path, reason));
            }
            if kind == EntryType::GNUSparse {
                return Err(DatasetError::malformed(
                    path,
                    format!("{name} is a sparse file; write it as a plain one"),
                ));
            }
            if matches!(kind, EntryType::Regular | EntryType::Continuous) {
                take(name, Place { offset, size })?;
            } else if !matches!(kind, EntryType::XGlobalHeader) {
                // Folders and links hold nothing.
                size = if kind == EntryType::Directory { 0 } else { size };
            }
        }
        last = offset.saturating_add(size);
        if last > length {
            return Err(DatasetError::Truncated {
                path: path.to_path_buf(),
                expected: last,
                found: length,
            });
        }
    }
    // Two blocks of zeros end an archive; a file without them may have been cut between two members.
    Ok(End {
        is_marked: length >= last.next_multiple_of(512).saturating_add(1024),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_their_first_dot() {
        assert_eq!(split("a/b.c/d.left.jpg"), Some(("a/b.c/d", "left.jpg")));
        assert_eq!(split("./0001.cls"), Some(("0001", "cls")));
        assert_eq!(split("noext"), None);
        assert_eq!(split("a/._x.jpg"), None);
        assert_eq!(split("a/.hidden"), None);
    }
}
