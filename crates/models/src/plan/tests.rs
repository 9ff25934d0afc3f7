//! Planned networks against candle's own operations, on every tier of the machine.

use candle_core::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riptide_kernels::{Simd, Tier};

use super::{PairPlan, Plan};
use crate::architecture::ParameterKind;
use crate::config::{DistilledCnnConfig, NetworkConfig, ResNetConfig};
use crate::forward;
use crate::network::Network;
use crate::preprocess::Preprocessing;
use crate::weights::Weights;

/// Worst absolute difference between probabilities.
const TOLERANCE: f32 = 1e-5;

/// Random parameters, those of batch normalisation and the biases too.
fn weights(config: &NetworkConfig, seed: u64) -> Weights {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = Weights::random(config, seed).unwrap();
    for parameter in config.parameters() {
        let (low, high) = match parameter.kind {
            ParameterKind::Kernel | ParameterKind::Dense => continue,
            ParameterKind::RunningVariance => (0.5, 2.0),
            _ if parameter.name.starts_with("bn") && parameter.name.ends_with("weight") => (0.5, 1.2),
            _ => (-0.5, 0.5),
        };
        let values: Vec<f32> = (0..parameter.shape.elem_count())
            .map(|_| rng.random_range(low..high))
            .collect();
        let tensor = Tensor::from_vec(values, parameter.shape.clone(), &Device::Cpu).unwrap();
        weights.insert(parameter.name, tensor);
    }
    weights
}

fn images(n: usize, height: usize, width: usize) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
    (0..n * height * width * 3).map(|_| rng.random()).collect()
}

fn by_candle(config: &NetworkConfig, weights: &Weights, images: &[u8]) -> Vec<f32> {
    let input = config.input();
    let n = images.len() / input.image_len();
    let raw = Tensor::from_slice(images, (n, input.height, input.width, 3), &Device::Cpu).unwrap();
    let architecture = config.architecture().unwrap();
    let logits = forward::logits(&architecture, weights, &input.prepare(&raw).unwrap()).unwrap();
    let probabilities = forward::softmax(&logits).unwrap();
    probabilities.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(planned: &[f32], expected: &[f32], what: &str) {
    assert_eq!(planned.len(), expected.len(), "{what}");
    let worst = planned
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < TOLERANCE, "{what}: {worst:e}");
}

fn simds() -> impl Iterator<Item = (Tier, Simd)> {
    Tier::available()
        .into_iter()
        .map(|tier| (tier, Simd::with_tier(tier).unwrap()))
}

fn resnets() -> Vec<ResNetConfig> {
    let size = |depth, n_filters1, height, width| ResNetConfig {
        depth,
        n_filters1,
        height,
        width,
        ..Default::default()
    };
    vec![
        size(8, 16, 32, 32),
        size(14, 4, 17, 23),
        size(8, 20, 9, 8),
        ResNetConfig {
            n_classes: 3,
            preprocessing: Preprocessing::None,
            ..size(8, 8, 5, 4)
        },
    ]
}

fn distilled_networks() -> Vec<DistilledCnnConfig> {
    let base = DistilledCnnConfig {
        n_filters1: 32,
        ..Default::default()
    };
    vec![
        DistilledCnnConfig::default(),
        DistilledCnnConfig {
            n_conv_layers: 1,
            n_filters1: 12,
            ..base.clone()
        },
        DistilledCnnConfig {
            n_conv_layers: 2,
            kernel1: 3,
            kernel2: 5,
            height: 19,
            width: 22,
            ..base.clone()
        },
        DistilledCnnConfig {
            kernel1: 5,
            kernel2: 3,
            kernel3: 2,
            n_classes: 4,
            n_dense: 3,
            ..base.clone()
        },
        DistilledCnnConfig {
            height: 70,
            width: 83,
            shrink: 4,
            ..base
        },
    ]
}

fn check(config: NetworkConfig, seed: u64) {
    let weights = weights(&config, seed);
    let input = config.input();
    let images = images(11, input.height, input.width);
    let expected = by_candle(&config, &weights, &images);
    for (tier, simd) in simds() {
        let plan = Plan::new(&config, &weights, simd).unwrap();
        assert_close(
            &plan.predict_proba(&images).unwrap(),
            &expected,
            &format!("{tier:?} {config:?}"),
        );
    }
}

#[test]
fn a_planned_resnet_gives_what_candle_gives() {
    for (config, seed) in resnets().into_iter().zip(0..) {
        check(config.into(), seed);
    }
}

#[test]
fn a_planned_distilled_network_gives_what_candle_gives() {
    for (config, seed) in distilled_networks().into_iter().zip(0..) {
        check(config.into(), seed);
    }
}

#[test]
fn a_pair_gives_each_networks_own_numbers_for_any_threads_and_batch() {
    let classifier: NetworkConfig = resnets()[0].clone().into();
    let distilled: NetworkConfig = distilled_networks()[3].clone().into();
    let distilled = match distilled {
        NetworkConfig::DistilledCnn(config) => NetworkConfig::DistilledCnn(DistilledCnnConfig {
            n_classes: 10,
            ..config
        }),
        other => other,
    };
    let (a, b) = (weights(&classifier, 1), weights(&distilled, 2));
    let images = images(37, 32, 32);
    let simd = Simd::best();
    let pair = PairPlan::new((&classifier, &a), (&distilled, &b), simd).unwrap();
    let run = |threads, images: &[u8]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| pair.predict_proba(images).unwrap())
    };
    let whole = run(1, &images);
    assert_eq!(
        whole.0,
        Plan::new(&classifier, &a, simd)
            .unwrap()
            .predict_proba(&images)
            .unwrap()
    );
    assert_close(
        &whole.1,
        &Plan::new(&distilled, &b, simd).unwrap().predict_proba(&images).unwrap(),
        "distilled",
    );
    for threads in [2, 3, 7] {
        assert_eq!(run(threads, &images), whole);
    }
    let one = run(2, &images[..32 * 32 * 3]);
    assert_eq!((one.0.as_slice(), one.1.as_slice()), (&whole.0[..10], &whole.1[..10]));
    assert_eq!(run(2, &[]), (Vec::new(), Vec::new()));
    assert!(pair.predict_proba(&images[1..]).is_err());
}

#[test]
fn a_network_that_makes_images_smaller_is_its_inner_network_on_smaller_images() {
    let config = distilled_networks().pop().unwrap();
    let values = weights(&config.clone().into(), 3);
    let raw = images(5, 70, 83);
    let network = Network::new(config.clone(), values.clone()).unwrap();
    let inner = Network::new(config.inner(), values.clone()).unwrap();
    assert_eq!((network.input_size(), inner.input_size()), ((70, 83), (18, 21)));
    let small = config.shrink_images(&raw).unwrap();
    assert_eq!(
        network.predict_proba(&raw, |_| ()).unwrap(),
        inner.predict_proba(&small, |_| ()).unwrap()
    );
    assert!(config.shrink_images(&raw[1..]).is_err());
    // In a pair with a classifier that takes the images as they are.
    let classifier: NetworkConfig = ResNetConfig {
        depth: 8,
        n_filters1: 4,
        height: 70,
        width: 83,
        ..Default::default()
    }
    .into();
    let others = weights(&classifier, 4);
    let simd = Simd::best();
    let pair = PairPlan::new((&classifier, &others), (&config.into(), &values), simd).unwrap();
    let (p, q) = pair.predict_proba(&raw).unwrap();
    assert_eq!(
        p,
        Plan::new(&classifier, &others, simd)
            .unwrap()
            .predict_proba(&raw)
            .unwrap()
    );
    assert_close(&q, &network.predict_proba(&raw, |_| ()).unwrap(), "distilled");
}

#[test]
fn networks_take_the_plan_unless_a_gradient_is_asked_for() {
    let config = resnets()[0].clone();
    let values = weights(&config.clone().into(), 5);
    let network = Network::new(config.clone(), values.clone()).unwrap();
    let raw = Tensor::from_vec(images(3, 32, 32), (3, 32, 32, 3), &Device::Cpu).unwrap();
    let scaled = network.config().input().prepare(&raw).unwrap();
    let from_raw: Vec<f32> = network.logits(&raw).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let from_scaled: Vec<f32> = network
        .logits(&scaled)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    let planned = Plan::new(network.config(), &values, Simd::current().unwrap()).unwrap();
    assert_eq!(
        from_raw,
        planned.logits(&raw.flatten_all().unwrap().to_vec1().unwrap()).unwrap()
    );
    assert_close(&from_scaled, &from_raw, "scaled by candle or by the plan");

    let mut trained = values;
    let variable = candle_core::Var::from_tensor(trained.get("fc10.bias").unwrap()).unwrap();
    trained.insert("fc10.bias", variable.as_tensor().clone());
    let network = Network::new(config, trained).unwrap();
    let loss = network.logits(&raw).unwrap().sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    let gradient: Vec<f32> = gradients.get(variable.as_tensor()).unwrap().to_vec1().unwrap();
    assert_eq!(gradient, [3.0; 10]);
}
