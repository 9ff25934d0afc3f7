//! Writes images in the layout of CIFAR-10-C.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use riptide_datasets::npy::{NpyWriter, write_labels};
use riptide_datasets::{DatasetError, ImageSource};
use riptide_files::digest::{self, Hasher};
use riptide_files::lock::FolderLock;
use riptide_files::{atomic, regular};
use serde::{Deserialize, Serialize};

use crate::{CorruptionError, Corruptor, Family, FrostSource, Severity};

const RECORD: &str = "riptide.json";
const LABELS: &str = "labels.npy";
const NAMES: &str = "batches.meta.txt";
const VERSION: u32 = 1;
/// Bytes of images that are read at a time.
const CHUNK_BYTES: usize = 16 << 20;

/// Writes any images as a folder in the layout of CIFAR-10-C: `NAME.npy` for each corruption, `uint8` (5 n, H, W, 3) with
/// the severities one after the other, `labels.npy` with the labels five times over, `batches.meta.txt` with the names of
/// the classes, and `riptide.json` with the seed, the frost textures, the images that it was made from and the digest of every file.
///
/// Only a few megabytes of images are in memory at a time. Every file appears complete or not at all, so that a run that
/// was cut off goes on with the first corruption that is missing; a file that changed since is made again. A folder made from other images, another seed or other
/// frost textures, or by another program, is refused.
///
/// ```
/// use riptide_corruptions::{Cifar10cWriter, Corruption, Corruptor};
/// use riptide_datasets::cifar10_c::Cifar10C;
/// use riptide_datasets::shapes::Shapes;
///
/// let clean = Shapes::new(0).generate(0, 20);
/// let folder = tempfile::tempdir()?;
/// let writer = Cifar10cWriter::new(Corruptor::new(7), folder.path());
/// writer.write(&[Corruption::Fog, Corruption::Snow], || Ok(clean.clone().into_source()))?;
///
/// let fog = Cifar10C::open(folder.path())?.severity("fog", 3)?;
/// assert_eq!(fog.labels(), clean.labels());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cifar10cWriter {
    corruptor: Corruptor,
    folder: PathBuf,
}

/// What a folder was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    seed: u64,
    frost: FrostSource,
    images: u64,
    height: usize,
    width: usize,
    /// SHA-256 of all pixels and labels.
    digest: String,
    /// SHA-256 of every whole file beside this one, by name.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

/// The clean images, seen once.
struct Clean {
    record: Record,
    labels: Vec<u32>,
    class_names: Vec<String>,
}

impl Cifar10cWriter {
    /// A writer into `folder`, which is created if it does not exist.
    pub fn new(corruptor: Corruptor, folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { corruptor, folder }
    }

    /// The folder written to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes those of `families` that are not there yet, in the given order, and returns them.
    ///
    /// `open` starts over with the same images: once to look at them and once for each severity of each corruption.
    ///
    /// # Errors
    /// Returns [`CorruptionError::Unlabelled`] if the images have no labels, [`CorruptionError::OtherOutput`] if the folder was
    /// made from something else, [`CorruptionError::TooLarge`] if the images are too large, and [`CorruptionError::Io`] or
    /// [`CorruptionError::Dataset`] if something cannot be read or written, or if the images change between two readings.
    pub fn write<F: Into<Family> + Copy, S: ImageSource>(
        &self,
        families: &[F],
        mut open: impl FnMut() -> Result<S, DatasetError>,
    ) -> Result<Vec<F>, CorruptionError> {
        // Two runs in one folder would mix their files.
        let _lock = FolderLock::acquire(&self.folder)?;
        let Clean {
            mut record,
            labels,
            class_names,
        } = self.look(open()?)?;
        record.files = self.claim(&record)?;
        if !self.is_whole(LABELS, &record) {
            write_labels(self.folder.join(LABELS), &labels.repeat(Severity::ALL.len()))?;
            self.note(LABELS, &mut record)?;
        }
        if !self.is_whole(NAMES, &record) {
            atomic::write(self.folder.join(NAMES), (class_names.join("\n") + "\n").as_bytes())?;
            self.note(NAMES, &mut record)?;
        }
        let mut written = Vec::new();
        for &family in families {
            let name = file_name(family.into());
            if !self.is_whole(&name, &record) {
                self.write_one(family.into(), &record, &mut open)?;
                self.note(&name, &mut record)?;
                written.push(family);
            }
        }
        Ok(written)
    }

    fn path(&self, family: Family) -> PathBuf {
        self.folder.join(file_name(family))
    }

    /// Reads all images for their number, labels and digest.
    fn look(&self, mut source: impl ImageSource) -> Result<Clean, CorruptionError> {
        let (mut labels, mut class_names, mut size) = (Vec::new(), Vec::new(), None);
        let (mut pixel_digest, mut label_digest) = (Hasher::default(), Hasher::default());
        while let Some(chunk) = source.next_chunk(chunk_len(size))? {
            size = Some((chunk.height(), chunk.width()));
            let chunk_labels = chunk.labels().ok_or(CorruptionError::Unlabelled)?;
            pixel_digest.update(chunk.pixels());
            chunk_labels
                .iter()
                .for_each(|label| label_digest.update(label.to_le_bytes()));
            labels.extend_from_slice(chunk_labels);
            class_names = chunk.class_names().to_vec();
        }
        let Some((height, width)) = size else {
            let hint = "there are no images to corrupt".to_owned();
            let path = self.folder.clone();
            return Err(DatasetError::Empty { path, hint }.into());
        };
        let mut digest = Hasher::default();
        digest.update(pixel_digest.finish_bytes());
        digest.update(label_digest.finish_bytes());
        let record = Record {
            version: VERSION,
            seed: self.corruptor.seed(),
            frost: self.corruptor.frost().source(),
            images: labels.len() as u64,
            height,
            width,
            digest: digest.finish(),
            files: BTreeMap::new(),
        };
        Ok(Clean {
            record,
            labels,
            class_names,
        })
    }

    /// Makes the folder, or checks that the one there was made from the same; the digests of the files that are there.
    fn claim(&self, record: &Record) -> Result<BTreeMap<String, String>, CorruptionError> {
        let io = |path: &Path, source| CorruptionError::Io {
            path: path.to_path_buf(),
            source,
        };
        std::fs::create_dir_all(&self.folder).map_err(|source| io(&self.folder, source))?;
        let path = self.folder.join(RECORD);
        let other = |what, found: String, wanted: String| CorruptionError::OtherOutput {
            path: self.folder.clone(),
            what,
            found,
            wanted,
        };
        let text = match regular::read_text(&path, regular::TEXT).map_err(|error| error.source) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let is_taken =
                    self.folder.join(LABELS).exists() || Family::all().any(|family| self.path(family).exists());
                if is_taken {
                    return Err(other("program", format!("no {RECORD}"), "Riptide".to_owned()));
                }
                self.keep(record)?;
                return Ok(BTreeMap::new());
            }
            Err(error) => return Err(io(&path, error)),
        };
        let there: Record = serde_json::from_str(&text)
            .map_err(|error| other("version", format!("unreadable {RECORD}: {error}"), VERSION.to_string()))?;
        let size = |record: &Record| format!("{} of {} x {}", record.images, record.height, record.width);
        let parts = [
            ("version", there.version.to_string(), record.version.to_string()),
            ("seed", there.seed.to_string(), record.seed.to_string()),
            ("kind of frost", there.frost.to_string(), record.frost.to_string()),
            ("set of images", size(&there), size(record)),
            ("set of images", there.digest, record.digest.clone()),
        ];
        match parts.into_iter().find(|(_, found, wanted)| found != wanted) {
            Some((what, found, wanted)) => Err(other(what, found, wanted)),
            None => Ok(there.files),
        }
    }

    /// Writes the record.
    fn keep(&self, record: &Record) -> Result<(), CorruptionError> {
        let path = self.folder.join(RECORD);
        let json = serde_json::to_vec_pretty(record).map_err(|error| CorruptionError::Io {
            path: path.clone(),
            source: error.into(),
        })?;
        Ok(atomic::write(&path, &json)?)
    }

    /// Whether a file is there as it was written; one that changed is made again, as is one of before there were digests.
    fn is_whole(&self, name: &str, record: &Record) -> bool {
        let known = record.files.get(name);
        known.is_some_and(|known| digest::of_file(self.folder.join(name)).is_ok_and(|found| found == *known))
    }

    /// Keeps the digest of a file that was written.
    fn note(&self, name: &str, record: &mut Record) -> Result<(), CorruptionError> {
        let digest = digest::of_file(self.folder.join(name))?;
        record.files.insert(name.to_owned(), digest);
        self.keep(record)
    }

    fn write_one<S: ImageSource>(
        &self,
        family: Family,
        record: &Record,
        open: &mut impl FnMut() -> Result<S, DatasetError>,
    ) -> Result<(), CorruptionError> {
        let rows = record.images.saturating_mul(Severity::ALL.len() as u64);
        let mut writer = NpyWriter::create(self.path(family), rows, record.height, record.width)?;
        for severity in Severity::ALL {
            let mut source = open()?;
            let mut index = 0;
            while let Some(chunk) = source.next_chunk(chunk_len(Some((record.height, record.width))))? {
                writer.append(&self.corruptor.apply_from(&chunk, index, family, severity)?)?;
                index += chunk.len() as u64;
            }
            if index != record.images {
                return Err(DatasetError::Mismatch {
                    what: "number of images",
                    left: format!("{} at first", record.images),
                    right: format!("{index} for {family} {severity}"),
                }
                .into());
            }
        }
        Ok(writer.finish()?)
    }
}

fn file_name(family: Family) -> String {
    format!("{family}.npy")
}

/// Images per chunk; few as long as their size is not known.
fn chunk_len(size: Option<(usize, usize)>) -> usize {
    size.map_or(16, |(height, width)| {
        (CHUNK_BYTES / height.saturating_mul(width).saturating_mul(3).max(1)).max(1)
    })
}
