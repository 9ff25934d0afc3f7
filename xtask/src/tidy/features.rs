//! Every package of ours by itself, without features, with each one alone and with all.

use std::collections::BTreeSet;
use std::process::Command;

use crate::out::say;
use anyhow::{Context, bail};
use cargo_metadata::{Metadata, Package};

/// Checks each combination with `cargo check`; stops at the first that does not compile.
///
/// A build of the whole workspace joins the features that its packages ask for, so a package that forgets one compiles
/// there and fails by itself. Packages without features are checked once for that reason.
pub fn check(metadata: &Metadata) -> anyhow::Result<usize> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut checked = 0;
    for package in &metadata.packages {
        for features in combinations(package) {
            let mut command = Command::new(&cargo);
            command.args([
                "check",
                "--quiet",
                "--locked",
                "--no-default-features",
                "-p",
                &package.name,
            ]);
            command.args(["--features", &features]);
            command.current_dir(&metadata.workspace_root);
            say!("tidy: {} with features [{features}]", package.name);
            let status = command.status().context("cargo could not be started")?;
            if !status.success() {
                bail!("{} does not compile with the features [{features}] alone", package.name);
            }
            checked += 1;
        }
    }
    Ok(checked)
}

/// The features to pass, as lists with commas: none, each alone, all.
fn combinations(package: &Package) -> BTreeSet<String> {
    let features: Vec<&str> = package
        .features
        .keys()
        .map(String::as_str)
        .filter(|&f| f != "default")
        .collect();
    let mut combinations: BTreeSet<String> = features.iter().map(|&f| f.to_owned()).collect();
    combinations.insert(String::new());
    combinations.insert(features.join(","));
    combinations
}
