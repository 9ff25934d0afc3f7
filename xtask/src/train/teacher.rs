//! What the networks answer: the classifier's outputs to learn from, and how good a network is on the validation images.

use std::time::Duration;

use candle_core::{Device, Module as _, Tensor};
use indicatif::{ProgressBar, ProgressStyle};
use riptide_datasets::ImageSet;
use riptide_detectors::distillation::tempered;
use riptide_models::Network;

/// Images that go through a network at a time.
const CHUNK: usize = 4096;

/// The classifier's outputs, tempered, computed once: (n, n_classes) each.
#[derive(Debug)]
pub struct Lessons {
    /// For the training images.
    pub plain: Vec<f32>,
    /// For their mirror images; empty where none is needed.
    pub mirrored: Vec<f32>,
    /// For the validation images.
    pub validation: Vec<f32>,
}

impl Lessons {
    /// Asks the classifier.
    pub fn new(
        teacher: &Network,
        training: &ImageSet,
        validation: &ImageSet,
        flips: bool,
        temperature: f64,
    ) -> anyhow::Result<Self> {
        let ask = |images: &ImageSet, what: &str| -> anyhow::Result<Vec<f32>> {
            let p = probabilities(teacher, images, what)?;
            Ok(tempered(&p, teacher.n_classes(), temperature)?)
        };
        Ok(Self {
            plain: ask(training, "the classifier's outputs")?,
            mirrored: if flips {
                ask(&mirrored(training)?, "those of the mirrored images")?
            } else {
                Vec::new()
            },
            validation: ask(validation, "those for validation")?,
        })
    }
}

/// Class probabilities (n, n_classes) of all images.
fn probabilities(network: &Network, images: &ImageSet, what: &str) -> anyhow::Result<Vec<f32>> {
    let bar = ProgressBar::new(images.len() as u64).with_message(what.to_owned());
    bar.set_style(ProgressStyle::with_template(
        "{msg} {wide_bar} {human_pos}/{human_len}",
    )?);
    bar.enable_steady_tick(Duration::from_millis(500));
    let bytes = 3 * images.height() * images.width();
    let mut all = Vec::with_capacity(images.len() * network.n_classes());
    for chunk in images.pixels().chunks(CHUNK * bytes) {
        let shape = (chunk.len() / bytes, images.height(), images.width(), 3);
        let batch = Tensor::from_slice(chunk, shape, &Device::Cpu)?;
        all.extend(network.forward(&batch)?.flatten_all()?.to_vec1::<f32>()?);
        bar.inc((chunk.len() / bytes) as u64);
    }
    bar.finish_and_clear();
    Ok(all)
}

/// The images, left and right exchanged.
fn mirrored(images: &ImageSet) -> anyhow::Result<ImageSet> {
    let row = 3 * images.width();
    let rows = images.pixels().chunks_exact(row);
    let pixels = rows.flat_map(|row| row.as_chunks::<3>().0.iter().rev().flatten().copied());
    Ok(images.with_pixels(pixels.collect())?)
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
