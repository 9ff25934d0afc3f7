//! Watches a classifier that is a function: anything that gives class probabilities, from any framework or service.
//!
//! `cargo run --release -p riptide-drift --example own_classifier`

use riptide::datasets::shapes::Shapes;
use riptide::prelude::*;

/// Three classes by which colour is the brightest.
fn brightest_colour(images: &ImageSet) -> Vec<f32> {
    let probabilities = |image: &[u8]| {
        let mut sums = [0.0_f32; 3];
        for pixel in image.chunks_exact(3) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += f32::from(value) / 255.0;
            }
        }
        let largest = sums.iter().copied().fold(0.0, f32::max);
        let powers = sums.map(|sum| ((sum - largest) / 10.0).exp());
        let total: f32 = powers.iter().sum();
        powers.map(|power| power / total)
    };
    images.images().flat_map(probabilities).collect()
}

fn main() -> Result<(), riptide::Error> {
    let classifier = || Classifier::from_fn(3, (32, 32), |images| Ok(brightest_colour(images)));
    let names = ["red", "green", "blue"].map(String::from).to_vec();
    let images = Shapes::new(0).generate(0, 600);
    let monitor = Fit::default()
        .epochs(3)
        .filters(16)
        .class_names(Some(names))
        .run(classifier(), &images)?;
    let dir = std::env::temp_dir().join("riptide-own-classifier");
    monitor.save(&dir)?;

    // The function is not saved; it is given again, and checked against a few images that are.
    let monitor = Monitor::load_with(&dir, classifier())?;
    let outcome = monitor.detect(Shapes::new(0).generate(10_000, 200))?;
    println!("drift {}, p = {:.3}", outcome.is_drift, outcome.p_value);
    Ok(())
}
