use std::fs;

use image::{Rgb, RgbImage};
use riptide_datasets::ImageSource;
use riptide_datasets::npy::write_images;
use riptide_datasets::{OpenOptions, open};

use super::images;

#[test]
fn a_path_is_opened_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_images(root.join("a.npy"), &images(3, 2, 2)).unwrap();
    // The content decides.
    fs::copy(root.join("a.npy"), root.join("b.data")).unwrap();
    fs::create_dir(root.join("cifar")).unwrap();
    fs::write(root.join("cifar/test_batch.bin"), vec![1; 2 * 3073]).unwrap();
    fs::create_dir_all(root.join("pictures/cat")).unwrap();
    RgbImage::from_pixel(2, 2, Rgb([1, 2, 3]))
        .save(root.join("pictures/cat/a.png"))
        .unwrap();
    for (path, len, labelled) in [
        ("a.npy", 3, false),
        ("b.data", 3, false),
        ("cifar", 2, true),
        ("cifar/test_batch.bin", 2, true),
        ("pictures", 1, true),
        ("pictures/cat/*", 1, false),
    ] {
        let mut source = open(root.join(path), OpenOptions::default()).unwrap();
        let set = source.read_all().unwrap().unwrap();
        assert_eq!((set.len(), set.labels().is_some()), (len, labelled), "{path}");
    }
    let mut one_a_file = open(root.join("pictures"), OpenOptions::default()).unwrap();
    let chunk = one_a_file.next_chunk(9).unwrap().unwrap();
    assert_eq!(chunk.files().unwrap(), [root.join("pictures/cat/a.png")]);
    let mut array = open(root.join("a.npy"), OpenOptions::default()).unwrap();
    assert!(array.next_chunk(9).unwrap().unwrap().files().is_none());
    for (path, words) in [
        ("none", "no such file"),
        ("none.npy", "no such file"),
        ("none.tar.gz", "no such file"),
    ] {
        let error = open(root.join(path), OpenOptions::default()).err().unwrap().to_string();
        assert!(error.contains(path) && error.contains(words), "{error}");
    }
    fs::write(root.join("x.bin"), b"neither").unwrap();
    let error = open(root.join("x.bin"), OpenOptions::default())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("x.bin: truncated"), "{error}");
}
