//! Every format, read right; and every kind of broken input, refused with a clear error.

// Helpers outside of #[test] functions fail a test by unwrapping, too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cifar10;
mod cifar10_c;
mod image_folder;
mod npy;
mod open;
mod pictures;
mod read_ahead;
mod real;
mod sources;

use riptide_datasets::{DatasetError, ImageSet, ImageSource};

/// Images whose pixels all differ from their neighbours in every direction and channel.
fn images(len: usize, height: usize, width: usize) -> ImageSet {
    let pixels = (0..len * height * width * 3).map(|i| (i * 37 % 251) as u8).collect();
    ImageSet::unlabelled(pixels, height, width).unwrap()
}

/// A source read in chunks gives what it gives whole.
fn assert_chunks(mut source: impl ImageSource, chunk: usize, expected: &ImageSet) {
    let mut left = expected.len();
    assert_eq!(source.remaining(), Some(left as u64));
    let mut at = 0;
    while let Some(images) = source.next_chunk(chunk).unwrap() {
        assert!(images.len() <= chunk.max(1) && !images.is_empty());
        assert_eq!(images, expected.slice(at..at + images.len()).unwrap());
        at += images.len();
        left -= images.len();
        assert_eq!(source.remaining(), Some(left as u64));
    }
    assert_eq!(left, 0);
    assert!(source.next_chunk(chunk).unwrap().is_none(), "the end stays the end");
}

/// The error, which must name the file and hold the words.
fn assert_error<T: std::fmt::Debug>(outcome: Result<T, DatasetError>, file: &str, words: &str) {
    let error = outcome.expect_err(words).to_string();
    assert!(
        error.contains(file) && error.contains(words),
        "{error:?} should name {file} and say {words:?}"
    );
}
