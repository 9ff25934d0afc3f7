//! The digests of the fixtures, in `fixtures/manifest.json`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use riptide_files::{atomic, digest};

/// Compares the files under `fixtures/` with the manifest, or writes the manifest if `update` is set; gives their number.
pub fn check(root: &Path, update: bool, faults: &mut Vec<String>) -> anyhow::Result<usize> {
    let folder = root.join("fixtures");
    let manifest = folder.join("manifest.json");
    let files = digests(&folder)?;
    if update {
        let text = serde_json::to_string_pretty(&files)? + "\n";
        atomic::write(&manifest, text.as_bytes())?;
    } else {
        compare(&manifest, &files, faults)?;
    }
    Ok(files.len())
}

fn compare(manifest: &Path, files: &BTreeMap<String, String>, faults: &mut Vec<String>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
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

/// Path below `folder`, with forward slashes, to SHA-256; the manifest itself is left out.
fn digests(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    for path in super::files_below(folder)? {
        let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
        if name != "manifest.json" && !name.contains("__pycache__") {
            digests.insert(name, digest::of_file(&path)?);
        }
    }
    Ok(digests)
}
