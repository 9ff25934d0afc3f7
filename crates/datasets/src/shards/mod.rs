//! Tar shards in the layout of WebDataset: `KEY.jpg` beside `KEY.cls` or `KEY.json`.

mod index;

use std::collections::VecDeque;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{DatasetError, Result};
use crate::gather::{Gatherer, Record};
use crate::image_set::ImageSet;
use crate::picture::{Encoded, PictureOptions};
use crate::regular;
use crate::source::{ImageSource, OnError, Skipped};
use crate::table::{LabelScan, Labels, TableOptions};

use index::{Place, Sample};

/// The longest `.cls`, `.txt` or `.json` member that is read.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Images from tar files, a few at a time. Members whose paths are alike up to the first dot of their names belong together: a
/// picture, and if there are any its label (`KEY.cls`: a number or a name) and its particulars (`KEY.json`: an object, of which
/// `label`, `cls` or `class`, or what [`TableOptions::label`] names, is the label and the others may be carried along as
/// columns). The column `__key__` is the key.
///
/// Nothing is unpacked; the members of one shard are listed at a time. Before the images are read, the labels of all shards
/// are.
#[derive(Debug)]
pub struct TarShards {
    waiting: VecDeque<PathBuf>,
    current: Option<Shard>,
    remaining: u64,
    table: TableOptions,
    max_bytes: u64,
    labels: Option<Labels>,
    gatherer: Gatherer,
}

/// A shard that is being read.
#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: File,
    samples: VecDeque<Sample>,
}

impl TarShards {
    /// Opens shards, one behind the other.
    ///
    /// # Errors
    /// Returns an error if a file is no tar archive, is cut short, or has samples without a picture or with two, or if some
    /// samples have labels and others have none.
    pub fn open(files: Vec<PathBuf>, table: &TableOptions, pictures: PictureOptions) -> Result<Self> {
        let (mut remaining, mut scan) = (0, LabelScan::default());
        let (mut labelled, mut unlabelled) = (None, None);
        for path in &files {
            let shard = Shard::open(path)?;
            remaining += shard.samples.len() as u64;
            for sample in &shard.samples {
                let particulars = shard.particulars(sample, table)?;
                match particulars.label {
                    Some(label) => {
                        scan.add(&label).map_err(|reason| shard.bad(sample, &reason))?;
                        labelled.get_or_insert_with(|| shard.place(sample));
                    }
                    None => {
                        unlabelled.get_or_insert_with(|| shard.place(sample));
                    }
                }
            }
        }
        let first = files.first().cloned().unwrap_or_default();
        let labels = match (labelled, unlabelled) {
            (Some(with), Some(without)) => {
                let reason = format!("{with} has a label, but {without} has none");
                return Err(DatasetError::malformed(first, reason));
            }
            (Some(_), None) => Some(scan.finish(&first)?),
            (None, Some(_)) => None,
            (None, None) => {
                return Err(DatasetError::Empty {
                    path: first,
                    hint: "expected pictures in the archive".to_owned(),
                });
            }
        };
        let class_names = labels.as_ref().map(Labels::class_names);
        Ok(Self {
            waiting: files.into(),
            current: None,
            remaining,
            table: table.clone(),
            max_bytes: pictures.max_bytes,
            labels,
            gatherer: Gatherer::new(pictures, class_names, table.columns.clone())?,
        })
    }

    /// Says what to do about pictures that cannot be read: [`OnError::Fail`] by default.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.gatherer.on_error(on_error);
        self
    }
}

/// What is known of a sample.
struct Particulars {
    label: Option<String>,
    values: Vec<String>,
}

impl Shard {
    fn open(path: &Path) -> Result<Self> {
        let (file, length) = regular::open(path)?;
        let samples = index::samples(path, &file, length)?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            samples,
        })
    }

    /// How a sample is called in errors.
    fn place(&self, sample: &Sample) -> String {
        format!("{}: {}", self.path.display(), sample.key)
    }

    fn bad(&self, sample: &Sample, reason: &str) -> DatasetError {
        DatasetError::malformed(&self.path, format!("{}: {reason}", sample.key))
    }

    fn read(&self, place: Place) -> Result<Vec<u8>> {
        // The listing has checked that the member lies inside the file.
        let mut bytes = vec![0; usize::try_from(place.size).unwrap_or(0)];
        regular::read_exact_at(&self.file, &mut bytes, place.offset).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => {
                DatasetError::malformed(&self.path, "the archive was cut short while it was read")
            }
            _ => DatasetError::io(&self.path, source),
        })?;
        Ok(bytes)
    }

    fn text(&self, sample: &Sample, place: Place) -> Result<String> {
        if place.size > MAX_TEXT_BYTES {
            let reason = format!(
                "its text is {} bytes long, at most {MAX_TEXT_BYTES} are read",
                place.size
            );
            return Err(self.bad(sample, &reason));
        }
        String::from_utf8(self.read(place)?).map_err(|_| self.bad(sample, "its text is not UTF-8"))
    }

    fn particulars(&self, sample: &Sample, table: &TableOptions) -> Result<Particulars> {
        let json: serde_json::Value = match sample.json {
            None => serde_json::Value::Null,
            Some(place) => serde_json::from_str(&self.text(sample, place)?)
                .map_err(|error| self.bad(sample, &format!("its .json cannot be read: {error}")))?,
        };
        let value = |name: &str| match json.get(name)? {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            serde_json::Value::Bool(value) => Some(value.to_string()),
            _ => None,
        };
        let label = match (&table.label, sample.cls) {
            (Some(name), Some(place)) if name == "cls" => Some(self.text(sample, place)?.trim().to_owned()),
            (Some(name), _) => Some(value(name).ok_or_else(|| self.bad(sample, &format!("its .json has no {name}")))?),
            (None, Some(place)) => Some(self.text(sample, place)?.trim().to_owned()),
            (None, None) => ["label", "cls", "class"].into_iter().find_map(value),
        };
        let column = |name: &String| match name.as_str() {
            "__key__" => Ok(sample.key.clone()),
            name => value(name).ok_or_else(|| self.bad(sample, &format!("its .json has no {name}"))),
        };
        let values = table.columns.iter().map(column).collect::<Result<_>>()?;
        Ok(Particulars { label, values })
    }
}

impl ImageSource for TarShards {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        let Self {
            waiting,
            current,
            remaining,
            table,
            max_bytes,
            labels,
            gatherer,
        } = self;
        gatherer.chunk(max, || {
            loop {
                let Some(shard) = current else {
                    let Some(path) = waiting.pop_front() else {
                        return Ok(None);
                    };
                    *current = Some(Shard::open(&path)?);
                    continue;
                };
                let Some(sample) = shard.samples.pop_front() else {
                    *current = None;
                    continue;
                };
                if sample.picture.size > *max_bytes {
                    let reason = format!("{} bytes long, at most {max_bytes} are read", sample.picture.size);
                    return Err(shard.bad(&sample, &reason));
                }
                let particulars = shard.particulars(&sample, table)?;
                let label = match (&particulars.label, &*labels) {
                    (Some(label), Some(labels)) => {
                        Some(labels.number(label).map_err(|reason| shard.bad(&sample, &reason))?)
                    }
                    _ => None,
                };
                let mut file = shard.path.clone().into_os_string();
                file.push("/");
                file.push(&sample.name);
                *remaining = remaining.saturating_sub(1);
                return Ok(Some(Record {
                    place: Record::place(&shard.path, &sample.name),
                    file: Some(file.into()),
                    picture: Encoded::Bytes(shard.read(sample.picture)?),
                    label,
                    values: particulars.values,
                }));
            }
        })
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.remaining)
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        self.gatherer.image_size()
    }

    fn unreadable(&self) -> Option<&Skipped> {
        Some(self.gatherer.unreadable())
    }
}
