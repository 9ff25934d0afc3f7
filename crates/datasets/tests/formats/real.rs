//! Real CIFAR-10 images, if `RIPTIDE_SHARED` names the folder that holds them.

use std::fs;
use std::path::PathBuf;

use riptide_datasets::ImageSource;
use riptide_datasets::cifar10::{Split, load};
use riptide_datasets::npy::NpyStream;

fn shared() -> Option<PathBuf> {
    let shared = std::env::var_os("RIPTIDE_SHARED").map(PathBuf::from);
    if shared.is_none() {
        eprintln!("RIPTIDE_SHARED is not set: nothing is tested");
    }
    shared
}

/// The first image of CIFAR-10's training set is a frog. Its pixels were read with numpy:
/// `numpy.load("golden/alibi/outputs.npz")["images"][0]`.
#[test]
fn the_first_image_is_the_known_one() {
    let Some(shared) = shared() else { return };
    let packed = fs::File::open(shared.join("data/cifar10-lossless-4000.bin.gz")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut batch = fs::File::create(folder.path().join("test_batch.bin")).unwrap();
    std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut batch).unwrap();
    let set = load(folder.path(), Split::Test).unwrap();
    assert_eq!(set.shape(), [4000, 32, 32, 3]);
    let frog = set.image(0).unwrap();
    let pixel = |row: usize, column: usize| &frog[(row * 32 + column) * 3..][..3];
    assert_eq!(pixel(0, 0), [59, 62, 63]);
    assert_eq!(pixel(5, 7), [119, 77, 37]);
    assert_eq!(pixel(31, 31), [123, 92, 72]);
    assert_eq!(frog.iter().map(|&value| u32::from(value)).sum::<u32>(), 317_790);
    assert_eq!(set.class_names()[set.labels().unwrap()[0] as usize], "frog");

    // The first 64 images, as numpy wrote them: the first member of the archive, deflated.
    let archive = fs::read(shared.join("golden/alibi/outputs.npz")).unwrap();
    let length = |at: usize| usize::from(u16::from_le_bytes([archive[at], archive[at + 1]]));
    assert_eq!(&archive[30..30 + length(26)], b"images.npy");
    let data = flate2::read::DeflateDecoder::new(&archive[30 + length(26) + length(28)..]);
    let golden = NpyStream::new(data, "images.npy").unwrap().read_all().unwrap().unwrap();
    assert_eq!(
        golden.slice(0..64).unwrap().pixels(),
        set.slice(0..64).unwrap().pixels()
    );
}
