use std::fs;
use std::path::Path;

use riptide_datasets::ImageSet;
use riptide_datasets::cifar10_c::Cifar10C;
use riptide_datasets::npy::{NpyWriter, write_images, write_labels};

use super::{assert_chunks, assert_error, images};

const EACH: usize = 4;

/// Two corruptions of four images of 3 x 2 pixels at five severities.
fn folder(path: &Path) -> ImageSet {
    let all = images(5 * EACH, 3, 2);
    write_images(path.join("fog.npy"), &all).unwrap();
    let mut writer = NpyWriter::create(path.join("snow.npy"), 20, 3, 2).unwrap();
    for severity in 0..5 {
        writer
            .append(&all.slice(severity * EACH..(severity + 1) * EACH).unwrap())
            .unwrap();
    }
    writer.finish().unwrap();
    write_labels(path.join("labels.npy"), &(0..20).map(|i| i % 4).collect::<Vec<_>>()).unwrap();
    all
}

#[test]
fn each_severity_has_its_rows() {
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path().join("CIFAR-10-C");
    fs::create_dir(&path).unwrap();
    let all = folder(&path);
    assert_eq!(
        fs::read(path.join("fog.npy")).unwrap(),
        fs::read(path.join("snow.npy")).unwrap()
    );
    let set = Cifar10C::open(outer.path()).unwrap();
    assert_eq!(
        (set.corruptions(), set.len()),
        (&["fog".to_owned(), "snow".to_owned()][..], EACH)
    );
    for severity in 1..=5u8 {
        let rows = usize::from(severity - 1) * EACH..usize::from(severity) * EACH;
        let part = set.severity("snow", severity).unwrap();
        assert_eq!(part.pixels(), all.slice(rows).unwrap().pixels());
        assert_eq!(part.labels().unwrap(), [0, 1, 2, 3]);
        assert_eq!(part.class_names()[3], "cat");
        assert_chunks(set.source("snow", severity).unwrap(), 3, &part);
    }
    fs::write(path.join("batches.meta.txt"), "w\nx\ny\nz\n").unwrap();
    assert_eq!(
        Cifar10C::open(&path).unwrap().severity("fog", 1).unwrap().class_names(),
        ["w", "x", "y", "z"]
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path();
    assert_error(Cifar10C::open(path.join("nowhere")), "nowhere", "no such file");
    assert_error(Cifar10C::open(path), "labels.npy", "layout");
    write_labels(path.join("labels.npy"), &[0; 20]).unwrap();
    assert_error(Cifar10C::open(path), "", "at least one corruption");
    folder(path);
    let set = Cifar10C::open(path).unwrap();
    for severity in [0, 6, 255] {
        assert_error(set.severity("fog", severity), "severity", "not one of 1 to 5");
    }
    for name in ["rain", "../fog", "labels", ""] {
        assert_error(
            set.severity(name, 1),
            &format!("{name}.npy"),
            "the corruptions in this folder are fog, snow",
        );
    }
    write_images(path.join("fog.npy"), &images(15, 3, 2)).unwrap();
    assert_error(
        set.severity("fog", 1),
        "fog.npy",
        "as many images as labels.npy has labels",
    );

    write_labels(path.join("labels.npy"), &[0; 19]).unwrap();
    assert_error(Cifar10C::open(path), "labels.npy", "five severities");
    write_labels(path.join("labels.npy"), &[]).unwrap();
    assert_error(Cifar10C::open(path), "labels.npy", "five severities");
    write_labels(path.join("labels.npy"), &[[0; 19].as_slice(), &[10]].concat()).unwrap();
    assert_error(Cifar10C::open(path), "labels.npy", "image 19 has label 10");
    fs::write(path.join("labels.npy"), b"\x93NUMPY").unwrap();
    assert_error(Cifar10C::open(path), "labels.npy", "ends inside the header");
    fs::write(path.join("labels.npy"), b"").unwrap();
    assert_error(Cifar10C::open(path), "labels.npy", "ends inside the header");
}
