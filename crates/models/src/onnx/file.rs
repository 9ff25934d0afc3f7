//! The bytes of an ONNX file, with the weights that are kept beside it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use riptide_files::{FileError, regular};

use super::wire::{self, External};
use crate::error::ModelError;

/// The most bytes that an ONNX file can have, weights included: protocol buffers end there.
pub(super) const MAX_BYTES: u64 = (1 << 31) - 1;

/// Reads a file; weights in files of the same folder are put into it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    let failed = |message: String| ModelError::Onnx {
        path: path.into(),
        message,
    };
    let metadata = std::fs::metadata(path).map_err(FileError::on("read", path))?;
    if metadata.is_file() && metadata.len() > MAX_BYTES {
        return Err(failed(too_large()));
    }
    let file = regular::read(path, MAX_BYTES)?;
    let mut beside = Beside::of(path.parent().unwrap_or(Path::new("")));
    let whole = wire::inline(&file, &mut |external, out| beside.read(external, out)).map_err(failed)?;
    Ok(whole.unwrap_or(file))
}

fn too_large() -> String {
    "has more than 2 GiB with its weights, more than an ONNX file can hold; store the weights as 16-bit floats".into()
}

/// The files beside an ONNX file.
struct Beside {
    folder: PathBuf,
    open: HashMap<String, (File, u64)>,
    total: u64,
}

impl Beside {
    fn of(folder: &Path) -> Self {
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        Self {
            folder: folder.into(),
            open: HashMap::new(),
            total: 0,
        }
    }

    /// Appends a tensor's values.
    fn read(&mut self, external: &External, out: &mut Vec<u8>) -> Result<(), String> {
        let name = &external.location;
        let number = |text: &Option<String>| match text {
            Some(text) => match text.parse::<u64>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(format!("keeps weights at {text:?} of {name}, which is no place")),
            },
            None => Ok(None),
        };
        let (offset, length) = (number(&external.offset)?.unwrap_or(0), number(&external.length)?);
        if !self.open.contains_key(name) {
            let opened = self.open(name)?;
            self.open.insert(name.clone(), opened);
        }
        let Some((file, size)) = self.open.get_mut(name) else {
            return Err(format!("keeps its weights in {name}, which cannot be read"));
        };
        let rest = size.checked_sub(offset);
        let length = length.or(rest).unwrap_or(u64::MAX);
        if rest.is_none_or(|rest| length > rest) {
            return Err(format!(
                "keeps {length} bytes of weights at {offset} of {name}, which has {size} bytes: is it whole, and of the same export?"
            ));
        }
        if let Some(expected) = expected_bytes(external)
            && expected != length
        {
            return Err(format!(
                "keeps weights of shape {:?} in {length} bytes of {name}, but they need {expected}",
                external.dims
            ));
        }
        self.total = self.total.saturating_add(length);
        if self.total > MAX_BYTES {
            return Err(too_large());
        }
        let failed = |error: std::io::Error| format!("keeps its weights in {name}, which cannot be read: {error}");
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let before = out.len() as u64;
        file.take(length).read_to_end(out).map_err(failed)?;
        match out.len() as u64 - before == length {
            true => Ok(()),
            false => Err(format!(
                "keeps its weights in {name}, which became shorter while it was read"
            )),
        }
    }

    /// Opens a file inside the folder.
    fn open(&self, name: &str) -> Result<(File, u64), String> {
        let outside = || format!("keeps its weights in {name:?}, which is not in its own folder; put them beside it");
        let relative = Path::new(name);
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if name.is_empty() || !relative.components().all(is_plain) {
            return Err(outside());
        }
        let missing = |error: std::io::Error| {
            format!("keeps its weights in {name}, which cannot be read: {error}; put that file beside it")
        };
        // Links are followed only as far as the folder itself goes.
        let folder = self.folder.canonicalize().map_err(missing)?;
        let path = folder.join(relative).canonicalize().map_err(missing)?;
        if !path.starts_with(&folder) {
            return Err(outside());
        }
        if !path.metadata().map_err(missing)?.is_file() {
            return Err(format!("keeps its weights in {name}, which is not a regular file"));
        }
        let file = File::open(&path).map_err(missing)?;
        let size = file.metadata().map_err(missing)?.len();
        Ok((file, size))
    }
}

/// The bytes that a tensor's values have, if that is known of their type.
fn expected_bytes(external: &External) -> Option<u64> {
    let bits = super::tensor::bits(i32::try_from(external.data_type).ok()?)?;
    let count = external
        .dims
        .iter()
        .try_fold(1u64, |count, &dim| count.checked_mul(u64::try_from(dim).ok()?))?;
    Some(count.checked_mul(bits)?.div_ceil(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(folder: &Path, location: &str, offset: &str, length: Option<&str>, dims: &[i64]) -> Result<Vec<u8>, String> {
        let external = External {
            location: location.into(),
            offset: Some(offset.into()),
            length: length.map(str::to_owned),
            dims: dims.to_vec(),
            data_type: 1,
        };
        let mut out = Vec::new();
        Beside::of(folder).read(&external, &mut out)?;
        Ok(out)
    }

    #[test]
    fn only_whole_weights_inside_the_folder_are_read() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("model");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("w"), (0..16).collect::<Vec<u8>>()).unwrap();
        std::fs::write(place.path().join("outside"), [0; 16]).unwrap();
        assert_eq!(ask(&folder, "w", "4", Some("8"), &[2]), Ok((4..12).collect()));
        assert_eq!(ask(&folder, "./w", "8", None, &[2]), Ok((8..16).collect()));
        for (location, offset, length, dims, said) in [
            ("w", "12", Some("8"), &[2i64][..], "16 bytes"),
            ("w", "17", None, &[2], "16 bytes"),
            ("w", "18446744073709551615", Some("8"), &[2], "16 bytes"),
            ("w", "-4", Some("8"), &[2], "no place"),
            ("w", "0", Some("8"), &[3], "need 12"),
            ("w", "0", Some("16"), &[2], "need 8"),
            ("none", "0", Some("8"), &[2], "cannot be read"),
            ("../outside", "0", Some("8"), &[2], "own folder"),
            ("/etc/passwd", "0", Some("8"), &[2], "own folder"),
            ("", "0", Some("8"), &[2], "own folder"),
            (".", "0", Some("8"), &[2], "regular file"),
        ] {
            let error = ask(&folder, location, offset, length, dims).unwrap_err();
            assert!(error.contains(said), "{location} {offset}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_folder_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("model");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(place.path().join("outside"), [0; 8]).unwrap();
        std::fs::write(folder.join("inside"), [0; 8]).unwrap();
        std::os::unix::fs::symlink("../outside", folder.join("out")).unwrap();
        std::os::unix::fs::symlink("inside", folder.join("in")).unwrap();
        assert!(ask(&folder, "out", "0", None, &[2]).unwrap_err().contains("own folder"));
        assert_eq!(ask(&folder, "in", "0", None, &[2]), Ok(vec![0; 8]));
    }
}
