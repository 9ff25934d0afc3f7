//! Images in numpy's `.npz` archives, as `numpy.savez` and `numpy.savez_compressed` write them.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

use flate2::{Crc, read::DeflateDecoder};
use riptide_files::npy::Header;
use zip::{CompressionMethod, ZipArchive};

use crate::error::{DatasetError, Result};
use crate::image_set::ImageSet;
use crate::npy::{self, ArrayOptions, NpyStream};
use crate::regular;
use crate::source::ImageSource;
use crate::table::numbered;

/// The most arrays of an archive.
const MAX_ARRAYS: usize = 10_000;
/// The most labels that are read from an archive.
const MAX_LABELS: u64 = 20_000_000;

/// One array of images from a `.npz` archive, decompressed as it is read; its checksum is compared at its end.
///
/// If the archive has one integer array with as many entries as there are images, called `labels` or like the images with `y`
/// for `x` or `labels` for `images`, its entries are the images' labels.
#[derive(Debug)]
pub struct NpzImages {
    stream: NpyStream<Member>,
    labels: Option<Vec<u32>>,
    class_names: Vec<String>,
    next: usize,
}

impl NpzImages {
    /// Opens the array `name`, or if no name is given the only one that may be of images.
    ///
    /// # Errors
    /// Returns an error if the file is no such archive, if it lacks the array or has several that may be of images, or if the
    /// array is not of images.
    pub fn open(path: impl AsRef<Path>, name: Option<&str>, options: ArrayOptions) -> Result<Self> {
        let path = path.as_ref();
        let mut archive = Archive::open(path)?;
        let names = archive.names()?;
        let name = match name {
            Some(name) if names.iter().any(|found| found == name) => name.to_owned(),
            Some(name) => {
                let reason = format!("no array is called {name}; there are {}", names.join(", "));
                return Err(DatasetError::malformed(path, reason));
            }
            None => archive.only_images(&names)?,
        };
        let shown = shown(path, &name);
        let stream = NpyStream::with(archive.member(&name)?, &shown, options)?.only_one();
        let len = stream.remaining().unwrap_or_default();
        let candidates = [
            "labels".to_owned(),
            "y".to_owned(),
            name.replacen('x', "y", 1),
            name.replacen('X', "y", 1),
            name.replacen("images", "labels", 1),
            name.replacen("image", "label", 1),
        ];
        let found = names.iter().find(|found| **found != name && candidates.contains(found));
        let labels = match found {
            Some(labels) => archive.labels(labels, len)?,
            None => None,
        };
        let class_names = match &labels {
            Some(labels) => numbered(path, labels.iter().copied().max())?,
            None => Vec::new(),
        };
        Ok(Self {
            stream,
            labels,
            class_names,
            next: 0,
        })
    }
}

/// How an array is called in errors: the archive, a colon, and its name.
fn shown(path: &Path, name: &str) -> PathBuf {
    let mut shown = path.as_os_str().to_owned();
    shown.push(":");
    shown.push(name);
    shown.into()
}

impl ImageSource for NpzImages {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        let Some(chunk) = self.stream.next_chunk(max)? else {
            return Ok(None);
        };
        let range = self.next..self.next + chunk.len();
        self.next = range.end;
        match &self.labels {
            None => Ok(Some(chunk)),
            Some(labels) => {
                let labels = labels.get(range).unwrap_or_default().to_vec();
                chunk.with_labels(labels, self.class_names.clone()).map(Some)
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        self.stream.remaining()
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        self.stream.image_size()
    }
}

/// The table of contents of an archive.
struct Archive {
    path: PathBuf,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    fn open(path: &Path) -> Result<Self> {
        let (file, _) = regular::open(path)?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| broken(path, &error))?;
        if zip.len() > MAX_ARRAYS {
            let reason = format!("{} arrays, at most {MAX_ARRAYS} are read", zip.len());
            return Err(DatasetError::malformed(path, reason));
        }
        Ok(Self {
            path: path.to_path_buf(),
            zip,
        })
    }

    /// The names of the arrays, without `.npy`, in the archive's order.
    fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for index in 0..self.zip.len() {
            if let Some(name) = self.zip.name_for_index(index) {
                let name = name.map_err(|error| broken(&self.path, &error))?;
                names.extend(name.strip_suffix(".npy").map(str::to_owned));
            }
        }
        if names.is_empty() {
            return Err(DatasetError::Empty {
                path: self.path.clone(),
                hint: "the archive holds no .npy arrays".to_owned(),
            });
        }
        Ok(names)
    }

    fn header(&mut self, name: &str) -> Result<Header> {
        let path = shown(&self.path, name);
        npy::read_header(&mut self.member(name)?, &path)
    }

    /// The name of the only array of three or four dimensions.
    fn only_images(&mut self, names: &[String]) -> Result<String> {
        let mut found = Vec::new();
        for name in names {
            if matches!(self.header(name)?.shape.len(), 3 | 4) {
                found.push(name.clone());
            }
        }
        let path = || self.path.clone();
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(DatasetError::Empty {
                path: path(),
                hint: format!("none of its arrays has three or four dimensions: {}", names.join(", ")),
            }),
            _ => {
                let reason = format!(
                    "several arrays may be of images ({}); name one behind a colon, as in FILE.npz:NAME",
                    found.join(", ")
                );
                Err(DatasetError::malformed(path(), reason))
            }
        }
    }

    /// The labels in an array, if there are as many as images and they are whole numbers.
    fn labels(&mut self, name: &str, images: u64) -> Result<Option<Vec<u32>>> {
        let path = shown(&self.path, name);
        let mut member = self.member(name)?;
        let header = npy::read_header(&mut member, &path)?;
        let (&[len] | &[len, 1]) = header.shape.as_slice() else {
            return Ok(None);
        };
        if len != images || len > MAX_LABELS {
            return Ok(None);
        }
        npy::labels_from(&mut member, &header, len, &path)
    }

    /// The bytes of an array.
    fn member(&mut self, name: &str) -> Result<Member> {
        let path = shown(&self.path, name);
        let index = self.zip.index_for_name(&format!("{name}.npy"));
        let index = index.ok_or_else(|| DatasetError::malformed(&path, "there is no such array"))?;
        let entry = self.zip.by_index_raw(index).map_err(|error| broken(&path, &error))?;
        let (size, compressed, crc) = (entry.size(), entry.compressed_size(), entry.crc32());
        let start = entry.data_start();
        let (method, is_encrypted) = (entry.compression(), entry.encrypted());
        drop(entry);
        let (file, length) = regular::open(&self.path)?;
        let start = start.filter(|start| start.checked_add(compressed).is_some_and(|end| end <= length));
        let Some(start) = start.filter(|_| !is_encrypted) else {
            let reason = "the archive's table of contents is damaged, or the array is encrypted";
            return Err(DatasetError::malformed(&path, reason));
        };
        let mut file = BufReader::new(file);
        file.seek(SeekFrom::Start(start))
            .map_err(|source| DatasetError::io(&path, source))?;
        let bytes = file.take(compressed);
        let bytes = match method {
            CompressionMethod::Stored => Bytes::Stored(bytes),
            CompressionMethod::Deflated => Bytes::Deflated(Box::new(DeflateDecoder::new(bytes))),
            other => {
                let reason = format!("compressed by {other}, expected deflate or nothing, as numpy writes it");
                return Err(DatasetError::malformed(&path, reason));
            }
        };
        Ok(Member {
            bytes,
            left: size,
            crc,
            found: Crc::new(),
        })
    }
}

fn broken(path: &Path, error: &zip::result::ZipError) -> DatasetError {
    DatasetError::malformed(path, format!("not a .npz archive: {error}"))
}

enum Bytes {
    Stored(Take<BufReader<File>>),
    Deflated(Box<DeflateDecoder<Take<BufReader<File>>>>),
}

/// The bytes of a member, which must be as many as the table of contents says, and have its checksum.
struct Member {
    bytes: Bytes,
    left: u64,
    crc: u32,
    found: Crc,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Read for Member {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let damaged = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
        let read = match &mut self.bytes {
            Bytes::Stored(bytes) => bytes.read(buffer)?,
            Bytes::Deflated(bytes) => bytes.read(buffer)?,
        };
        if read == 0 && !buffer.is_empty() {
            return match self.left == 0 && self.found.sum() == self.crc {
                true => Ok(0),
                false => Err(damaged(
                    "damaged: its length or its checksum is not the one in the archive",
                )),
            };
        }
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| damaged("damaged: longer than the archive says"))?;
        self.found.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
