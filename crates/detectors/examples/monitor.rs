//! Fits a distilled network to a classifier, watches batches as they get worse, and saves the detector.
//!
//! cargo run --release -p riptide-detectors --example monitor
//!
//! The classifier is a linear one over generated pictures, so that the example needs no data; a real one plugs in the same way.

use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{DType, Device, Module, Result, Tensor, Var};
use candle_nn::ops::softmax_last_dim;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riptide_detectors::distillation::{FitOptions, TrainableNetwork};
use riptide_detectors::{BoxError, ClassifierPair, Detector, DetectorSettings, Images, ModelDistillation};

const SIDE: usize = 8;
const FEATURES: usize = SIDE * SIDE * 3;
const CLASSES: usize = 4;

/// A softmax over one or two linear maps.
struct Network {
    layers: Vec<Var>,
}

impl Network {
    fn new(widths: &[usize], rng: &mut ChaCha8Rng) -> Result<Self> {
        let layers = widths.windows(2).map(|pair| {
            let bound = (6.0 / (pair[0] + pair[1]) as f32).sqrt();
            let weights: Vec<f32> = (0..pair[0] * pair[1])
                .map(|_| rng.random_range(-bound..bound))
                .collect();
            Var::from_tensor(&Tensor::from_vec(weights, (pair[0], pair[1]), &Device::Cpu)?)
        });
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
        })
    }

    fn save(&self, dir: &Path) -> std::result::Result<(), BoxError> {
        let tensors = self
            .layers
            .iter()
            .enumerate()
            .map(|(i, layer)| (format!("{i}"), layer.as_tensor().clone()));
        let tensors = tensors.collect::<std::collections::HashMap<_, _>>();
        Ok(candle_core::safetensors::save(&tensors, dir.join("model.safetensors"))?)
    }
}

impl Module for Network {
    fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let mut x = images.to_dtype(DType::F32)?.flatten_from(1)?;
        if images.dtype() == DType::U8 {
            x = x.affine(4.0 / 255.0, -2.0)?;
        }
        let last = self.layers.len() - 1;
        for (i, layer) in self.layers.iter().enumerate() {
            x = x.matmul(layer)?;
            if i < last {
                x = x.relu()?;
            }
        }
        softmax_last_dim(&x)
    }
}

impl TrainableNetwork for Network {
    fn forward_train(&self, images: &Tensor) -> Result<Tensor> {
        let mut x = images.flatten_from(1)?;
        let last = self.layers.len() - 1;
        for (i, layer) in self.layers.iter().enumerate() {
            x = x.matmul(layer)?;
            if i < last {
                x = x.relu()?;
            }
        }
        candle_nn::ops::softmax(&x, 1)
    }

    fn vars(&self) -> Vec<Var> {
        self.layers.clone()
    }
}

/// Scales as the classifier's own forward does with raw images, keeping their layout.
fn scale(images: &Images<'_>) -> std::result::Result<Tensor, BoxError> {
    let [n, height, width] = images.shape();
    let tensor = Tensor::from_slice(images.pixels(), (n, height, width, 3), &Device::Cpu)?;
    Ok(tensor.to_dtype(DType::F32)?.affine(4.0 / 255.0, -2.0)?)
}

/// Smooth pictures; a share of them scrambled.
fn pictures(n: usize, scrambled: f64, rng: &mut ChaCha8Rng) -> std::result::Result<Images<'static>, BoxError> {
    let mut pixels = Vec::with_capacity(n * FEATURES);
    for _ in 0..n {
        let waves: [(f32, f32, f32); 3] = std::array::from_fn(|_| rng.random());
        let scramble = rng.random::<f64>() < scrambled;
        for i in 0..FEATURES {
            let (a, b, phase) = waves[i % 3];
            let (x, y) = ((i / 3 % SIDE) as f32, (i / 3 / SIDE) as f32);
            let smooth = 128.0 + 90.0 * (a * x + b * y + 6.0 * phase).sin();
            pixels.push(if scramble { rng.random() } else { smooth as u8 });
        }
    }
    Ok(Images::new(pixels, [n, SIDE, SIDE])?)
}

fn main() -> std::result::Result<(), BoxError> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let classifier = Network::new(&[FEATURES, 64, CLASSES], &mut rng)?;
    let distilled = Network::new(&[FEATURES, 16, CLASSES], &mut rng)?;
    let detector = ModelDistillation::builder(ClassifierPair::new(classifier, distilled, CLASSES)?).build()?;

    let options = FitOptions {
        epochs: 12,
        ..FitOptions::default()
    };
    detector.fit(&pictures(4000, 0.0, &mut rng)?, &scale, options, |epoch| {
        println!(
            "epoch {:2}: loss {:.4}, {:.0} images/s",
            epoch.epoch, epoch.loss, epoch.images_per_second
        );
        ControlFlow::Continue(())
    })?;

    let reference = detector.score(&pictures(1000, 0.0, &mut rng)?)?;
    let class_names = (0..CLASSES).map(|class| format!("class {class}")).collect();
    let saved = Detector::new(DetectorSettings::new([SIDE, SIDE], class_names), reference)?;
    let (mut drift, harm) = (saved.ks_drift()?, saved.harm_test()?);
    println!("\nscrambled  p-value  drift  excess fraction (95 %)   harmful");
    for scrambled in [0.0, 0.1, 0.3, 0.6] {
        let scores: Vec<f64> = detector
            .score(&pictures(200, scrambled, &mut rng)?)?
            .into_iter()
            .map(f64::from)
            .collect();
        let outcome = drift.predict(&scores)?;
        let data = harm.test(&scores)?.data;
        let excess = data.excess_fraction;
        println!(
            "{scrambled:9.1}  {:7.1e}  {:5}  {:.2} ({:.2} to {:.2})  {:10}",
            outcome.p_val(),
            outcome.is_drift(),
            excess.estimate,
            excess.lower,
            excess.upper,
            data.is_harmful
        );
    }

    let dir = std::env::temp_dir().join("riptide-example-detector");
    let networks = detector.networks();
    saved.save(
        &dir,
        &(
            |path: &Path| networks.classifier.save(path),
            |path: &Path| networks.distilled.save(path),
        ),
    )?;
    println!("\nsaved to {}", dir.display());
    Ok(())
}
