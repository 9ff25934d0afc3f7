//! Watches a stream of images that never are in memory together: here generated ones that grow noisy half-way through.
//!
//! `cargo run --release -p riptide-drift --example watch_stream`

use riptide::corruptions::{Corruption, Corruptor, Severity};
use riptide::datasets::DatasetError;
use riptide::datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use riptide::prelude::*;
use riptide::{pretrained, shipped_networks};

/// A camera: 400 images, the second half of them noisy.
struct Camera {
    next: u64,
}

impl ImageSource for Camera {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>, DatasetError> {
        let n = max.min(100);
        if self.next >= 400 {
            return Ok(None);
        }
        let images = Shapes::new(0).generate(TEST_FIRST_INDEX + 1000 + self.next, n);
        let is_noisy = self.next >= 200;
        self.next += n as u64;
        if !is_noisy {
            return Ok(Some(images));
        }
        let severity = Severity::ALL[4];
        let noisy = Corruptor::new(0).apply(&images, Corruption::GaussianNoise, severity);
        Ok(Some(noisy.unwrap_or(images)))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

fn main() -> Result<(), riptide::Error> {
    let (classifier, distilled) = shipped_networks(&pretrained::SHAPES)?;
    let reference = Shapes::new(0).generate(TEST_FIRST_INDEX, 500);
    let monitor = Import::default().run(classifier, distilled, &reference, &mut Silent)?;
    let camera = Images::named("the camera", Camera { next: 0 });
    for outcome in monitor.detect_batches(camera, 100) {
        let outcome = outcome?;
        println!(
            "images {:>3} on: p = {:.1e}, harmful {}",
            outcome.first_image, outcome.p_value, outcome.is_harmful
        );
    }
    Ok(())
}
