use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use riptide_datasets::ImageSource;
use riptide_datasets::cifar10::{CLASS_NAMES, Cifar10Source, Split, in_cache, load};

use super::{assert_chunks, assert_error};

const RECORD: usize = 3073;

/// Records whose red, green and blue at row r, column c of image i are told apart.
fn records(first: usize, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for image in first..first + len {
        bytes.push((image % 10) as u8);
        for channel in 0..3 {
            bytes.extend((0..1024).map(|at| value(image, at / 32, at % 32, channel)));
        }
    }
    bytes
}

fn value(image: usize, row: usize, column: usize, channel: usize) -> u8 {
    ((image * 101 + row * 7 + column * 3 + channel * 50) % 256) as u8
}

fn train_folder(folder: &Path) {
    for batch in 0..5 {
        // The last is shorter, as a sample may have it.
        let len = if batch == 4 { 2 } else { 3 };
        fs::write(
            folder.join(format!("data_batch_{}.bin", batch + 1)),
            records(3 * batch, len),
        )
        .unwrap();
    }
}

fn tar_gz(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, data) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, format!("cifar-10-batches-bin/{name}"), &data[..])
            .unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

#[test]
fn pixels_are_where_they_belong() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("test_batch.bin"), records(0, 7)).unwrap();
    let set = load(folder.path(), Split::Test).unwrap();
    assert_eq!(set.shape(), [7, 32, 32, 3]);
    assert_eq!(set.labels().unwrap(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(set.class_names(), CLASS_NAMES);
    for (image, row, column, channel) in [(0, 0, 1, 0), (0, 1, 0, 1), (3, 31, 30, 2), (6, 17, 5, 0)] {
        let pixel = set.image(image).unwrap()[(row * 32 + column) * 3 + channel];
        assert_eq!(pixel, value(image, row, column, channel));
    }
    assert_chunks(Cifar10Source::open(folder.path(), Split::Test).unwrap(), 3, &set);
}

#[test]
fn the_training_files_come_in_order_from_a_folder_or_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("cifar-10-batches-bin");
    fs::create_dir(&inner).unwrap();
    train_folder(&inner);
    fs::write(inner.join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
    // The folder above will do too.
    let set = load(folder.path(), Split::Train).unwrap();
    assert_eq!(set.len(), 14);
    assert_eq!(set.class_names()[9], "j");
    assert_eq!(set.image(13).unwrap()[0], value(13, 0, 0, 0));
    assert_chunks(Cifar10Source::open(folder.path(), Split::Train).unwrap(), 4, &set);

    // The published archive does not hold them in order, and holds other files.
    let read = |name: &str| fs::read(inner.join(name)).unwrap();
    let names = [
        "data_batch_4.bin",
        "batches.meta.txt",
        "data_batch_1.bin",
        "data_batch_3.bin",
        "data_batch_5.bin",
    ];
    let mut files: Vec<_> = names.iter().map(|&name| (name, read(name))).collect();
    files.push(("readme.html", b"hello".to_vec()));
    files.push(("data_batch_2.bin", read("data_batch_2.bin")));
    files.push(("test_batch.bin", records(40, 2)));
    let path = folder.path().join("cifar-10-binary.tar.gz");
    fs::write(&path, tar_gz(&files)).unwrap();
    assert_eq!(load(&path, Split::Train).unwrap(), set);
    assert_eq!(load(&path, Split::Test).unwrap().labels().unwrap(), [0, 1]);
    let mut source = Cifar10Source::open(&path, Split::Train).unwrap();
    let mut streamed = source.next_chunk(5).unwrap().unwrap();
    streamed.append(&source.read_all().unwrap().unwrap()).unwrap();
    assert_eq!(streamed, set);
}

#[test]
fn broken_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let test = |bytes: &[u8]| {
        fs::write(path.join("test_batch.bin"), bytes).unwrap();
        load(path, Split::Test)
    };
    assert_error(load(path.join("nowhere"), Split::Test), "nowhere", "no such file");
    assert_error(load(path, Split::Test), "test_batch.bin", "binary layout");
    assert_error(test(b""), "test_batch.bin", "no images");
    assert_error(
        test(&records(0, 2)[..RECORD + 1]),
        "test_batch.bin",
        "truncated: expected 6146 bytes, found 3074",
    );
    assert_error(test(&records(0, 1)[..RECORD - 1]), "test_batch.bin", "truncated");
    let mut wrong = records(0, 3);
    wrong[2 * RECORD] = 10;
    assert_error(test(&wrong), "test_batch.bin", "image 2 has label 10");
    fs::write(path.join("test_batch.bin"), records(0, 1)).unwrap();
    fs::write(path.join("batches.meta.txt"), "cat\ndog\n").unwrap();
    assert_error(load(path, Split::Test), "batches.meta.txt", "2 class names");
    fs::write(path.join("batches.meta.txt"), [0xff, 0xfe]).unwrap();
    assert_error(load(path, Split::Test), "batches.meta.txt", "UTF-8");
    fs::write(path.join("batches.meta.txt"), vec![b'\n'; 1 << 20]).unwrap();
    assert_error(load(path, Split::Test), "batches.meta.txt", "oversized");
    fs::remove_file(path.join("batches.meta.txt")).unwrap();

    train_folder(path);
    fs::remove_file(path.join("data_batch_3.bin")).unwrap();
    assert_error(load(path, Split::Train), "data_batch_3.bin", "no such file");
}

#[test]
fn broken_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.tar.gz");
    let load = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        load(&path, Split::Test)
    };
    let good = tar_gz(&[("test_batch.bin", records(0, 30))]);
    assert_eq!(load(&good).unwrap().len(), 30);
    assert_error(load(b""), "archive.tar.gz", "not a gzip file");
    assert_error(load(b"hello"), "archive.tar.gz", "not a gzip file");
    assert_error(load(&good[..good.len() / 2]), "archive.tar.gz", "cannot be read");
    assert_error(load(&tar_gz(&[])), "test_batch.bin", "binary layout");
    assert_error(
        load(&tar_gz(&[("test_batch.bin", vec![])])),
        "test_batch.bin",
        "no images",
    );
    assert_error(
        load(&tar_gz(&[("test_batch.bin", vec![1; 100])])),
        "test_batch.bin",
        "truncated",
    );

    // Claims a terabyte.
    let mut header = tar::Header::new_ustar();
    header.set_path("cifar-10-batches-bin/test_batch.bin").unwrap();
    header.set_size(1 << 40);
    header.set_mode(0o644);
    header.set_cksum();
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(header.as_bytes()).unwrap();
    assert_error(load(&gz.finish().unwrap()), "archive.tar.gz", "oversized");

    // Leaves its folder, or points elsewhere.
    for (name, kind) in [("../../x", tar::EntryType::Regular), ("x", tar::EntryType::Symlink)] {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_cksum();
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        builder.append(&header, &b""[..]).unwrap();
        assert_error(
            load(&builder.into_inner().unwrap().finish().unwrap()),
            "archive.tar.gz",
            "hostile",
        );
    }
}

#[test]
fn a_gzip_bomb_is_given_up() {
    // 3 GiB of zeros behind a member that is not wanted, in some 3 MB.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.tar.gz");
    let mut header = tar::Header::new_ustar();
    header.set_path("cifar-10-batches-bin/other.bin").unwrap();
    header.set_size(300_000_000);
    header.set_mode(0o644);
    header.set_cksum();
    let mut member = GzEncoder::new(Vec::new(), Compression::best());
    member.write_all(header.as_bytes()).unwrap();
    // A length that is a multiple of a block, as tar wants it.
    let zeros = vec![0u8; 1 << 20];
    for _ in 0..300_000_000usize.next_multiple_of(512) / zeros.len() {
        member.write_all(&zeros).unwrap();
    }
    member
        .write_all(&vec![0; 300_000_000usize.next_multiple_of(512) % zeros.len()])
        .unwrap();
    // Members of a gzip file may simply follow each other.
    fs::write(&path, member.finish().unwrap().repeat(10)).unwrap();
    assert_error(load(&path, Split::Test), "bomb.tar.gz", "past its bound");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_files_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..7000),
        keep in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let length = if keep { bytes.len() } else { bytes.len() / RECORD * RECORD };
        fs::write(folder.path().join("test_batch.bin"), &bytes[..length]).unwrap();
        if let Ok(set) = load(folder.path(), Split::Test) {
            prop_assert_eq!(set.len() * RECORD, length);
        }
        let gz = folder.path().join("x.tar.gz");
        fs::write(&gz, [&[0x1f, 0x8b][..], &bytes].concat()).unwrap();
        prop_assert!(load(&gz, Split::Test).is_err());
        let mut inside = GzEncoder::new(Vec::new(), Compression::fast());
        inside.write_all(&bytes).unwrap();
        fs::write(&gz, inside.finish().unwrap()).unwrap();
        prop_assert!(load(&gz, Split::Test).is_err());
    }
}

#[test]
fn an_unpacked_folder_in_the_cache_is_preferred_to_the_archive() {
    let cache = tempfile::tempdir().unwrap();
    let archive = in_cache(cache.path());
    assert_eq!(archive, cache.path().join("cifar10").join("cifar-10-binary.tar.gz"));
    let unpacked = cache.path().join("cifar10").join("cifar-10-batches-bin");
    fs::create_dir_all(&unpacked).unwrap();
    assert_eq!(in_cache(cache.path()), unpacked);
}

#[test]
fn a_flipped_bit_anywhere_in_an_archive_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.tar.gz");
    let members = [
        ("batches.meta.txt", CLASS_NAMES.join("\n").into_bytes()),
        ("test_batch.bin", records(0, 12)),
        ("readme.html", vec![b'x'; 3000]),
    ];
    let good = tar_gz(&members);
    fs::write(&path, &good).unwrap();
    let read = |path: &Path| Cifar10Source::open(path, Split::Test).and_then(|mut source| source.read_all());
    let expected = read(&path).unwrap().unwrap();
    assert_eq!(expected.len(), 12);
    let mut refused = 0;
    // The ten bytes of gzip's header say when and where it was made, and have no checksum.
    for at in (10..good.len()).step_by(7).chain(good.len() - 8..good.len()) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&path, bad).unwrap();
        match read(&path) {
            Err(_) => refused += 1,
            // A repetition can be copied from another place that holds the same bytes.
            Ok(images) => assert_eq!(images.as_ref(), Some(&expected), "bit {} of byte {at}", at % 8),
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn archives_of_other_versions_are_told() {
    let folder = tempfile::tempdir().unwrap();
    for (name, words) in [("data_batch_1", "Python version"), ("train.bin", "CIFAR-100")] {
        let path = folder.path().join("archive.tar.gz");
        fs::write(&path, tar_gz(&[(name, vec![7; 2000])])).unwrap();
        assert_error(load(&path, Split::Test), "archive.tar.gz", words);
    }
}
