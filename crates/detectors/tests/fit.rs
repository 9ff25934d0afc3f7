//! Fitting a small distilled network to a small classifier.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::ops::ControlFlow;

use candle_core::{DType, Device, Module, Result, Tensor, Var};
use riptide_detectors::distillation::{
    Distiller, EpochReport, FitOptions, TrainableNetwork, score, teacher_probabilities,
};
use riptide_detectors::{BoxError, ClassifierPair, DetectorError, Images, Loss, ModelDistillation};

const N: usize = 70;
const FEATURES: usize = 2 * 2 * 3;
const CLASSES: usize = 3;

/// A softmax over a linear map: the classifier and the distilled network alike.
struct Linear {
    weight: Var,
    l1: f64,
}

impl Linear {
    fn new(seed: f32, l1: f64) -> Self {
        let weights = (0..FEATURES * CLASSES)
            .map(|i| seed * ((i * 7 % 11) as f32 - 5.0))
            .collect::<Vec<_>>();
        let weight = Tensor::from_vec(weights, (FEATURES, CLASSES), &Device::Cpu).unwrap();
        Self {
            weight: Var::from_tensor(&weight).unwrap(),
            l1,
        }
    }

    fn weights(&self) -> Vec<f32> {
        self.weight.flatten_all().unwrap().to_vec1().unwrap()
    }
}

impl Module for Linear {
    fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let images = match images.dtype() {
            DType::U8 => scale_tensor(images)?,
            _ => images.clone(),
        };
        candle_nn::ops::softmax_last_dim(&images.flatten_from(1)?.matmul(&self.weight)?)
    }
}

impl TrainableNetwork for Linear {
    fn forward_train(&self, images: &Tensor) -> Result<Tensor> {
        candle_nn::ops::softmax(&images.flatten_from(1)?.matmul(&self.weight)?, 1)
    }

    fn vars(&self) -> Vec<Var> {
        vec![self.weight.clone()]
    }

    fn penalty(&self) -> Result<Option<Tensor>> {
        if self.l1 == 0.0 {
            return Ok(None);
        }
        Ok(Some((self.weight.abs()?.sum_all()? * self.l1)?))
    }
}

fn scale_tensor(images: &Tensor) -> Result<Tensor> {
    images
        .permute((0, 3, 1, 2))?
        .contiguous()?
        .to_dtype(DType::F32)?
        .affine(1.0 / 255.0, -0.5)
}

fn scale(images: &Images<'_>) -> std::result::Result<Tensor, BoxError> {
    let [n, height, width] = images.shape();
    Ok(scale_tensor(&Tensor::from_slice(
        images.pixels(),
        (n, height, width, 3),
        &Device::Cpu,
    )?)?)
}

fn images() -> Images<'static> {
    let pixels: Vec<u8> = (0..N * FEATURES).map(|i| (i * i % 251) as u8).collect();
    Images::new(pixels, [N, 2, 2]).unwrap()
}

fn teacher() -> Vec<f32> {
    teacher_probabilities(&Linear::new(0.4, 0.0), &images(), CLASSES, 32, &scale).unwrap()
}

fn options(epochs: usize) -> FitOptions {
    FitOptions {
        epochs,
        batch_size: 16,
        learning_rate: 0.05,
        seed: 7,
        ..FitOptions::default()
    }
}

fn go_on(_: &EpochReport) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn the_distilled_network_comes_to_agree() {
    let pair = ClassifierPair::new(Linear::new(0.4, 0.0), Linear::new(-0.1, 0.0), CLASSES).unwrap();
    let detector = ModelDistillation::builder(pair).batch_size(32).build().unwrap();
    let before: f32 = detector.score(&images()).unwrap().iter().sum();
    let classifier_before = detector.networks().classifier.weights();
    let report = detector.fit(&images(), &scale, options(60), go_on).unwrap();
    let after: f32 = detector.score(&images()).unwrap().iter().sum();
    assert!(after < 0.01 * before, "{before} {after}");
    assert!(report.epochs[59].loss < 0.01 * report.epochs[0].loss);
    assert!(report.epochs.iter().all(|epoch| epoch.images_per_second > 0.0));
    assert_eq!(
        detector.networks().classifier.weights(),
        classifier_before,
        "the classifier stays as it is"
    );
}

/// With a learning rate of next to nothing the loss is the mean score plus the penalty, for either loss and any temperature.
#[test]
fn the_loss_is_the_mean_score_plus_the_penalty() {
    for (loss, temperature) in [(Loss::Kld, 1.0), (Loss::Kld, 2.5), (Loss::Xent, 1.0), (Loss::Xent, 0.5)] {
        let student = Linear::new(-0.1, 1e-2);
        let options = FitOptions {
            loss,
            temperature,
            learning_rate: 1e-12,
            ..options(1)
        };
        let mut distiller = Distiller::new(&student, options).unwrap();
        let report = distiller.fit(&student, &images(), &teacher(), &scale, go_on).unwrap();
        let answers = teacher_probabilities(&student, &images(), CLASSES, 32, &scale).unwrap();
        let scores = score(&teacher(), &answers, CLASSES, loss, temperature).unwrap();
        let mean = scores.iter().map(|&s| f64::from(s)).sum::<f64>() / N as f64;
        let penalty: f64 = student.weights().iter().map(|w| 1e-2 * f64::from(w.abs())).sum();
        let found = report.epochs[0].loss;
        assert!(
            (found - mean - penalty).abs() < 1e-5 * found,
            "{loss} {temperature}: {found} {mean} {penalty}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_weights() {
    let fit = |seed| {
        let student = Linear::new(-0.1, 1e-5);
        let mut distiller = Distiller::new(&student, FitOptions { seed, ..options(3) }).unwrap();
        distiller.fit(&student, &images(), &teacher(), &scale, go_on).unwrap();
        student.weights()
    };
    assert_eq!(fit(1), fit(1));
    assert_ne!(fit(1), fit(2));
}

#[test]
fn a_warm_start_goes_on_where_the_fit_ended() {
    let whole = Linear::new(-0.1, 1e-5);
    Distiller::new(&whole, options(5))
        .unwrap()
        .fit(&whole, &images(), &teacher(), &scale, go_on)
        .unwrap();

    let parts = Linear::new(-0.1, 1e-5);
    let mut distiller = Distiller::new(&parts, options(5)).unwrap();
    let stop_at = |last| {
        move |epoch: &EpochReport| {
            if epoch.epoch == last {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    };
    let first = distiller
        .fit(&parts, &images(), &teacher(), &scale, stop_at(2))
        .unwrap();
    assert!(first.stopped_early && first.epochs.len() == 2);
    let second = distiller
        .fit(&parts, &images(), &teacher(), &scale, stop_at(5))
        .unwrap();
    assert_eq!(second.epochs.iter().map(|e| e.epoch).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(whole.weights(), parts.weights());
}

#[test]
fn a_loss_that_is_no_number_stops_the_fit() {
    let student = Linear::new(-0.1, 0.0);
    let calls = Cell::new(0);
    let after_two_steps = Cell::new(Vec::new());
    let bad_scale = |images: &Images<'_>| {
        calls.set(calls.get() + 1);
        if calls.get() == 3 {
            after_two_steps.set(student.weights());
            return Ok((scale(images)? * f64::NAN)?);
        }
        scale(images)
    };
    let mut distiller = Distiller::new(&student, options(2)).unwrap();
    let error = distiller
        .fit(&student, &images(), &teacher(), &bad_scale, go_on)
        .unwrap_err();
    assert!(
        matches!(error, DetectorError::NonFiniteLoss { epoch: 1, step: 3, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("step 3 of epoch 1"), "{error}");
    assert_eq!(student.weights(), after_two_steps.take());
}

#[test]
fn bad_input_is_refused() {
    let student = Linear::new(-0.1, 0.0);
    for options in [
        FitOptions {
            batch_size: 0,
            ..options(1)
        },
        FitOptions {
            learning_rate: 0.0,
            ..options(1)
        },
        FitOptions {
            learning_rate: f64::NAN,
            ..options(1)
        },
        FitOptions {
            beta1: 1.0,
            ..options(1)
        },
        FitOptions {
            beta2: -0.1,
            ..options(1)
        },
        FitOptions {
            epsilon: 0.0,
            ..options(1)
        },
        FitOptions {
            temperature: 0.0,
            ..options(1)
        },
    ] {
        assert!(matches!(
            Distiller::new(&student, options),
            Err(DetectorError::InvalidOption { .. })
        ));
    }
    let mut distiller = Distiller::new(&student, options(1)).unwrap();
    let none = Images::new(Vec::new(), [0, 2, 2]).unwrap();
    assert!(matches!(
        distiller.fit(&student, &none, &[], &scale, go_on),
        Err(DetectorError::Empty { .. })
    ));
    assert!(
        distiller
            .fit(&student, &images(), &teacher()[1..], &scale, go_on)
            .is_err()
    );
    let two_classes = vec![0.5; N * 2];
    assert!(matches!(
        distiller.fit(&student, &images(), &two_classes, &scale, go_on),
        Err(DetectorError::Shape { .. })
    ));
}
