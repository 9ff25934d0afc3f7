//! How a calibrated monitor judges damage that it did not declare: the figures in docs/method.md.
//!
//! cargo run --release -p riptide-drift --features onnx --example undeclared -- MONITOR IMAGES.npy LABELS.npy 500
//!
//! Fourteen kinds of damage at five severities, in batches of so many images: is the true accuracy within the interval, or does the monitor
//! abstain? And what is said of clean batches, of some classes alone, of black frames and of noise.

mod damage;

use riptide::corruptions::{Corruption, Corruptor, Severity};
use riptide::datasets::npy::read_labels;
use riptide::detectors::{Verdict, argmax};
use riptide::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [monitor, images, labels, n] = arguments.as_slice() else {
        println!("undeclared MONITOR IMAGES.npy LABELS.npy BATCH");
        return Ok(());
    };
    let (monitor, n) = (Monitor::load(monitor)?, n.parse::<usize>()?.max(1));
    let images = Images::open(images)?.read_all(monitor.input_size())?;
    let names = monitor.facts().class_names.clone();
    let images = images.with_labels(read_labels(labels)?, names)?;
    let mut all = Tally::default();
    println!("kind, severity, accuracy, estimates, held or outside, verdicts");
    for damage in damage::ALL {
        for severity in 1..=5 {
            let damaged = damage.apply(&images, severity)?;
            let tally = Tally::of(&monitor, &damaged, n)?;
            println!("{}, {severity}: {tally}", damage.name);
            all.add(&tally);
        }
    }
    println!("all undeclared: {all}");
    println!("clean: {}", Tally::of(&monitor, &images, n)?);
    for (corruption, severity) in [
        (Corruption::Contrast, 5),
        (Corruption::GaussianNoise, 5),
        (Corruption::ImpulseNoise, 5),
        (Corruption::Fog, 3),
        (Corruption::Brightness, 3),
    ] {
        let corrupted = Corruptor::new(99).apply(&images, corruption, Severity::new(severity)?)?;
        println!("{corruption} {severity}: {}", Tally::of(&monitor, &corrupted, n)?);
    }
    for classes in [[0, 1, 2], [3, 5, 7], [8, 9, 1]] {
        let own = images.labels().unwrap_or_default().iter().enumerate();
        let places: Vec<usize> = own
            .filter(|(_, label)| classes.contains(*label))
            .map(|(i, _)| i)
            .collect();
        let some = images.select(&places)?;
        for size in [50, 100, n] {
            println!(
                "classes {classes:?} alone, {size}: {}",
                Tally::of(&monitor, &some, size)?
            );
        }
    }
    let pixels = images.height() * images.width() * 3;
    for size in [5, 20, 50, 500] {
        let frames = |value: fn(usize) -> u8| {
            ImageSet::unlabelled((0..size * pixels).map(value).collect(), images.height(), images.width())
        };
        let noise = |i: usize| ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8;
        for (name, odd) in [
            ("black", frames(|_| 0)?),
            ("white", frames(|_| 255)?),
            ("noise", frames(noise)?),
        ] {
            let outcome = monitor.detect(&odd)?;
            println!(
                "{size} {name}: {:?} {}",
                outcome.verdict,
                outcome.outside.unwrap_or_default()
            );
        }
    }
    Ok(())
}

/// What was said of some batches.
#[derive(Default)]
struct Tally {
    n: usize,
    right: f64,
    estimates: Vec<f64>,
    held: usize,
    harmful: usize,
    fit: usize,
    outside: usize,
}

impl Tally {
    fn of(monitor: &Monitor, images: &ImageSet, size: usize) -> Result<Self, Box<dyn std::error::Error>> {
        let network = monitor.classifier().ok_or("the monitor's classifier is a function")?;
        let rows = Classifier::from(network.clone()).predict_proba(images, |_| ())?;
        let labels = images.labels().unwrap_or_default();
        let right: Vec<bool> = rows
            .chunks(monitor.n_classes())
            .zip(labels)
            .map(|(row, &label)| argmax(row) == label as usize)
            .collect();
        let mut tally = Self::default();
        for (outcome, right) in monitor.detect_batches(images, size).zip(right.chunks_exact(size)) {
            let outcome = outcome?;
            let truth = right.iter().filter(|right| **right).count() as f64 / size as f64;
            tally.n += 1;
            tally.right += truth;
            match &outcome.accuracy {
                Some(accuracy) => {
                    tally.estimates.push(accuracy.interval.estimate);
                    tally.held += usize::from(accuracy.interval.lower <= truth && truth <= accuracy.interval.upper);
                }
                None => tally.held += 1,
            }
            match outcome.verdict {
                Some(Verdict::Harmful) => tally.harmful += 1,
                Some(Verdict::Fit) => tally.fit += 1,
                Some(Verdict::Outside) => tally.outside += 1,
                _ => {}
            }
        }
        Ok(tally)
    }

    fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.right += other.right;
        self.estimates.extend(&other.estimates);
        self.held += other.held;
        self.harmful += other.harmful;
        self.fit += other.fit;
        self.outside += other.outside;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let n = self.n.max(1) as f64;
        write!(
            f,
            "{:.3}, {:.3}, {}/{}, harmful {} fit {} outside {}",
            self.right / n,
            of(&self.estimates),
            self.held,
            self.n,
            self.harmful,
            self.fit,
            self.outside
        )
    }
}
