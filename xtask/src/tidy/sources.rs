//! What the sources of a package must keep to: its dependencies are used, its modules form no circle, its files are its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path};

use anyhow::Context;
use cargo_metadata::{DependencyKind, Metadata, Package, Target, TargetKind};

use super::circles;
use super::modules::modules;
use super::tokens::{Kind, Token, tokens};

/// Dependencies that no source names, kept for what they switch on elsewhere: package, dependency, reason.
const UNNAMED: &[(&str, &str, &str)] = &[];

/// Checks the sources of every package; `root` is the workspace's folder.
pub fn check(metadata: &Metadata, root: &Path, faults: &mut Vec<String>) -> anyhow::Result<()> {
    for package in &metadata.packages {
        let mut named = BTreeSet::new();
        for target in package.targets.iter().filter(|t| is_product(t)) {
            let modules = modules(target.src_path.as_std_path())?;
            circles::check(&package.name, &modules, root, faults);
            named.extend(modules.into_values().flat_map(|module| module.words));
        }
        let folder = package.manifest_path.parent().map_or(root, |p| p.as_std_path());
        let named_by_tests = check_files(package, folder, faults)?;
        check_dependencies(package, &named, &named_by_tests, faults);
    }
    Ok(())
}

/// True of what users get: the library, the programs and the build script, not tests, examples and benches.
fn is_product(target: &Target) -> bool {
    !target
        .kind
        .iter()
        .any(|kind| matches!(kind, TargetKind::Test | TargetKind::Example | TargetKind::Bench))
}

/// Adds the dependencies that no source names. `named` are the words of the product, `named_by_tests` those of all sources.
fn check_dependencies(
    package: &Package,
    named: &BTreeSet<String>,
    named_by_tests: &BTreeSet<String>,
    faults: &mut Vec<String>,
) {
    for dependency in &package.dependencies {
        // The one library whose name is not its package's: `riptide` is taken in the registry.
        let name = match dependency.name.as_str() {
            "riptide-drift" => "riptide".to_owned(),
            package => dependency.rename.as_deref().unwrap_or(package).replace('-', "_"),
        };
        let known = UNNAMED
            .iter()
            .any(|&(p, d, _)| p == package.name.as_str() && d == dependency.name);
        if known || named.contains(&name) {
            continue;
        }
        let by_tests = named_by_tests.contains(&name);
        if dependency.kind != DependencyKind::Development && by_tests {
            faults.push(format!(
                "{}: only tests, examples or doc comments use {name}; it belongs under [dev-dependencies]",
                package.name
            ));
        } else if !by_tests {
            faults.push(format!("{}: nothing uses its dependency {name}", package.name));
        }
    }
}

/// The words of all sources of a package, tests and doc comments included; adds each file from outside the package that
/// the compiler would have to read. (A published package does not have it, and only a build of the package would tell.)
fn check_files(package: &Package, folder: &Path, faults: &mut Vec<String>) -> anyhow::Result<BTreeSet<String>> {
    let mut words = BTreeSet::new();
    for path in super::files_below(folder)? {
        if path.extension().is_none_or(|e| e != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        words.extend(
            text.split(|c: char| c != '_' && !c.is_alphanumeric())
                .map(str::to_owned),
        );
        let inside = path.strip_prefix(folder).unwrap_or(&path);
        if inside.starts_with("tests") {
            continue;
        }
        for (file, line) in included(&tokens(&text)) {
            if leaves(&inside.with_file_name(&file)) {
                faults.push(format!(
                    "{}: {}:{line} includes {file} from outside the package, so the published package cannot be built",
                    package.name,
                    inside.display()
                ));
            }
        }
    }
    Ok(words)
}

/// The files named by `include_bytes!`, `include_str!` and `include!`, with their lines.
fn included(tokens: &[Token]) -> Vec<(String, usize)> {
    tokens
        .windows(4)
        .filter_map(|w| match (w[0].word()?, w[1].is('!'), &w[3].kind) {
            ("include_bytes" | "include_str" | "include", true, Kind::Text(file)) => Some((file.clone(), w[0].line)),
            _ => None,
        })
        .collect()
}

/// True if a relative path climbs out of the folder it starts in.
fn leaves(path: &Path) -> bool {
    let mut depth = 0_usize;
    for component in path.components() {
        match component {
            Component::ParentDir if depth == 0 => return true,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            Component::RootDir | Component::Prefix(_) => return true,
            Component::CurDir => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_from_outside_the_package_are_seen() {
        let text = r#"const A: &[u8] = include_bytes!("../assets/a"); const B: &str = include_str!("../../b");"#;
        let files = included(&tokens(text));
        let out: Vec<bool> = files
            .iter()
            .map(|(file, _)| leaves(&Path::new("src/lib.rs").with_file_name(file)))
            .collect();
        assert_eq!(out, [false, true]);
    }
}
