//! Folders that appear whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::FileError;
use crate::lock;

const SUFFIX: &str = ".new";
const LOCK: &str = "lock";
const CONTENT: &str = "content";
const OLD: &str = "old";

/// Writes a folder: `fill` puts the files into an empty folder beside `dir`, everything is handed to the disk, and the folder
/// takes `dir`'s place. What was there before is removed: whoever calls has seen that it may be.
///
/// After an error `dir` is as it was. If the program is killed, `dir` is the old folder or the new one, and a folder
/// `.riptide-NAME-*.new` may be left beside it, which the next write removes. An empty `dir` that cannot be replaced, such as
/// the root of a container's volume, is filled file by file.
///
/// # Errors
/// Returns the error of `fill`, or one that says what cannot be written.
pub fn write<E: From<FileError>>(dir: impl AsRef<Path>, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let dir = dir.as_ref();
    let parent = crate::parent(dir);
    fs::create_dir_all(parent).map_err(FileError::on("create", parent))?;
    recover(dir)?;
    let is_empty = is_empty(dir);
    let staging = match Staging::beside(dir) {
        Ok(staging) if !(is_empty && is_mount_point(dir)) => staging,
        Err(error) if !is_empty => return Err(error.into()),
        _ => {
            fill(dir)?;
            return Ok(sync(dir)?);
        }
    };
    let content = staging.path.join(CONTENT);
    fs::create_dir(&content).map_err(FileError::on("create", &content))?;
    fill(&content)?;
    sync(&content)?;
    staging.publish(dir)?;
    Ok(())
}

/// Errors if [`write()`] could not write `dir`: for asking before long work.
///
/// # Errors
/// Returns an error if `dir` is not a folder, or if neither it nor the folder that it is in can be written.
pub fn check(dir: impl AsRef<Path>) -> Result<(), FileError> {
    let dir = dir.as_ref();
    if dir.exists() && !dir.is_dir() {
        return Err(FileError::on("write", dir)(io::Error::other("a file; name a folder")));
    }
    let is_mount_point = dir.exists() && is_mount_point(dir);
    if is_mount_point && !is_empty(dir) {
        let reason = "a mount point that is not empty cannot be replaced; empty it, or name a folder inside it";
        return Err(FileError::on("write", dir)(io::Error::other(reason)));
    }
    let mut place = crate::parent(dir);
    while !place.exists() {
        place = crate::parent(place);
    }
    let attempt = |place: &Path| tempfile::Builder::new().prefix(".riptide-").tempdir_in(place).map(drop);
    let result = match attempt(place) {
        Ok(()) if is_mount_point => attempt(dir),
        Err(_) if is_empty(dir) => attempt(dir),
        other => other,
    };
    result.map_err(FileError::on("write", dir))
}

/// Clears away what killed programs left of writing `dir`; a folder that one of them had put aside goes back to its place.
///
/// # Errors
/// Returns an error if the folder cannot be put back.
pub fn recover(dir: impl AsRef<Path>) -> Result<(), FileError> {
    let dir = dir.as_ref();
    let prefix = prefix(dir);
    for entry in fs::read_dir(crate::parent(dir)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(&prefix) || !name.ends_with(SUFFIX) {
            continue;
        }
        let left = entry.path();
        // One that is empty was just made or just left; its maker makes another.
        if fs::remove_dir(&left).is_ok() {
            continue;
        }
        let lock = File::options().append(true).open(left.join(LOCK));
        if !lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            continue;
        }
        let aside = left.join(OLD);
        if aside.is_dir() && !dir.exists() {
            fs::rename(&aside, dir).map_err(FileError::on("restore", dir))?;
        }
        let _ = fs::remove_dir_all(&left);
    }
    Ok(())
}

/// A folder beside the one that is written, removed when dropped.
struct Staging {
    path: PathBuf,
    /// Holds the lock, by which others see that it is in work.
    _lock: File,
}

impl Staging {
    fn beside(dir: &Path) -> Result<Self, FileError> {
        let parent = crate::parent(dir);
        let failed = || FileError::on("create a folder in", parent);
        loop {
            let mut builder = tempfile::Builder::new();
            let made = builder.prefix(&prefix(dir)).suffix(SUFFIX).tempdir_in(parent);
            let path = made.map_err(failed())?.keep();
            let name = path.join(LOCK);
            // Another program may take the folder for a leftover until it is locked.
            match File::create_new(&name) {
                Ok(file) if lock::hold(&file, &name).map_err(failed())? => return Ok(Self { path, _lock: file }),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed()(error)),
                _ => {}
            }
        }
    }

    /// Puts the content in `dir`'s place.
    fn publish(self, dir: &Path) -> Result<(), FileError> {
        let content = self.path.join(CONTENT);
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        if dir.exists() {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            // In one step, so that nobody ever sees neither folder.
            if renameat_with(CWD, &content, CWD, dir, RenameFlags::EXCHANGE).is_ok() {
                return Ok(());
            }
        }
        let aside = self.path.join(OLD);
        let replaces = dir.exists();
        if replaces {
            fs::rename(dir, &aside).map_err(FileError::on("replace", dir))?;
        }
        if let Err(error) = fs::rename(&content, dir) {
            if replaces && fs::rename(&aside, dir).is_err() {
                // It could not be put back: the folder stays where it is, and the next write restores it.
                std::mem::forget(self);
            }
            return Err(FileError::on("write", dir)(error));
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn prefix(dir: &Path) -> String {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    format!(".riptide-{name}-")
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// Whether a folder is on another device than the one that it is in, so that it cannot be renamed.
fn is_mount_point(dir: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let real = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf());
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        device(&real) != device(crate::parent(&real)) || is_mounted(&real)
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        false
    }
}

/// Whether the system lists a folder as a mount point. A part of a device that is mounted into the same device shows in no other
/// way.
#[cfg(unix)]
fn is_mounted(real: &Path) -> bool {
    // Only Linux has the list. Spaces and the like stand in it as three octal digits.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let escaped: String = real.to_string_lossy().chars().fold(String::new(), |text, c| match c {
        ' ' => text + "\\040",
        '\t' => text + "\\011",
        '\n' => text + "\\012",
        '\\' => text + "\\134",
        c => text + c.encode_utf8(&mut [0; 4]),
    });
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(&escaped))
}

/// Hands every file under `folder` to the disk: otherwise a rename could reach it before the content does.
fn sync(folder: &Path) -> Result<(), FileError> {
    for entry in fs::read_dir(folder).map_err(FileError::on("read", folder))? {
        let path = entry.map_err(FileError::on("read", folder))?.path();
        if path.is_dir() {
            sync(&path)?;
        } else {
            let synced = File::open(&path).and_then(|file| file.sync_all());
            synced.map_err(FileError::on("write", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> impl FnOnce(&Path) -> Result<(), FileError> + '_ {
        move |root| crate::atomic::write(root.join("a"), text.as_bytes())
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn folders_are_replaced_whole_and_stay_after_an_error() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("deep/dir");
        for text in ["one", "two"] {
            write(&dir, fill(text)).unwrap();
            assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), text);
        }
        let failed = write(&dir, |root| {
            fs::write(root.join("half"), b"").unwrap();
            Err(FileError::on("write", root)(io::Error::other("no")))
        });
        assert!(failed.is_err());
        assert_eq!(names(&dir), ["a"]);
        assert_eq!(
            names(root.path().join("deep").as_path()),
            ["dir"],
            "nothing is left beside it"
        );
    }

    #[test]
    fn what_a_killed_program_left_is_cleared_away_or_put_back() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("dir");
        let left = root.path().join(".riptide-dir-x.new");
        fs::create_dir_all(left.join(OLD)).unwrap();
        fs::write(left.join(OLD).join("a"), b"old").unwrap();
        fs::write(left.join(LOCK), b"").unwrap();
        fs::create_dir(root.path().join(".riptide-dir-y.new")).unwrap();
        recover(&dir).unwrap();
        assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "old");
        assert_eq!(names(root.path()), ["dir"]);
        // One in work stays.
        let busy = Staging::beside(&dir).unwrap();
        recover(&dir).unwrap();
        assert!(busy.path.exists());
    }

    #[test]
    fn places_that_cannot_be_written_are_told_before() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, b"").unwrap();
        assert!(check(&file).unwrap_err().to_string().contains("name a folder"));
        assert!(check(file.join("below")).is_err());
        check(root.path().join("new/er/est")).unwrap();
        assert_eq!(names(root.path()), ["file"]);
    }
}
