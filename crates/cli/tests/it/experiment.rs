//! `riptide experiment`: what cannot be used ends in a clear error, exit code 1, and nothing half written.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

/// Runs the experiment and gives what it says on standard error; it must fail with exit code 1, or 2 for a wrong command line, and leave no `out`.
fn refused(folder: &Path, options: &[&str]) -> String {
    let out = folder.join("out");
    let mut command = Command::cargo_bin("riptide").unwrap();
    let done = command
        .arg("experiment")
        .args(options)
        .arg("--out")
        .arg(&out)
        .assert()
        .failure();
    let code = done.get_output().status.code();
    assert!(code == Some(1) || code == Some(2), "{options:?}: {code:?}");
    let text = String::from_utf8(done.get_output().stderr.clone()).unwrap();
    assert!(text.contains("error: ") && !text.contains("panicked"), "{text}");
    assert!(!out.join("report.html").exists() && !out.join("summary.json").exists());
    text
}

const CLASSIFIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pretrained/networks/shapes/classifier");
const DISTILLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pretrained/networks/shapes/distilled");

/// Runs it on images that are said to be CIFAR-10.
fn refused_images(folder: &Path, data: &str) -> String {
    let networks = ["--classifier", CLASSIFIER, "--distilled", DISTILLED];
    refused(folder, &[&["--images", data], &networks[..]].concat())
}

/// CIFAR-10's layout with a test batch of the given bytes.
fn cifar10(folder: &Path, batch: &[u8]) -> String {
    let layout = folder.join("cifar-10-batches-bin");
    fs::create_dir_all(&layout).unwrap();
    fs::write(layout.join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n").unwrap();
    fs::write(layout.join("test_batch.bin"), batch).unwrap();
    layout.display().to_string()
}

#[test]
fn unusable_cifar10_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let record = 3073;
    let cases: [(&str, Vec<u8>); 4] = [
        ("empty", Vec::new()),
        ("truncated", vec![0; 10 * record - 1]),
        ("oversized", vec![0; 10 * record + 7]),
        ("wrong label", vec![11; 10 * record]),
    ];
    for (name, bytes) in cases {
        let data = cifar10(folder.path(), &bytes);
        let text = refused_images(folder.path(), &data);
        assert!(text.contains("test_batch.bin"), "{name}: {text}");
    }
    let text = refused_images(folder.path(), "does/not/exist");
    assert!(text.contains("does/not/exist"), "{text}");
    // Whole, but far fewer than the reference needs.
    let data = cifar10(folder.path(), &vec![1; 10 * record]);
    let text = refused_images(folder.path(), &data);
    assert!(text.contains("n_ref"), "{text}");
}

#[test]
fn unusable_networks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let whole = fs::read(Path::new(DISTILLED).join("model.safetensors")).unwrap();
    let network = |name: &str, config: &[u8], weights: &[u8]| {
        let network = folder.path().join(name);
        fs::create_dir_all(&network).unwrap();
        fs::write(network.join("config.json"), config).unwrap();
        fs::write(network.join("model.safetensors"), weights).unwrap();
        network.display().to_string()
    };
    let config = fs::read(Path::new(DISTILLED).join("config.json")).unwrap();
    let mut endless = (u64::MAX / 2).to_le_bytes().to_vec();
    endless.extend_from_slice(b"{}");
    for classifier in [
        folder.path().join("nothing").display().to_string(),
        file("empty.h5", b""),
        file("text.h5", b"this is no network"),
        file("truncated.h5", b"\x89HDF\r\n\x1a\n\0\0\0\0"),
        network("truncated", &config, &whole[..whole.len() / 2]),
        network("endless", &config, &endless),
        network("no config", b"{", &whole),
        network("other", br#"{"architecture": "resnet", "depth": 8}"#, &whole),
        network(
            "huge",
            br#"{"architecture": "resnet", "depth": 8, "n_filters1": 16000, "height": 65536, "width": 65536}"#,
            &whole,
        ),
    ] {
        let text = refused(
            folder.path(),
            &[
                "--images",
                "shapes",
                "--classifier",
                &classifier,
                "--distilled",
                DISTILLED,
            ],
        );
        assert!(text.contains(&classifier), "{classifier}: {text}");
    }
}

#[test]
fn unusable_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (options, named) in [
        (["--corruptions", "rain"], "rain"),
        (["--threads", "0"], "--threads"),
        (["--scores", "distillation,luck"], "luck"),
        (["--scores", "energy"], "needs the classifier's logits"),
        (["--scores", "entropy,entropy"], "repeated"),
        (["--n-ref", "0"], "n_ref"),
        (["--level", "1.5"], "--level"),
        (["--n-shapes", "50"], "n_ref"),
        (["--images", "/does/not/exist"], "/does/not/exist"),
    ] {
        let text = refused(folder.path(), &options);
        assert!(text.contains(named), "{options:?}: {text}");
    }
}
