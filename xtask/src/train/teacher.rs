//! What the networks answer: the classifier's outputs to learn from, and how good a network is on the validation images.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use riptide_datasets::ImageSet;
use riptide_detectors::distillation::tempered;
use riptide_models::Network;
use riptide_models::train::{Recipe, Teaching};

/// Where the classifier's outputs are kept.
#[derive(Debug)]
pub struct Kept {
    /// The file.
    pub path: PathBuf,
    /// Which classifier was asked about which images.
    pub asked: String,
}

/// The classifier's outputs, tempered, computed once.
#[derive(Debug)]
pub struct Lessons {
    /// For every version of the training images.
    pub teaching: Teaching,
    /// For the validation images, (n, n_classes).
    pub validation: Vec<f32>,
}

impl Lessons {
    /// Asks the classifier about the training images, unless its answers are kept already, and keeps them.
    pub fn new(
        teacher: &Network,
        training: &ImageSet,
        validation: &ImageSet,
        recipe: &Recipe,
        temperature: f64,
        kept: &Kept,
    ) -> anyhow::Result<Self> {
        let versions = recipe.augmentation.versions().unwrap_or(1);
        let data = format!("{} versions {versions}", kept.asked);
        let mut teaching = match Teaching::load(&kept.path, &data)? {
            Some(teaching) => teaching,
            None => {
                let bar = counter(versions * training.len(), "the classifier's outputs");
                let teaching = Teaching::new(teacher, training.pixels(), recipe, |n| bar.inc(n as u64))?;
                bar.finish_and_clear();
                teaching.save(&kept.path, &data)?;
                teaching
            }
        };
        let temper = |p: &[f32]| tempered(p, teacher.n_classes(), temperature);
        teaching.probabilities = temper(&teaching.probabilities)?;
        let validation = temper(&probabilities(teacher, validation, "those for validation")?)?;
        Ok(Self { teaching, validation })
    }
}

/// Class probabilities (n, n_classes) of all images.
fn probabilities(network: &Network, images: &ImageSet, what: &str) -> anyhow::Result<Vec<f32>> {
    let bar = counter(images.len(), what);
    let all = network.predict_proba(images.pixels(), |n| bar.inc(n as u64))?;
    bar.finish_and_clear();
    Ok(all)
}

fn counter(images: usize, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(images as u64).with_message(what.to_owned());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// Mean loss, and the share of images whose most probable class is the target's: the label, or the classifier's answer.
pub fn validate(network: &Network, images: &ImageSet, teacher: Option<&[f32]>) -> anyhow::Result<(f64, f64)> {
    let classes = network.n_classes();
    let p = probabilities(network, images, "validating")?;
    let labels = images.labels().unwrap_or_default();
    let argmax = |row: &[f32]| (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
    let (mut loss, mut right) = (0.0, 0);
    for (i, p) in p.chunks_exact(classes).enumerate() {
        match teacher {
            None => {
                let label = labels.get(i).copied().unwrap_or_default() as usize;
                loss -= f64::from(p[label]).max(1e-30).ln();
                right += usize::from(argmax(p) == label);
            }
            Some(teacher) => {
                let y = &teacher[i * classes..(i + 1) * classes];
                for (y, p) in y.iter().zip(p).filter(|(y, _)| **y > 0.0) {
                    loss += f64::from(*y) * (f64::from(*y).ln() - f64::from(*p).max(1e-30).ln());
                }
                right += usize::from(argmax(p) == argmax(y));
            }
        }
    }
    let n = images.len() as f64;
    Ok((loss / n, right as f64 / n))
}
