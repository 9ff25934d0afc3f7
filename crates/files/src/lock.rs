//! Locks that tell a running program's files from a killed one's.
//!
//! The system drops a lock when the program that holds it ends, however it ends.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::FileError;

const NAME: &str = ".riptide.lock";

/// The right to write into a folder, which one run has at a time. Dropped, it is given back.
///
/// ```
/// use riptide_files::lock::FolderLock;
///
/// let folder = tempfile::tempdir()?;
/// let mine = FolderLock::acquire(folder.path())?;
/// assert!(FolderLock::acquire(folder.path()).is_err());
/// drop(mine);
/// assert!(FolderLock::acquire(folder.path()).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FolderLock {
    path: PathBuf,
    /// Whether the folder was made for the lock.
    is_new: bool,
    /// Holds the lock.
    _file: File,
}

impl FolderLock {
    /// Takes the lock of a folder, which is made if it does not exist, and then removed with the lock if nothing was written into
    /// it. While the lock is held there is a file `.riptide.lock` in the folder, which stays if the program is killed, and is then
    /// in nobody's way.
    ///
    /// # Errors
    /// Returns an error if another run holds it, or if the folder cannot be written.
    pub fn acquire(folder: impl AsRef<Path>) -> Result<Self, FileError> {
        let folder = folder.as_ref();
        let is_new = !folder.exists();
        fs::create_dir_all(folder).map_err(FileError::on("create", folder))?;
        let path = folder.join(NAME);
        loop {
            let opened = File::options().create(true).append(true).open(&path);
            let file = opened.map_err(FileError::on("write to", folder))?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    let busy = "another run is writing to it; wait for it to end, or choose another folder";
                    return Err(FileError::on("write to", folder)(io::Error::other(busy)));
                }
                Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
                    return Err(FileError::on("lock", &path)(error));
                }
                _ => {}
            }
            // The run before may have removed the file after it was opened here: then this lock would lock nothing.
            if is_at(&file, &path) {
                return Ok(Self {
                    path,
                    is_new,
                    _file: file,
                });
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Removed while it is still locked, so that nobody can hold it by this name.
        let _ = fs::remove_file(&self.path);
        if let (true, Some(folder)) = (self.is_new, self.path.parent()) {
            // Fails if the folder is in use, as it should.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Locks a file that was just created at `path`; whether it is still there.
pub(crate) fn hold(file: &File, path: &Path) -> io::Result<bool> {
    match file.lock() {
        // Without locks a leftover cannot be told from a file in work, and none is removed.
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        _ => Ok(is_at(file, path)),
    }
}

/// Whether `path` is this file.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |found: fs::Metadata| (found.dev(), found.ino());
        match (file.metadata(), fs::metadata(path)) {
            (Ok(mine), Ok(there)) => identity(mine) == identity(there),
            _ => false,
        }
    }
    // An open file cannot be removed there.
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}
