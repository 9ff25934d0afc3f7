//! Trust on first use: the digests of files that have no published one, kept in the cache.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use riptide_files::atomic;
use serde::{Deserialize, Serialize};

use super::error::FetchError;

const FILE: &str = "pins.json";
/// The longest list that is read.
const MAX_BYTES: u64 = 16 << 20;

/// What is remembered of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    pub(crate) sha256: String,
    pub(crate) bytes: u64,
    /// Where it came from the first time.
    pub(crate) origin: String,
}

/// The list `pins.json` of a cache. It is read once and rewritten, atomically, with each new pin.
#[derive(Debug)]
pub(crate) struct Pins {
    path: PathBuf,
    pins: Mutex<BTreeMap<String, Pin>>,
}

impl Pins {
    pub(crate) fn open(cache: &Path) -> Result<Self, FetchError> {
        let path = cache.join(FILE);
        let pins = match std::fs::File::open(&path) {
            Ok(file) => {
                let mut text = String::new();
                file.take(MAX_BYTES)
                    .read_to_string(&mut text)
                    .map_err(|source| FetchError::io(&path, source))?;
                serde_json::from_str(&text).map_err(|error| FetchError::Pins {
                    path: path.clone(),
                    reason: error.to_string(),
                })?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(FetchError::io(&path, error)),
        };
        Ok(Self {
            path,
            pins: Mutex::new(pins),
        })
    }

    /// Whether there is a pin of this name.
    pub(crate) fn has(&self, key: &str) -> bool {
        let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        pins.contains_key(key)
    }

    /// Checks a digest against the pin, or makes the pin; `true` when it is new.
    pub(crate) fn check(&self, key: &str, found: Pin) -> Result<bool, FetchError> {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pin) = pins.get(key) {
            if pin.sha256 == found.sha256 {
                return Ok(false);
            }
            return Err(FetchError::PinMismatch {
                origin: found.origin,
                key: key.to_owned(),
                pins: self.path.clone(),
                expected: pin.sha256.clone(),
                found: found.sha256,
            });
        }
        pins.insert(key.to_owned(), found);
        self.write(&pins)?;
        Ok(true)
    }

    /// Errors if the file at `path`, which has the name `name`, does not begin as files of that name do: a page that says
    /// "not found" must not become what is pinned.
    pub(crate) fn check_format(name: &str, path: &Path, origin: &str) -> Result<(), FetchError> {
        const FORMATS: [(&str, &[u8], &str); 2] = [
            (".h5", b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
            (".npy", b"\x93NUMPY", "a .npy file"),
        ];
        for (ending, magic, format) in FORMATS {
            if !name.ends_with(ending) {
                continue;
            }
            let mut start = Vec::new();
            let file = std::fs::File::open(path).map_err(|source| FetchError::io(path, source))?;
            file.take(magic.len() as u64)
                .read_to_end(&mut start)
                .map_err(|source| FetchError::io(path, source))?;
            if start != magic {
                return Err(FetchError::WrongFormat {
                    origin: super::error::redact(origin),
                    name: name.to_owned(),
                    format,
                });
            }
        }
        Ok(())
    }

    fn write(&self, pins: &BTreeMap<String, Pin>) -> Result<(), FetchError> {
        let mut json = serde_json::to_vec_pretty(pins).map_err(|error| FetchError::io(&self.path, error.into()))?;
        json.push(b'\n');
        Ok(atomic::write(&self.path, &json)?)
    }
}
