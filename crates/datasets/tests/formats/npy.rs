use std::fs;
use std::io::Read;

use proptest::prelude::*;
use riptide_datasets::npy::{Column, NpyImages, NpyStream, NpyWriter, write_columns, write_images, write_labels};
use riptide_datasets::{DatasetError, ImageSource};

use super::{assert_chunks, assert_error, images};

/// A version 1.0 file with any dictionary.
fn file(dictionary: &str, data: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(dictionary.len()).unwrap().to_le_bytes());
    bytes.extend(dictionary.as_bytes());
    bytes.resize(bytes.len() + data, 9);
    bytes
}

fn of(dtype: &str, fortran: &str, shape: &str, data: usize) -> Vec<u8> {
    file(
        &format!("{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n"),
        data,
    )
}

/// A reader that gives a byte at a time, as a pipe may.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(1);
        self.0.read(&mut buffer[..count])
    }
}

#[test]
fn what_is_written_is_read_mapped_and_streamed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.npy");
    let set = images(11, 5, 4);
    write_images(&path, &set).unwrap();
    let mapped = NpyImages::open(&path).unwrap();
    assert_eq!((mapped.len(), mapped.height(), mapped.width()), (11, 5, 4));
    assert_eq!(mapped.read(3..7).unwrap(), set.slice(3..7).unwrap());
    assert_eq!(
        mapped.read(3..7).unwrap(),
        set.slice(3..7).unwrap(),
        "pages that were given back come again"
    );
    assert!(mapped.read(11..11).unwrap().is_empty());
    assert!(matches!(
        mapped.read(0..12),
        Err(DatasetError::IndexOutOfRange { index: 12, len: 11 })
    ));
    assert_chunks(mapped.into_source(), 4, &set);

    let bytes = fs::read(&path).unwrap();
    assert_chunks(NpyStream::new(&bytes[..], "stdin").unwrap(), 4, &set);
    assert_chunks(NpyStream::new(Trickle(&bytes), "stdin").unwrap(), 0, &set);
    assert_chunks(set.clone().into_source(), 4, &set);
    // numpy agrees on the first line.
    assert!(
        bytes.starts_with(
            b"\x93NUMPY\x01\x00\x76\x00{'descr': '|u1', 'fortran_order': False, 'shape': (11, 5, 4, 3), }"
        )
    );
    assert_eq!(bytes.len(), 128 + 11 * 5 * 4 * 3);
}

#[test]
fn writing_is_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.npy");
    let names = || fs::read_dir(folder.path()).unwrap().count();
    let mut writer = NpyWriter::create(&path, 3, 5, 4).unwrap();
    writer.append(&images(2, 5, 4)).unwrap();
    assert_error(
        writer.append(&images(2, 5, 4)),
        "",
        "number of images: 3 announced against 4 written",
    );
    assert_error(writer.append(&images(1, 4, 5)), "", "image size");
    assert_error(writer.finish(), "", "3 announced against 2 written");
    assert_eq!(names(), 0);
    drop(NpyWriter::create(&path, 3, 5, 4).unwrap());
    assert_eq!(names(), 0);
    assert_error(
        NpyWriter::create(folder.path().join("none/x.npy"), 1, 1, 1),
        "none",
        "no such file",
    );
    assert!(NpyWriter::create(&path, 1, 0, 1).is_err());
    // What was there before stays until the new file is whole.
    write_images(&path, &images(1, 2, 2)).unwrap();
    let mut writer = NpyWriter::create(&path, 1, 5, 4).unwrap();
    writer.append(&images(1, 5, 4)).unwrap();
    assert_eq!(NpyImages::open(&path).unwrap().height(), 2);
    writer.finish().unwrap();
    assert_eq!(NpyImages::open(&path).unwrap().height(), 5);
    assert_eq!(names(), 1);
}

#[test]
fn broken_files_are_refused_mapped_and_streamed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let huge = u64::MAX;
    for (bytes, words) in [
        (vec![], "ends inside the header"),
        (b"GIF89a, honestly".to_vec(), "not a .npy file"),
        (of("<f4", "False", "(1, 2, 2, 3)", 48), "dtype <f4, expected |u1"),
        (of("|i1", "False", "(1, 2, 2, 3)", 12), "dtype |i1"),
        (of("|O", "False", "(1, 2, 2, 3)", 12), "dtype |O"),
        (
            file(
                "{'descr': [('r', '|u1')], 'fortran_order': False, 'shape': (1, 2, 2, 3)}",
                12,
            ),
            "dtype [('r', '|u1')]",
        ),
        (of("|u1", "True", "(1, 2, 2, 3)", 12), "Fortran order"),
        (
            of("|u1", "False", "(1, 3, 2, 2)", 12),
            "the shape is [1, 3, 2, 2], expected (N, H, W, 3)",
        ),
        (of("|u1", "False", "(2, 2, 3)", 12), "expected (N, H, W, 3)"),
        (of("|u1", "False", "(12,)", 12), "expected (N, H, W, 3)"),
        (of("|u1", "False", "()", 1), "expected (N, H, W, 3)"),
        (of("|u1", "False", "(1, 0, 2, 3)", 0), "expected (N, H, W, 3)"),
        (
            of("|u1", "False", &format!("({huge}, {huge}, {huge}, 3)"), 12),
            "expected (N, H, W, 3)",
        ),
    ] {
        fs::write(&path, &bytes).unwrap();
        assert_error(NpyImages::open(&path), "x.npy", words);
        assert_error(NpyStream::new(&bytes[..], "stdin"), "stdin", words);
    }
    for (shape, data, words) in [
        ("(2, 2, 2, 3)", 23, "truncated: expected"),
        ("(2, 2, 2, 3)", 25, "oversized: expected at most"),
        // Promises 5.5 exabytes in two ways; neither may allocate them.
        ("(1, 1352123456, 1352123456, 3)", 12, "truncated"),
        ("(1844674407370955, 50, 66, 3)", 12, "truncated"),
    ] {
        let bytes = of("|u1", "False", shape, data);
        fs::write(&path, &bytes).unwrap();
        assert_error(NpyImages::open(&path), "x.npy", words);
        let mut stream = NpyStream::new(&bytes[..], "stdin").unwrap();
        let mut outcome = stream.next_chunk(1000);
        while let Ok(Some(_)) = outcome {
            outcome = stream.next_chunk(1000);
        }
        assert_error(outcome, "stdin", &words[..9]);
    }
    assert_error(
        NpyImages::open(folder.path().join("none.npy")),
        "none.npy",
        "no such file",
    );
    assert!(NpyImages::open(folder.path()).is_err());
    // No images is a valid array.
    let none = of("|u1", "False", "(0, 2, 2, 3)", 0);
    fs::write(&path, &none).unwrap();
    assert!(
        NpyImages::open(&path)
            .unwrap()
            .into_source()
            .next_chunk(9)
            .unwrap()
            .is_none()
    );
    assert!(
        NpyStream::new(&none[..], "stdin")
            .unwrap()
            .next_chunk(9)
            .unwrap()
            .is_none()
    );
}

proptest! {
    #[test]
    fn damaged_files_never_panic(at in 0usize..90, byte in any::<u8>(), cut in 0usize..200) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        let mut bytes = of("|u1", "False", "(2, 3, 4, 3)", 72);
        bytes[at] = byte;
        bytes.truncate(cut);
        fs::write(&path, &bytes).unwrap();
        if let Ok(images) = NpyImages::open(&path) {
            let set = images.read(0..images.len()).unwrap();
            prop_assert!(set.pixels().len() < 200);
        }
        if let Ok(mut stream) = NpyStream::new(&bytes[..], "stdin") {
            let _ = stream.next_chunk(usize::MAX);
        }
    }
}

#[cfg(unix)]
#[test]
fn written_files_have_the_mode_of_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
    fs::write(folder.path().join("plain"), b"").unwrap();
    write_images(folder.path().join("images.npy"), &images(1, 2, 2)).unwrap();
    write_labels(folder.path().join("labels.npy"), &[0]).unwrap();
    write_columns(folder.path().join("columns.npy"), &[("a", Column::U32(&[1]))]).unwrap();
    for name in ["images.npy", "labels.npy", "columns.npy"] {
        assert_eq!(mode(name), mode("plain"), "{name}");
    }
}
