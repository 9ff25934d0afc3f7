//! A small whole file of every format, and the command that reads it.

use std::fs;
use std::path::{Path, PathBuf};

use image::{ImageFormat, RgbImage};
use riptide::datasets::ImageSet;
use riptide::datasets::npy::write_images;
use riptide::datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use riptide::prelude::*;

/// A file that is damaged, and what reads it.
pub struct Format {
    pub name: String,
    /// The folder that is copied for each case.
    pub folder: PathBuf,
    /// The file in it that is damaged.
    pub file: String,
    /// Arguments of the command; `{}` stands for the copied folder.
    pub arguments: String,
}

pub const SIDE: usize = 32;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn images(first: u64, n: usize) -> ImageSet {
    Shapes::new(0).generate(TEST_FIRST_INDEX + first, n)
}

/// Makes all of them below `root`.
pub fn all(root: &Path) -> Vec<Format> {
    let mut formats = Vec::new();
    let mut add = |name: &str, file: &str, arguments: &str, make: &dyn Fn(&Path)| {
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        make(&folder);
        formats.push(Format {
            name: name.to_owned(),
            folder,
            file: file.to_owned(),
            arguments: arguments.to_owned(),
        });
    };
    let monitor = root.join("monitor");
    make_monitor(&monitor);
    let score = format!("score --monitor {} --images {{}}/", monitor.display());

    add("npy", "images.npy", &format!("{score}images.npy"), &|folder| {
        write_images(folder.join("images.npy"), &images(0, 3)).unwrap();
    });
    for (extension, format) in [
        ("png", ImageFormat::Png),
        ("jpg", ImageFormat::Jpeg),
        ("bmp", ImageFormat::Bmp),
        ("gif", ImageFormat::Gif),
        ("tiff", ImageFormat::Tiff),
        ("webp", ImageFormat::WebP),
        ("ppm", ImageFormat::Pnm),
    ] {
        let file = format!("picture.{extension}");
        add(extension, &file, &format!("{score}{file}"), &|folder| {
            let set = images(1, 1);
            let picture = RgbImage::from_raw(SIDE as u32, SIDE as u32, set.pixels().to_vec()).unwrap();
            picture.save_with_format(folder.join(&file), format).unwrap();
        });
    }
    add(
        "cifar-bin",
        "data_batch_1.bin",
        &format!("{score}data_batch_1.bin"),
        &|folder| {
            fs::write(folder.join("data_batch_1.bin"), cifar_records(4)).unwrap();
        },
    );
    add(
        "cifar-tar-gz",
        "cifar.tar.gz",
        &format!("{score}cifar.tar.gz"),
        &|folder| {
            fs::write(folder.join("cifar.tar.gz"), cifar_archive()).unwrap();
        },
    );
    // Networks: whatever reads one, reads it whole.
    let fit = "fit --images {}/images.npy --out {}/out --epochs 1 --filters 4 --dense 4 --n-ref 4 --seed 1";
    let fitted = |height: usize, width: usize| {
        move |folder: &Path| {
            let pixels = (0..24 * height * width * 3).map(|i| (i * 7919 % 251) as u8).collect();
            let set = ImageSet::unlabelled(pixels, height, width).unwrap();
            write_images(folder.join("images.npy"), &set).unwrap();
        }
    };
    for name in ["resnet.h5", "resnet_nchw.onnx", "resnet_nhwc.onnx"] {
        let arguments = format!("{fit} --preprocessing none --classifier {{}}/{name}");
        add(name, name, &arguments, &|folder| {
            fitted(10, 14)(folder);
            fs::copy(repository("fixtures/models").join(name), folder.join(name)).unwrap();
        });
    }
    for file in ["config.json", "model.safetensors"] {
        let arguments = format!("{fit} --classifier {{}}/network");
        add(
            &format!("network-{file}"),
            &format!("network/{file}"),
            &arguments,
            &|folder| {
                fitted(SIDE, SIDE)(folder);
                let network = Network::load(monitor.join("distilled")).unwrap();
                network.save(folder.join("network")).unwrap();
            },
        );
    }
    // A monitor, file by file.
    for file in [
        "monitor.json",
        "options.json",
        "reference_scores.npy",
        "reference_answers.npy",
        "distilled/config.json",
    ] {
        let name = format!("monitor-{}", file.replace('/', "-"));
        add(
            &name,
            &format!("monitor/{file}"),
            "score --monitor {}/monitor --images {}/images.npy",
            &|folder| {
                write_images(folder.join("images.npy"), &images(0, 3)).unwrap();
                make_monitor(&folder.join("monitor"));
            },
        );
    }
    // A list of scores.
    add("scores-npy", "a.npy", "ks {}/a.npy {}/a.npy", &|folder| {
        riptide::files::atomic::write(
            folder.join("a.npy"),
            &riptide::files::npy::encode(&[40], (0..40).map(f64::from)),
        )
        .unwrap();
    });
    formats
}

/// A monitor of two small networks with random weights: what is tried is how files are read, not how well they judge.
fn make_monitor(folder: &Path) {
    use riptide::models::DistilledCnnConfig;
    let config = |filters| DistilledCnnConfig {
        n_filters1: filters,
        n_dense: 4,
        n_classes: 4,
        height: SIDE,
        width: SIDE,
        ..Default::default()
    };
    let classifier = Network::random(config(8), 1).unwrap();
    let distilled = Network::random(config(4), 2).unwrap();
    let import = riptide::Import::default();
    let monitor = import
        .run(classifier, distilled, images(100, 40), &mut riptide::files::Silent)
        .unwrap();
    monitor.save(folder).unwrap();
}

/// Records of CIFAR-10's binary layout: a label, then the planes of red, green and blue.
fn cifar_records(n: usize) -> Vec<u8> {
    let set = images(0, n);
    let mut bytes = Vec::new();
    for (i, image) in set.images().enumerate() {
        bytes.push((i % 10) as u8);
        for channel in 0..3 {
            bytes.extend(image.iter().skip(channel).step_by(3));
        }
    }
    bytes
}

/// An archive of CIFAR-10 with few images in it.
fn cifar_archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, format!("cifar-10-batches-bin/{name}"), bytes)
            .unwrap();
    };
    let names = "airplane automobile bird cat deer dog frog horse ship truck";
    add("batches.meta.txt", (names.replace(' ', "\n") + "\n").as_bytes());
    for batch in 1..=5 {
        add(&format!("data_batch_{batch}.bin"), &cifar_records(2));
    }
    add("test_batch.bin", &cifar_records(3));
    archive.into_inner().unwrap().finish().unwrap()
}
