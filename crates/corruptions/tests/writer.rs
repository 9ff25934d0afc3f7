//! Folders in the layout of CIFAR-10-C: written, read back, resumed, refused.

#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::fs;
use std::path::Path;

use riptide_corruptions::{Cifar10cWriter, Corruption, CorruptionError, Corruptor, Severity};
use riptide_datasets::cifar10_c::Cifar10C;
use riptide_datasets::shapes::Shapes;
use riptide_datasets::{DatasetError, ImageSet};

const CHOSEN: [Corruption; 3] = [Corruption::GaussianNoise, Corruption::Frost, Corruption::Saturate];

fn clean() -> ImageSet {
    Shapes::new(3).generate(0, 41)
}

fn write(
    folder: &Path,
    seed: u64,
    images: &ImageSet,
    chosen: &[Corruption],
) -> Result<Vec<Corruption>, CorruptionError> {
    Cifar10cWriter::new(Corruptor::new(seed), folder).write(chosen, || Ok(images.clone().into_source()))
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read_back() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("a/b");
    let clean = clean();
    assert_eq!(write(&folder, 7, &clean, &CHOSEN).unwrap(), CHOSEN);
    let read = Cifar10C::open(&folder).unwrap();
    assert_eq!(read.len(), clean.len());
    assert_eq!(read.class_names(), clean.class_names());
    assert_eq!(read.corruptions(), ["frost", "gaussian_noise", "saturate"]);
    for corruption in CHOSEN {
        for severity in Severity::ALL {
            let expected = Corruptor::new(7).apply(&clean, corruption, severity).unwrap();
            let found = read.severity(corruption.name(), severity.get()).unwrap();
            assert_eq!(found.pixels(), expected.pixels(), "{corruption} {severity}");
            assert_eq!(found.labels(), clean.labels());
        }
    }
    let record: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.join("riptide.json")).unwrap()).unwrap();
    assert_eq!((&record["seed"], &record["frost"]), (&7.into(), &"procedural".into()));
}

#[test]
fn sources_in_small_chunks_give_the_same_bytes() {
    /// Never more than three images at once.
    struct Slowly<S>(S);
    impl<S: riptide_datasets::ImageSource> riptide_datasets::ImageSource for Slowly<S> {
        fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>, DatasetError> {
            self.0.next_chunk(max.min(3))
        }
        fn remaining(&self) -> Option<u64> {
            self.0.remaining()
        }
    }
    let outer = tempfile::tempdir().unwrap();
    let (one, other) = (outer.path().join("one"), outer.path().join("other"));
    let clean = clean();
    write(&one, 1, &clean, &CHOSEN).unwrap();
    Cifar10cWriter::new(Corruptor::new(1), &other)
        .write(&CHOSEN, || Ok(Slowly(clean.clone().into_source())))
        .unwrap();
    assert_eq!(files(&one), files(&other));
    for name in files(&one) {
        assert!(
            fs::read(one.join(&name)).unwrap() == fs::read(other.join(&name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn a_run_cut_off_leaves_whole_files_and_goes_on_with_the_rest() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("c");
    let clean = clean();
    // One reading to look, five for the first corruption; the second one fails at its third severity.
    let left = Cell::new(8);
    let failing = || {
        left.set(left.get() - 1);
        if left.get() == 0 {
            let path = "gone".into();
            return Err(DatasetError::NotFound {
                path,
                hint: String::new(),
            });
        }
        Ok(clean.clone().into_source())
    };
    let writer = Cifar10cWriter::new(Corruptor::new(7), &folder);
    let error = writer.write(&CHOSEN, failing).unwrap_err();
    assert!(matches!(error, CorruptionError::Dataset(_)), "{error}");
    let there = ["batches.meta.txt", "gaussian_noise.npy", "labels.npy", "riptide.json"];
    assert_eq!(files(&folder), there);

    let first = fs::read(folder.join("gaussian_noise.npy")).unwrap();
    assert_eq!(write(&folder, 7, &clean, &CHOSEN).unwrap(), CHOSEN[1..]);
    assert_eq!(write(&folder, 7, &clean, &CHOSEN).unwrap(), []);
    assert_eq!(files(&folder).len(), 6);

    // A broken file counts as missing.
    fs::write(folder.join("gaussian_noise.npy"), &first[..first.len() / 2]).unwrap();
    assert_eq!(write(&folder, 7, &clean, &CHOSEN).unwrap(), CHOSEN[..1]);
    assert!(fs::read(folder.join("gaussian_noise.npy")).unwrap() == first);
}

#[test]
fn a_file_that_changed_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let clean = clean();
    write(folder.path(), 7, &clean, &CHOSEN).unwrap();
    for name in ["frost.npy", "labels.npy"] {
        let path = folder.path().join(name);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        fs::write(&path, &changed).unwrap();
        let written = write(folder.path(), 7, &clean, &CHOSEN).unwrap();
        assert_eq!(written.is_empty(), name == "labels.npy");
        assert_eq!(fs::read(&path).unwrap(), whole, "{name}");
    }
    assert_eq!(write(folder.path(), 7, &clean, &CHOSEN).unwrap(), []);
}

#[test]
fn a_folder_made_from_something_else_is_refused_and_left_alone() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("c");
    let clean = clean();
    write(&folder, 7, &clean, &CHOSEN[..1]).unwrap();
    let before = files(&folder);
    let refusals = [
        (write(&folder, 8, &clean, &CHOSEN), "another seed"),
        (
            write(&folder, 7, &clean.slice(0..40).unwrap(), &CHOSEN),
            "another set of images",
        ),
        (
            write(&folder, 7, &Shapes::new(4).generate(0, 41), &CHOSEN),
            "another set of images",
        ),
    ];
    for (outcome, expected) in refusals {
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(files(&folder), before);

    fs::remove_file(folder.join("riptide.json")).unwrap();
    let message = write(&folder, 7, &clean, &CHOSEN).unwrap_err().to_string();
    assert!(message.contains("another program"), "{message}");
    fs::write(folder.join("riptide.json"), "{").unwrap();
    let message = write(&folder, 7, &clean, &CHOSEN).unwrap_err().to_string();
    assert!(message.contains("unreadable"), "{message}");
}

#[test]
fn images_that_do_not_fit_the_layout_are_refused() {
    let outer = tempfile::tempdir().unwrap();
    let unlabelled = ImageSet::unlabelled(vec![0; 12], 2, 2).unwrap();
    let error = write(&outer.path().join("c"), 0, &unlabelled, &CHOSEN).unwrap_err();
    assert!(matches!(error, CorruptionError::Unlabelled), "{error}");
    let mut source = clean().into_source();
    riptide_datasets::ImageSource::read_all(&mut source).unwrap();
    let nothing = Cifar10cWriter::new(Corruptor::new(0), outer.path().join("d")).write(&CHOSEN, || Ok(source.clone()));
    assert!(matches!(nothing, Err(CorruptionError::Dataset(_))), "{nothing:?}");
    assert!(files(outer.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn written_files_and_folders_have_the_mode_of_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    let outer = tempfile::tempdir().unwrap();
    let (plain, folder) = (outer.path().join("plain"), outer.path().join("c"));
    fs::create_dir(&plain).unwrap();
    fs::write(plain.join("file"), b"").unwrap();
    write(&folder, 7, &clean(), &CHOSEN[..1]).unwrap();
    assert_eq!(mode(&folder), mode(&plain));
    let names = files(&folder);
    assert_eq!(names.len(), 4);
    for name in names {
        assert_eq!(mode(&folder.join(&name)), mode(&plain.join("file")), "{name}");
    }
}
