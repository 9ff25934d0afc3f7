//! Images with labels from elsewhere.

use riptide_datasets::{DatasetError, ImageSet, ImageSource, Skipped};

use crate::error::{Error, Result};

/// A source whose images get these labels, one an image in their order, counted from 0.
///
/// # Errors
/// [`Error::Mismatch`] if the number of images is known and another.
pub(crate) fn labelled<S: ImageSource>(images: S, labels: Vec<u32>) -> Result<Labelled<S>> {
    let n = images.remaining();
    if n.is_some_and(|n| n != labels.len() as u64) {
        return Err(Error::mismatch("labels", n.unwrap_or_default(), labels.len()));
    }
    let n_classes = labels.iter().max().map_or(1, |&largest| largest as usize + 1);
    Ok(Labelled {
        images,
        labels,
        next: 0,
        class_names: (0..n_classes).map(|class| class.to_string()).collect(),
    })
}

/// Made by [`labelled`].
pub(crate) struct Labelled<S> {
    images: S,
    labels: Vec<u32>,
    next: usize,
    class_names: Vec<String>,
}

impl<S: ImageSource> ImageSource for Labelled<S> {
    fn next_chunk(&mut self, max: usize) -> riptide_datasets::Result<Option<ImageSet>> {
        let Some(chunk) = self.images.next_chunk(max)? else {
            return match self.next == self.labels.len() {
                true => Ok(None),
                false => Err(mismatch(self.labels.len(), self.next)),
            };
        };
        let end = self.next + chunk.len();
        let Some(labels) = self.labels.get(self.next..end) else {
            return Err(mismatch(self.labels.len(), end));
        };
        self.next = end;
        chunk.with_labels(labels.to_vec(), self.class_names.clone()).map(Some)
    }

    fn remaining(&self) -> Option<u64> {
        self.images.remaining()
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        self.images.image_size()
    }

    fn is_live(&self) -> bool {
        self.images.is_live()
    }

    fn unreadable(&self) -> Option<&Skipped> {
        self.images.unreadable()
    }
}

fn mismatch(labels: usize, images: usize) -> DatasetError {
    DatasetError::Mismatch {
        what: "number of images",
        left: format!("{labels} labels"),
        right: format!("{images} images or more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_beside_images_are_counted() {
        let images = || ImageSet::unlabelled(vec![0; 5 * 12], 2, 2).unwrap();
        let mut source = labelled(images().into_source(), vec![0, 1, 2, 1, 0]).unwrap();
        let first = source.next_chunk(3).unwrap().unwrap();
        assert_eq!(first.labels(), Some(&[0, 1, 2][..]));
        let error = labelled(images().into_source(), vec![0; 4]).err().unwrap();
        assert!(error.to_string().contains("expected 5, found 4"), "{error}");
    }
}
