//! Where the reference data lies, and the real images.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use riptide_datasets::ImageSet;

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;

/// The folder of reference data, if there is one.
pub(crate) fn shared() -> Option<PathBuf> {
    let found = std::env::var_os("RIPTIDE_SHARED").map(PathBuf::from);
    if found.is_none() {
        eprintln!("skipped: RIPTIDE_SHARED is not set");
    }
    found
}

/// The first `n` lossless images: records of one label and 32 x 32 red, green and blue values.
pub(crate) fn lossless(shared: &Path, n: usize) -> ImageSet {
    let file = File::open(shared.join("data/cifar10-lossless-4000.bin.gz")).unwrap();
    let mut records = vec![0; n * (1 + 3 * PLANE)];
    GzDecoder::new(file).read_exact(&mut records).unwrap();
    let pixels = records.chunks_exact(1 + 3 * PLANE).flat_map(|record| {
        let planes = &record[1..];
        (0..PLANE).flat_map(move |i| [planes[i], planes[PLANE + i], planes[2 * PLANE + i]])
    });
    ImageSet::unlabelled(pixels.collect(), SIDE, SIDE).unwrap()
}
