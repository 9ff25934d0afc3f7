//! CIFAR-10's batch files and archives, WebDataset shards, `.npz` archives: the extension is the first byte's.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use riptide_datasets::{ImageSource, OpenOptions, open};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let name = ["a.bin", "a.tar.gz", "a.tar", "a.npz"][usize::from(first % 4)];
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join(name);
    if fs::write(&path, rest).is_ok()
        && let Ok(mut images) = open(&path, OpenOptions::default())
    {
        for _ in 0..20 {
            if !matches!(images.next_chunk(3), Ok(Some(_))) {
                break;
            }
        }
    }
});
