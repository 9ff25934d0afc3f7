//! Watches a folder of pictures: fit once, then judge what is in the folder.
//!
//! `cargo run --release -p riptide-drift --features onnx --example watch_folder -- CLASSIFIER TRAINING_IMAGES NEW_IMAGES MONITOR`

use std::path::Path;

use riptide::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [classifier, training, today, dir] = arguments.as_slice() else {
        return Err("give a classifier, the training images, new images and a folder for the monitor".into());
    };
    let monitor = match Path::new(dir).exists() {
        true => Monitor::load(dir)?,
        false => {
            let monitor = Fit::default().run(Classifier::open(classifier)?, Images::open(training)?)?;
            monitor.save(dir)?;
            monitor
        }
    };
    let outcome = monitor.detect(Images::open(today)?)?;
    println!(
        "{} images: drift {} (p = {:.3}), harmful {}, excess fraction {:.1} %",
        outcome.n_images,
        outcome.is_drift,
        outcome.p_value,
        outcome.is_harmful,
        100.0 * outcome.excess_fraction.estimate
    );
    if outcome.is_harmful {
        let explanation = monitor.explain(Images::open(today)?, &Explain::default())?;
        for image in explanation.images.iter().take(5) {
            let name = image
                .file
                .as_ref()
                .map_or(String::new(), |file| file.display().to_string());
            println!("{:.3}  {}  {name}", image.score, image.classifier);
        }
    }
    Ok(())
}
