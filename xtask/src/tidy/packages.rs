//! What `cargo metadata` says of the packages: who depends on whom, and what publishing needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context;
use cargo_metadata::{DependencyKind, Metadata, Package};

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
    ("riptide-server", &["riptide-drift"]),
    ("riptide-cli", LIBRARIES),
    ("riptide-python", &["riptide-drift"]),
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
    "riptide-server",
];

/// Adds each dependency between packages of ours that is not in the table, and each that makes publishing impossible.
pub fn check_arrows(metadata: &Metadata, faults: &mut Vec<String>) {
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut before: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &metadata.packages {
        let Some(may) = allowed.get(package.name.as_str()) else {
            faults.push(format!(
                "{}: not in tidy's table of arrows; add it there and to docs/architecture.md",
                package.name
            ));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| ours.contains(d.name.as_str())) {
            let name = dependency.name.as_str();
            if dependency.kind == DependencyKind::Normal && !may.contains(&name) {
                faults.push(format!("{} must not depend on {name}", package.name));
            }
            // A path without a version is dropped from the published package, so it needs no order.
            if dependency.req.to_string() != "*" {
                before.entry(package.name.as_str()).or_default().insert(name);
            }
        }
    }
    check_order(&metadata.packages, &before, faults);
}

/// Packages are published one after the other, so even their dev-dependencies must have an order.
fn check_order(packages: &[Package], before: &BTreeMap<&str, BTreeSet<&str>>, faults: &mut Vec<String>) {
    let mut left: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    while let Some(&next) = left
        .iter()
        .find(|name| before.get(*name).is_none_or(|needs| needs.is_disjoint(&left)))
    {
        left.remove(next);
    }
    if !left.is_empty() {
        let names: Vec<&str> = left.into_iter().collect();
        faults.push(format!(
            "{} depend on each other in a circle (dev-dependencies count), so no order to publish them exists",
            names.join(", ")
        ));
    }
}

/// Adds what a package lacks to be published: licence, description, links, a README, and files of its own.
pub fn check_publishing(metadata: &Metadata, faults: &mut Vec<String>) {
    for package in &metadata.packages {
        let mut fault = |what: &str| faults.push(format!("{}: {what}", package.name));
        if package.license.as_deref() != Some("MIT OR Apache-2.0") {
            fault("its licence is not the workspace's");
        }
        if package.publish.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        let folder = package.manifest_path.parent().map(|p| p.as_std_path());
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            if !folder.is_some_and(|folder| folder.join(file).is_file()) {
                fault(&format!("{file} is missing beside its Cargo.toml"));
            }
        }
        if package.description.is_none() || package.repository.is_none() {
            fault("description or repository is missing in its Cargo.toml");
        }
        if package.keywords.is_empty() || package.categories.is_empty() {
            fault("keywords or categories are missing in its Cargo.toml");
        }
        if package.metadata.pointer("/docs/rs/all-features").is_none() {
            fault("[package.metadata.docs.rs] all-features is missing in its Cargo.toml");
        }
    }
}

/// Adds each file that names another least Rust version than the workspace's.
pub fn check_rust_version(metadata: &Metadata, root: &Path, faults: &mut Vec<String>) -> anyhow::Result<()> {
    let versions: BTreeSet<Option<String>> = metadata
        .packages
        .iter()
        .map(|p| p.rust_version.as_ref().map(|v| format!("{}.{}", v.major, v.minor)))
        .collect();
    let (1, Some(Some(version))) = (versions.len(), versions.first()) else {
        faults.push("the packages do not all have the workspace's rust-version".to_owned());
        return Ok(());
    };
    for file in ["README.md", ".github/workflows/ci.yml"] {
        let path = root.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if !text.contains(version) {
            faults.push(format!("{file} does not name the least Rust version, {version}"));
        }
    }
    Ok(())
}
