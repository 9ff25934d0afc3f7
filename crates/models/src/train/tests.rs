//! Gradients against finite differences in f64, determinism, checkpoints.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riptide_kernels::{Simd, Tier};

use super::engine::{self, FlatLayout};
use super::{Augmentation, Optimizer, Recipe, Schedule, Targets, Trainer, TrainingSet};
use crate::architecture::Norm;
use crate::config::{DistilledCnnConfig, NetworkConfig, ResNetConfig};
use crate::error::ModelError;
use crate::forward::{Forward, per_channel};
use crate::input::Input;
use crate::network::Network;
use crate::weights::Weights;

/// More than one group of images, the last one not full.
const N: usize = 21;
/// How much of the running statistics a step keeps: little, so that the batch shows.
const MOMENTUM: f64 = 0.5;

fn resnet() -> ResNetConfig {
    ResNetConfig {
        depth: 8,
        n_filters1: 4,
        height: 8,
        width: 8,
        n_classes: 3,
        bn_momentum: MOMENTUM,
        ..Default::default()
    }
}

fn distilled(n_conv_layers: usize) -> DistilledCnnConfig {
    DistilledCnnConfig {
        n_conv_layers,
        n_filters1: 20,
        n_dense: 6,
        n_classes: 3,
        height: 8,
        width: 12,
        kernel2: 3,
        ..Default::default()
    }
}

/// What a training step of the network gives in f64, by candle's own operations.
struct Reference {
    logits: Vec<f64>,
    /// Mean and variance of the batch for each batch normalisation, by the names of the running statistics.
    batch: BTreeMap<String, Vec<f64>>,
}

fn reference(config: &NetworkConfig, layout: &FlatLayout, flat: &[f64], x: &Tensor) -> Reference {
    let mut weights = Weights::default();
    for (parameter, range) in &layout.trained {
        let values = flat[range.clone()].to_vec();
        let tensor = Tensor::from_vec(values, &parameter.shape, &Device::Cpu).unwrap();
        weights.insert(parameter.name.clone(), tensor);
    }
    let batch = RefCell::new(BTreeMap::new());
    let normalise = |norm: &Norm, y: &Tensor| {
        let get = |array: &str| per_channel(weights.get(&format!("{}.{array}", norm.name))?);
        let mean = y.mean_keepdim((0, 2, 3))?;
        let centred = y.broadcast_sub(&mean)?;
        let variance = centred.sqr()?.mean_keepdim((0, 2, 3))?;
        for (array, values) in [("running_mean", &mean), ("running_var", &variance)] {
            let name = format!("{}.{array}", norm.name);
            batch.borrow_mut().insert(name, values.flatten_all()?.to_vec1()?);
        }
        let normal = centred.broadcast_div(&(variance + norm.epsilon)?.sqrt()?)?;
        Ok(normal.broadcast_mul(&get("weight")?)?.broadcast_add(&get("bias")?)?)
    };
    let pass = Forward {
        weights: &weights,
        normalise: &normalise,
    };
    let logits = pass.run(&config.architecture().unwrap(), x).unwrap();
    Reference {
        logits: logits.flatten_all().unwrap().to_vec1().unwrap(),
        batch: batch.take(),
    }
}

/// Logits, running statistics and gradients of an engine against those of the reference, for each parameter along a random direction.
fn check(config: &NetworkConfig, tier: Tier) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let architecture = config.architecture().unwrap();
    let layout = FlatLayout::new(&architecture);
    let weights = Weights::random(config, 1).unwrap();
    let mut parameters = layout.flatten(&layout.trained, &weights).unwrap();
    for value in &mut parameters {
        *value += rng.random_range(-0.05..0.05_f32);
    }
    let before = layout.flatten(&layout.statistics, &weights).unwrap();
    let mut statistics = before.clone();
    let Input {
        height,
        width,
        n_classes: classes,
        ..
    } = config.input();
    let x: Vec<f32> = (0..N * 3 * height * width)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let d_logits: Vec<f32> = (0..N * classes).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut engine = engine::new(&architecture, &layout, Simd::with_tier(tier).unwrap()).unwrap();
    engine.input().set_nchw(N, &x);
    let logits = engine.forward(&parameters, &mut statistics).unwrap();
    let mut gradient = vec![0.0; parameters.len()];
    engine.backward(&parameters, &d_logits, &mut gradient).unwrap();

    let x = Tensor::from_vec(x, (N, 3, height, width), &Device::Cpu).unwrap();
    let x = x.to_dtype(DType::F64).unwrap();
    let plain: Vec<f64> = parameters.iter().map(|value| f64::from(*value)).collect();
    let Reference {
        logits: expected,
        batch,
    } = reference(config, &layout, &plain, &x);
    for (parameter, range) in &layout.statistics {
        let moved = statistics[range.clone()].iter().zip(&before[range.clone()]);
        for ((found, before), of_batch) in moved.zip(&batch[&parameter.name]) {
            let expected = MOMENTUM * f64::from(*before) + (1.0 - MOMENTUM) * of_batch;
            let error = (f64::from(*found) - expected).abs();
            assert!(error < 2e-5, "{tier}: {}: {found}, {expected}", parameter.name);
        }
    }
    let largest = expected.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    for (found, expected) in logits.iter().zip(&expected) {
        assert!(
            (f64::from(*found) - expected).abs() < 2e-5 * largest,
            "{tier}: logits {found}, {expected}"
        );
    }
    let loss = |flat: &[f64]| -> f64 {
        let logits = reference(config, &layout, flat, &x).logits;
        logits.iter().zip(&d_logits).map(|(y, d)| y * f64::from(*d)).sum()
    };
    for (parameter, range) in &layout.trained {
        const STEP: f64 = 1e-6;
        let direction: Vec<f64> = range.clone().map(|_| rng.random_range(-1.0..1.0)).collect();
        let side = |sign: f64| {
            let mut moved = plain.clone();
            for (at, d) in range.clone().zip(&direction) {
                moved[at] += sign * STEP * d;
            }
            loss(&moved)
        };
        let expected = (side(1.0) - side(-1.0)) / (2.0 * STEP);
        let of = &gradient[range.clone()];
        let found: f64 = of.iter().zip(&direction).map(|(g, d)| f64::from(*g) * d).sum();
        let norm = of.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let scale = norm * direction.iter().map(|d| d * d).sum::<f64>().sqrt();
        assert!(
            (found - expected).abs() < 1e-4 * scale.max(1e-3),
            "{tier}: {}: {found}, finite difference {expected}",
            parameter.name
        );
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for tier in Tier::available() {
        check(&resnet().into(), tier);
        for layers in 1..=3 {
            check(&distilled(layers).into(), tier);
        }
        // So small that its first two layers are less work apart.
        let apart = DistilledCnnConfig {
            n_filters1: 40,
            height: 4,
            width: 4,
            ..distilled(3)
        };
        check(&apart.into(), tier);
    }
}

fn pixels(n: usize) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    (0..n * 8 * 8 * 3).map(|_| rng.random()).collect()
}

fn recipe() -> Recipe {
    Recipe {
        batch_size: 20,
        ..Recipe::classifier(4)
    }
}

fn fresh() -> Trainer {
    let network = Network::random(resnet(), 0).unwrap();
    Trainer::new(&network, recipe()).unwrap()
}

fn train(trainer: &mut Trainer, epochs: usize) {
    let pixels = pixels(50);
    let labels: Vec<u32> = (0..50).map(|i| i % 3).collect();
    for _ in 0..epochs {
        let set = TrainingSet {
            pixels: &pixels,
            targets: Targets::Labels(&labels),
        };
        trainer.epoch(set, |_| ()).unwrap();
    }
}

#[test]
fn any_number_of_threads_gives_the_same_weights() {
    let digests: Vec<String> = [1, 2, 5]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut trainer = fresh();
                train(&mut trainer, 2);
                trainer.network().unwrap().digest()
            })
        })
        .collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    assert_ne!(fresh().network().unwrap().digest(), digests[0]);
}

#[test]
fn a_training_taken_up_again_ends_with_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let mut whole = fresh();
    train(&mut whole, 4);
    let mut first = fresh();
    train(&mut first, 2);
    first.save(&path, "the data").unwrap();
    let mut second = fresh();
    second.resume(&path, "the data").unwrap();
    assert_eq!(second.history(), first.history());
    train(&mut second, 2);
    assert!(second.is_finished());
    assert_eq!(second.network().unwrap().digest(), whole.network().unwrap().digest());
    assert_eq!(second.history(), whole.history());

    let differs = |result: Result<(), ModelError>, expected: &str| {
        assert!(matches!(result, Err(ModelError::Checkpoint { what, .. }) if what == expected));
    };
    differs(fresh().resume(&path, "other data"), "data");
    let network = whole.network().unwrap();
    let seed = Recipe { seed: 1, ..recipe() };
    differs(
        Trainer::new(&network, seed).unwrap().resume(&path, "the data"),
        "recipe",
    );
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(fresh().resume(&path, "the data").is_err());
    let missing = fresh().resume(folder.path().join("none"), "the data");
    assert!(matches!(missing, Err(ModelError::File(_))));
}

#[test]
fn both_networks_learn_what_they_are_shown() {
    // Bright and dark images.
    let labels: Vec<u32> = (0..64).map(|i| i % 2).collect();
    let noise = pixels(64);
    let pixels: Vec<u8> = noise
        .chunks_exact(8 * 8 * 3)
        .zip(&labels)
        .flat_map(|(image, label)| {
            let left = *label == 1;
            image
                .iter()
                .enumerate()
                .map(move |(at, x)| x / 4 + 150 * u8::from((at / 3 % 8 < 4) == left))
        })
        .collect();
    let plain: Vec<f32> = labels
        .iter()
        .flat_map(|label| [[0.9, 0.1], [0.1, 0.9]][*label as usize])
        .collect();
    let distilled = DistilledCnnConfig {
        width: 8,
        n_classes: 2,
        ..distilled(3)
    };
    let classifier = ResNetConfig {
        n_classes: 2,
        ..resnet()
    };
    let recipe = |adam: bool| Recipe {
        batch_size: 16,
        learning_rate: if adam { 1e-2 } else { 0.1 },
        optimizer: if adam {
            Recipe::distilled(1).optimizer
        } else {
            Optimizer::Sgd { momentum: 0.9 }
        },
        augmentation: Augmentation::None,
        schedule: Schedule::OneCycle,
        ..Recipe::classifier(12)
    };
    let probabilities = Targets::Probabilities(&plain);
    let cases = [
        (
            NetworkConfig::from(classifier),
            recipe(false),
            Targets::Labels(&labels),
            0.05,
        ),
        (NetworkConfig::from(distilled), recipe(true), probabilities, 0.01),
    ];
    for (config, recipe, targets, bound) in cases {
        let network = Network::random(config, 3).unwrap();
        let mut trainer = Trainer::new(&network, recipe).unwrap();
        let mut last = None;
        while !trainer.is_finished() {
            let set = TrainingSet {
                pixels: &pixels,
                targets,
            };
            last = Some(trainer.epoch(set, |_| ()).unwrap());
        }
        let last = last.unwrap();
        assert!(last.loss < bound && last.accuracy == 1.0, "{last:?}");
    }
}

#[test]
fn a_training_that_diverges_says_where() {
    let network = Network::random(resnet(), 0).unwrap();
    let recipe = Recipe {
        learning_rate: 1e30,
        schedule: Schedule::Constant,
        ..recipe()
    };
    let mut trainer = Trainer::new(&network, recipe).unwrap();
    let pixels = pixels(50);
    let set = TrainingSet {
        pixels: &pixels,
        targets: Targets::Labels(&[0; 50]),
    };
    let failed = (0..4).find_map(|_| trainer.epoch(set, |_| ()).err()).unwrap();
    assert!(matches!(failed, ModelError::Diverged { step: 1.., .. }), "{failed}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let pixels = pixels(4);
    let refused = |pixels: &[u8], labels: &[u32]| {
        let set = TrainingSet {
            pixels,
            targets: Targets::Labels(labels),
        };
        let error = fresh().epoch(set, |_| ()).unwrap_err();
        assert!(matches!(error, ModelError::Images { .. }), "{error}");
    };
    refused(&pixels, &[0; 3]);
    refused(&pixels, &[0, 1, 2, 3]);
    refused(&pixels[1..], &[0; 4]);
    refused(&[], &[]);
    let network = fresh().network().unwrap();
    for (recipe, field) in [
        (Recipe { epochs: 0, ..recipe() }, "epochs"),
        (
            Recipe {
                batch_size: 0,
                ..recipe()
            },
            "batch_size",
        ),
        (
            Recipe {
                learning_rate: f64::NAN,
                ..recipe()
            },
            "learning_rate",
        ),
        (Recipe { l1: -1.0, ..recipe() }, "l1"),
        (
            Recipe {
                l2: f64::INFINITY,
                ..recipe()
            },
            "l2",
        ),
    ] {
        let error = Trainer::new(&network, recipe).unwrap_err();
        assert!(
            matches!(error, ModelError::Config { field: found, .. } if found == field),
            "{error}"
        );
    }
}
