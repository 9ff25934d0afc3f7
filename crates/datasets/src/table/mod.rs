//! Images that a table lists: a CSV file of paths, or with the feature `parquet` a Parquet file of paths or of the pictures
//! themselves. Beside the images a table may have labels, and columns that say when and where each was taken.

mod csv_file;
mod labels;
mod numbers;
#[cfg(feature = "parquet")]
mod parquet_file;
#[cfg(feature = "parquet")]
mod parquet_table;
mod probabilities;

pub use csv_file::Manifest;
pub(crate) use labels::{LabelScan, Labels, numbered};
pub use numbers::read_column;
#[cfg(feature = "parquet")]
pub use parquet_file::ParquetImages;
pub use probabilities::ProbabilityRows;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{DatasetError, Result};

/// Which columns of a table are what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TableOptions {
    /// The column of pictures or of their paths; by default the one called `image`, `img`, `path`, `file`, `filename` or
    /// the like.
    pub image: Option<String>,
    /// The column of labels; by default the one called `label`, `labels`, `class` or `target`, if there is one.
    pub label: Option<String>,
    /// Columns that are carried along with each image: see [`ImageSet::column`](crate::ImageSet::column).
    pub columns: Vec<String>,
}

impl TableOptions {
    /// Sets the column of pictures or of their paths.
    #[must_use]
    pub fn image(mut self, image: Option<String>) -> Self {
        self.image = image;
        self
    }

    /// Sets the column of labels.
    #[must_use]
    pub fn label(mut self, label: Option<String>) -> Self {
        self.label = label;
        self
    }

    /// Sets the columns that are carried along.
    #[must_use]
    pub fn columns(mut self, columns: Vec<String>) -> Self {
        self.columns = columns;
        self
    }
}

/// Names of the column of pictures or of their paths.
const IMAGE_NAMES: [&str; 11] = [
    "image",
    "img",
    "picture",
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "image_path",
    "image_file",
];
/// Names of the column of labels.
const LABEL_NAMES: [&str; 4] = ["label", "labels", "class", "target"];

/// Where the columns that are wanted stand.
#[derive(Debug, Clone)]
struct Places {
    image: usize,
    label: Option<usize>,
    columns: Vec<usize>,
}

impl Places {
    /// Finds the columns; `may_be_image` says which may hold pictures or paths.
    fn find(
        path: &Path,
        names: &[String],
        options: &TableOptions,
        may_be_image: impl Fn(usize) -> bool,
    ) -> Result<Self> {
        let place = |wanted: &str| position(path, names, wanted);
        let image = match &options.image {
            Some(name) => place(name)?,
            None => {
                let mut known = names.iter().enumerate().filter(|(place, name)| {
                    may_be_image(*place) && IMAGE_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
                });
                let found = (known.next(), known.next());
                drop(known);
                match found {
                    (Some((place, _)), None) => place,
                    (Some((_, first)), Some((_, second))) => {
                        let reason =
                            format!("the columns {first} and {second} may both be the images; say which one is");
                        return Err(DatasetError::malformed(path, reason));
                    }
                    (None, _) => {
                        let reason = format!(
                            "no column is known to hold images or their paths; say which one does, of {}",
                            names.join(", ")
                        );
                        return Err(DatasetError::malformed(path, reason));
                    }
                }
            }
        };
        let label = match &options.label {
            Some(name) => Some(place(name)?),
            None => names
                .iter()
                .position(|name| LABEL_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)))
                .filter(|place| *place != image),
        };
        let columns = options.columns.iter().map(|name| place(name)).collect::<Result<_>>()?;
        Ok(Self { image, label, columns })
    }
}

/// The place of a column.
fn position(path: &Path, names: &[String], wanted: &str) -> Result<usize> {
    let mut found = names.iter().enumerate().filter(|(_, name)| *name == wanted);
    match (found.next(), found.next()) {
        (Some((place, _)), None) => Ok(place),
        (Some(_), Some(_)) => Err(DatasetError::malformed(
            path,
            format!("two columns are called {wanted}"),
        )),
        (None, _) => {
            let reason = format!("there is no column {wanted}; there are {}", names.join(", "));
            Err(DatasetError::malformed(path, reason))
        }
    }
}

/// Splits `FILE:COLUMN`, unless there is a file of the whole name.
pub(crate) fn split(path: &Path) -> (&Path, Option<&str>) {
    let whole = (path, None);
    if path.exists() {
        return whole;
    }
    match path.to_str().and_then(|text| text.rsplit_once(':')) {
        Some((file, column)) if !column.is_empty() && Path::new(file).is_file() => (Path::new(file), Some(column)),
        _ => whole,
    }
}

/// Whether a file's name ends so, in any case.
pub(crate) fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|found| wanted.iter().any(|wanted| found.eq_ignore_ascii_case(wanted)))
}
