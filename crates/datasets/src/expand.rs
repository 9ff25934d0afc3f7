//! Paths that name several files: `shard-{000..010}.tar`, `{train,val}.parquet` and glob patterns.

use std::path::{Path, PathBuf};

use crate::error::{DatasetError, Result};

/// The most files that braces may name.
const MOST: usize = 100_000;

/// The files that a path names, in the order of the braces, those of a glob pattern sorted: the path itself if it exists or is
/// no pattern. Names that start with a dot are passed over by patterns.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let Some(text) = path
        .to_str()
        .filter(|text| !path.exists() && text.contains(['{', '*', '?', '[']))
    else {
        return Ok(vec![path.to_path_buf()]);
    };
    let mut files = Vec::new();
    for text in braces(text).map_err(|reason| DatasetError::malformed(path, reason))? {
        if !text.contains(['*', '?', '[']) || Path::new(&text).exists() {
            files.push(PathBuf::from(text));
            continue;
        }
        let broken = |error: glob::PatternError| DatasetError::malformed(path, format!("not a glob pattern: {error}"));
        let mut found = Vec::new();
        for file in glob::glob(&text).map_err(broken)? {
            let file = file.map_err(|error| {
                let path = error.path().to_path_buf();
                DatasetError::io(path, error.into())
            })?;
            let is_hidden = file
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !is_hidden && file.is_file() {
                found.push(file);
            }
        }
        found.sort_unstable();
        files.extend(found);
    }
    if files.is_empty() {
        return Err(DatasetError::Empty {
            path: path.to_path_buf(),
            hint: "no file matches the pattern".to_owned(),
        });
    }
    Ok(files)
}

/// Every text that braces stand for: a range of numbers, which keeps leading zeros, or a list. Braces are not nested.
fn braces(text: &str) -> std::result::Result<Vec<String>, String> {
    let Some((before, rest)) = text.split_once('{') else {
        return Ok(vec![text.to_owned()]);
    };
    let (inside, after) = rest.split_once('}').ok_or("a brace is opened and not closed")?;
    let parts: Vec<String> = match inside.split_once("..") {
        None => inside.split(',').map(str::to_owned).collect(),
        Some((first, last)) => {
            let number = |text: &str| {
                let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse::<u64>().ok().filter(|_| is_number)
            };
            let (Some(from), Some(to)) = (number(first), number(last)) else {
                return Err(format!(
                    "{{{inside}}} is no range of whole numbers such as {{000..010}}"
                ));
            };
            let width = if first.starts_with('0') || last.starts_with('0') {
                first.len().max(last.len())
            } else {
                0
            };
            if from > to || to - from >= MOST as u64 {
                return Err(format!("{{{inside}}} counts down, or names more than {MOST} files"));
            }
            (from..=to).map(|number| format!("{number:0width$}")).collect()
        }
    };
    let rests = braces(after)?;
    if parts.len().saturating_mul(rests.len()) > MOST {
        return Err(format!("the braces name more than {MOST} files"));
    }
    let each = parts
        .iter()
        .flat_map(|part| rests.iter().map(move |rest| format!("{before}{part}{rest}")));
    Ok(each.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_ranges_and_lists() {
        assert_eq!(
            braces("a-{008..010}.tar").unwrap(),
            ["a-008.tar", "a-009.tar", "a-010.tar"]
        );
        assert_eq!(braces("{9..11}").unwrap(), ["9", "10", "11"]);
        assert_eq!(braces("{a,b}/{0..1}.x").unwrap(), ["a/0.x", "a/1.x", "b/0.x", "b/1.x"]);
        assert_eq!(braces("plain").unwrap(), ["plain"]);
        for wrong in [
            "{1..",
            "{2..1}",
            "{a..b}",
            "{..}",
            "{0..99999999999}",
            "{0..999}{0..999}",
            "{-1..3}",
        ] {
            assert!(braces(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn existing_paths_are_no_patterns() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["b1.tar", "b0.tar", ".b2.tar", "{odd}.tar"] {
            std::fs::write(path(name), b"").unwrap();
        }
        assert_eq!(files(&path("{odd}.tar")).unwrap(), [path("{odd}.tar")]);
        assert_eq!(files(&path("*b?.tar")).unwrap(), [path("b0.tar"), path("b1.tar")]);
        assert_eq!(files(&path("none.tar")).unwrap(), [path("none.tar")]);
        assert!(matches!(files(&path("c*.tar")), Err(DatasetError::Empty { .. })));
    }
}
