//! `cargo xtask tidy`: the house rules that a compiler does not check.
//!
//! - [`packages`]: who may depend on whom (docs/architecture.md), and what publishing a package needs;
//! - [`sources`]: dependencies that nothing uses, circles between modules, files from outside a package;
//! - [`fixtures`]: every file under `fixtures/` stands in `fixtures/manifest.json` with its SHA-256, and nothing else does;
//! - the length of source files;
//! - with `--features`, [`features`] instead: every package compiles with each of its features alone.

mod circles;
mod features;
mod fixtures;
mod modules;
mod packages;
mod sources;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

use crate::out::{complain, say};
use anyhow::{Context, bail};

/// Options of `cargo xtask tidy`.
#[derive(Debug, clap::Args)]
pub struct TidyArgs {
    /// Write fixtures/manifest.json anew from the files that are there
    #[arg(long)]
    update: bool,
    /// Compile every package without features, with each of its features alone and with all, and check nothing else
    #[arg(long, conflicts_with = "update")]
    features: bool,
}

/// Longest source file before it is probably two things.
const MAX_LINES: usize = 450;

/// Checks every rule and lists all that fails.
pub fn run(args: TidyArgs) -> anyhow::Result<()> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .no_deps()
        .exec()
        .context("cargo metadata failed: run tidy inside the workspace")?;
    if args.features {
        let checked = features::check(&metadata)?;
        say!("tidy: {checked} combinations of packages and features compile");
        return Ok(());
    }
    let root = metadata.workspace_root.as_std_path();
    let mut faults = Vec::new();
    packages::check_arrows(&metadata, &mut faults);
    packages::check_publishing(&metadata, &mut faults);
    packages::check_rust_version(&metadata, root, &mut faults)?;
    sources::check(&metadata, root, &mut faults)?;
    check_lengths(root, &mut faults)?;
    let fixtures = fixtures::check(root, args.update, &mut faults)?;
    if faults.is_empty() {
        say!(
            "tidy: {} packages and {fixtures} fixtures in order",
            metadata.packages.len()
        );
        return Ok(());
    }
    for fault in &faults {
        complain!("tidy: {fault}");
    }
    bail!("{} house rule(s) broken", faults.len())
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
