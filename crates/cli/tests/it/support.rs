//! Running the binary, and what the tests run it on.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::Command;
use riptide_corruptions::{Corruption, Corruptor, Severity};
use riptide_datasets::ImageSet;
use riptide_datasets::npy::write_images;
use riptide_datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use serde_json::Value;
use tempfile::TempDir;

/// A path below the repository's root.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Folders that the tests share, made once.
pub struct Shared {
    _folder: TempDir,
    /// A detector of the shipped networks for Shapes, with 200 images as its reference.
    pub detector: PathBuf,
    /// 120 other clean images, and their noisy twins.
    pub clean: PathBuf,
    pub noisy: PathBuf,
}

/// The command with arguments separated by spaces; none of the paths that the tests use has one.
pub fn riptide(arguments: &str) -> Command {
    let mut command = Command::cargo_bin("riptide").unwrap();
    command
        .args(arguments.split_whitespace())
        .env_remove("RUST_LOG")
        .env_remove("COLUMNS");
    command
}

/// Runs it and gives its standard output; it must succeed and say nothing on standard error.
pub fn output(arguments: &str) -> String {
    let done = riptide(arguments).assert().success();
    let output = done.get_output();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs it with --json and gives the one document.
pub fn document(arguments: &str) -> Value {
    serde_json::from_str(&output(&format!("{arguments} --json"))).unwrap()
}

/// Runs it with --json and gives the lines.
pub fn records(arguments: &str) -> Vec<Value> {
    let text = output(&format!("{arguments} --json"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs it and gives what it says on standard error; it must fail with this exit code and print nothing.
pub fn refused(code: i32, arguments: &str) -> String {
    let done = riptide(arguments).assert().code(code);
    let output = done.get_output();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(text.starts_with("error: ") && !text.contains("panicked"), "{text}");
    text
}

pub fn clean_images(first: u64, n: usize) -> ImageSet {
    Shapes::new(0).generate(TEST_FIRST_INDEX + first, n)
}

pub fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_images(path("reference.npy"), &clean_images(0, 200)).unwrap();
        let clean = clean_images(200, 120);
        write_images(path("clean.npy"), &clean).unwrap();
        let corruptor = Corruptor::new(0);
        let noisy = corruptor.apply(&clean, Corruption::GaussianNoise, Severity::new(5).unwrap());
        write_images(path("noisy.npy"), &noisy.unwrap()).unwrap();
        let networks = repository("crates/pretrained/networks/shapes");
        output(&format!(
            "import --classifier {0}/classifier --distilled {0}/distilled --reference {1} --out {2} --classes {3}",
            networks.display(),
            path("reference.npy").display(),
            path("detector").display(),
            riptide_datasets::shapes::CLASS_NAMES.join(","),
        ));
        Shared {
            detector: path("detector"),
            clean: path("clean.npy"),
            noisy: path("noisy.npy"),
            _folder: folder,
        }
    })
}

/// Names in a folder, hidden ones included, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
