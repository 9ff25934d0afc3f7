use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage, Rgba, RgbaImage};
use riptide_datasets::DatasetError;
use riptide_datasets::image_folder::{ImageFolder, load};
use riptide_datasets::{Framing, PictureOptions};

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
    let DatasetError::Unreadable { files } = &error else {
        panic!("{error}")
    };
    let names: Vec<_> = files
        .iter()
        .map(|(path, _)| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["bomb.png", "cut.png", "empty.jpg", "text.gif"]);
    let text = error.to_string();
    assert!(
        text.contains("4 of the image files") && text.contains("text.gif"),
        "{text}"
    );
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
        "ask for a size to resize to",
    );
    assert_eq!(load(root, to(4, 4)).unwrap().len(), 2);
    plain(&root.join("stray.png"), 4, 4, [0; 3]);
    assert_error(load(root, PictureOptions::default()), "stray.png", "beside them");
}
