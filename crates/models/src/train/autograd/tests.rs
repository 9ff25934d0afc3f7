//! The operations against candle's own autograd in f64, on every tier, and trainings by candle's optimizers.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, SGD, loss};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riptide_kernels::{Padding, Simd, Tier};

use super::{Conv2d, DifferentiableNetwork};
use crate::config::{DistilledCnnConfig, NetworkConfig, ResNetConfig};
use crate::error::ModelError;
use crate::network::Network;
use crate::weights::Weights;

/// More than one group of images, the last one not full.
const N: usize = 21;

fn resnet() -> Network {
    network(ResNetConfig {
        depth: 8,
        n_filters1: 4,
        height: 8,
        width: 8,
        n_classes: 3,
        bn_momentum: 0.9,
        ..Default::default()
    })
}

fn distilled() -> Network {
    network(DistilledCnnConfig {
        n_filters1: 20,
        n_dense: 6,
        n_classes: 3,
        height: 8,
        width: 8,
        ..Default::default()
    })
}

fn network(config: impl Into<NetworkConfig>) -> Network {
    let config = config.into();
    let weights = Weights::random(&config, 1).unwrap();
    Network::new(config, weights).unwrap()
}

fn random(seed: u64, shape: impl Into<candle_core::Shape>) -> Tensor {
    let shape = shape.into();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.elem_count()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn labels(n: usize) -> Tensor {
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
    Tensor::from_vec(labels, n, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

/// max |a - b| / max |b|
fn error(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (values(a), values(b));
    let scale = b.iter().fold(f64::MIN_POSITIVE, |m, b| m.max(b.abs()));
    a.iter().zip(&b).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs())) / scale
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    values(a).iter().zip(values(b)).map(|(a, b)| a * b).sum()
}

#[test]
fn networks_have_the_logits_gradients_and_statistics_of_candle_in_f64() {
    let images = random(2, (N, 3, 8, 8));
    let weighted = |network: &DifferentiableNetwork, images: &Tensor| {
        let logits = network.logits(images).unwrap();
        let g = random(3, (N, 3)).to_dtype(logits.dtype()).unwrap();
        let gradients = (&logits * g).unwrap().sum_all().unwrap().backward().unwrap();
        (logits, gradients)
    };
    for network in [resnet(), distilled()] {
        let reference = DifferentiableNetwork::new(&network, DType::F64, &Device::Cpu).unwrap();
        let (expected, of_expected) = weighted(&reference, &images);
        let moved = reference.network().unwrap();
        for tier in Tier::available() {
            let ours = DifferentiableNetwork::with_kernels(&network, Simd::with_tier(tier).unwrap()).unwrap();
            let (found, of_found) = weighted(&ours, &images);
            assert!(error(&found, &expected) < 2e-5, "{tier}: logits");
            for ((name, ours), (_, theirs)) in ours.named_vars().zip(reference.named_vars()) {
                let (found, expected) = (of_found.get(ours).unwrap(), of_expected.get(theirs).unwrap());
                let error = error(found, expected);
                assert!(error < 1e-4, "{tier}: the gradient of {name} is off by {error:e}");
            }
            let found = ours.network().unwrap();
            for ((name, found), (_, expected)) in found.weights().iter().zip(moved.weights().iter()) {
                assert!(error(found, expected) < 2e-5, "{tier}: {name}");
            }
        }
        let running = |network: &Network| network.weights().get("bn_conv1.running_var").map(values).ok();
        assert_eq!(running(&moved) == running(&network), running(&network).is_none());
    }
}

#[test]
fn gradients_into_the_images_flow_as_well() {
    let images = random(2, (5, 3, 8, 8));
    let loss = |images: &Tensor| {
        let network = DifferentiableNetwork::new(&resnet(), images.dtype(), &Device::Cpu).unwrap();
        loss::cross_entropy(&network.logits(images).unwrap(), &labels(5)).unwrap()
    };
    let gradient = |dtype: DType| {
        let images = Var::from_tensor(&images.to_dtype(dtype).unwrap()).unwrap();
        let gradients = loss(&images).backward().unwrap();
        gradients.get(&images).unwrap().to_dtype(DType::F64).unwrap()
    };
    let exact = gradient(DType::F64);
    assert!(error(&gradient(DType::F32), &exact) < 1e-4);

    let (images, direction) = (images.to_dtype(DType::F64).unwrap(), random(4, images.shape()));
    let direction = direction.to_dtype(DType::F64).unwrap();
    let side = |step: f64| {
        let moved = (&images + (&direction * step).unwrap()).unwrap();
        loss(&moved).to_scalar::<f64>().unwrap()
    };
    let expected = (side(1e-6) - side(-1e-6)) / 2e-6;
    let found = dot(&exact, &direction);
    assert!((found - expected).abs() < 1e-5 * expected.abs(), "{found}, {expected}");
}

#[test]
fn a_pass_that_another_has_replaced_gives_the_same_gradients() {
    for network in [resnet(), distilled()] {
        let network = DifferentiableNetwork::new(&network, DType::F32, &Device::Cpu).unwrap();
        let pass = |seed| {
            let images = random(seed, (N, 3, 8, 8));
            loss::cross_entropy(&network.logits(&images).unwrap(), &labels(N)).unwrap()
        };
        let first = pass(2);
        let alone = first.backward().unwrap();
        let statistics = |network: &DifferentiableNetwork| network.network().unwrap().digest();
        let _second = pass(5);
        let before = statistics(&network);
        let again = first.backward().unwrap();
        assert_eq!(statistics(&network), before);
        for (name, var) in network.named_vars() {
            assert_eq!(
                values(alone.get(var).unwrap()),
                values(again.get(var).unwrap()),
                "{name}"
            );
        }
    }
}

#[test]
fn convolutions_have_candles_gradients_and_are_adjoint_on_every_tier() {
    let sides = |top, bottom, left, right| Padding {
        top,
        bottom,
        left,
        right,
    };
    // (channels in, channels out, kernel, stride, padding, height, width)
    let cases = [
        (3, 20, [3, 3], 1, sides(1, 1, 1, 1), 8, 12),
        (16, 5, [3, 3], 2, sides(0, 1, 0, 1), 8, 8),
        (20, 16, [4, 4], 2, sides(1, 1, 1, 1), 8, 12),
        (18, 4, [1, 1], 1, sides(0, 0, 0, 0), 5, 7),
        (4, 17, [2, 3], 1, sides(0, 1, 1, 1), 6, 5),
    ];
    for (inputs, outputs, [rows, columns], stride, padding, height, width) in cases {
        let x = random(6, (N, inputs, height, width));
        let (weight, bias) = (random(7, (outputs, inputs, rows, columns)), random(8, outputs));
        // Candle's own convolution in f64 is the reference; `apply` leaves it to candle.
        let var = |tensor: &Tensor, dtype| Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap();
        let [x64, w64, b64] = [&x, &weight, &bias].map(|tensor| var(tensor, DType::F64));
        let reference = Conv2d::new(stride, padding).unwrap();
        let expected = reference.apply(&x64, &w64, Some(&b64)).unwrap();
        let g = random(9, expected.shape());
        let g64 = g.to_dtype(DType::F64).unwrap();
        let of_expected = (&expected * g64).unwrap().sum_all().unwrap().backward().unwrap();
        for tier in Tier::available() {
            let case = format!("{tier}: {inputs} to {outputs}, {rows}x{columns}, stride {stride}");
            let conv = Conv2d::with_kernels(stride, padding, Simd::with_tier(tier).unwrap());
            let [x32, w32, b32] = [&x, &weight, &bias].map(|tensor| var(tensor, DType::F32));
            let found = conv.apply(&x32, &w32, Some(&b32)).unwrap();
            assert!(error(&found, &expected) < 2e-5, "{case}: y");
            let of_found = (&found * &g).unwrap().sum_all().unwrap().backward().unwrap();
            for (name, ours, theirs) in [("dX", &x32, &x64), ("dW", &w32, &w64), ("db", &b32, &b64)] {
                let error = error(of_found.get(ours).unwrap(), of_expected.get(theirs).unwrap());
                assert!(error < 2e-5, "{case}: {name} is off by {error:e}");
            }
            let plain = conv.apply(&x, &weight, None).unwrap();
            let scale = (dot(&plain, &plain) * dot(&g, &g)).sqrt();
            let left = dot(&plain, &g);
            for (name, a, of) in [("x", &x, &x32), ("w", &weight, &w32)] {
                let right = dot(a, of_found.get(of).unwrap());
                assert!(
                    (left - right).abs() < 1e-5 * scale,
                    "{case}: <y, g> {left}, <{name}, d> {right}"
                );
            }
        }
    }
}

#[test]
fn convolutions_that_do_not_fit_are_refused() {
    let conv = Conv2d::new(1, Padding::all(1)).unwrap();
    let x = random(1, (2, 3, 8, 8));
    for weight in [random(2, (4, 5, 3, 3)), random(2, (4, 3, 12, 12)), random(2, (4, 3, 3))] {
        assert!(conv.apply(&x, &weight, None).is_err());
    }
    let weight = random(2, (4, 3, 3, 3));
    assert!(
        Conv2d::new(0, Padding::all(1))
            .unwrap()
            .apply(&x, &weight, None)
            .is_err()
    );
    let none = conv
        .apply(&random(1, (0, 3, 8, 8)), &Var::from_tensor(&weight).unwrap(), None)
        .unwrap();
    assert_eq!(none.dims(), [0, 4, 8, 8]);
    none.sum_all().unwrap().backward().unwrap();
}

/// Trains for a few steps; gives the losses and the digest of what came out.
fn train(network: &Network, mut optimizer: impl FnMut(&DifferentiableNetwork, &Tensor)) -> (Vec<f32>, String) {
    let network = DifferentiableNetwork::new(network, DType::F32, &Device::Cpu).unwrap();
    // Three colours, whose images the labels tell apart.
    let pixels: Vec<u8> = (0..N)
        .flat_map(|i| (0..8 * 8 * 3).map(move |at| if at % 3 == i % 3 { 200 } else { 60 }))
        .collect();
    let images = Tensor::from_vec(pixels, (N, 8, 8, 3), &Device::Cpu).unwrap();
    let mut losses = Vec::new();
    for _ in 0..12 {
        let loss = loss::cross_entropy(&network.logits(&images).unwrap(), &labels(N)).unwrap();
        losses.push(loss.to_scalar::<f32>().unwrap());
        optimizer(&network, &loss);
    }
    (losses, network.network().unwrap().digest())
}

fn by_adam(network: &Network) -> (Vec<f32>, String) {
    let params = ParamsAdamW {
        lr: 3e-3,
        ..Default::default()
    };
    let mut optimizer = None;
    train(network, |network, loss| {
        optimizer
            .get_or_insert_with(|| AdamW::new(network.vars(), params.clone()).unwrap())
            .backward_step(loss)
            .unwrap();
    })
}

fn by_sgd(network: &Network) -> (Vec<f32>, String) {
    train(network, |network, loss| {
        SGD::new(network.vars(), 0.1).unwrap().backward_step(loss).unwrap();
    })
}

#[test]
fn candles_optimizers_train_both_networks_alike_on_any_number_of_threads() {
    for network in [resnet(), distilled()] {
        for optimizer in [by_adam, by_sgd] {
            let runs: Vec<_> = [1, 2, 5]
                .into_iter()
                .map(|threads| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    pool.install(|| optimizer(&network))
                })
                .collect();
            let (losses, digest) = &runs[0];
            assert!(losses[11] < 0.5 * losses[0], "{losses:?}");
            assert_ne!(*digest, network.digest());
            assert!(runs.iter().all(|run| run == &runs[0]), "{runs:?}");
        }
    }
}

#[test]
fn the_penalty_is_that_of_the_recipe() {
    let network = distilled();
    let by_hand: f64 = ["conv2.weight", "conv3.weight"]
        .iter()
        .flat_map(|name| values(network.weights().get(name).unwrap()))
        .map(f64::abs)
        .sum();
    let student = DifferentiableNetwork::new(&network, DType::F64, &Device::Cpu).unwrap();
    let found = student.l1().unwrap().to_scalar::<f64>().unwrap();
    assert!((found - by_hand).abs() < 1e-9 * by_hand);
}

#[test]
fn images_that_do_not_fit_are_refused() {
    let network = DifferentiableNetwork::new(&resnet(), DType::F32, &Device::Cpu).unwrap();
    for shape in [(2, 3, 8, 9), (2, 8, 8, 3), (0, 3, 8, 8)] {
        let refused = network.logits(&random(1, shape)).unwrap_err();
        assert!(matches!(refused, ModelError::Images { .. }), "{refused}");
    }
}
