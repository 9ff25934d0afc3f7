//! The published job through the command line, against what alibi-detect gives. Needs `RIPTIDE_SHARED`, a folder with
//! `data/cifar10-lossless-4000.bin.gz` and `golden/alibi`; without it the test passes unseen.

use std::io::Read as _;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use npyz::npz::NpzArchive;
use riptide::datasets::ImageSet;
use riptide::datasets::npy::write_images;
use serde_json::Value;

use crate::support::{document, records};

fn is_close(found: &Value, expected: &Value, relative: f64) -> bool {
    let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
    (found - expected).abs() <= relative * expected.abs()
}

#[test]
fn imported_networks_give_the_published_numbers() {
    let Some(shared) = std::env::var_os("RIPTIDE_SHARED").map(PathBuf::from) else {
        eprintln!("skipped: RIPTIDE_SHARED is not set");
        return;
    };
    let alibi = shared.join("golden/alibi");
    let expected: Value = serde_json::from_slice(&std::fs::read(alibi.join("outputs.json")).unwrap()).unwrap();
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).display().to_string();
    // The binary layout of CIFAR-10, as a file.
    let mut all = Vec::new();
    let file = std::fs::File::open(shared.join("data/cifar10-lossless-4000.bin.gz")).unwrap();
    GzDecoder::new(file).read_to_end(&mut all).unwrap();
    let records_of = |name: &str, range: std::ops::Range<usize>| {
        std::fs::write(path(name), &all[range.start * 3073..range.end * 3073]).unwrap();
    };
    records_of("reference.bin", 1000..2000);
    records_of("clean_2000_2100.bin", 2000..2100);
    records_of("clean_2100_2200.bin", 2100..2200);
    records_of("clean_0_16.bin", 0..16);

    let made = document(&format!(
        "import --classifier {0}/model.h5 --distilled {0}/distilled_model.h5 --reference {1} --no-calibration --out {2}",
        alibi.display(),
        path("reference.bin"),
        path("monitor")
    ));
    let thresholds = &expected["threshold_on_images_1000_2000"];
    assert!(is_close(&made["threshold"], &thresholds["99"], 1e-3), "{made}");

    let mut tested = 0;
    for drift in expected["ks_drift_reference_images_1000_2000"].as_array().unwrap() {
        let batch = drift["batch"].as_str().unwrap();
        if !batch.starts_with("clean") {
            continue;
        }
        let found = &records(&format!(
            "detect --monitor {} --images {} --alternative {}",
            path("monitor"),
            path(&format!("{batch}.bin")),
            drift["alternative"].as_str().unwrap()
        ))[0];
        assert!(is_close(&found["p_value"], &drift["p_val"], 1e-3), "{drift}: {found}");
        assert!(
            is_close(&found["distance"], &drift["distance"], 1e-3),
            "{drift}: {found}"
        );
        assert_eq!(found["is_drift"].as_bool().map(u64::from), drift["is_drift"].as_u64());
        tested += 1;
    }
    assert_eq!(tested, 9);

    let mut outputs = NpzArchive::open(alibi.join("outputs.npz")).unwrap();
    let pixels: Vec<u8> = outputs.by_name("images").unwrap().unwrap().into_vec().unwrap();
    write_images(path("images.npy"), &ImageSet::unlabelled(pixels, 32, 32).unwrap()).unwrap();
    let mut array = |name: &str| -> Vec<f32> { outputs.by_name(name).unwrap().unwrap().into_vec().unwrap() };
    let (classifier, distilled) = (array("classifier_probs"), array("distilled_probs"));
    let scores = array("score_kld");
    let rows = records(&format!(
        "predict --monitor {} --images {} --probabilities",
        path("monitor"),
        path("images.npy")
    ));
    assert_eq!(rows.len(), 128);
    for (i, row) in rows.iter().enumerate() {
        for (network, expected) in [("classifier", &classifier), ("distilled", &distilled)] {
            let found = row[network].as_array().unwrap().iter().map(|p| p.as_f64().unwrap());
            for (found, expected) in found.zip(&expected[10 * i..10 * i + 10]) {
                assert!(
                    (found - f64::from(*expected)).abs() < 1e-5,
                    "image {i}: {found}, {expected}"
                );
            }
        }
        let found = row["score"].as_f64().unwrap();
        assert!(
            (found - f64::from(scores[i])).abs() < 1e-4 * f64::from(scores[i]).max(0.1),
            "image {i}: {found}"
        );
    }
}
