//! `riptide train`: a killed training, what it leaves behind, and what cannot be used.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::prelude::*;

const CLASSIFIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pretrained/networks/shapes/classifier");

/// A small training of the classifier.
const SMALL: [&str; 12] = [
    "--depth",
    "8",
    "--n-shapes",
    "400",
    "--validation",
    "40",
    "--epochs",
    "4",
    "--batch-size",
    "32",
    "--seed",
    "3",
];

fn train(out: &Path, what: &str, options: &[&str]) -> Command {
    let mut command = Command::cargo_bin("riptide").unwrap();
    command.arg("train").arg(what).args(options).arg("--out").arg(out);
    command
}

/// Runs a command that must end with this code, and say this on standard error.
fn ends(mut command: Command, code: i32, says: &str) {
    let done = command.assert().code(code);
    let text = String::from_utf8(done.get_output().stderr.clone()).unwrap();
    assert!(text.contains(says) && !text.contains("panicked"), "{says}: {text}");
}

/// Everything that must be the same bytes whether or not a training was interrupted. metrics.csv holds seconds as well.
fn results(out: &Path) -> Vec<Vec<u8>> {
    let files = [
        "last/model.safetensors",
        "last/config.json",
        "best/model.safetensors",
        "checkpoint.safetensors",
        "curve.svg",
        "curve.png",
    ];
    files.map(|file| fs::read(out.join(file)).unwrap()).to_vec()
}

#[test]
fn a_killed_training_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    train(&whole, "classifier", &SMALL).assert().success();

    let mut running = train(&cut, "classifier", &SMALL).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !cut.join("checkpoint.safetensors").exists() {
        assert!(start.elapsed() < Duration::from_secs(120), "no checkpoint was written");
        std::thread::sleep(Duration::from_millis(2));
    }
    // Somewhere within the second epoch.
    assert!(
        running.try_wait().unwrap().is_none(),
        "it was over before it could be killed"
    );
    running.kill().unwrap();
    running.wait().unwrap();

    ends(train(&cut, "classifier", &SMALL), 1, "--resume");
    let resumed = [&SMALL[..], &["--resume"]].concat();
    ends(train(&cut, "classifier", &resumed), 0, "epoch 2/4");
    assert_eq!(results(&cut), results(&whole));
    let csv = fs::read_to_string(cut.join("metrics.csv")).unwrap();
    assert_eq!(csv.lines().count(), 5, "{csv}");

    let other_rate = [&resumed[..], &["--learning-rate", "0.05"]].concat();
    ends(train(&cut, "classifier", &other_rate), 1, "recipe");
}

/// A small training of the distilled network.
const DISTILLED: [&str; 14] = [
    "--n-shapes",
    "120",
    "--validation",
    "20",
    "--epochs",
    "1",
    "--filters",
    "8",
    "--conv-layers",
    "2",
    "--dense",
    "5",
    "--classifier",
    CLASSIFIER,
];

#[test]
fn a_distilled_network_learns_from_a_tempered_classifier() {
    let folder = tempfile::tempdir().unwrap();
    let weights = |name: &str, options: &[&str]| {
        let out = folder.path().join(name);
        train(&out, "distilled", &[&DISTILLED[..], options].concat())
            .assert()
            .success();
        fs::read(out.join("last/model.safetensors")).unwrap()
    };
    let plain = weights("plain", &[]);
    assert_eq!(plain, weights("one", &["--temperature", "1"]));
    assert_ne!(plain, weights("two", &["--temperature", "2"]));
    assert_ne!(plain, weights("shifted", &["--augment", "shift-flip"]));
}

#[test]
fn the_classifier_is_asked_once() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let kept = out.join("teaching.safetensors");
    train(&out, "distilled", &DISTILLED).assert().success();
    let (answers, weights) = (
        fs::read(&kept).unwrap(),
        fs::read(out.join("last/model.safetensors")).unwrap(),
    );

    // The file is taken as it is.
    let again = |answers: &[u8]| {
        fs::remove_file(out.join("checkpoint.safetensors")).unwrap();
        fs::write(&kept, answers).unwrap();
        train(&out, "distilled", &DISTILLED).assert().success();
        fs::read(out.join("last/model.safetensors")).unwrap()
    };
    assert!(again(&answers) == weights);
    let mut rotated = answers.clone();
    let start = answers.len() - 2 * 100 * 40;
    rotated[start..].rotate_left(40);
    // Other answers would teach something else in silence.
    fs::write(&kept, &rotated).unwrap();
    let checkpoint = out.join("checkpoint.safetensors");
    let finished = fs::read(&checkpoint).unwrap();
    fs::remove_file(&checkpoint).unwrap();
    ends(train(&out, "distilled", &DISTILLED), 1, "is not as it was saved");
    fs::write(&checkpoint, finished).unwrap();
    assert!(again(&answers) == weights);

    // Answers for other images are asked for again.
    let others = [&DISTILLED[..], &["--augment", "none"]].concat();
    fs::remove_file(out.join("checkpoint.safetensors")).unwrap();
    train(&out, "distilled", &others).assert().success();
    assert_eq!(fs::read(&kept).unwrap().len() / 4, 1000 + (answers.len() / 4 - 2000));
}

#[test]
fn a_network_goes_on_with_another_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    train(&first, "classifier", &SMALL).assert().success();
    let from = first.join("last");
    let more = |extra: &[&str]| {
        let options = [
            "--n-shapes",
            "400",
            "--validation",
            "40",
            "--epochs",
            "1",
            "--learning-rate",
            "1e-9",
        ];
        let from = ["--augment", "flip", "--from", from.to_str().unwrap()];
        [&options[..], &from, extra].concat().join(" ")
    };
    let run = |options: &str| train(&second, "classifier", &options.split(' ').collect::<Vec<_>>());
    run(&more(&[])).assert().success();
    let floats = |folder: &Path| -> Vec<f32> {
        let bytes = fs::read(folder.join("last/model.safetensors")).unwrap();
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[start..]
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect()
    };
    // At such a rate only the batch statistics move.
    let (before, after) = (floats(&first), floats(&second));
    let close = before
        .iter()
        .zip(&after)
        .filter(|(a, b)| (*a - *b).abs() < 1e-6)
        .count();
    assert!(
        before != after && close * 10 > before.len() * 9,
        "{close} of {}",
        before.len()
    );

    ends(run(&more(&["--depth", "8"])), 2, "--depth");
    fs::remove_dir_all(&second).unwrap();
    ends(
        train(
            &second,
            "distilled",
            &[
                &DISTILLED[12..],
                &["--n-shapes", "50", "--validation", "9", "--from", CLASSIFIER],
            ]
            .concat(),
        ),
        1,
        "the other kind",
    );
    assert!(!second.exists());
}

#[test]
fn a_training_that_diverges_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let options = [&SMALL[..], &["--learning-rate", "1e30"]].concat();
    ends(train(&out, "classifier", &options), 1, "diverged in epoch 1, at step");
    assert!(!out.join("checkpoint.safetensors").exists() && !out.join("last").exists());
}

#[test]
fn unusable_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let distilled = ["--classifier", CLASSIFIER];
    let cases: [(&str, &[&str], &str); 15] = [
        ("classifier", &["--learning-rate", "nan"], "learning_rate"),
        ("classifier", &["--learning-rate", "-1"], "learning_rate"),
        ("classifier", &["--epochs", "0"], "epochs"),
        ("classifier", &["--batch-size", "0"], "--batch-size"),
        ("classifier", &["--l2", "inf"], "l2"),
        ("classifier", &["--threads", "0"], "--threads"),
        ("classifier", &["--n-shapes", "0"], "--n-shapes"),
        (
            "classifier",
            &["--n-shapes", "20", "--validation", "20"],
            "--validation",
        ),
        ("classifier", &["--validation", "0", "--n-shapes", "20"], "--validation"),
        (
            "classifier",
            &["--depth", "9", "--n-shapes", "20", "--validation", "2"],
            "depth",
        ),
        ("classifier", &distilled, "--classifier"),
        (
            "classifier",
            &["--resume", "--n-shapes", "20", "--validation", "2"],
            "--resume",
        ),
        ("classifier", &["--images", "/does/not/exist"], "/does/not/exist"),
        ("distilled", &["--classifier", "/does/not/exist"], "/does/not/exist"),
        ("distilled", &[], "--classifier"),
    ];
    for (what, options, named) in cases {
        let out = folder.path().join("out");
        let done = train(&out, what, options).output().unwrap();
        let text = String::from_utf8(done.stderr).unwrap();
        let code = done.status.code();
        assert!(code == Some(1) || code == Some(2), "{options:?}: {code:?}");
        assert!(text.contains("error: ") && text.contains(named), "{options:?}: {text}");
        assert!(!text.contains("panicked") && !out.exists(), "{options:?}: {text}");
    }
    for options in [
        ["--augment", "crop-flip"],
        ["--temperature", "0"],
        ["--temperature", "nan"],
    ] {
        let options = [&distilled[..], &options].concat();
        let out = folder.path().join("out");
        ends(train(&out, "distilled", &options), 1, &options[2][2..]);
        assert!(!out.exists());
    }
    ends(train(&file, "classifier", &SMALL), 1, "a file; name a folder");
}
