//! What is known of each image of a set beside its pixels and its label.

use std::ops::Range;
use std::path::PathBuf;

use crate::error::{DatasetError, Result};

/// Files, named columns of text and logged class probabilities; each is as long as the set, or not there.
#[derive(Debug, Clone, Default)]
pub(super) struct Details {
    pub(super) files: Option<Vec<PathBuf>>,
    pub(super) columns: Vec<(String, Vec<String>)>,
    pub(super) probabilities: Option<Rows>,
}

/// Class probabilities, row-major.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) n_classes: usize,
    pub(super) values: Vec<f32>,
}

impl Details {
    /// Those of the images at indices, all of which are there.
    pub(super) fn select(&self, indices: &[usize]) -> Self {
        fn pick<T: Clone>(values: &[T], indices: &[usize]) -> Vec<T> {
            indices.iter().filter_map(|&index| values.get(index).cloned()).collect()
        }
        Self {
            files: self.files.as_ref().map(|files| pick(files, indices)),
            columns: self
                .columns
                .iter()
                .map(|(name, values)| (name.clone(), pick(values, indices)))
                .collect(),
            probabilities: self.probabilities.as_ref().map(|rows| Rows {
                n_classes: rows.n_classes,
                values: indices
                    .iter()
                    .flat_map(|&index| rows.of(index..index + 1))
                    .copied()
                    .collect(),
            }),
        }
    }

    /// Those of a range of images, all of which are there.
    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        fn part<T: Clone>(values: &[T], range: Range<usize>) -> Vec<T> {
            values.get(range).unwrap_or_default().to_vec()
        }
        Self {
            files: self.files.as_ref().map(|files| part(files, range.clone())),
            columns: self
                .columns
                .iter()
                .map(|(name, values)| (name.clone(), part(values, range.clone())))
                .collect(),
            probabilities: self.probabilities.as_ref().map(|rows| Rows {
                n_classes: rows.n_classes,
                values: rows.of(range.clone()).to_vec(),
            }),
        }
    }

    /// Adds those of other images; what is not known of both is left out.
    pub(super) fn append(&mut self, other: &Self) {
        self.files = match (self.files.take(), &other.files) {
            (Some(mut files), Some(more)) => {
                files.extend_from_slice(more);
                Some(files)
            }
            _ => None,
        };
        let columns = std::mem::take(&mut self.columns).into_iter();
        self.columns = columns
            .filter_map(|(name, mut values)| {
                let (_, more) = other.columns.iter().find(|(found, _)| *found == name)?;
                values.extend_from_slice(more);
                Some((name, values))
            })
            .collect();
        self.probabilities = match (self.probabilities.take(), &other.probabilities) {
            (Some(mut rows), Some(more)) if rows.n_classes == more.n_classes => {
                rows.values.extend_from_slice(&more.values);
                Some(rows)
            }
            _ => None,
        };
    }
}

impl Rows {
    fn of(&self, images: Range<usize>) -> &[f32] {
        let range = images.start * self.n_classes..images.end * self.n_classes;
        self.values.get(range).unwrap_or_default()
    }
}

/// Details of each image of a set: where it came from, columns of the table that lists it, and what a classifier answered to it
/// elsewhere. They stay with their images through [`select`](super::ImageSet::select), [`slice`](super::ImageSet::slice) and, if both sets have them,
/// [`append`](super::ImageSet::append), and count neither for equality nor for the digest.
impl super::ImageSet {
    /// The file of each image, if each came from a file of its own; of a picture inside an archive, the archive's path with the
    /// name inside behind it.
    pub fn files(&self) -> Option<&[PathBuf]> {
        self.details.files.as_deref()
    }

    /// The values of a column, one per image, if there is such a column.
    pub fn column(&self, name: &str) -> Option<&[String]> {
        let mut columns = self.details.columns.iter();
        columns.find_map(|(found, values)| (found == name).then_some(values.as_slice()))
    }

    /// The names of the columns.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.details.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Class probabilities that were logged with the images: the number of classes, and the rows (N, classes), row-major.
    pub fn probabilities(&self) -> Option<(usize, &[f32])> {
        let rows = self.details.probabilities.as_ref()?;
        Some((rows.n_classes, &rows.values))
    }

    /// The same images, with the file that each came from.
    ///
    /// # Errors
    /// Returns an error if there is not one file per image.
    pub fn with_files(mut self, files: Vec<PathBuf>) -> Result<Self> {
        self.check_details("files", files.len())?;
        self.details.files = Some(files);
        Ok(self)
    }

    /// The same images with a column put on, or replaced.
    ///
    /// # Errors
    /// Returns an error if there is not one value per image.
    pub fn with_column(mut self, name: impl Into<String>, values: Vec<String>) -> Result<Self> {
        self.check_details("values of a column", values.len())?;
        let name = name.into();
        self.details.columns.retain(|(found, _)| *found != name);
        self.details.columns.push((name, values));
        Ok(self)
    }

    /// The same images with class probabilities (N, `n_classes`), row-major. They belong to these pixels:
    /// [`with_pixels`](Self::with_pixels) leaves them out.
    ///
    /// # Errors
    /// Returns an error if there is not one row per image. The numbers are not checked.
    pub fn with_probabilities(mut self, n_classes: usize, values: Vec<f32>) -> Result<Self> {
        if Some(values.len()) != self.len().checked_mul(n_classes) {
            self.check_details("rows of probabilities", values.len() / n_classes.max(1))?;
        }
        self.details.probabilities = Some(Rows { n_classes, values });
        Ok(self)
    }

    fn check_details(&self, what: &'static str, found: usize) -> Result<()> {
        match found == self.len() {
            true => Ok(()),
            false => Err(DatasetError::Mismatch {
                what,
                left: format!("{} images", self.len()),
                right: found.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ImageSet;

    fn set() -> ImageSet {
        let set = ImageSet::unlabelled((0..9).collect(), 1, 1).unwrap();
        let files = ["a", "b", "c"].map(Into::into).to_vec();
        let times = ["1", "2", "3"].map(str::to_owned).to_vec();
        set.with_files(files)
            .unwrap()
            .with_column("time", times)
            .unwrap()
            .with_probabilities(2, vec![0.0, 1.0, 0.1, 0.9, 0.2, 0.8])
            .unwrap()
    }

    #[test]
    fn details_stay_with_their_images() {
        let set = set();
        let picked = set.select(&[2, 0, 2]).unwrap();
        assert_eq!(picked.files().unwrap(), ["c", "a", "c"].map(std::path::PathBuf::from));
        assert_eq!(picked.column("time").unwrap(), ["3", "1", "3"]);
        assert_eq!(
            picked.probabilities().unwrap(),
            (2, &[0.2, 0.8, 0.0, 1.0, 0.2, 0.8][..])
        );
        let mut part = set.slice(1..2).unwrap();
        assert_eq!(
            (part.column("time").unwrap(), part.column("x")),
            (&["2".to_owned()][..], None)
        );
        part.append(&picked).unwrap();
        assert_eq!(part.column("time").unwrap(), ["2", "3", "1", "3"]);
        assert_eq!(part.probabilities().unwrap().1.len(), 8);
        assert_eq!(part.column_names().collect::<Vec<_>>(), ["time"]);
    }

    #[test]
    fn other_pixels_have_other_answers() {
        let other = set().with_pixels(vec![0; 9]).unwrap();
        assert!(other.probabilities().is_none());
        assert!(other.files().is_some() && other.column("time").is_some());
    }

    #[test]
    fn what_does_not_fit_is_refused_or_left_out() {
        assert!(set().with_files(vec!["a".into()]).is_err());
        assert!(set().with_column("x", vec![]).is_err());
        assert!(set().with_probabilities(2, vec![0.5; 4]).is_err());
        assert!(set().with_probabilities(4, vec![0.5; 6]).is_err());
        let plain = ImageSet::unlabelled((0..9).collect(), 1, 1).unwrap();
        let mut both = set();
        both.append(&plain).unwrap();
        assert!(both.files().is_none() && both.column("time").is_none() && both.probabilities().is_none());
        assert_eq!(set(), plain, "details do not count for equality");
    }
}
