//! Every form that images come in, fitting on a folder, and corrupting.

use std::fs;

use image::RgbImage;
use riptide::corruptions::{Corruption, Corruptor, Severity};
use riptide::datasets::ImageSet;
use riptide::datasets::npy::{NpyImages, write_images};

use crate::support::{clean_images, document, names, output, records, refused, repository, riptide, shared};

/// Writes each image as a PNG file, in a folder for its class.
fn write_folder(folder: &std::path::Path, images: &ImageSet) {
    let labels = images.labels().unwrap();
    for (index, (image, &label)) in images.images().zip(labels).enumerate() {
        let class = folder.join(&images.class_names()[label as usize]);
        fs::create_dir_all(&class).unwrap();
        let picture = RgbImage::from_raw(32, 32, image.to_vec()).unwrap();
        picture.save(class.join(format!("{index:03}.png"))).unwrap();
    }
}

#[test]
fn folders_globs_and_batch_files_score_as_arrays_do() {
    let shared = shared();
    let root = tempfile::tempdir().unwrap();
    let images = clean_images(200, 120).slice(0..20).unwrap();
    write_folder(&root.path().join("folder"), &images);
    let mut batch = Vec::new();
    for image in images.images() {
        batch.push(0u8);
        (0..3).for_each(|channel| batch.extend(image.iter().skip(channel).step_by(3)));
    }
    fs::write(root.path().join("batch.bin"), batch).unwrap();
    let score = |images: String| {
        let rows = records(&format!(
            "score --monitor {} --images {images}",
            shared.monitor.display()
        ));
        let scores = rows.iter().map(|row| row["score"].as_f64().unwrap());
        let (mut sorted, files): (Vec<f64>, Vec<_>) =
            (scores.collect(), rows.iter().map(|row| row["file"].clone()).collect());
        sorted.sort_by(f64::total_cmp);
        (sorted, files)
    };
    let path = |name: &str| root.path().join(name).display().to_string();
    let (expected, _) = score(path("batch.bin"));
    assert_eq!(expected.len(), 20);
    for name in ["folder", "folder/*/*.png"] {
        let (found, files) = score(path(name));
        assert_eq!(found, expected, "{name}");
        assert!(
            files.iter().all(|file| file.as_str().unwrap().ends_with(".png")),
            "{name}: {files:?}"
        );
    }
    let larger = RgbImage::from_pixel(64, 48, image::Rgb([9, 99, 199]));
    fs::create_dir(root.path().join("large")).unwrap();
    larger.save(root.path().join("large/a.png")).unwrap();
    let large = format!(
        "score --monitor {} --images {}",
        shared.monitor.display(),
        path("large")
    );
    assert!(refused(1, &large).contains("add --resize"));
    assert_eq!(records(&format!("{large} --resize")).len(), 1);
}

#[test]
fn a_monitor_is_fitted_to_a_keras_classifier() {
    fit_and_detect("resnet.h5");
}

#[cfg(feature = "onnx")]
#[test]
fn a_monitor_is_fitted_to_an_onnx_classifier() {
    fit_and_detect("resnet_nhwc.onnx");
}

/// From images and a classifier's file to an outcome, with two epochs only.
fn fit_and_detect(classifier: &str) {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).display().to_string();
    // The fixture takes images of 10 x 14 pixels.
    let pixels = |n: usize, seed: usize| {
        (0..n * 420)
            .map(|i| ((i * i * 31 + i * 17 + seed * i) / 8 % 256) as u8)
            .collect()
    };
    write_images(
        path("images.npy"),
        &ImageSet::unlabelled(pixels(60, 3), 10, 14).unwrap(),
    )
    .unwrap();
    let fit = format!(
        "fit --classifier {} --images {} --epochs 2 --filters 8 --n-ref 100 --seed 5 --preprocessing none",
        repository("fixtures/models").join(classifier).display(),
        path("images.npy")
    );
    let made = document(&format!("{fit} --out {} --alternative greater --level 0.01", path("a")));
    assert_eq!(
        (&made["n_images"], &made["facts"]["reference"]["n_images"]),
        (&36.into(), &12.into())
    );
    assert_eq!(made["epochs"].as_array().unwrap().len(), 2);
    let again = document(&format!("{fit} --out {} --threads 1", path("b")));
    assert_eq!(
        made["facts"]["distilled"], again["facts"]["distilled"],
        "one seed, one network"
    );
    let report = document(&format!("inspect {}", path("a")));
    assert_eq!(report["facts"]["preprocessing"], "none");
    assert_eq!(report["distilled"]["config"]["preprocessing"], "none");
    assert_eq!(
        (&report["options"]["alternative"], &report["options"]["level"]),
        (&"greater".into(), &0.01.into())
    );
    assert_eq!(report["facts"]["class_names"], serde_json::json!(["0", "1", "2", "3"]));
    let rows = records(&format!(
        "detect --monitor {} --images {}",
        path("a"),
        path("images.npy")
    ));
    assert_eq!(rows[0]["n_images"], 60);
    assert_eq!(names(root.path()), ["a", "b", "images.npy"]);
}

#[test]
fn corruptions_are_the_librarys() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).display().to_string();
    let images = clean_images(0, 6);
    write_images(path("clean.npy"), &images).unwrap();
    let corrupt = format!(
        "corrupt --images {} --corruption shot_noise --seed 9",
        path("clean.npy")
    );
    output(&format!("{corrupt} --severity 2 --out {}", path("one.npy")));
    output(&format!("{corrupt} --severity all --out {}", path("all.npy")));
    let expected = |severity| {
        let severity = Severity::new(severity).unwrap();
        Corruptor::new(9)
            .apply(&images, Corruption::ShotNoise, severity)
            .unwrap()
    };
    let one = NpyImages::open(path("one.npy")).unwrap();
    assert_eq!(one.read(0..one.len()).unwrap().pixels(), expected(2).pixels());
    let all = NpyImages::open(path("all.npy")).unwrap();
    assert_eq!(
        (all.len(), all.read(24..30).unwrap().pixels()),
        (30, expected(5).pixels())
    );
    let piped = riptide(&format!(
        "corrupt --images - --corruption shot_noise --seed 9 --severity 2 --out {}",
        path("piped.npy")
    ))
    .write_stdin(fs::read(path("clean.npy")).unwrap())
    .assert();
    piped.success();
    assert_eq!(fs::read(path("piped.npy")).unwrap(), fs::read(path("one.npy")).unwrap());

    write_folder(&root.path().join("folder"), &images);
    let folder = format!(
        "corrupt --images {} --corruption fog --severity all --out {}",
        path("folder"),
        path("c")
    );
    let report = document(&folder);
    assert_eq!(
        (&report["images"], &report["corruptions"]),
        (&30.into(), &serde_json::json!(["fog"]))
    );
    assert_eq!(
        names(&root.path().join("c")),
        ["batches.meta.txt", "fog.npy", "labels.npy", "riptide.json"]
    );
    for (arguments, words) in [
        (format!("{corrupt} --severity all --out {}", path("d")), "no labels"),
        (format!("{corrupt} --severity 1 --out {}", path("d")), "--severity all"),
        (
            format!(
                "corrupt --images - --corruption fog --severity all --out {}",
                path("e.npy")
            ),
            "standard input",
        ),
    ] {
        let text = refused(1, &arguments);
        assert!(text.contains(words), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn broken_pictures_can_be_skipped_and_names_are_never_raw() {
    use std::os::unix::ffi::OsStrExt;
    let shared = shared();
    let root = tempfile::tempdir().unwrap();
    let pictures = root.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    let names: [&[u8]; 4] = [b"0.png", b"1\n\x1b[31m.png", b"2\xff.png", b"3.png"];
    for (image, name) in clean_images(200, 4).images().zip(names) {
        let path = pictures.join(std::ffi::OsStr::from_bytes(name));
        let picture = RgbImage::from_raw(32, 32, image.to_vec()).unwrap();
        picture.save_with_format(path, image::ImageFormat::Png).unwrap();
    }
    let score = format!(
        "score --monitor {} --images {}",
        shared.monitor.display(),
        pictures.display()
    );
    let rows = records(&score);
    assert_eq!(rows.len(), 4);
    assert!(rows[1]["file"].as_str().unwrap().ends_with("1\n\u{1b}[31m.png"));
    assert!(rows[1].get("file_bytes").is_none());
    assert!(rows[2]["file_bytes"].as_str().unwrap().ends_with("32ff2e706e67"));
    let table = output(&score);
    assert!(
        table.contains("1\\n\\u{1b}[31m.png") && table.contains("2\\xff.png"),
        "{table}"
    );

    let broken = pictures.join(std::ffi::OsStr::from_bytes(names[1]));
    let bytes = fs::read(&broken).unwrap();
    fs::write(&broken, &bytes[..bytes.len() / 2]).unwrap();
    let text = refused_after(1, &score);
    assert!(
        text.contains("1\\n\\u{1b}[31m.png: unreadable: its data end early"),
        "{text}"
    );
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    let done = riptide(&format!("{score} --on-error skip --json")).assert().success();
    let stdout = String::from_utf8(done.get_output().stdout.clone()).unwrap();
    let indices: Vec<u64> = stdout
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["index"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(indices, [0, 2, 3]);
    let stderr = String::from_utf8(done.get_output().stderr.clone()).unwrap();
    assert!(
        stderr.contains("1 picture cannot be read") && !stderr.contains('\u{1b}'),
        "{stderr}"
    );
}

/// Runs a command that tells some results and then fails; gives what it says on standard error.
#[cfg(unix)]
fn refused_after(code: i32, arguments: &str) -> String {
    let done = riptide(arguments).assert().code(code);
    String::from_utf8(done.get_output().stderr.clone()).unwrap()
}
