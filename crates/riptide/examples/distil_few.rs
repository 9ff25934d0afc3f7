//! How well a network distilled from few CIFAR-10 images tells harm, by recipe: the table in docs/method.md.
//!
//! cargo run --release -p riptide-drift --example distil_few -- cifar-10-batches-bin 2000 flip 20
//!
//! A fifth of the images, at most 1,000, validates the epochs. Harm is told on 1,500 test images under five corruptions at severities 3
//! and 5: the mean area under the ROC curve of images that the classifier gets right clean and wrong corrupted, against those that it gets
//! right both times.

use riptide::corruptions::{Corruption, Corruptor, Severity};
use riptide::datasets::cifar10::{self, Split};
use riptide::detectors::{Probabilities, Score, ScoreKind, argmax};
use riptide::models::DistilledCnnConfig;
use riptide::models::train::{Augmentation, Recipe};
use riptide::prelude::*;
use riptide::training::{Lesson, Training};
use riptide::{pretrained, shipped_networks};

/// Corrupted test images, what the classifier makes of them, and which of them are harmful; none if it was wrong already.
struct Corrupted {
    images: ImageSet,
    rows: Vec<f32>,
    harmful: Vec<Option<bool>>,
}

fn main() -> Result<(), riptide::Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, n, augmentation, epochs] = arguments.as_slice() else {
        println!("distil_few FOLDER IMAGES none|flip|shift|jitter EPOCHS");
        return Ok(());
    };
    let n: usize = n.parse().unwrap_or(2000);
    let recipe = Recipe {
        augmentation: match augmentation.as_str() {
            "none" => Augmentation::None,
            "flip" => Augmentation::Flip,
            "shift" => Augmentation::ShiftFlip,
            _ => Augmentation::JitterFlip,
        },
        ..Recipe::distilled(epochs.parse().unwrap_or(20))
    };
    let (classifier, _) = shipped_networks(&pretrained::CIFAR10)?;
    let classifier = Classifier::from(classifier);
    let all = cifar10::load(folder, Split::Train)?;
    let test = cifar10::load(folder, Split::Test)?.slice(0..5000)?;
    let rows = classifier.predict_proba(&test, |_| ())?;
    let corrupted = corrupted(&classifier, &test.slice(0..1500)?)?;
    let n_validation = (n / 5).min(1000);
    let trained = Training::new(recipe).run(
        &Network::random(DistilledCnnConfig::default(), 0)?,
        &all.slice(0..n - n_validation)?,
        Some(&all.slice(n - n_validation..n)?),
        Lesson::Classifier(&classifier),
        &mut Silent,
        |_| (),
    )?;
    println!("| learned from | varied | epochs | network of epoch | agreement | distillation | surprise |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let last = trained.epochs.len() as u32;
    for (epoch, network) in [(trained.best_epoch, &trained.best), (last, &trained.last)] {
        let answers = network.predict_proba(test.pixels(), |_| ())?;
        let pairs = rows.chunks_exact(10).zip(answers.chunks_exact(10));
        let agreement = pairs.filter(|(p, q)| argmax(p) == argmax(q)).count() as f64 / test.len() as f64;
        let area = |score| area(network, &corrupted, score);
        println!(
            "| {} | {augmentation} | {last} | {epoch} | {agreement:.3} | {:.3} | {:.3} |",
            n - n_validation,
            area(ScoreKind::Distillation)?,
            area(ScoreKind::Surprise)?
        );
    }
    Ok(())
}

fn corrupted(classifier: &Classifier, clean: &ImageSet) -> Result<Vec<Corrupted>, riptide::Error> {
    let labels = clean.labels().unwrap_or_default();
    let right = |rows: &[f32]| -> Vec<bool> {
        let rows = rows.chunks_exact(10).zip(labels);
        rows.map(|(row, label)| argmax(row) == *label as usize).collect()
    };
    let before = right(&classifier.predict_proba(clean, |_| ())?);
    let mut all = Vec::new();
    for corruption in [
        Corruption::GaussianNoise,
        Corruption::Contrast,
        Corruption::Fog,
        Corruption::DefocusBlur,
        Corruption::Pixelate,
    ] {
        for severity in [Severity::ALL[2], Severity::ALL[4]] {
            let images = Corruptor::new(0).apply(clean, corruption, severity)?;
            let rows = classifier.predict_proba(&images, |_| ())?;
            let both = before.iter().zip(right(&rows));
            all.push(Corrupted {
                harmful: both.map(|(before, after)| before.then_some(!after)).collect(),
                images,
                rows,
            });
        }
    }
    Ok(all)
}

/// The mean area under the ROC curve.
fn area(network: &Network, sets: &[Corrupted], score: ScoreKind) -> Result<f64, riptide::Error> {
    let mut sum = 0.0;
    for set in sets {
        let answers = network.predict_proba(set.images.pixels(), |_| ())?;
        let scores = score.score((&Probabilities::new(set.rows.clone(), answers, 10)?).into())?;
        let judged = scores.iter().zip(&set.harmful);
        let mut judged: Vec<(f32, bool)> = judged.filter_map(|(s, harmful)| Some((*s, (*harmful)?))).collect();
        judged.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut harmless, mut pairs) = (0.0, 0.0);
        for (_, is_harmful) in &judged {
            match is_harmful {
                true => pairs += harmless,
                false => harmless += 1.0,
            }
        }
        sum += pairs / harmless / (judged.len() as f64 - harmless);
    }
    Ok(sum / sets.len() as f64)
}
