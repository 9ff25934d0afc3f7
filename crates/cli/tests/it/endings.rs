//! What cannot be done ends in one clear line, the right exit code, and nothing half written.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use crate::support::{names, refused, repository, riptide, shared};

#[test]
fn missing_and_foreign_files_are_named() {
    let shared = shared();
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).display().to_string();
    let whole = fs::read(&shared.clean).unwrap();
    fs::write(path("cut.npy"), &whole[..whole.len() - 100]).unwrap();
    fs::write(path("text.npy"), "no array").unwrap();
    fs::create_dir(path("empty")).unwrap();
    fs::create_dir(path("taken")).unwrap();
    fs::write(path("taken/notes.txt"), "mine").unwrap();
    riptide_datasets::npy::write_images(
        path("small.npy"),
        &riptide_datasets::ImageSet::unlabelled(vec![0; 5 * 48], 4, 4).unwrap(),
    )
    .unwrap();
    let detector = shared.detector.display();
    let clean = shared.clean.display();
    let classifier = repository("crates/pretrained/networks/shapes/classifier");
    let classifier = classifier.display();
    let before = names(root.path());
    for (arguments, words) in [
        (
            format!("score --detector {detector} --images {}", path("none.npy")),
            "none.npy: no such file",
        ),
        (
            format!("score --detector {detector} --images {}", path("cut.npy")),
            "cut.npy: truncated",
        ),
        (
            format!("score --detector {detector} --images {}", path("text.npy")),
            "text.npy: not a .npy",
        ),
        (
            format!("score --detector {detector} --images {}", path("empty")),
            "no images",
        ),
        (
            format!("score --detector {detector} --images {}", path("small.npy")),
            "4 x 4",
        ),
        (
            format!("score --detector {} --images {clean}", path("empty")),
            "no detector",
        ),
        (
            format!("score --detector {} --images {clean}", path("none")),
            "no detector",
        ),
        (
            format!("score --detector {detector} --images {clean} --out {}", path("x.txt")),
            ".npy, .csv or .parquet",
        ),
        (
            format!(
                "score --detector {detector} --images {clean} --out {}",
                path("none/x.csv")
            ),
            "none: no such",
        ),
        (
            format!(
                "score --detector {detector} --images {} --out {}",
                path("cut.npy"),
                path("x.npy")
            ),
            "truncated",
        ),
        (format!("inspect {}", path("none")), "no detector"),
        (
            format!(
                "explain --detector {detector} --images {clean} --out {}",
                path("none/x.png")
            ),
            "none: no such",
        ),
        (
            format!(
                "fit --classifier {} --images {clean} --out {}",
                path("none.onnx"),
                path("d")
            ),
            "none.onnx",
        ),
        (
            format!("fit --classifier {classifier} --images {clean} --out {}", path("taken")),
            "taken",
        ),
        (
            format!(
                "fit --classifier {classifier} --images {clean} --onnx-layout nchw --out {}",
                path("d")
            ),
            "ONNX",
        ),
        (
            format!(
                "import --classifier {classifier} --distilled {} --reference {clean} --out {}",
                path("text.npy"),
                path("d")
            ),
            "text.npy",
        ),
        (
            format!(
                "import --classifier {classifier} --distilled {} --reference {clean} --out {}",
                repository("fixtures/models/distilled_nested.h5").display(),
                path("d")
            ),
            "differ in",
        ),
    ] {
        let text = refused(1, &arguments);
        assert!(text.contains(words), "{arguments}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(names(root.path()), before, "{arguments}");
    }
}

#[test]
fn a_stream_that_ends_early_leaves_nothing() {
    let shared = shared();
    let root = tempfile::tempdir().unwrap();
    let whole = fs::read(&shared.clean).unwrap();
    let out = root.path().join("scores.csv");
    for length in [0, 3, 50, 128, whole.len() - 1] {
        let score = format!(
            "score --detector {} --images - --out {}",
            shared.detector.display(),
            out.display()
        );
        let done = riptide(&score).write_stdin(&whole[..length]).assert().code(1);
        let text = String::from_utf8_lossy(&done.get_output().stderr).into_owned();
        assert!(
            text.contains("standard input: ") && text.lines().count() == 1,
            "{length}: {text}"
        );
    }
    assert!(names(root.path()).is_empty());
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let shared = shared();
    let mut child = Command::new(env!("CARGO_BIN_EXE_riptide"))
        .args(["score", "--json", "--images"])
        .arg(&shared.clean)
        .arg("--detector")
        .arg(&shared.detector)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(text, "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let shared = shared();
    for arguments in [
        format!(
            "score --detector {} --images {}",
            shared.detector.display(),
            shared.clean.display()
        ),
        "--help".to_owned(),
        "man".to_owned(),
        "completions bash".to_owned(),
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_riptide"))
            .args(arguments.split_whitespace())
            .stdout(full)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {text}");
        assert!(
            text.contains("No space left") && text.lines().count() == 1,
            "{arguments}: {text}"
        );
    }
}

#[test]
fn an_older_detector_without_answers_is_not_explained() {
    let shared = shared();
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("old");
    copy(&shared.detector, &folder);
    fs::remove_file(folder.join("x_ref_answers.npy")).unwrap();
    let manifest = folder.join("detector.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    json["files"]
        .as_object_mut()
        .unwrap()
        .remove("x_ref_answers.npy")
        .unwrap();
    fs::write(&manifest, json.to_string()).unwrap();
    let images = shared.clean.display();
    let text = refused(1, &format!("explain --detector {} --images {images}", folder.display()));
    assert!(text.contains("fit or import it again"), "{text}");
    riptide(&format!("detect --detector {} --images {images}", folder.display()))
        .assert()
        .success();
    fs::write(folder.join("x_ref.npy"), "damaged").unwrap();
    assert!(refused(1, &format!("inspect {}", folder.display())).contains("x_ref.npy"));
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
