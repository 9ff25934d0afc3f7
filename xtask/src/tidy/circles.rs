//! Circles between the modules of a crate.
//!
//! Modules of one folder may use each other in one direction only. A path counts for the module in which the item is
//! defined, so going through a parent's `use` does not hide an arrow. What a parent and its children use of each other
//! does not count.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use super::modules::Modules;

/// Circles that are known and stay: the package and the module in which they are, with the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// From a module to the modules beside it that it uses, each with a place where it does.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

/// Adds each circle between the modules of one crate; `root` is the workspace's folder, to shorten paths.
pub fn check(package: &str, modules: &Modules, root: &Path, faults: &mut Vec<String>) {
    for (parent, arrows) in &arrows(modules, root) {
        let parent = parent.join("::");
        if EXCEPTIONS.iter().any(|&(p, m, _)| (p, m) == (package, parent.as_str())) {
            continue;
        }
        for circle in shortest_circles(arrows) {
            let places: Vec<String> = circle
                .iter()
                .zip(circle.iter().cycle().skip(1))
                .filter_map(|(from, to)| Some(format!("{from} uses {to} ({})", arrows.get(*from)?.get(*to)?)))
                .collect();
            let inside = if parent.is_empty() { "" } else { " in " };
            faults.push(format!(
                "{package}{inside}{parent}: modules in a circle: {}",
                places.join(", ")
            ));
        }
    }
}

/// The shortest circle through each arrow that is part of one; each circle once, from its first module by name.
fn shortest_circles(arrows: &Arrows) -> BTreeSet<Vec<&str>> {
    let mut circles = BTreeSet::new();
    for (from, targets) in arrows {
        for to in targets.keys() {
            if let Some(mut circle) = shortest_way(arrows, to, from) {
                let first = (0..circle.len()).min_by_key(|&i| circle[i]).unwrap_or(0);
                circle.rotate_left(first);
                circles.insert(circle);
            }
        }
    }
    circles
}

/// The modules from `start` to `goal` along arrows, both included.
fn shortest_way<'a>(arrows: &'a Arrows, start: &'a str, goal: &str) -> Option<Vec<&'a str>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        if at == goal {
            let mut way = vec![at];
            while let Some(&previous) = way
                .last()
                .filter(|&&last| last != start)
                .and_then(|last| before.get(last))
            {
                way.push(previous);
            }
            way.reverse();
            return Some(way);
        }
        for next in arrows.get(at).into_iter().flat_map(BTreeMap::keys) {
            if next != start && !before.contains_key(next.as_str()) {
                before.insert(next, at);
                queue.push_back(next);
            }
        }
    }
    None
}

/// The arrows between siblings, by the path of their parent.
fn arrows(modules: &Modules, root: &Path) -> BTreeMap<Vec<String>, Arrows> {
    let mut groups: BTreeMap<Vec<String>, Arrows> = BTreeMap::new();
    for (from, module) in modules {
        for (path, line) in &module.paths {
            let Some(to) = resolve(modules, from, path, 0) else {
                continue;
            };
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) {
                let file = module.file.strip_prefix(root).unwrap_or(&module.file);
                let place = format!("{}:{line}", file.display().to_string().replace('\\', "/"));
                groups
                    .entry(from[..shared].to_vec())
                    .or_default()
                    .entry(a.clone())
                    .or_default()
                    .entry(b.clone())
                    .or_insert(place);
            }
        }
    }
    groups
}

/// The module in which `path`, as written in module `from`, ends; none if it leads out of the crate.
///
/// Globs are not followed, so an item that a parent re-exports by one counts as the parent's own.
fn resolve(modules: &Modules, from: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
    // `use a::b; use b::a;` does not compile, but must not hang tidy either.
    if depth > 16 {
        return None;
    }
    let (first, mut rest) = path.split_first()?;
    let mut at = from.to_vec();
    match first.as_str() {
        "crate" => at.clear(),
        "self" => {}
        "super" => {
            at.pop()?;
            while let Some(after) = rest.split_first().filter(|(next, _)| *next == "super") {
                at.pop()?;
                rest = after.1;
            }
        }
        _ if modules.contains_key(&child(&at, first)) || modules.get(&at)?.uses.contains_key(first) => rest = path,
        _ => return None,
    }
    while let Some((next, after)) = rest.split_first() {
        let below = child(&at, next);
        if modules.contains_key(&below) {
            at = below;
            rest = after;
        } else if let Some(used) = modules.get(&at)?.uses.get(next) {
            let mut longer = used.clone();
            longer.extend_from_slice(after);
            return resolve(modules, &at, &longer, depth + 1);
        } else {
            break;
        }
    }
    Some(at)
}

fn child(parent: &[String], name: &str) -> Vec<String> {
    let mut path = parent.to_vec();
    path.push(name.to_owned());
    path
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tidy::modules::modules;

    fn faults(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut faults = Vec::new();
        let modules = modules(&folder.path().join("lib.rs")).unwrap();
        check("p", &modules, folder.path(), &mut faults);
        faults
    }

    #[test]
    fn a_circle_through_a_re_export_is_found() {
        let found = faults(&[
            ("lib.rs", "mod a; mod b; mod c; pub use b::B;"),
            ("a.rs", "use crate::B;"),
            ("b.rs", "fn f() { super::c::deep::g() } pub struct B;"),
            ("c/mod.rs", "pub mod deep;"),
            ("c/deep.rs", "\nuse super::super::a::A;"),
        ]);
        assert_eq!(
            found,
            ["p: modules in a circle: a uses b (a.rs:1), b uses c (b.rs:1), c uses a (c/deep.rs:2)"]
        );
    }

    #[test]
    fn parents_children_and_tests_make_no_circle() {
        let found = faults(&[
            ("lib.rs", "mod a; mod b; use a::A; pub struct Own;"),
            (
                "a.rs",
                "use crate::Own; #[cfg(test)] mod tests { use crate::b::B; } pub(crate) struct A;",
            ),
            ("b.rs", "use crate::{a::{self}, Own}; use std::fs;"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
