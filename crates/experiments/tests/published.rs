//! The main job on real images with networks that alibi-detect saved, against what alibi-detect gives. Needs
//! `RIPTIDE_SHARED`, a folder with `data/cifar10-lossless-4000.bin.gz` and `golden/alibi`; without it the test passes
//! unseen, and the golden values under `fixtures/detectors` test what a clone can.

#![allow(clippy::unwrap_used)]

use std::io::Read as _;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use riptide_datasets::ImageSet;
use riptide_detectors::distillation::score;
use riptide_detectors::drift::DriftConfig;
use riptide_detectors::{KsDrift, Loss};
use riptide_models::{Network, NetworkPair};
use riptide_stats::ks::Alternative;
use riptide_stats::summary::percentile;
use serde::Deserialize;

const PLANE: usize = 32 * 32;

#[derive(Deserialize)]
struct Outputs {
    accuracy_lossless4000: f64,
    score_mean: f64,
    score_std: f64,
    #[serde(rename = "threshold_on_images_1000_2000")]
    thresholds: std::collections::BTreeMap<String, f64>,
    #[serde(rename = "ks_drift_reference_images_1000_2000")]
    drifts: Vec<Drift>,
}

#[derive(Debug, Deserialize)]
struct Drift {
    alternative: String,
    batch: String,
    p_val: f64,
    distance: f64,
}

fn is_close(found: f64, expected: f64, relative: f64) -> bool {
    (found - expected).abs() <= relative * expected.abs()
}

#[test]
fn the_published_job_gives_the_published_numbers() {
    let Some(shared) = std::env::var_os("RIPTIDE_SHARED").map(PathBuf::from) else {
        eprintln!("skipped: RIPTIDE_SHARED is not set");
        return;
    };
    let alibi = shared.join("golden/alibi");
    let expected: Outputs = serde_json::from_slice(&std::fs::read(alibi.join("outputs.json")).unwrap()).unwrap();
    let mut records = Vec::new();
    let file = std::fs::File::open(shared.join("data/cifar10-lossless-4000.bin.gz")).unwrap();
    GzDecoder::new(file).read_to_end(&mut records).unwrap();
    let labels: Vec<u8> = records.chunks_exact(1 + 3 * PLANE).map(|record| record[0]).collect();
    let pixels = records.chunks_exact(1 + 3 * PLANE).flat_map(|record| {
        let planes = &record[1..];
        (0..PLANE).flat_map(move |i| [planes[i], planes[PLANE + i], planes[2 * PLANE + i]])
    });
    let images = ImageSet::unlabelled(pixels.collect(), 32, 32).unwrap();
    assert_eq!(images.len(), 4000);

    let load = |name: &str| Network::load(alibi.join(name)).unwrap();
    let networks = NetworkPair::new(load("model.h5"), load("distilled_model.h5")).unwrap();
    let both = networks
        .probabilities(images.pixels(), [images.len(), images.height(), images.width()], |_| ())
        .unwrap();
    let argmax = |row: &[f32]| (0..10).fold(0, |best, i| if row[i] > row[best] { i } else { best });
    let answers = both.classifier.chunks_exact(10).map(argmax);
    let right = answers
        .zip(&labels)
        .filter(|(answer, label)| *answer == usize::from(**label))
        .count();
    assert_eq!(right as f64 / 4000.0, expected.accuracy_lossless4000);

    let scores = score(&both.classifier, &both.distilled, 10, Loss::Kld, 1.0).unwrap();
    let wide: Vec<f64> = scores.iter().map(|score| f64::from(*score)).collect();
    let mean = wide.iter().sum::<f64>() / 4000.0;
    let variance = wide.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / 4000.0;
    assert!(
        is_close(mean, expected.score_mean, 1e-4),
        "mean {mean}, {}",
        expected.score_mean
    );
    assert!(
        is_close(variance.sqrt(), expected.score_std, 1e-4),
        "deviation {}",
        variance.sqrt()
    );
    for (rank, expected) in &expected.thresholds {
        let rank: f64 = rank.parse().unwrap();
        let found = percentile(&wide[1000..2000], rank).unwrap();
        assert!(
            is_close(found, *expected, 1e-3),
            "percentile {rank}: {found}, {expected}"
        );
    }
    let golden = shared.join("golden/corruptions/reference16.npz");
    let mut corrupted = npyz::npz::NpzArchive::open(golden).unwrap();
    let mut scores_of = |name: &str| -> Vec<f64> {
        let pixels: Vec<u8> = corrupted.by_name(name).unwrap().unwrap().into_vec().unwrap();
        let images = ImageSet::unlabelled(pixels, 32, 32).unwrap();
        let both = networks
            .probabilities(images.pixels(), [images.len(), images.height(), images.width()], |_| ())
            .unwrap();
        let scores = score(&both.classifier, &both.distilled, 10, Loss::Kld, 1.0).unwrap();
        scores.into_iter().map(f64::from).collect()
    };
    assert_eq!(expected.drifts.len(), 15);
    for drift in &expected.drifts {
        let batch = match drift.batch.as_str() {
            "clean_2000_2100" => wide[2000..2100].to_vec(),
            "clean_2100_2200" => wide[2100..2200].to_vec(),
            "clean_0_16" => wide[..16].to_vec(),
            other => scores_of(other.trim_end_matches("_first16")),
        };
        let config = DriftConfig::default().alternative(drift.alternative.parse::<Alternative>().unwrap());
        let mut detector = KsDrift::new(wide[1000..2000].to_vec(), config).unwrap();
        let data = detector.predict(batch).unwrap().data;
        let (p_val, distance) = (data.p_values[0], data.distance[0]);
        assert!(is_close(p_val, drift.p_val, 1e-3), "{drift:?}: p {p_val}");
        assert!(
            is_close(distance, drift.distance, 1e-3),
            "{drift:?}: distance {distance}"
        );
    }
}
