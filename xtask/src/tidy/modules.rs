//! The modules of a crate, and the paths by which they name each other.
//!
//! This is no parser: it knows `mod`, `use`, attributes and paths, which is all that the rules need. A parser would be one
//! more dependency to build before the first experiment runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::tokens::{Kind, Token, closing, tokens, without_tests};

/// A module of a crate, without its test code.
#[derive(Debug, Default)]
pub struct Module {
    pub file: PathBuf,
    /// Names that `use` brings in, with the path as written.
    pub uses: BTreeMap<String, Vec<String>>,
    /// Paths that start with `crate`, `self` or `super`, and all paths of `use`, with their lines.
    pub paths: Vec<(Vec<String>, usize)>,
    /// All words, to see which crates are named.
    pub words: Vec<String>,
}

/// The modules of a crate by their paths; the crate's root has the empty path.
pub type Modules = BTreeMap<Vec<String>, Module>;

/// Reads the crate whose root file is `root`, module by module.
pub fn modules(root: &Path) -> anyhow::Result<Modules> {
    let mut modules = Modules::new();
    let folder = root.parent().unwrap_or(root).to_path_buf();
    read_file(root, &folder, Vec::new(), &mut modules)?;
    Ok(modules)
}

/// `folder` is where the files of the module's children lie.
fn read_file(file: &Path, folder: &Path, path: Vec<String>, modules: &mut Modules) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let kept = without_tests(&tokens(&text));
    read_module(&kept, file, folder, path, modules)
}

fn read_module(
    tokens: &[Token],
    file: &Path,
    folder: &Path,
    path: Vec<String>,
    modules: &mut Modules,
) -> anyhow::Result<()> {
    let mut module = Module {
        file: file.to_path_buf(),
        ..Module::default()
    };
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let Some(word) = token.word() else {
            at += 1;
            continue;
        };
        module.words.push(word.to_owned());
        let name = tokens.get(at + 1).and_then(Token::word);
        let after = tokens.get(at + 2);
        match (word, name, after) {
            ("mod", Some(name), Some(end)) if end.is(';') || end.is('{') => {
                let mut child = path.clone();
                child.push(name.to_owned());
                if end.is('{') {
                    let close = closing(tokens, at + 2);
                    read_module(&tokens[at + 3..close], file, &folder.join(name), child, modules)?;
                    at = close;
                } else {
                    let (file, folder) = child_file(&tokens[..at], file, folder, name);
                    // A path attribute may name the same module twice, for two sets of features.
                    if !modules.contains_key(&child) {
                        read_file(&file, &folder, child, modules)?;
                    }
                    at += 2;
                }
            }
            ("use", ..) if !tokens.get(at + 1).is_some_and(|t| t.is('<')) => {
                let end = (at..tokens.len()).find(|&i| tokens[i].is(';')).unwrap_or(tokens.len());
                module
                    .words
                    .extend(tokens[at..end].iter().filter_map(Token::word).map(str::to_owned));
                read_use(&tokens[at + 1..end], &[], &mut module);
                at = end;
            }
            ("crate" | "self" | "super", ..) => {
                let mut found = vec![word.to_owned()];
                while let (Some(Kind::Colons), Some(next)) = (
                    tokens.get(at + 1).map(|t| &t.kind),
                    tokens.get(at + 2).and_then(Token::word),
                ) {
                    found.push(next.to_owned());
                    at += 2;
                }
                module.paths.push((found, token.line));
            }
            _ => {}
        }
        at += 1;
    }
    modules.insert(path, module);
    Ok(())
}

/// The file of `mod name;` in `file` and the folder of its children; `before` are the tokens before `mod`.
fn child_file(before: &[Token], file: &Path, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let named = match before {
        [.., hash, open, path, equals, text, close]
            if hash.is('#') && open.is('[') && path.word() == Some("path") && equals.is('=') && close.is(']') =>
        {
            match &text.kind {
                Kind::Text(text) => Some(text.as_str()),
                _ => None,
            }
        }
        _ => None,
    };
    let plain = folder.join(format!("{name}.rs"));
    match named {
        Some(named) => (file.with_file_name(named), folder.join(name)),
        None if plain.is_file() => (plain, folder.join(name)),
        None => (folder.join(name).join("mod.rs"), folder.join(name)),
    }
}

/// Adds what a use tree names; `tokens` is the tree after `prefix`.
fn read_use(tokens: &[Token], prefix: &[String], module: &mut Module) {
    let mut path = prefix.to_vec();
    for (at, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Word(word) if word == "as" => {
                if let Some(alias) = tokens.get(at + 1).and_then(Token::word) {
                    module.uses.insert(alias.to_owned(), path.clone());
                }
                module.paths.push((path, token.line));
                return;
            }
            Kind::Word(word) => path.push(word.clone()),
            Kind::Sign('*') => {
                module.paths.push((path, token.line));
                return;
            }
            Kind::Sign('{') => {
                let inner = &tokens[at + 1..closing(tokens, at)];
                for branch in branches(inner) {
                    read_use(branch, &path, module);
                }
                return;
            }
            _ => {}
        }
    }
    let Some(line) = tokens.last().map(|t| t.line) else {
        return;
    };
    // `use a::b::{self}` names `a::b`.
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    if let Some(name) = path.last() {
        module.uses.insert(name.clone(), path.clone());
    }
    module.paths.push((path, line));
}

/// The parts of a use tree between commas that are in no inner braces.
fn branches(tokens: &[Token]) -> Vec<&[Token]> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].is('{') {
            at = closing(tokens, at);
        } else if tokens[at].is(',') {
            parts.push(&tokens[start..at]);
            start = at + 1;
        }
        at += 1;
    }
    parts.push(tokens.get(start..).unwrap_or_default());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tokens::tokens;

    #[test]
    fn use_trees_are_unfolded() {
        let mut module = Module::default();
        let text = "crate::{a::{self, B as C}, d::*, super::e}";
        read_use(&tokens(text), &[], &mut module);
        let paths: Vec<String> = module.paths.iter().map(|(path, _)| path.join("::")).collect();
        assert_eq!(paths, ["crate::a", "crate::a::B", "crate::d", "crate::super::e"]);
        assert_eq!(module.uses["C"], ["crate", "a", "B"]);
    }
}
