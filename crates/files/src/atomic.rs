//! Files that appear whole or not at all.
//!
//! What is written goes to a temporary file in the same folder first, is handed to the disk, and is then renamed. New
//! files get the mode that the umask leaves of 0666, as any other program's would.
//!
//! - Only regular files and new names are written: a device, a FIFO or a folder of that name is refused. Of a link, the file
//!   that it leads to is written, and the link stays.
//! - A program that is killed leaves its temporary file, `.riptide-*.part`. The next program that writes into the same folder
//!   removes it. Files that another program is still writing are locked, and stay.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::{Builder, NamedTempFile};

use crate::error::FileError;
use crate::lock;

const PREFIX: &str = ".riptide-";
const SUFFIX: &str = ".part";

/// Writes `bytes` to a temporary file beside `path`, then renames it. After an error nothing is left, and an older file of
/// that name is as it was.
///
/// # Errors
/// Returns an error if the folder does not exist or cannot be written, or if the disk is full.
pub fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes).map_err(FileError::on("write", &file.path))?;
    file.commit()
}

/// A file that is written part by part and appears under its name on [`commit`](Self::commit); dropped before, it leaves
/// nothing.
#[derive(Debug)]
pub struct NewFile {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl NewFile {
    /// Starts a file that will be at `path`.
    ///
    /// # Errors
    /// Returns an error if the folder does not exist or cannot be written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = destination(path.as_ref())?;
        let folder = crate::parent(&path);
        // Said here, since the system's own message would name the temporary file.
        if !folder.is_dir() {
            let missing = io::Error::new(io::ErrorKind::NotFound, "no such folder");
            return Err(FileError::on("create a file in", folder)(missing));
        }
        sweep(folder);
        let file = temporary(folder).map_err(FileError::on("create a file in", folder))?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 16, file),
            path,
        })
    }

    /// Hands the content to the disk and puts the file under its name.
    ///
    /// # Errors
    /// Returns an error if the disk is full, or if the name is that of a folder.
    pub fn commit(self) -> Result<(), FileError> {
        let Self { file, path } = self;
        let file = file
            .into_inner()
            .map_err(|error| FileError::on("write", &path)(error.into_error()))?;
        file.as_file().sync_all().map_err(FileError::on("write", &path))?;
        file.persist(&path)
            .map(drop)
            .map_err(|error| FileError::on("write", &path)(error.error))
    }
}

/// Errors if [`write()`] or [`NewFile::create`] would refuse `path`: for asking before long work.
///
/// # Errors
/// Returns an error if the folder does not exist or cannot be written, or if `path` is anything but a regular file or a new
/// name.
pub fn check(path: impl AsRef<Path>) -> Result<(), FileError> {
    NewFile::create(path).map(drop)
}

/// The file that is really written: `path`, or what it leads to if it is a link.
fn destination(path: &Path) -> Result<PathBuf, FileError> {
    let refuse = |reason: &str| FileError::on("write", path)(io::Error::other(reason.to_owned()));
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let real = match is_link {
        true => fs::canonicalize(path).map_err(|_| refuse("a link that leads nowhere; remove it, or name a file"))?,
        false => path.to_path_buf(),
    };
    match fs::metadata(&real) {
        Ok(found) if found.is_dir() => Err(refuse("a folder; name a file")),
        Ok(found) if !found.is_file() => Err(refuse("not a regular file, and would be replaced; name another")),
        _ => Ok(real),
    }
}

/// A temporary file that is locked as long as it is being written.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    // Otherwise a temporary file is readable by its owner only, whatever the umask says.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.prefix(PREFIX).suffix(SUFFIX);
    loop {
        let file = builder.tempfile_in(folder)?;
        // Between its creation and the lock, a sweep may have taken it for a leftover.
        if lock::hold(file.as_file(), file.path())? {
            return Ok(file);
        }
    }
}

/// Removes what killed programs left in the folder, once in the life of this one.
fn sweep(folder: &Path) {
    static SWEPT: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    if !swept.get_or_insert_default().insert(folder.clone()) {
        return;
    }
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let is_ours = name.starts_with(PREFIX.as_bytes()) && name.ends_with(SUFFIX.as_bytes());
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        // What cannot be opened or removed is left: it is in nobody's way.
        if let Ok(file) = File::options().append(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// For a header that is written again when the length of what follows is known.
impl Seek for NewFile {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_on_commit_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        write(&path, b"whole").unwrap();
        write(&path, b"again").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"again");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_name_the_folder_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing").join("a");
        assert!(write(&missing, b"").unwrap_err().to_string().contains("missing"));
        let taken = folder.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        let error = write(&taken, b"").unwrap_err().to_string();
        assert!(error.contains("cannot write") && error.contains("a folder"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_refused_and_links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(write(&link, b"").unwrap_err().to_string().contains("leads nowhere"));
        std::fs::write(&real, b"old").unwrap();
        write(&link, b"new").unwrap();
        assert_eq!(std::fs::read(&real).unwrap(), b"new");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        let null = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &null).unwrap();
        for path in [Path::new("/dev/null"), &null] {
            assert!(write(path, b"").unwrap_err().to_string().contains("not a regular file"));
        }
    }

    #[test]
    fn leftovers_are_removed_and_files_in_work_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (dead, alive) = (
            folder.path().join(".riptide-dead.part"),
            folder.path().join(".riptide-alive.part"),
        );
        std::fs::write(&dead, b"half").unwrap();
        let busy = File::create(&alive).unwrap();
        busy.lock().unwrap();
        write(folder.path().join("a"), b"whole").unwrap();
        assert!(!dead.exists() && alive.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_has_the_mode_of_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            std::fs::metadata(folder.path().join(name))
                .unwrap()
                .permissions()
                .mode()
        };
        std::fs::write(folder.path().join("plain"), b"").unwrap();
        write(folder.path().join("atomic"), b"").unwrap();
        assert_eq!(mode("atomic"), mode("plain"));
    }
}
