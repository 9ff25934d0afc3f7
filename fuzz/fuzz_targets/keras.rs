//! Keras `.h5` files.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use riptide_models::Network;

fuzz_target!(|bytes: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("model.h5");
    if fs::write(&path, bytes).is_ok() {
        let _ = Network::load(&path);
    }
});
