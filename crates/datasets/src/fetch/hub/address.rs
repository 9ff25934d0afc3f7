//! What an `hf://` address says.

use std::fmt;
use std::str::FromStr;

use crate::fetch::FetchError;

/// The branch that an address without a revision means.
const DEFAULT_REVISION: &str = "main";

/// A file or folder of a model repository on the Hub: `hf://OWNER/REPO`, `hf://OWNER/REPO/PATH`, each with `@REVISION` at its
/// end if it is not the newest version that is meant.
///
/// A revision is a branch, a tag, a commit, or a path that starts with `refs/`.
///
/// ```
/// use riptide_datasets::fetch::hub::HubAddress;
///
/// let address: HubAddress = "hf://owner/repo/small/model.onnx@v1.0".parse()?;
/// assert_eq!((address.repo(), address.path(), address.revision()), ("owner/repo", "small/model.onnx", "v1.0"));
/// assert!("hf://owner".parse::<HubAddress>().is_err());
/// # Ok::<(), riptide_datasets::fetch::FetchError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubAddress {
    repo: String,
    path: String,
    revision: String,
}

impl HubAddress {
    /// `OWNER/REPO`.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The file or folder inside the repository; empty for the whole repository.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The revision; `main` if the address has none.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Whether the path looks like a file's: its last part ends in a dot and an extension with a letter in it, as
    /// `model.onnx` does and `v1.0` does not.
    pub(super) fn looks_like_a_file(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.')
            .is_some_and(|(_, extension)| extension.contains(|c: char| c.is_ascii_alphabetic()))
    }
}

impl FromStr for HubAddress {
    type Err = FetchError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let invalid = |reason: &str| FetchError::Invalid {
            value: value.to_owned(),
            reason: format!(
                "{reason}; expected hf://OWNER/REPO or hf://OWNER/REPO/PATH, with @REVISION at the end or not"
            ),
        };
        let rest = value
            .strip_prefix(crate::HUB_SCHEME)
            .ok_or_else(|| invalid("it does not start with hf://"))?;
        let (place, revision) = rest.split_once('@').unwrap_or((rest, DEFAULT_REVISION));
        let mut parts = place.splitn(3, '/');
        let (Some(owner), Some(name)) = (parts.next(), parts.next()) else {
            return Err(invalid("it names no repository"));
        };
        let path = parts.next();
        if revision.is_empty() {
            return Err(invalid("the revision is missing"));
        }
        if revision.contains('/') && !revision.starts_with("refs/") {
            // The form that the Hub's own tools use.
            let (revision, path) = revision.split_once('/').unwrap_or((revision, ""));
            let right = format!("the revision comes last: write hf://{place}/{path}@{revision}");
            return Err(invalid(&right));
        }
        let wrong = [owner, name]
            .into_iter()
            .chain(path.into_iter().flat_map(|path| path.split('/')))
            .chain(revision.split('/'))
            .find(|part| !is_plain(part));
        match wrong {
            Some("") => Err(invalid("a part of it is empty")),
            Some(part) => Err(invalid(&format!("{part:?} is no plain name"))),
            None => Ok(Self {
                repo: format!("{owner}/{name}"),
                path: path.unwrap_or_default().to_owned(),
                revision: revision.to_owned(),
            }),
        }
    }
}

/// Whether a part of an address is a name that means the same in an address and in a file system, on every system.
fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && !part.chars().all(|c| c == '.')
        && part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+'))
}

impl fmt::Display for HubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf://{}", self.repo)?;
        if !self.path.is_empty() {
            write!(f, "/{}", self.path)?;
        }
        if self.revision != DEFAULT_REVISION {
            write!(f, "@{}", self.revision)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_and_put_together() {
        for (text, repo, path, revision) in [
            ("hf://owner/repo", "owner/repo", "", "main"),
            ("hf://owner/repo@v1.0", "owner/repo", "", "v1.0"),
            ("hf://owner/re.po/model.onnx", "owner/re.po", "model.onnx", "main"),
            ("hf://o/r/sub/x.npy@refs/pr/1", "o/r", "sub/x.npy", "refs/pr/1"),
        ] {
            let address: HubAddress = text.parse().unwrap();
            assert_eq!(
                (address.repo(), address.path(), address.revision()),
                (repo, path, revision)
            );
            assert_eq!(address.to_string(), text);
        }
        assert_eq!(
            "hf://o/r/a@main".parse::<HubAddress>().unwrap().to_string(),
            "hf://o/r/a"
        );
    }

    #[test]
    fn wrong_addresses_say_what_is_wrong() {
        for (text, expected) in [
            ("owner/repo/a", "does not start with hf://"),
            ("hf://owner", "no repository"),
            ("hf://", "no repository"),
            ("hf://owner/", "is empty"),
            ("hf://owner/repo/", "is empty"),
            ("hf://owner//a", "is empty"),
            ("hf://owner/repo@", "revision is missing"),
            ("hf://owner/repo/a@", "revision is missing"),
            ("hf://owner/repo@v1/sub/a.npy", "write hf://owner/repo/sub/a.npy@v1"),
            ("hf://owner/repo/../a", "\"..\" is no plain name"),
            ("hf://../repo/a", "\"..\""),
            ("hf://owner/repo/a?b", "\"a?b\""),
            ("hf://owner/re po/a", "\"re po\""),
            ("hf://owner/repo/a@refs/../b", "\"..\""),
            ("hf://owner/repo/a@b@c", "\"b@c\""),
        ] {
            let message = text.parse::<HubAddress>().unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn files_are_told_from_folders_by_their_extension() {
        let file = |path: &str| {
            format!("hf://o/r/{path}")
                .parse::<HubAddress>()
                .unwrap()
                .looks_like_a_file()
        };
        assert!(file("model.onnx") && file("v1.0/images.npy") && file("weights.h5"));
        assert!(!file("small") && !file("v1.0") && !"hf://o/r".parse::<HubAddress>().unwrap().looks_like_a_file());
    }
}
