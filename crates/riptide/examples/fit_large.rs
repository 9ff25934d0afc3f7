//! Fits a monitor to images of 224 x 224 pixels that are made as they are read, and says how long it took and how much memory.
//!
//! cargo run --release -p riptide-drift --example fit_large -- 5000
//!
//! A second number makes images smaller by another factor than the usual one before the distilled network.

use std::time::Instant;

use riptide::datasets::shapes::{Shapes, TRAIN_FIRST_INDEX};
use riptide::prelude::*;
use riptide::{SelfTest, pretrained, shipped_networks};

/// Each pixel of a generated image of 32 x 32 becomes so many a side.
const TIMES: usize = 7;
const SIDE: usize = 32 * TIMES;

/// Generated images, enlarged.
struct Large {
    next: u64,
    end: u64,
}

impl ImageSource for Large {
    fn next_chunk(&mut self, max: usize) -> riptide::datasets::Result<Option<ImageSet>> {
        let n = (max.max(1) as u64).min(self.end - self.next);
        let small = Shapes::new(0).generate(TRAIN_FIRST_INDEX + self.next, n as usize);
        self.next += n;
        let pixels: Vec<u8> = small.images().flat_map(enlarge).collect();
        Ok((n > 0).then_some(ImageSet::unlabelled(pixels, SIDE, SIDE)?))
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.end - self.next)
    }
}

fn enlarge(image: &[u8]) -> Vec<u8> {
    let rows = image.chunks_exact(3 * 32);
    let wide = rows.map(|row| -> Vec<u8> { row.chunks_exact(3).flat_map(|pixel| pixel.repeat(TIMES)).collect() });
    wide.flat_map(|row| row.repeat(TIMES)).collect()
}

fn main() -> Result<(), riptide::Error> {
    let number = |place: usize| std::env::args().nth(place).and_then(|text| text.parse::<usize>().ok());
    let (n, shrink) = (number(1).unwrap_or(2000), number(2));
    // The classifier of the small images, on every seventh pixel.
    let (network, _) = shipped_networks(&pretrained::SHAPES)?;
    let classifier = Classifier::from_fn(10, (SIDE, SIDE), move |images| {
        let rows = images
            .images()
            .flat_map(|image| image.chunks_exact(3 * SIDE).step_by(TIMES));
        let pixels: Vec<u8> = rows
            .flat_map(|row| row.chunks_exact(3).step_by(TIMES).flatten().copied())
            .collect();
        Ok(network.predict_proba(&pixels, |_| ())?)
    });
    let images = Images::named("generated images", Large { next: 0, end: n as u64 });
    let start = Instant::now();
    let fitted = Fit::default()
        .shrink(shrink)
        .run_with(classifier, images, None, &mut Silent)?;
    println!(
        "{n} images of {SIDE} x {SIDE}: fitted in {:.1} s, {} epochs, agreement {:.3} on the reference",
        start.elapsed().as_secs_f64(),
        fitted.epochs.len(),
        fitted.monitor.facts().reference.agreement.unwrap_or_default(),
    );
    memory();
    let start = Instant::now();
    let tested = SelfTest::default().run(&fitted.monitor, &fitted.held_out.sample(500)?, &mut Silent)?;
    println!(
        "self-test of {} images in {:.1} s, {} of {} corruptions missed",
        tested.n_images,
        start.elapsed().as_secs_f64(),
        tested.missed().count(),
        tested.rows.len()
    );
    memory();
    Ok(())
}

/// Prints the most memory that was resident so far, if the system says so.
fn memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(line) = status.lines().find(|line| line.starts_with("VmHWM")) {
        println!("{line}");
    }
}
