use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage, Rgba, RgbaImage};
use riptide_datasets::DatasetError;
use riptide_datasets::image_folder::{ImageFolder, load};
use riptide_datasets::picture::PictureError;
use riptide_datasets::{Framing, OnError, OpenOptions, PictureOptions, open};

use super::{assert_chunks, assert_error};

fn to(height: u32, width: u32) -> PictureOptions {
    PictureOptions::default().framing(Framing::stretch(height, width))
}

fn plain(path: &Path, width: u32, height: u32, colour: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(width, height, Rgb(colour)).save(path).unwrap();
}

#[test]
fn a_folder_a_class_in_sorted_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // Written out of order, in several formats.
    plain(&root.join("dog/b.bmp"), 4, 3, [4, 0, 0]);
    plain(&root.join("dog/a.png"), 4, 3, [3, 0, 0]);
    plain(&root.join("cat/10.ppm"), 4, 3, [1, 0, 0]);
    plain(&root.join("cat/9.tiff"), 4, 3, [2, 0, 0]);
    // The content decides, not the extension.
    plain(&root.join("ant/x.png"), 4, 3, [0, 0, 0]);
    fs::rename(root.join("ant/x.png"), root.join("ant/x.jpg")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    fs::write(root.join("cat/notes.txt"), "meow").unwrap();
    fs::write(root.join("cat/.hidden.png"), "no image").unwrap();
    let set = load(root, PictureOptions::default()).unwrap();
    assert_eq!(set.shape(), [5, 3, 4, 3]);
    assert_eq!(set.class_names(), ["ant", "cat", "dog"]);
    assert_eq!(set.labels().unwrap(), [0, 1, 1, 2, 2]);
    assert_eq!(set.images().map(|image| image[0]).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let source = ImageFolder::open(root, PictureOptions::default()).unwrap();
    assert_eq!(source.skipped(), [root.join("cat/notes.txt")]);
    assert_eq!(source.files().next().unwrap(), root.join("ant/x.jpg"));
    assert_chunks(source, 2, &set);
}

#[test]
fn flat_folders_globs_and_single_files_have_no_labels() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (index, name) in ["2.png", "0.png", "1.png"].iter().enumerate() {
        plain(&root.join(name), 2, 2, [index as u8, 0, 0]);
    }
    let first = |set: riptide_datasets::ImageSet| {
        assert_eq!((set.labels(), set.class_names().len()), (None, 0));
        set.images().map(|image| image[0]).collect::<Vec<_>>()
    };
    assert_eq!(first(load(root, PictureOptions::default()).unwrap()), [1, 2, 0]);
    assert_eq!(
        first(load(root.join("[12].png"), PictureOptions::default()).unwrap()),
        [2, 0]
    );
    assert_eq!(first(load(root.join("0.png"), PictureOptions::default()).unwrap()), [1]);
    assert_error(
        load(root.join("*.bmp"), PictureOptions::default()),
        "*.bmp",
        "no images",
    );
    assert_error(
        load(root.join("***"), PictureOptions::default()),
        "***",
        "not a glob pattern",
    );
}

#[test]
fn resizing_averages_and_leaves_what_fits() {
    let folder = tempfile::tempdir().unwrap();
    // Columns of black and white: every pixel counts when it shrinks, so it comes out grey and not black or white.
    let stripes = RgbImage::from_fn(64, 64, |x, _| Rgb([(x % 2) as u8 * 255; 3]));
    stripes.save(folder.path().join("a.png")).unwrap();
    let small = RgbImage::from_fn(8, 8, |x, y| Rgb([x as u8 * 30, y as u8 * 30, 200]));
    small.save(folder.path().join("b.png")).unwrap();
    let set = load(folder.path(), to(8, 8)).unwrap();
    assert_eq!(set.shape(), [2, 8, 8, 3]);
    // At the edges the filter sees one column less of one colour.
    assert!(
        set.image(0).unwrap().iter().all(|value| value.abs_diff(127) < 12),
        "{:?}",
        &set.image(0).unwrap()[..24]
    );
    assert_eq!(set.image(1).unwrap(), small.as_raw());
    let wide = load(folder.path(), to(2, 5)).unwrap();
    assert_eq!(wide.shape(), [2, 2, 5, 3]);
    for (height, width) in [(0, 8), (8, 0), (1 << 20, 8)] {
        assert_error(load(folder.path(), to(height, width)), "framing", "between 1 and");
    }
}

#[test]
fn other_pixel_formats_become_rgb() {
    let folder = tempfile::tempdir().unwrap();
    RgbaImage::from_pixel(1, 1, Rgba([10, 20, 30, 0]))
        .save(folder.path().join("a.png"))
        .unwrap();
    image::GrayImage::from_pixel(1, 1, image::Luma([77]))
        .save(folder.path().join("b.png"))
        .unwrap();
    let deep = image::ImageBuffer::from_pixel(1, 1, image::Rgb([0xffff_u16, 0x8080, 0]));
    image::DynamicImage::ImageRgb16(deep)
        .save(folder.path().join("c.png"))
        .unwrap();
    let set = load(folder.path(), PictureOptions::default()).unwrap();
    assert_eq!(set.pixels(), [10, 20, 30, 77, 77, 77, 255, 128, 0]);
}

#[test]
fn unreadable_files_are_all_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    plain(&root.join("a/good.png"), 8, 8, [1, 2, 3]);
    plain(&root.join("a/cut.png"), 8, 8, [1, 2, 3]);
    let bytes = fs::read(root.join("a/cut.png")).unwrap();
    fs::write(root.join("a/cut.png"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(root.join("a/empty.jpg"), b"").unwrap();
    fs::write(root.join("a/text.gif"), b"not an image").unwrap();
    // A PNG header that promises 2^31 x 2^31 pixels.
    let mut bomb = bytes.clone();
    bomb[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    fs::write(root.join("a/bomb.png"), bomb).unwrap();
    let error = load(root, PictureOptions::default()).unwrap_err();
    let DatasetError::Unreadable { files, count: 4 } = &error else {
        panic!("{error}")
    };
    let names: Vec<_> = files
        .iter()
        .map(|(path, _)| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["bomb.png", "cut.png", "empty.jpg", "text.gif"]);
    let text = error.to_string();
    assert!(
        text.contains("4 pictures cannot be read") && text.contains("cut.png") && text.contains("and 1 more"),
        "{text}"
    );
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn folders_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    assert_error(
        load(root, PictureOptions::default()),
        "",
        "no images; expected image files",
    );
    assert_error(
        load(root.join("nowhere"), PictureOptions::default()),
        "nowhere",
        "no such file",
    );
    plain(&root.join("a/1.png"), 4, 4, [0; 3]);
    plain(&root.join("a/2.png"), 4, 5, [0; 3]);
    assert_error(
        load(root, PictureOptions::default()),
        "2.png",
        "expected 4 x 4; say how",
    );
    assert_eq!(load(root, to(4, 4)).unwrap().len(), 2);
    plain(&root.join("stray.png"), 4, 4, [0; 3]);
    assert_error(load(root, PictureOptions::default()), "stray.png", "beside them");
}

/// Pictures 0, 1, … of one size; those of `broken` are cut.
fn numbered(root: &Path, n: usize, broken: &[usize]) {
    for index in 0..n {
        let path = root.join(format!("{index:03}.png"));
        plain(&path, 6, 5, [index as u8, 0, 0]);
        if broken.contains(&index) {
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
        }
    }
}

#[test]
fn the_images_before_a_broken_one_come_first() {
    let folder = tempfile::tempdir().unwrap();
    numbered(folder.path(), 80, &[70, 72]);
    let mut source = open(folder.path(), OpenOptions::default()).unwrap();
    assert_eq!(source.next_chunk(100).unwrap().unwrap().len(), 70);
    assert_error(source.next_chunk(100), "070.png", "2 pictures cannot be read");
    assert!(source.next_chunk(100).unwrap().is_none());
}

#[test]
fn broken_pictures_are_skipped_counted_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let broken = [0, 1, 30, 66, 67, 99];
    numbered(folder.path(), 100, &broken);
    let options = OpenOptions::default().on_error(OnError::Skip);
    for max in [1, 7, 64, 1000] {
        let mut source = open(folder.path(), options.clone()).unwrap();
        let mut given = 0;
        let mut found = Vec::new();
        while let Some(chunk) = source.next_chunk(max).unwrap() {
            assert!(chunk.len() <= max);
            let first = given + source.unreadable().unwrap().count as usize;
            for (offset, image) in chunk.images().enumerate() {
                assert_eq!(usize::from(image[0]), first + offset, "places count what was skipped");
                found.push(first + offset);
            }
            given += chunk.len();
        }
        assert_eq!(
            found,
            (0..100).filter(|index| !broken.contains(index)).collect::<Vec<_>>()
        );
        let skipped = source.unreadable().unwrap();
        assert_eq!((skipped.count, skipped.files.len()), (6, 6));
        assert!(skipped.files[2].0.ends_with("030.png"));
        assert_eq!(skipped.files[2].1, PictureError::EndsEarly);
    }
    let none = tempfile::tempdir().unwrap();
    numbered(none.path(), 3, &[0, 1, 2]);
    let mut source = open(none.path(), options.clone()).unwrap();
    assert_error(source.next_chunk(8), "000.png", "3 pictures cannot be read");
    // Another size is no damage, and no reason to leave a picture out.
    plain(&none.path().join("3.png"), 6, 5, [9; 3]);
    plain(&none.path().join("4.png"), 6, 6, [9; 3]);
    let mut source = open(none.path(), options).unwrap();
    assert_eq!(source.next_chunk(8).unwrap().unwrap().len(), 1);
    assert_error(source.next_chunk(8), "4.png", "6 x 6 pixels, expected 5 x 6");
}

#[test]
fn folders_inside_class_folders_belong_to_the_class() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    plain(&root.join("n02/images/b.png"), 2, 2, [3; 3]);
    plain(&root.join("n01/images/a.png"), 2, 2, [1; 3]);
    plain(&root.join("n01/deeper/down/a.png"), 2, 2, [0; 3]);
    plain(&root.join("n01/z.png"), 2, 2, [2; 3]);
    plain(&root.join("__MACOSX/n01/z.png"), 2, 2, [9; 3]);
    plain(&root.join("n02/.thumbs/z.png"), 2, 2, [9; 3]);
    fs::write(root.join("n01/._z.png"), "litter").unwrap();
    let set = load(root, PictureOptions::default()).unwrap();
    assert_eq!(set.class_names(), ["n01", "n02"]);
    assert_eq!(set.labels().unwrap(), [0, 0, 0, 1]);
    assert_eq!(set.images().map(|image| image[0]).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let found = load(root.join("*/*.png"), PictureOptions::default()).unwrap();
    assert_eq!(found.len(), 1, "neither ._z.png nor the Mac's folder");

    let parts = tempfile::tempdir().unwrap();
    plain(&parts.path().join("train/cat/a.png"), 2, 2, [0; 3]);
    plain(&parts.path().join("test/cat/a.png"), 2, 2, [0; 3]);
    assert_error(
        load(parts.path(), PictureOptions::default()),
        "test",
        "parts of a data set",
    );
}

#[test]
fn content_tells_pictures_without_an_extension() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    plain(&root.join("a.png"), 2, 2, [1; 3]);
    fs::rename(root.join("a.png"), root.join("a1b2")).unwrap();
    // Text that starts as a BMP or PNM file does is text.
    fs::write(root.join("BMW.txt"), "BMW has cars").unwrap();
    fs::write(root.join("P6"), "P6 is a road").unwrap();
    let folder = ImageFolder::open(root, PictureOptions::default()).unwrap();
    assert_eq!(folder.files().collect::<Vec<_>>(), [root.join("a1b2")]);
    assert_eq!(folder.skipped().len(), 2);
    // A picture of another format is not passed over without a word.
    fs::write(root.join("photo.HEIC"), b"\0\0\0\x18ftypheic").unwrap();
    assert_error(load(root, PictureOptions::default()), "photo.HEIC", "not a picture");
}

#[test]
fn other_versions_of_cifar_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let python = folder.path().join("cifar-10-batches-py");
    fs::create_dir(&python).unwrap();
    fs::write(python.join("test_batch"), b"\x80\x02").unwrap();
    let options = OpenOptions::default();
    for path in [folder.path().to_path_buf(), python.clone(), python.join("test_batch")] {
        assert_error(
            open(path, options.clone()).map(|_| ()),
            "",
            "Python version of CIFAR-10",
        );
    }
    let batch = folder.path().join("test.bin");
    fs::write(&batch, vec![0; 20 * 3074]).unwrap();
    assert_error(
        open(&batch, options.clone()).map(|_| ()),
        "test.bin",
        "binary version of CIFAR-100",
    );
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_read() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let pipe = root.join("a.png");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    assert_error(
        load(root, PictureOptions::default()),
        "a.png",
        "a pipe; only regular files",
    );
    assert_error(load(&pipe, PictureOptions::default()), "a.png", "a pipe");
    for device in ["/dev/zero", "/dev/null"] {
        let source = open(device, OpenOptions::default());
        assert_error(source.and_then(|mut source| source.next_chunk(1)), device, "a device");
    }
    // A file without data that is as long as a film.
    fs::remove_file(&pipe).unwrap();
    let sparse = fs::File::create(root.join("b.png")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    assert_error(load(root, PictureOptions::default()), "b.png", "bytes long, at most");
    sparse.set_len(200 << 20).unwrap();
    assert_error(load(root, PictureOptions::default()), "b.png", "not a picture");
    fs::remove_file(root.join("b.png")).unwrap();
    // Names that a terminal would obey.
    let name = std::ffi::OsStr::from_bytes(b"x\n\x1b[2J\xff.png");
    fs::write(root.join(name), b"").unwrap();
    assert_error(
        load(root, PictureOptions::default()),
        "x\\n\\u{1b}[2J\\xff.png",
        "empty",
    );
}
