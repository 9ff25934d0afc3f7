//! The corruptions without randomness, value by value.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use riptide_corruptions::{Corruption, Corruptor, Severity};
use riptide_files::npy;
use zip::ZipArchive;

use crate::support::{lossless, shared};

fn reference(shared: &Path, corruption: Corruption, severity: Severity) -> Vec<u8> {
    let file = File::open(shared.join("golden/corruptions/reference16.npz")).unwrap();
    let mut archive = ZipArchive::new(file).unwrap();
    let mut member = archive.by_name(&format!("{corruption}_{severity}.npy")).unwrap();
    let mut bytes = Vec::new();
    member.read_to_end(&mut bytes).unwrap();
    let array = npy::decode(&bytes).unwrap();
    assert_eq!(array.shape, [16, 32, 32, 3]);
    array.values
}

#[test]
fn corruptions_without_randomness_equal_the_published_generator() {
    let Some(shared) = shared() else { return };
    let clean = lossless(&shared, 16);
    let mut compared = 0;
    for corruption in Corruption::ALL.into_iter().filter(|corruption| !corruption.is_random()) {
        for severity in Severity::ALL {
            let ours = Corruptor::new(0).apply(&clean, corruption, severity).unwrap();
            let published = reference(&shared, corruption, severity);
            let differences = ours.pixels().iter().zip(&published).map(|(&a, &b)| a.abs_diff(b));
            let (unequal, largest) = differences.fold((0, 0), |(unequal, largest), d| {
                (unequal + usize::from(d > 0), largest.max(d))
            });
            let share = unequal as f64 / published.len() as f64;
            eprintln!(
                "{corruption} {severity}: {unequal} of {} differ, by {largest} at most",
                published.len()
            );
            let allowed = match corruption {
                Corruption::JpegCompression => 0.0,
                Corruption::GaussianBlur => 0.005,
                _ => 0.001,
            };
            assert!(
                share <= allowed && largest <= 1,
                "{corruption} {severity}: {unequal} differ, by up to {largest}"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 8 * 5);
}
