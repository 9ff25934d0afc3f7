//! Tables of image files, of numbers and of probabilities.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use riptide_datasets::{ImageSource, OpenOptions, open};

fuzz_target!(|bytes: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("table.csv");
    if fs::write(&path, bytes).is_ok()
        && let Ok(mut table) = open(&path, OpenOptions::default())
    {
        let _ = table.next_chunk(5);
    }
});
