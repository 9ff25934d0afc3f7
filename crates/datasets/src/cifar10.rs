//! CIFAR-10 in its binary layout (Krizhevsky, "Learning multiple layers of features from tiny images", 2009).
//!
//! A record is one label byte (0..=9) and 3,072 bytes of pixels: the red, green and blue planes of a 32 x 32 image, each
//! row-major. Ten thousand records make a file: `data_batch_1.bin` to `data_batch_5.bin` (training) and `test_batch.bin`;
//! `batches.meta.txt` names the classes, one per line.

mod names;
mod places;

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use crate::archive::{ArchiveError, Bounds, for_each_member};
use crate::error::{DatasetError, Result};
use crate::image_set::{CHANNELS, ImageSet};
use crate::source::ImageSource;

use names::parse_names;
pub(crate) use places::refuse_other_versions;
pub use places::{in_cache, is_in};

/// Rows and columns of an image.
pub const SIDE: usize = 32;
/// The classes in the order of their labels, as `batches.meta.txt` has them.
pub const CLASS_NAMES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

const PIXELS: usize = SIDE * SIDE;
const IMAGE_BYTES: usize = PIXELS * CHANNELS;
const RECORD_BYTES: usize = 1 + IMAGE_BYTES;
const META_FILE: &str = "batches.meta.txt";
/// The folder inside the published archive.
pub(crate) const ARCHIVE_FOLDER: &str = "cifar-10-batches-bin";
/// The longest batch file that is accepted inside an archive: ten times the published ones.
const MAX_BATCH_BYTES: u64 = 100_000 * RECORD_BYTES as u64;
/// The most that an archive may expand to, and the most members that it may have: many times the published ones.
const MAX_ARCHIVE_BYTES: u64 = 2 << 30;
const MAX_MEMBERS: usize = 1000;
/// The longest `batches.meta.txt` that is accepted.
const MAX_META_BYTES: u64 = 64 * 1024;

/// Which of CIFAR-10's two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The 50,000 training images: `data_batch_1.bin` to `data_batch_5.bin`.
    Train,
    /// The 10,000 test images: `test_batch.bin`.
    Test,
}

impl Split {
    /// The split's files, in order.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Self::Train => &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
            Self::Test => &["test_batch.bin"],
        }
    }
}

/// Loads one split whole: from a folder that holds the `.bin` files (or holds `cifar-10-batches-bin`, which does), or
/// from the published `.tar.gz`, which is streamed and never unpacked. Pixels come out as `(N, 32, 32, 3)`.
///
/// A folder needs only the files of the split that is asked for. Without `batches.meta.txt` the classes have their
/// published names.
///
/// # Errors
/// Returns an error if the path or a batch file does not exist, if a file is empty or not a whole number of records, if a
/// label is above 9, or if there are not ten class names.
pub fn load(path: impl AsRef<Path>, split: Split) -> Result<ImageSet> {
    let mut source = Cifar10Source::open_for(path.as_ref(), split, true)?;
    let path = path.as_ref().to_path_buf();
    source.read_all()?.ok_or_else(|| DatasetError::Empty {
        path,
        hint: "the batch files hold no records".to_owned(),
    })
}

/// One split of CIFAR-10, read a chunk at a time. See [`load`] for what it reads.
///
/// From a folder it keeps one chunk in memory; from an archive one batch file (about 30 MiB), reading through the archive
/// once a batch file, because the published archive does not hold them in order.
pub struct Cifar10Source {
    origin: Origin,
    waiting: VecDeque<&'static str>,
    current: Option<Batch>,
    class_names: Vec<String>,
}

enum Origin {
    Folder(PathBuf),
    Archive {
        path: PathBuf,
        kept: BTreeMap<String, Vec<u8>>,
    },
}

/// A batch file that is being read.
struct Batch {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    records: u64,
    next: u64,
}

impl Cifar10Source {
    /// Opens a folder or an archive.
    ///
    /// # Errors
    /// As [`load`], except for what only shows when the records are read.
    pub fn open(path: impl AsRef<Path>, split: Split) -> Result<Self> {
        Self::open_for(path.as_ref(), split, false)
    }

    /// Opens one batch file; the classes have their published names.
    ///
    /// # Errors
    /// Returns an error if the file does not exist, is empty or is not a whole number of records.
    pub fn open_batch(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            origin: Origin::Folder(PathBuf::new()),
            waiting: VecDeque::new(),
            current: Some(open_file(path.as_ref())?),
            class_names: CLASS_NAMES.map(str::to_owned).to_vec(),
        })
    }

    /// `whole`: the split is going to be read whole, so one pass over an archive may keep all of its files.
    fn open_for(path: &Path, split: Split, whole: bool) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|source| DatasetError::io(path, source))?;
        let (origin, meta) = if metadata.is_dir() {
            let folder = find_folder(path, split)?;
            let meta = match File::open(folder.join(META_FILE)) {
                Ok(file) => Some(read_bounded(file, &folder.join(META_FILE), MAX_META_BYTES)?),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(DatasetError::io(folder.join(META_FILE), error)),
            };
            (Origin::Folder(folder), meta)
        } else {
            let mut wanted = vec![META_FILE];
            if whole {
                wanted.extend(split.files());
            }
            let mut kept = read_members(path, &wanted)?;
            let meta = kept.remove(META_FILE);
            (
                Origin::Archive {
                    path: path.to_path_buf(),
                    kept,
                },
                meta,
            )
        };
        let class_names = match meta {
            Some(bytes) => parse_names(&path.join(META_FILE), &bytes)?,
            None => CLASS_NAMES.map(str::to_owned).to_vec(),
        };
        let mut source = Self {
            origin,
            waiting: split.files().iter().copied().collect(),
            current: None,
            class_names,
        };
        if let Origin::Folder(folder) = &source.origin {
            for file in split.files() {
                open_file(&folder.join(file))?;
            }
        }
        if whole {
            source.open_next()?;
        }
        Ok(source)
    }

    /// The names of the ten classes.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Opens the next waiting file; `false` when there is none.
    fn open_next(&mut self) -> Result<bool> {
        let Some(file) = self.waiting.pop_front() else {
            return Ok(false);
        };
        self.current = Some(match &mut self.origin {
            Origin::Folder(folder) => open_file(&folder.join(file))?,
            Origin::Archive { path, kept } => {
                let bytes = match kept.remove(file) {
                    Some(bytes) => bytes,
                    None => read_members(path, &[file])?
                        .remove(file)
                        .ok_or_else(|| DatasetError::NotFound {
                            path: path.join(file),
                            hint: "the archive is not CIFAR-10's binary layout, or it is cut short".to_owned(),
                        })?,
                };
                let name = path.join(file);
                let records = count_records(&name, bytes.len() as u64)?;
                Batch {
                    path: name,
                    reader: Box::new(Cursor::new(bytes)),
                    records,
                    next: 0,
                }
            }
        });
        Ok(true)
    }
}

impl ImageSource for Cifar10Source {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        let max = max.max(1);
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        while labels.len() < max {
            if let Some(batch) = self.current.as_mut().filter(|batch| batch.next < batch.records) {
                batch.read(max - labels.len(), &mut pixels, &mut labels)?;
            } else if !self.open_next()? {
                break;
            }
        }
        if labels.is_empty() {
            return Ok(None);
        }
        ImageSet::new(pixels, SIDE, SIDE, labels, self.class_names.clone()).map(Some)
    }

    fn remaining(&self) -> Option<u64> {
        let current = self.current.as_ref().map_or(0, |batch| batch.records - batch.next);
        let mut total = current;
        for file in &self.waiting {
            total += match &self.origin {
                Origin::Folder(folder) => std::fs::metadata(folder.join(file)).ok()?.len() / RECORD_BYTES as u64,
                Origin::Archive { kept, .. } => kept.get(*file)?.len() as u64 / RECORD_BYTES as u64,
            };
        }
        Some(total)
    }
}

impl Batch {
    /// Reads up to `max` records onto the ends of `pixels` and `labels`.
    fn read(&mut self, max: usize, pixels: &mut Vec<u8>, labels: &mut Vec<u32>) -> Result<()> {
        let mut record = [0u8; RECORD_BYTES];
        for _ in 0..max.min(usize::try_from(self.records - self.next).unwrap_or(usize::MAX)) {
            self.reader
                .read_exact(&mut record)
                .map_err(|source| DatasetError::io(&self.path, source))?;
            let (label, planes) = (record[0], &record[1..]);
            if usize::from(label) >= CLASS_NAMES.len() {
                return Err(DatasetError::LabelOutOfRange {
                    origin: self.path.display().to_string(),
                    index: self.next,
                    label: label.into(),
                    n_classes: CLASS_NAMES.len(),
                });
            }
            labels.push(label.into());
            let (red, rest) = planes.split_at(PIXELS);
            let (green, blue) = rest.split_at(PIXELS);
            pixels.extend(red.iter().zip(green).zip(blue).flat_map(|((&r, &g), &b)| [r, g, b]));
            self.next += 1;
        }
        Ok(())
    }
}

/// The folder that holds the split's files: the one given, or `cifar-10-batches-bin` inside it.
fn find_folder(path: &Path, split: Split) -> Result<PathBuf> {
    let inner = path.join(ARCHIVE_FOLDER);
    [path, &inner]
        .into_iter()
        .find(|folder| split.files().iter().any(|file| folder.join(file).is_file()))
        .map(Path::to_path_buf)
        .ok_or_else(|| DatasetError::NotFound {
            path: path.join(split.files().first().unwrap_or(&META_FILE)),
            hint: format!(
                "a CIFAR-10 folder in the binary layout holds {}",
                split.files().join(", ")
            ),
        })
}

fn open_file(path: &Path) -> Result<Batch> {
    let file = File::open(path).map_err(|source| DatasetError::io(path, source))?;
    let length = file.metadata().map_err(|source| DatasetError::io(path, source))?.len();
    let records = count_records(path, length)?;
    Ok(Batch {
        path: path.to_path_buf(),
        reader: Box::new(BufReader::with_capacity(1 << 16, file)),
        records,
        next: 0,
    })
}

/// The number of records in a file of `length` bytes, which must be whole and at least one.
fn count_records(path: &Path, length: u64) -> Result<u64> {
    let record = RECORD_BYTES as u64;
    if length == 0 {
        return Err(DatasetError::Empty {
            path: path.to_path_buf(),
            hint: format!("a batch file holds records of {record} bytes"),
        });
    }
    // A cut file of CIFAR-10 may have any length; its own names tell it apart.
    if !length.is_multiple_of(record) && length.is_multiple_of(record + 1) && !places::is_batch_file(path) {
        return Err(DatasetError::malformed(path, places::CIFAR100));
    }
    if !length.is_multiple_of(record) {
        return Err(DatasetError::Truncated {
            path: path.to_path_buf(),
            expected: length.next_multiple_of(record),
            found: length,
        });
    }
    Ok(length / record)
}

/// Streams through the archive once, to its end and checksum, and returns the members whose file names are wanted.
fn read_members(path: &Path, wanted: &[&str]) -> Result<BTreeMap<String, Vec<u8>>> {
    let io = |source| DatasetError::io(path, source);
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
    let mut magic = [0u8; 2];
    if file.read(&mut magic).map_err(io)? != 2 || magic != [0x1f, 0x8b] {
        return Err(DatasetError::malformed(
            path,
            "not a gzip file; expected a folder or cifar-10-binary.tar.gz",
        ));
    }
    let reader = MultiGzDecoder::new(Cursor::new(magic).chain(file));
    let bounds = Bounds {
        member: MAX_BATCH_BYTES,
        total: MAX_ARCHIVE_BYTES,
        count: MAX_MEMBERS,
    };
    let mut found = BTreeMap::new();
    let other_version = Cell::new(None);
    let outcome = for_each_member(
        reader,
        bounds,
        |name| {
            other_version.set(other_version.get().or_else(|| places::other_version_of(name)));
            wanted.contains(&name)
        },
        |name, declared, content| {
            let limit = if name == META_FILE {
                MAX_META_BYTES
            } else {
                MAX_BATCH_BYTES
            };
            let member = path.join(name);
            if declared > limit {
                return Err(DatasetError::Oversized {
                    path: member,
                    expected: limit,
                    found: declared,
                });
            }
            let bytes = read_bounded(content, &member, limit)?;
            if bytes.len() as u64 != declared {
                let found = bytes.len() as u64;
                return Err(DatasetError::Truncated {
                    path: member,
                    expected: declared,
                    found,
                });
            }
            found.insert(name.to_owned(), bytes);
            Ok(())
        },
    );
    match outcome {
        Ok(()) => match other_version.get() {
            Some(reason) if found.is_empty() => Err(DatasetError::malformed(path, reason)),
            _ => Ok(found),
        },
        Err(ArchiveError::Caller(error)) => Err(error),
        Err(ArchiveError::Broken(error)) => Err(DatasetError::malformed(
            path,
            format!("not a readable .tar.gz: {error}"),
        )),
        Err(ArchiveError::Unsafe { member, reason }) => Err(DatasetError::malformed(
            path,
            format!("the archive is hostile: {member}: {reason}"),
        )),
        Err(ArchiveError::TooLong {
            member,
            limit,
            declared,
        }) => Err(DatasetError::Oversized {
            path: path.join(member),
            expected: limit,
            found: declared,
        }),
    }
}

/// Reads to the end, growing as the data arrives and never past `limit`.
fn read_bounded(reader: impl Read, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = reader.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|source| DatasetError::malformed(path, format!("cannot be read to its end: {source}")))?;
    if bytes.len() as u64 > limit {
        return Err(DatasetError::Oversized {
            path: path.to_path_buf(),
            expected: limit,
            found: bytes.len() as u64,
        });
    }
    Ok(bytes)
}
