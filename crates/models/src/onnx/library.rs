//! Where ONNX Runtime's library is, and loading it: once a process.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

use super::guard::{guarded, one_line};

/// The variable with the path of the library, as of the crate `ort`.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// The library, loaded.
#[derive(Clone)]
pub(super) struct Library {
    pub(super) environment: Environment,
}

/// The library that was loaded first: a process can have only one.
static LOADED: Mutex<Option<(PathBuf, Library)>> = Mutex::new(None);

/// Finds the library and loads it. `Ok(None)` if there is none.
///
/// # Errors
/// If the library that `given` or the variable names is missing, or whatever was found cannot be loaded.
pub(super) fn load(given: Option<&Path>) -> Result<Option<Library>, String> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((path, library)) = &*loaded {
        return match given {
            Some(other) if other.canonicalize().ok().as_deref() != Some(path) => Err(format!(
                "ONNX Runtime was already loaded from {}; a process can load only one, so {} cannot be used as well",
                path.display(),
                other.display()
            )),
            _ => Ok(Some(library.clone())),
        };
    }
    let named = given.map(Path::to_path_buf).or_else(|| {
        let path = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
        path.map(PathBuf::from)
    });
    let path = match named {
        Some(path) => Some(path.canonicalize().map_err(|error| {
            format!(
                "the library of ONNX Runtime, {}, cannot be read: {error}",
                path.display()
            )
        })?),
        None => installed(),
    };
    let Some(path) = path else {
        return Ok(None);
    };
    let library = guarded(|| open(&path))
        .and_then(|outcome| outcome)
        .map_err(|error| format!("ONNX Runtime cannot be loaded from {}: {error}", path.display()))?;
    *loaded = Some((path, library.clone()));
    Ok(Some(library))
}

fn open(path: &Path) -> Result<Library, String> {
    let environment = ort::init_from(path)
        .map_err(|error| one_line(&error.to_string()))?
        .with_name("riptide")
        .with_telemetry(false)
        // What it has to say is in its errors; its warnings are of no use to who watches a classifier.
        .with_logger(Arc::new(|_: LogLevel, _: &str, _: &str, _: &str, _: &str| ()))
        .build()
        .map_err(|error| one_line(error.message()))?;
    Ok(Library { environment })
}

/// The library of an installed Python package: of the environment that is active, of the Pythons on the path, or the user's own.
fn installed() -> Option<PathBuf> {
    let mut roots: Vec<PathBuf> = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .iter()
        .filter_map(std::env::var_os)
        .map(PathBuf::from)
        .collect();
    for folder in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        if let Some(root) = folder.parent() {
            roots.push(root.into());
        }
    }
    if let Some(home) = std::env::home_dir() {
        roots.push(home.join(".local"));
    }
    roots.iter().find_map(|root| in_root(root))
}

/// The library under the root of a Python installation.
fn in_root(root: &Path) -> Option<PathBuf> {
    // A relative root would name another place with every working directory.
    if !root.is_absolute() {
        return None;
    }
    let mut packages = vec![root.join("Lib/site-packages")];
    for lib in ["lib", "lib64"] {
        for python in sorted(&root.join(lib)) {
            if python
                .file_name()
                .and_then(OsStr::to_str)
                .is_some_and(|name| name.starts_with("python3"))
            {
                packages.extend([python.join("site-packages"), python.join("dist-packages")]);
            }
        }
    }
    packages.iter().find_map(|folder| {
        let is_library = |path: &PathBuf| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            name == "onnxruntime.dll"
                || name.starts_with("libonnxruntime.so")
                || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"))
        };
        // Of several versions, the last one.
        let found = sorted(&folder.join("onnxruntime/capi"))
            .into_iter()
            .rev()
            .find(is_library)?;
        found.canonicalize().ok().filter(|path| path.is_file())
    })
}

/// What is in a folder, by name; nothing if it cannot be read.
fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_of_a_python_package_is_found() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(in_root(root.path()), None);
        let folder = root.path().join("lib/python3.13/site-packages/onnxruntime/capi");
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["libonnxruntime_providers_shared.so", "onnxruntime_pybind11_state.so"] {
            std::fs::write(folder.join(name), b"").unwrap();
        }
        assert_eq!(in_root(root.path()), None);
        let library = folder.join("libonnxruntime.so.1.32.0");
        std::fs::write(&library, b"").unwrap();
        assert_eq!(in_root(root.path()), Some(library.canonicalize().unwrap()));
        assert_eq!(in_root(Path::new("relative")), None);
    }
}
