//! Files and networks of the Hugging Face Hub: `hf://OWNER/REPO/PATH@REVISION`.
//!
//! [`locate`] turns such an address into a path on this machine. Files are kept in the Hub's own cache, where other tools
//! find them too: `$HF_HUB_CACHE`, else `hub` in `$HF_HOME`, else in `~/.cache/huggingface`. What is there is used without
//! any network. The server is `$HF_ENDPOINT`, else the public one. For private files the token is `$HF_TOKEN`, else the one
//! that the Hub's login has left in `$HF_HOME`; it is never shown.

mod address;
mod client;

use std::path::{Path, PathBuf};

use riptide_files::Progress;

use super::error::FetchError;

pub use address::HubAddress;
use client::{Client, cache, failed, snapshot};

/// What makes a folder a network's.
const CONFIG: &str = "config.json";
/// The files that a network may have beside its configuration: weights, or a graph and its weights.
const WEIGHTS: [&str; 4] = ["model.safetensors", "model.onnx", "model.onnx.data", "model.onnx_data"];

/// Returns the path of a file or of a network's folder of the Hub, and downloads it first if it is not in the Hub's cache.
///
/// An address whose path ends in an extension, such as `hf://owner/repo/images.npy`, is a file. Any other is a folder (for
/// `hf://owner/repo`, the whole repository's) with `config.json` and `model.safetensors`, or `model.onnx` and its
/// `model.onnx.data`: these files are downloaded, nothing else that the folder holds.
///
/// Each download is a task of `progress`, counted in bytes.
///
/// # Errors
/// Returns an error if the address is malformed; if it is not in the cache and the server does not answer within 15 seconds,
/// does not have it or does not let it be read; if the folder holds no network; if a transfer breaks off, stands still for a
/// minute or brings other bytes than the Hub says.
///
/// ```no_run
/// use riptide_datasets::fetch::hub::locate;
/// use riptide_files::Silent;
///
/// let file = locate("hf://owner/repo/model.onnx", &mut Silent)?;
/// let folder = locate("hf://owner/repo@v1.0", &mut Silent)?;
/// # Ok::<(), riptide_datasets::fetch::FetchError>(())
/// ```
pub fn locate(address: &str, progress: &mut dyn Progress) -> Result<PathBuf, FetchError> {
    let address: HubAddress = address.parse()?;
    let cache = cache(&address)?;
    let cached = snapshot(&cache, &address).map(|snapshot| inside(&snapshot, address.path()));
    if let Some(path) = cached.filter(|path| path.is_file() || (!address.looks_like_a_file() && is_network(path))) {
        return Ok(path);
    }
    let client = Client::connect(&address, &cache)?;
    if address.looks_like_a_file() {
        return client.download(address.path(), progress);
    }
    let listed = client.list(progress)?;
    // A file without an extension.
    if listed.iter().any(|file| file == address.path()) {
        return client.download(address.path(), progress);
    }
    let named = |name: &str| match address.path() {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    let is_listed = |name: &&str| listed.contains(&named(name));
    let weights: Vec<&str> = WEIGHTS.into_iter().filter(is_listed).collect();
    if weights.is_empty() || !is_listed(&CONFIG) {
        let reason = format!(
            "no network: expected {} and {} or {}; give a file's path to download that file",
            named(CONFIG),
            named("model.safetensors"),
            named("model.onnx")
        );
        return Err(failed(&address, reason));
    }
    // The configuration comes last: a folder in the cache that has it has the weights too, even after an interruption.
    let mut folders = Vec::new();
    for name in weights.into_iter().chain([CONFIG]) {
        let path = client.download(&named(name), progress)?;
        folders.push(path.parent().unwrap_or(&path).to_path_buf());
    }
    match folders.split_last() {
        Some((last, others)) if others.iter().all(|folder| folder == last) => Ok(last.clone()),
        _ => Err(failed(
            &address,
            "the repository changed during the download; try again",
        )),
    }
}

/// `path` inside a folder, part by part, so that separators are the system's.
fn inside(folder: &Path, path: &str) -> PathBuf {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.fold(folder.to_path_buf(), |folder, part| folder.join(part))
}

/// Whether a folder in the cache holds a network.
fn is_network(folder: &Path) -> bool {
    folder.join(CONFIG).is_file() && WEIGHTS.iter().any(|name| folder.join(name).is_file())
}
