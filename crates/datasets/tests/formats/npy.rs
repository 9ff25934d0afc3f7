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
fn what_is_written_is_read_and_streamed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.npy");
    let set = images(11, 5, 4);
    write_images(&path, &set).unwrap();
    let file = NpyImages::open(&path).unwrap();
    assert_eq!((file.len(), file.height(), file.width()), (11, 5, 4));
    assert_eq!(file.read(3..7).unwrap(), set.slice(3..7).unwrap());
    assert!(file.read(11..11).unwrap().is_empty());
    assert!(matches!(
        file.read(0..12),
        Err(DatasetError::IndexOutOfRange { index: 12, len: 11 })
    ));
    assert_chunks(file.into_source(), 4, &set);

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
fn broken_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let huge = u64::MAX;
    for (bytes, words) in [
        (vec![], "ends inside the header"),
        (b"GIF89a, honestly".to_vec(), "not a .npy file"),
        (
            of("<f16", "False", "(1, 2, 2, 3)", 192),
            "dtype <f16, expected |u1 (uint8), <f2",
        ),
        (of("<i8", "False", "(1, 2, 2, 3)", 96), "dtype <i8"),
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
            of("|u1", "False", "(1, 2, 2, 4)", 16),
            "the shape is [1, 2, 2, 4], expected (N, H, W, 3)",
        ),
        (of("|u1", "False", "(2, 2, 3)", 12), "say which layout it is"),
        (of("|u1", "False", "(2, 3, 2, 3)", 36), "(N, H, W, 3), and (N, 3, H, W)"),
        (
            of("|u1", "False", "(1, 1352123456, 1352123456, 3)", 12),
            "more than the 1073741824 bytes",
        ),
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
        // Promises 18 exabytes; they may not be allocated.
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

#[test]
fn arrays_behind_each_other_are_one_stream() {
    let message = |n: usize, first: u8| {
        let header = of("|u1", "False", &format!("({n}, 1, 2, 3)"), 0);
        let pixels = (0..n).flat_map(|i| [first + i as u8; 6]);
        header.into_iter().chain(pixels).collect::<Vec<u8>>()
    };
    let bytes = [message(3, 0), message(0, 0), message(2, 3), message(1, 5)].concat();
    let mut stream = NpyStream::new(Trickle(&bytes), "stdin").unwrap();
    assert!(stream.is_live());
    assert_eq!((stream.remaining(), stream.image_size()), (Some(3), Some((1, 2))));
    let mut sizes = Vec::new();
    let mut firsts = Vec::new();
    while let Some(chunk) = stream.next_chunk(2).unwrap() {
        sizes.push(chunk.len());
        firsts.extend(chunk.images().map(|image| image[0]));
    }
    assert_eq!((sizes, firsts), (vec![2, 1, 2, 1], vec![0, 1, 2, 3, 4, 5]));

    let run = |bytes: &[u8]| NpyStream::new(bytes, "stdin").unwrap().read_all();
    let other = of("|u1", "False", "(1, 2, 1, 3)", 6);
    assert_error(
        run(&[message(1, 0), other].concat()),
        "stdin",
        "images of 1 x 2, as in the arrays before",
    );
    assert_error(run(&[message(1, 0), vec![7]].concat()), "stdin", "oversized");
    assert_error(
        run(&[message(1, 0), vec![0x93]].concat()),
        "stdin",
        "ends inside the header",
    );
    // The error about a value counts images from the beginning of the stream.
    let floats = |values: &[f32]| {
        let header = of("<f4", "False", &format!("({}, 2, 2)", values.len() / 4), 0);
        let data = values.iter().flat_map(|value| value.to_le_bytes());
        header.into_iter().chain(data).collect::<Vec<u8>>()
    };
    let bytes = [
        floats(&[0.5; 8]),
        floats(&[0.5, 0.5, 0.5, 0.5, f32::NAN, 0.0, 0.0, 0.0]),
    ]
    .concat();
    assert_error(run(&bytes), "stdin", "image 3 has the value NaN");
}

#[test]
fn a_stream_that_ends_early_gives_its_whole_images_first() {
    let bytes = of("|u1", "False", "(9, 1, 2, 3)", 29);
    let mut stream = NpyStream::new(&bytes[..], "stdin").unwrap();
    assert_eq!(stream.next_chunk(3).unwrap().unwrap().len(), 3);
    assert_eq!(stream.next_chunk(3).unwrap().unwrap().len(), 1);
    assert_error(stream.next_chunk(3), "stdin", "truncated: expected 54 bytes, found 29");
    assert!(stream.next_chunk(3).unwrap().is_none());
}

#[cfg(unix)]
#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    fs::write(&path, of("|u1", "False", "(100, 1, 2, 3)", 600)).unwrap();
    let mut source = NpyImages::open(&path).unwrap().into_source();
    assert_eq!(source.next_chunk(10).unwrap().unwrap().len(), 10);
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(100)
        .unwrap();
    assert_error(source.next_chunk(10), "x.npy", "truncated");
}

#[cfg(unix)]
#[test]
fn devices_are_refused_by_name() {
    assert_error(
        NpyImages::open("/dev/zero"),
        "/dev/zero",
        "a device; only regular files and standard input are read",
    );
    assert_error(NpyImages::open("/dev"), "/dev", "a folder");
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
