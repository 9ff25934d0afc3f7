//! `cargo xtask tidy`: the house rules that a compiler does not check.
//!
//! - the dependency arrows between the workspace's crates (docs/architecture.md);
//! - every file under `fixtures/` stands in `fixtures/manifest.json` with its SHA-256, and nothing else does;
//! - every package carries the workspace's licence, and both licence texts are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

/// Options of `cargo xtask tidy`.
#[derive(Debug, clap::Args)]
pub struct TidyArgs {
    /// Write fixtures/manifest.json anew from the files that are there
    #[arg(long)]
    update: bool,
}

/// Who may depend on whom, without dev-dependencies: package, then the packages of ours that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("riptide-files", &[]),
    ("riptide-stats", &[]),
    ("riptide-kernels", &[]),
    ("riptide-draw", &[]),
    ("riptide-pretrained", &[]),
    ("riptide-datasets", &["riptide-files"]),
    ("riptide-corruptions", &["riptide-files", "riptide-datasets"]),
    ("riptide-detectors", &["riptide-stats"]),
    (
        "riptide-models",
        &["riptide-files", "riptide-kernels", "riptide-detectors"],
    ),
    (
        "riptide-experiments",
        &[
            "riptide-files",
            "riptide-stats",
            "riptide-draw",
            "riptide-datasets",
            "riptide-corruptions",
            "riptide-models",
            "riptide-detectors",
        ],
    ),
    (
        "riptide-drift",
        &[
            "riptide-files",
            "riptide-stats",
            "riptide-kernels",
            "riptide-draw",
            "riptide-pretrained",
            "riptide-datasets",
            "riptide-corruptions",
            "riptide-models",
            "riptide-detectors",
        ],
    ),
    ("riptide-cli", LIBRARIES),
    ("xtask", LIBRARIES),
];

const LIBRARIES: &[&str] = &[
    "riptide-files",
    "riptide-stats",
    "riptide-kernels",
    "riptide-draw",
    "riptide-pretrained",
    "riptide-datasets",
    "riptide-corruptions",
    "riptide-models",
    "riptide-detectors",
    "riptide-experiments",
    "riptide-drift",
    "riptide-cli",
];

/// Longest source file before it is probably two things.
const MAX_LINES: usize = 450;

/// Checks every rule and lists all that fails.
pub fn run(args: TidyArgs) -> anyhow::Result<()> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .no_deps()
        .exec()
        .context("cargo metadata failed: run tidy inside the workspace")?;
    let root = metadata.workspace_root.clone().into_std_path_buf();
    let mut faults = Vec::new();
    check_arrows(&metadata, &mut faults);
    check_licences(&metadata, &root, &mut faults);
    check_lengths(&root, &mut faults)?;
    let manifest = root.join("fixtures/manifest.json");
    let files = fixture_digests(&root.join("fixtures"))?;
    if args.update {
        let text = serde_json::to_string_pretty(&files)? + "\n";
        let temporary = manifest.with_extension("json.tmp");
        fs::write(&temporary, text).with_context(|| format!("cannot write {}", temporary.display()))?;
        fs::rename(&temporary, &manifest).with_context(|| format!("cannot write {}", manifest.display()))?;
    } else {
        check_manifest(&manifest, &files, &mut faults)?;
    }
    if faults.is_empty() {
        println!(
            "tidy: {} packages and {} fixtures in order",
            metadata.packages.len(),
            files.len()
        );
        return Ok(());
    }
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    bail!("{} house rule(s) broken", faults.len())
}

fn check_arrows(metadata: &cargo_metadata::Metadata, faults: &mut Vec<String>) {
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for package in &metadata.packages {
        let Some(may) = allowed.get(package.name.as_str()) else {
            faults.push(format!(
                "{}: not in tidy's table of arrows; add it there and to docs/architecture.md",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let normal = dependency.kind == cargo_metadata::DependencyKind::Normal;
            if normal && ours.contains(name) && !may.contains(&name) {
                faults.push(format!("{} must not depend on {name}", package.name));
            }
        }
    }
}

fn check_licences(metadata: &cargo_metadata::Metadata, root: &Path, faults: &mut Vec<String>) {
    for package in &metadata.packages {
        if package.license.as_deref() != Some("MIT OR Apache-2.0") {
            faults.push(format!("{}: its licence is not the workspace's", package.name));
        }
    }
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        if !root.join(file).is_file() {
            faults.push(format!("{file} is missing"));
        }
    }
}

fn check_lengths(root: &Path, faults: &mut Vec<String>) -> anyhow::Result<()> {
    for folder in ["crates", "xtask"] {
        for path in files_below(&root.join(folder))? {
            if path.extension().is_some_and(|e| e == "rs") {
                let lines = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?
                    .lines()
                    .count();
                if lines > MAX_LINES {
                    faults.push(format!(
                        "{}: {lines} lines; over {MAX_LINES} it is usually two things",
                        path.display()
                    ));
                }
            }
        }
    }
    Ok(())
}

fn check_manifest(manifest: &Path, files: &BTreeMap<String, String>, faults: &mut Vec<String>) -> anyhow::Result<()> {
    let text = fs::read_to_string(manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let listed: BTreeMap<String, String> = serde_json::from_str(&text)
        .with_context(|| format!("{} is not a map of file to SHA-256", manifest.display()))?;
    for (file, digest) in files {
        match listed.get(file) {
            None => faults.push(format!(
                "fixtures/{file} is not in the manifest; run `cargo xtask tidy --update`"
            )),
            Some(was) if was != digest => {
                faults.push(format!("fixtures/{file} has changed: SHA-256 {digest}, manifest {was}"))
            }
            Some(_) => {}
        }
    }
    for file in listed.keys().filter(|file| !files.contains_key(*file)) {
        faults.push(format!("fixtures/{file} is in the manifest but missing"));
    }
    Ok(())
}

/// Path below `folder`, with forward slashes, to lower-case hexadecimal SHA-256; the manifest itself is left out.
fn fixture_digests(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    for path in files_below(folder)? {
        let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
        if name == "manifest.json" || name.contains("__pycache__") {
            continue;
        }
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let digest = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        digests.insert(name, digest);
    }
    Ok(digests)
}

fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                files.extend(files_below(&path)?);
            }
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
