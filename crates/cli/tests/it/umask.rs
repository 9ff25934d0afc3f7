//! With `umask 077` nothing that is written can be read by anyone else.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use riptide::datasets::npy::write_images;

use crate::support::{clean_images, repository};

/// Every file and folder below `folder`, with its mode.
fn modes(folder: &Path, found: &mut Vec<(String, u32)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        found.push((path.display().to_string(), mode));
        if path.is_dir() {
            modes(&path, found);
        }
    }
}

#[test]
fn what_is_written_respects_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images.npy");
    write_images(&images, &clean_images(0, 150)).unwrap();
    let out = folder.path().join("out");
    let script = "
        umask 077
        mkdir \"$OUT\"
        cd \"$OUT\"
        \"$RIPTIDE\" import --classifier \"$NETWORKS/classifier\" --distilled \"$NETWORKS/distilled\" --reference \"$IMAGES\" --out monitor
        \"$RIPTIDE\" score --monitor monitor --images \"$IMAGES\" --out scores.npy
        \"$RIPTIDE\" score --monitor monitor --images \"$IMAGES\" --out scores.csv
        \"$RIPTIDE\" explain --monitor monitor --images \"$IMAGES\" --out worst.png
        \"$RIPTIDE\" corrupt --images \"$IMAGES\" --corruption fog --severity 1 --out fog.npy
        \"$RIPTIDE\" train classifier --images shapes --n-shapes 60 --validation 10 --depth 8 --epochs 1 --out training
        \"$RIPTIDE\" experiment --images shapes --n-shapes 150 --n-ref 50 --batch-size 10 --batches 3 \
            --corruptions fog --severities 1 --out experiment
        \"$RIPTIDE\" man --out man
    ";
    let status = Command::new("sh")
        .args(["-eu", "-c", script])
        .env("OUT", &out)
        .env("RIPTIDE", env!("CARGO_BIN_EXE_riptide"))
        .env("NETWORKS", repository("crates/pretrained/networks/shapes"))
        .env("IMAGES", &images)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let mut found = Vec::new();
    modes(&out, &mut found);
    assert!(found.len() > 30, "{found:?}");
    for (path, mode) in found {
        assert_eq!(mode & 0o077, 0, "{path}: {mode:o}");
    }
}
