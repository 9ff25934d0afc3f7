//! Archives, tables and shards, as the libraries that people use write them: fixtures/sources/make.py made the files.

use std::fs;
use std::path::{Path, PathBuf};

use riptide_datasets::npy::{ArrayOptions, ValueRange};
use riptide_datasets::npz::NpzImages;
use riptide_datasets::table::{ProbabilityRows, read_column};
use riptide_datasets::{DatasetError, ImageSet, ImageSource, OpenOptions, TableOptions, open};

use super::{assert_error, images};

const LABELS: [u32; 6] = [2, 0, 1, 1, 0, 2];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/sources")
        .join(name)
}

fn read_with(path: impl AsRef<Path>, options: OpenOptions, chunk: usize) -> Result<ImageSet, DatasetError> {
    let mut source = open(path, options)?;
    let total = source.remaining();
    let mut all = source.next_chunk(chunk)?.unwrap();
    while let Some(more) = source.next_chunk(chunk)? {
        assert!(more.len() <= chunk);
        all.append(&more)?;
    }
    assert_eq!((total, source.remaining()), (Some(all.len() as u64), Some(0)));
    Ok(all)
}

fn read(path: impl AsRef<Path>) -> Result<ImageSet, DatasetError> {
    read_with(path, OpenOptions::default(), 4)
}

fn columns(names: &[&str]) -> OpenOptions {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    OpenOptions::default().table(TableOptions::default().columns(names))
}

#[test]
fn arrays_of_every_kind_are_the_same_images() {
    let expected = images(6, 5, 4);
    for name in ["nchw_float32.npy", "float64_bytes.npy", "float16.npy"] {
        assert_eq!(read(fixture(name)).unwrap(), expected, "{name}");
    }
    let grey = read(fixture("grey.npy")).unwrap();
    let green = expected.pixels().chunks_exact(3).flat_map(|pixel| [pixel[1]; 3]);
    assert_eq!(grey.pixels(), green.collect::<Vec<u8>>());
    let given = ArrayOptions::default().range(Some(ValueRange::Unit));
    let error = read_with(fixture("float64_bytes.npy"), OpenOptions::default().arrays(given), 4);
    assert_error(error, "float64_bytes.npy", "image 0 has the value 37, expected 0 to 1");
}

#[test]
fn arrays_in_archives_are_found_by_name_with_their_labels() {
    let set = read(fixture("one.npz")).unwrap();
    assert_eq!(set.pixels(), images(6, 5, 4).pixels());
    assert_eq!((set.labels(), set.class_names().len()), (Some(&LABELS[..]), 3));
    let mut name = fixture("two.npz").into_os_string();
    name.push(":x_test");
    let set = read(&name).unwrap();
    assert_eq!(set.pixels(), images(6, 5, 4).slice(4..6).unwrap().pixels());
    assert_eq!(set.labels(), Some(&LABELS[4..]));
    assert_error(
        read(fixture("two.npz")),
        "two.npz",
        "(x_train, x_test); name one behind a colon",
    );
    let error = NpzImages::open(fixture("two.npz"), Some("z"), ArrayOptions::default());
    assert_error(
        error,
        "two.npz",
        "no array is called z; there are x_train, y_train, x_test, y_test",
    );
    let error = NpzImages::open(fixture("two.npz"), Some("y_test"), ArrayOptions::default());
    assert_error(error, "two.npz:y_test", "dtype <i8");
}

#[test]
fn a_damaged_archive_is_an_error_and_not_other_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let whole = fs::read(fixture("two.npz")).unwrap();
    let want = images(6, 5, 4).slice(0..4).unwrap();
    let (mut refused, mut same) = (0, 0);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        let read = || -> Result<_, DatasetError> {
            let mut source = NpzImages::open(&path, Some("x_train"), ArrayOptions::default())?;
            source.read_all()
        };
        match read() {
            Err(error) => {
                assert!(error.to_string().contains("x.npz"), "{error}");
                refused += 1;
            }
            // Bytes that do not matter: other arrays, and times.
            Ok(set) => {
                assert_eq!(set.unwrap().pixels(), want.pixels(), "byte {at}");
                same += 1;
            }
        }
    }
    assert!(refused > 300 && same > 100, "{refused} refused, {same} the same");
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(
            NpzImages::open(&path, Some("x_train"), ArrayOptions::default()).is_err(),
            "{cut}"
        );
    }
}

#[test]
fn shards_are_read_in_order_with_their_labels_and_columns() {
    let all = columns(&["camera", "time", "__key__"]);
    let pattern = fixture("shard-{000..001}.tar");
    for pattern in [pattern.clone(), fixture("shard-*.tar")] {
        let set = read_with(&pattern, all.clone(), 4).unwrap();
        assert_eq!(set.pixels(), images(6, 5, 4).pixels());
        assert_eq!(set.labels(), Some(&LABELS[..]));
        assert_eq!(set.class_names(), ["0", "1", "2"]);
        assert_eq!(set.column("camera").unwrap()[..2], ["left", "right"]);
        assert_eq!(set.column("time").unwrap()[5], "1714573800");
        assert_eq!(set.column("__key__").unwrap()[4], format!("{}0004", "deep/".repeat(30)));
        assert!(set.files().unwrap()[3].ends_with("shard-001.tar/0003.png"));
    }
    assert_error(
        read_with(&pattern, columns(&["size"]), 4),
        "shard-000.tar",
        "0000: its .json has no size",
    );
    assert_error(read(fixture("shard-{000..002}.tar")), "shard-002.tar", "no such file");
}

#[test]
fn cut_shards_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let whole = fs::read(fixture("shard-000.tar")).unwrap();
    for cut in (1..whole.len() - 1024).step_by(97) {
        fs::write(&path, &whole[..cut]).unwrap();
        match read(&path) {
            Err(error) => assert!(error.to_string().contains("x.tar"), "{error}"),
            // Cut between two samples, which cannot be told, or behind the last.
            Ok(set) => assert_eq!(set.pixels(), &images(6, 5, 4).pixels()[..set.pixels().len()], "{cut}"),
        }
    }
    fs::write(&path, b"").unwrap();
    assert_error(read(&path), "x.tar", "no images");
    fs::write(&path, b"no archive at all".repeat(99)).unwrap();
    assert_error(read(&path), "x.tar", "not a tar archive");
}

#[test]
fn a_manifest_lists_pictures_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("today.csv");
    let set = images(3, 2, 2);
    fs::create_dir(folder.path().join("in")).unwrap();
    for (index, image) in set.images().enumerate() {
        let file = [b"P6 2 2 255\n".as_slice(), image].concat();
        fs::write(folder.path().join(format!("in/{index}.ppm")), file).unwrap();
    }
    fs::write(
        &path,
        "path,label,when,camera\nin/2.ppm,dog,noon,a\n\"in/0.ppm\",cat,,\"b, or c\"\nin/1.ppm,dog,night,a\n",
    )
    .unwrap();
    let found = read_with(&path, columns(&["camera", "when"]), 2).unwrap();
    assert_eq!(found.pixels(), set.select(&[2, 0, 1]).unwrap().pixels());
    assert_eq!(
        (found.labels(), found.class_names()),
        (Some(&[1, 0, 1][..]), &["cat".to_owned(), "dog".to_owned()][..])
    );
    assert_eq!(found.column("camera").unwrap(), ["a", "b, or c", "a"]);
    assert_eq!(found.column("when").unwrap(), ["noon", "", "night"]);
    assert_eq!(found.files().unwrap()[0], folder.path().join("in/2.ppm"));

    for (text, words) in [
        ("", "the table is empty"),
        ("path\n", "no images; the table has no rows"),
        (
            "a,b\n1,2\n",
            "no column is known to hold images or their paths; say which one does, of a, b",
        ),
        ("path,file\n1,2\n", "the columns path and file may both be the images"),
        ("path,label\nin/0.ppm,\n", "row 0: the label is empty"),
        ("path\nin/0.ppm\n\"\"\n", "row 1: the column path is empty"),
        ("path,x\nin/0.ppm\n", "row 0 has 1 values, but there are 2 columns"),
        ("path\nin/9.ppm\n", "row 0: "),
        ("path\n\u{0}\n", "row 0: "),
    ] {
        fs::write(&path, text).unwrap();
        assert_error(read(&path), "today.csv", words);
    }
    fs::write(&path, "path,camera\nin/0.ppm,a\n").unwrap();
    assert_error(
        read_with(&path, columns(&["time"]), 2),
        "today.csv",
        "there is no column time; there are path, camera",
    );
    // Images before the one that cannot be read come first, and the error counts them.
    fs::write(folder.path().join("in/3.ppm"), b"P6 2 2 255\nabc").unwrap();
    fs::write(&path, "path\nin/0.ppm\nin/3.ppm\nin/1.ppm\n").unwrap();
    let mut source = open(&path, OpenOptions::default()).unwrap();
    assert_eq!(source.next_chunk(10).unwrap().unwrap().len(), 1);
    assert_error(source.next_chunk(10), "in/3.ppm", "(image 1): unreadable");
}

#[test]
fn columns_of_numbers_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    fs::write(&path, "image,score,loss\n0,0.5,1\n1,2e-3, 4 \n").unwrap();
    assert_eq!(read_column(&path, "score").unwrap(), [0.5, 0.002]);
    let mut named = path.clone().into_os_string();
    named.push(":loss");
    assert_eq!(read_column(&named, "score").unwrap(), [1.0, 4.0]);
    assert_error(
        read_column(&path, "other"),
        "x.csv",
        "say which column, as in FILE:COLUMN, of image, score, loss",
    );
    fs::write(&path, "score\n1\nx\n").unwrap();
    assert_error(read_column(&path, "other"), "x.csv", "row 1: \"x\" is not a number");
    riptide_datasets::npy::write_labels(folder.path().join("x.npy"), &[4, 2]).unwrap();
    assert_eq!(read_column(folder.path().join("x.npy"), "score").unwrap(), [4.0, 2.0]);
}

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_needs_its_feature() {
    assert_error(read(fixture("bytes.parquet")), "bytes.parquet", "the feature `parquet`");
    assert_error(
        read_column(fixture("bytes.parquet"), "loss"),
        "bytes.parquet",
        "the feature `parquet`",
    );
    assert_error(
        ProbabilityRows::open(fixture("bytes.parquet")),
        "bytes.parquet",
        "the feature `parquet`",
    );
}

#[cfg(feature = "parquet")]
mod parquet {
    use super::*;

    #[test]
    fn pictures_of_hugging_face_are_read_with_the_names_of_their_classes() {
        for pattern in ["hf-*.parquet", "hf-{00000..00001}-of-00002.parquet"] {
            let set = read_with(fixture(pattern), columns(&["camera"]), 4).unwrap();
            assert_eq!(set.pixels(), images(6, 5, 4).pixels());
            assert_eq!(set.labels(), Some(&LABELS[..]));
            assert_eq!(set.class_names(), ["cat", "dog", "frog"]);
            assert_eq!(set.column("camera").unwrap()[3..], ["left", "right", "left"]);
            assert!(set.files().unwrap()[5].ends_with("hf-00001-of-00002.parquet/5.png"));
        }
    }

    #[test]
    fn plain_bytes_are_read_with_names_and_times() {
        let set = read_with(fixture("bytes.parquet"), columns(&["taken", "id"]), 4).unwrap();
        assert_eq!(set.pixels(), images(6, 5, 4).pixels());
        assert_eq!((set.labels(), set.class_names().len()), (Some(&LABELS[..]), 3));
        assert_eq!(set.column("taken").unwrap()[1], "1714566600.500000000");
        assert_eq!(set.column("id").unwrap()[1], "1");
        assert!(set.files().is_none());
        let table = TableOptions::default()
            .image(Some("label".into()))
            .label(Some("id".into()));
        let error = read_with(fixture("bytes.parquet"), OpenOptions::default().table(table), 4);
        assert_error(error, "bytes.parquet: row 0: ", "frog");
        let table = TableOptions::default().image(Some("loss".into()));
        let error = read_with(fixture("bytes.parquet"), OpenOptions::default().table(table), 4);
        assert_error(error, "bytes.parquet", "row 0: the image is missing");
    }

    #[test]
    fn numbers_and_probabilities_are_read_whatever_the_compression() {
        let quarters: Vec<f64> = (0..6).map(|i| f64::from(i) / 4.0).collect();
        let mut named = fixture("bytes.parquet").into_os_string();
        named.push(":loss");
        assert_eq!(read_column(&named, "score").unwrap(), quarters);
        for codec in ["gzip", "lz4", "none"] {
            assert_eq!(
                read_column(fixture(&format!("loss_{codec}.parquet")), "score").unwrap(),
                quarters,
                "{codec}"
            );
        }
        let mut rows = ProbabilityRows::open(fixture("bytes.parquet")).unwrap();
        assert_eq!(rows.n_classes(), 3);
        assert_eq!(rows.next_rows(2).unwrap(), [0.5, 0.25, 0.25, 0.5, 0.25, 0.25]);
        assert_eq!(rows.next_rows(9).unwrap().len(), 12);
        assert!(rows.next_rows(9).unwrap().is_empty());
        let mut named = fixture("bytes.parquet").into_os_string();
        named.push(":label");
        assert_error(
            ProbabilityRows::open(&named),
            "bytes.parquet",
            "row 0 is no list of numbers",
        );
    }

    #[test]
    fn damaged_files_neither_panic_nor_name_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        for name in ["hf-00000-of-00002.parquet", "bytes.parquet"] {
            let whole = fs::read(fixture(name)).unwrap();
            let mut seed = 1u64;
            for round in 0..600 {
                let mut bytes = whole.clone();
                for _ in 0..1 + round % 3 {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let at = (seed >> 33) as usize % bytes.len();
                    bytes[at] = (seed >> 20) as u8;
                }
                if round % 5 == 0 {
                    bytes.truncate((seed >> 40) as usize % whole.len());
                }
                fs::write(&path, bytes).unwrap();
                if let Err(error) = read(&path) {
                    let text = error.to_string();
                    assert!(
                        text.contains("x.parquet") && text.lines().count() == 1 && text.len() < 600,
                        "{text}"
                    );
                }
            }
        }
    }
}
