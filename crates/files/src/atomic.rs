//! Files that appear whole or not at all.
//!
//! What is written goes to a temporary file in the same folder first, is handed to the disk, and is then renamed. New
//! files get the mode that the umask leaves of 0666, as any other program's would.

use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::error::FileError;

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
        let path = path.as_ref();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Said here, since the system's own message would name the temporary file.
        if !folder.is_dir() {
            let missing = std::io::Error::new(std::io::ErrorKind::NotFound, "no such folder");
            return Err(FileError::on("create a file in", folder)(missing));
        }
        let mut builder = Builder::new();
        // Otherwise a temporary file is readable by its owner only, whatever the umask says.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder
            .prefix(".riptide-")
            .suffix(".part")
            .tempfile_in(folder)
            .map_err(FileError::on("create a file in", folder))?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 16, file),
            path: path.to_path_buf(),
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
        assert!(write(&taken, b"").unwrap_err().to_string().contains("cannot write"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
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
