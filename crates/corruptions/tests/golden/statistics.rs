//! The random corruptions, by statistics over the first 500 images.

use std::collections::HashMap;
use std::path::Path;

use riptide_corruptions::{Corruption, Corruptor, FrostSource, FrostTextures, Severity};
use riptide_datasets::ImageSet;

use crate::support::{lossless, shared};

/// In levels, 0 to 255.
#[derive(Debug, Clone, Copy)]
struct Statistics {
    /// Mean absolute difference from the clean images.
    mean_abs_diff: f64,
    /// Mean of all values.
    pixel_mean: f64,
    /// Mean absolute difference of horizontal neighbours.
    h_grad: f64,
}

impl Statistics {
    fn of(clean: &ImageSet, corrupted: &ImageSet) -> Self {
        let n = clean.pixels().len() as f64;
        let differences = clean
            .pixels()
            .iter()
            .zip(corrupted.pixels())
            .map(|(a, b)| f64::from(a.abs_diff(*b)));
        let rows = corrupted.pixels().chunks_exact(corrupted.width() * 3);
        let steps = rows
            .clone()
            .flat_map(|row| row.iter().zip(&row[3..]).map(|(a, b)| f64::from(a.abs_diff(*b))));
        Self {
            mean_abs_diff: differences.sum::<f64>() / n,
            pixel_mean: corrupted.pixels().iter().map(|&value| f64::from(value)).sum::<f64>() / n,
            h_grad: steps.sum::<f64>() / (rows.len() * (corrupted.width() - 1) * 3) as f64,
        }
    }
}

/// By name and severity.
fn published(shared: &Path) -> HashMap<(String, u8), Statistics> {
    let table = std::fs::read_to_string(shared.join("golden/corruptions/statistics500.csv")).unwrap();
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows = lines.map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |name: &str| cells[header.iter().position(|column| *column == name).unwrap()];
        let number = |name: &str| cell(name).parse::<f64>().unwrap();
        let statistics = Statistics {
            mean_abs_diff: number("mean_abs_diff"),
            pixel_mean: number("pixel_mean"),
            h_grad: number("h_grad"),
        };
        (
            (cell("corruption").to_owned(), cell("severity").parse().unwrap()),
            statistics,
        )
    });
    rows.collect()
}

/// How far statistics may differ, relative: what chance leaves between two seeds, rounded up.
fn tolerance(corruption: Corruption) -> f64 {
    match corruption {
        Corruption::GaussianNoise | Corruption::ShotNoise | Corruption::SpeckleNoise => 0.005,
        Corruption::GlassBlur => 0.01,
        Corruption::ImpulseNoise | Corruption::Snow => 0.03,
        Corruption::MotionBlur | Corruption::Fog | Corruption::ElasticTransform => 0.05,
        Corruption::Frost | Corruption::Spatter => 0.08,
        // Equal up to single values, so equal in their means.
        _ => 0.0005,
    }
}

/// The largest relative difference over all statistics and severities of each corruption, with its text.
fn compare(corruptor: &Corruptor, corruptions: &[Corruption], shared: &Path) {
    let clean = lossless(shared, 500);
    let published = published(shared);
    let mut too_far = Vec::new();
    for &corruption in corruptions {
        let mut worst = [0.0f64; 3];
        for severity in Severity::ALL {
            let ours = Statistics::of(&clean, &corruptor.apply(&clean, corruption, severity).unwrap());
            let theirs = published[&(corruption.name().to_owned(), severity.get())];
            let pairs = [
                (ours.mean_abs_diff, theirs.mean_abs_diff),
                (ours.pixel_mean, theirs.pixel_mean),
                (ours.h_grad, theirs.h_grad),
            ];
            for (worst, (a, b)) in worst.iter_mut().zip(pairs) {
                let relative = (a - b) / b;
                if relative.abs() > worst.abs() {
                    *worst = relative;
                }
                if relative.abs() > tolerance(corruption) {
                    too_far.push(format!(
                        "{corruption} {severity}: {a:.4} for {b:.4}, {:+.2} %",
                        100.0 * relative
                    ));
                }
            }
        }
        let [difference, mean, gradient] = worst.map(|relative| 100.0 * relative);
        eprintln!("{corruption:<18} difference {difference:+.3} %  mean {mean:+.3} %  gradient {gradient:+.3} %");
    }
    assert!(too_far.is_empty(), "{}", too_far.join("\n"));
}

#[test]
fn all_corruptions_have_the_statistics_of_the_published_generator() {
    let Some(shared) = shared() else { return };
    let frost = FrostTextures::load(shared.join("data/frost")).unwrap();
    assert_eq!(frost.source(), FrostSource::Published);
    compare(&Corruptor::new(0).with_frost(frost), &Corruption::ALL, &shared);
}

#[test]
fn procedural_frost_is_as_strong_as_published_frost() {
    let Some(shared) = shared() else { return };
    let corruptor = Corruptor::new(0);
    assert_eq!(corruptor.frost().source(), FrostSource::Procedural);
    compare(&corruptor, &[Corruption::Frost], &shared);
}
