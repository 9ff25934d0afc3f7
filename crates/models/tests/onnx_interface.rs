//! What goes into ONNX classifiers and what comes out, against ONNX Runtime's outputs (fixtures/onnx/golden.json).
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Module, Tensor};
use riptide_models::onnx::{Against, Engine, InputType, Layout, Output};
use riptide_models::preprocess::Preprocessing;
use riptide_models::{ModelError, Network, NetworkConfig, OnnxClassifier, OnnxOptions};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    tolerance: f32,
    output: Vec<Vec<f32>>,
    name: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/onnx")
}

fn case(name: &str) -> Case {
    let json = std::fs::read(folder().join("golden.json")).unwrap();
    let mut cases: BTreeMap<String, Case> = serde_json::from_slice(&json).unwrap();
    cases.remove(name).unwrap()
}

fn images() -> Tensor {
    let bytes = (0..5 * 6 * 6 * 3u64)
        .map(|k| ((k * k * 31 + k * 17) / 8 % 256) as u8)
        .collect();
    Tensor::from_vec(bytes, (5, 6, 6, 3), &Device::Cpu).unwrap()
}

fn tract() -> OnnxOptions {
    OnnxOptions::default()
        .engine(Engine::Tract)
        .preprocessing(Preprocessing::None)
}

fn load(name: &str, options: OnnxOptions) -> Result<OnnxClassifier, ModelError> {
    OnnxClassifier::load(folder().join(format!("{name}.onnx")), options)
}

/// The probabilities that rows of a file's own output are.
fn probabilities(rows: &[Vec<f32>], output: Output) -> Vec<Vec<f32>> {
    let soft = |row: &[f32]| {
        let sum: f32 = row.iter().map(|x| x.exp()).sum();
        row.iter().map(|x| x.exp() / sum).collect()
    };
    let rows = rows.iter().map(|row| match output {
        Output::Probabilities => row.clone(),
        Output::Probability => vec![1.0 - row[0], row[0]],
        Output::Logit => soft(&[0.0, row[0]]),
        _ => soft(row),
    });
    rows.collect()
}

fn assert_close(found: &Tensor, expected: &[Vec<f32>], tolerance: f32) {
    let found: Vec<Vec<f32>> = found.to_vec2().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
    }
}

#[test]
fn the_kind_of_output_is_measured() {
    for (name, output, n_classes) in [
        ("output_softmax", Output::Probabilities, 3),
        ("output_softmax_written_out", Output::Probabilities, 3),
        ("output_log_softmax", Output::LogProbabilities, 3),
        ("output_logit", Output::Logit, 2),
        ("output_sigmoid", Output::Probability, 2),
        ("output_4_axes", Output::Logits, 3),
    ] {
        let Case {
            tolerance,
            output: rows,
            ..
        } = case(name);
        let mut classifier = load(name, tract()).unwrap();
        let check = classifier.verify(&images()).unwrap();
        assert_eq!((check.output, classifier.config().output), (output, output), "{name}");
        assert_eq!((check.engine, check.n_images), (Engine::Tract, 5), "{name}");
        assert!(check.against == Against::OnnxRuntime || check.note.is_some(), "{name}");
        assert_eq!(classifier.config().n_classes, n_classes, "{name}");
        let expected = probabilities(&rows, output);
        assert_close(&classifier.forward(&images()).unwrap(), &expected, tolerance);
        // Logits are not unique; their softmax is.
        let logits: Vec<Vec<f32>> = classifier.logits(&images()).unwrap().to_vec2().unwrap();
        let again = Tensor::new(probabilities(&logits, Output::Logits), &Device::Cpu).unwrap();
        assert_close(&again, &expected, tolerance);
    }
}

#[test]
fn outputs_of_no_classifier_are_refused() {
    let said = |name: &str, options| load(name, options).unwrap_err().to_string();
    assert!(said("output_sigmoids", tract()).contains("several labels"));
    let two = said("output_two", tract());
    assert!(two.contains("2 outputs") && two.contains("by its name"), "{two}");
    let Case {
        tolerance,
        output,
        name,
    } = case("output_two");
    let chosen = load("output_two", tract().output_name(name.clone())).unwrap();
    assert_eq!(chosen.config().output_name, name);
    assert_close(
        &chosen.forward(&images()).unwrap(),
        &probabilities(&output, Output::Logits),
        tolerance,
    );
    assert!(said("output_two", tract().output_name(Some("none".into()))).contains("no output \"none\""));
    assert!(said("output_4_axes", tract().output(Some(Output::Logit))).contains("cannot be logit"));
}

#[test]
fn images_that_change_each_others_answers_are_refused() {
    let mut classifier = load("output_of_company", tract()).unwrap();
    match classifier.verify(&images()).unwrap_err() {
        ModelError::Disagreement { what, difference, .. } => assert!(difference > 1e-3, "{what}"),
        error => panic!("{error}"),
    }
}

#[test]
fn an_image_without_an_answer_is_named() {
    let pixel = |value: u8| Tensor::full(value, (1, 6, 6, 3), &Device::Cpu).unwrap();
    let mut many = vec![pixel(200); 5000];
    many[4700] = pixel(3);
    let network = Network::from(load("output_nan", tract()).unwrap());
    let pixels: Vec<u8> = Tensor::cat(&many, 0).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let error = network.predict_proba(&pixels, |_| ()).unwrap_err();
    assert!(matches!(error, ModelError::NotFinite { image: 4700 }), "{error}");
    let mut classifier = load("output_nan", tract()).unwrap();
    let error = classifier.verify(&pixel(3)).unwrap_err().to_string();
    assert!(error.contains("classifier gives NaN"), "{error}");
}

#[test]
fn inputs_are_fed_as_the_file_takes_them() {
    for (name, input_type, layout) in [
        ("input_uint8", InputType::Uint8, Layout::Nchw),
        ("input_float16", InputType::Float16, Layout::Nchw),
        ("input_nhwc", InputType::Float32, Layout::Nhwc),
        ("input_four_images", InputType::Float32, Layout::Nchw),
    ] {
        let Case { tolerance, output, .. } = case(name);
        let mut classifier = load(name, tract()).unwrap();
        assert_eq!(
            (classifier.config().input_type, classifier.config().layout),
            (input_type, layout),
            "{name}"
        );
        classifier.verify(&images()).unwrap();
        let expected = probabilities(&output, Output::Logits);
        assert_close(&classifier.forward(&images()).unwrap(), &expected, tolerance);
        let scaled = Preprocessing::None.apply(&images()).unwrap();
        assert_eq!(scaled.dtype(), DType::F32);
        assert_close(&classifier.forward(&scaled).unwrap(), &expected, tolerance);
    }
    let mean_std = Preprocessing::MeanStd {
        mean: [0.5; 3],
        std: [0.5; 3],
    };
    let error = load("input_uint8", tract().preprocessing(mean_std)).unwrap_err();
    assert!(error.to_string().contains("no preprocessing"), "{error}");
}

#[test]
fn weights_beside_the_file_are_saved_inside() {
    let Case { tolerance, output, .. } = case("external");
    let expected = probabilities(&output, Output::Logits);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("external.onnx");
    std::fs::copy(folder().join("external.onnx"), &path).unwrap();
    let error = OnnxClassifier::load(&path, tract()).unwrap_err().to_string();
    assert!(
        error.contains("external.onnx.data") && error.contains("put that file beside it"),
        "{error}"
    );
    let data = place.path().join("external.onnx.data");
    std::fs::copy(folder().join("external.onnx.data"), &data).unwrap();
    let network = Network::from(OnnxClassifier::load(&path, tract()).unwrap());
    assert_close(&network.forward(&images()).unwrap(), &expected, tolerance);
    let saved = place.path().join("saved");
    network.save(&saved).unwrap();
    std::fs::remove_file(data).unwrap();
    let again = Network::load(&saved).unwrap();
    assert_eq!((again.config(), again.digest()), (network.config(), network.digest()));
    assert_close(&again.forward(&images()).unwrap(), &expected, tolerance);
}

#[test]
fn what_was_decided_is_saved() {
    let mut network = Network::from(load("output_sigmoid", tract()).unwrap());
    network.verify(&images()).unwrap();
    let place = tempfile::tempdir().unwrap();
    network.save(place.path()).unwrap();
    let again = Network::load(place.path()).unwrap();
    assert_eq!((again.config(), again.digest()), (network.config(), network.digest()));
    let NetworkConfig::Onnx(config) = again.config() else {
        panic!("{:?}", again.config());
    };
    assert_eq!(
        (config.output, config.engine, config.n_classes),
        (Output::Probability, Engine::Tract, 2)
    );
    let rows = |network: &Network| network.forward(&images()).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(rows(&again), rows(&network));
}

#[cfg(not(feature = "onnxruntime"))]
#[test]
fn a_build_without_onnx_runtime_says_so() {
    let error = load("output_softmax", tract().engine(Engine::OnnxRuntime))
        .unwrap_err()
        .to_string();
    assert!(error.contains("feature onnxruntime"), "{error}");
}

#[cfg(feature = "onnxruntime")]
#[test]
fn both_engines_agree_if_onnx_runtime_is_there() {
    let options = || tract().engine(Engine::OnnxRuntime);
    for name in [
        "input_uint8",
        "input_float16",
        "input_nhwc",
        "input_four_images",
        "output_sigmoid",
        "output_4_axes",
        "external",
    ] {
        let mut classifier = match load(name, options()) {
            Err(error) if error.to_string().contains("library is not found") => return,
            outcome => outcome.unwrap(),
        };
        let check = classifier.verify(&images()).unwrap();
        assert_eq!(
            (check.engine, check.against),
            (Engine::OnnxRuntime, Against::Tract),
            "{name}"
        );
        assert!(
            check.largest_difference < 1e-3 && classifier.config().engines_agree,
            "{name}: {check:?}"
        );
        let Case { tolerance, output, .. } = case(name);
        let expected = probabilities(&output, classifier.config().output);
        assert_close(&classifier.forward(&images()).unwrap(), &expected, tolerance);
    }
    let mut classifier = load("output_of_company", options()).unwrap();
    let error = classifier.verify(&images()).unwrap_err().to_string();
    assert!(error.contains("in company"), "{error}");
    let missing = OnnxOptions::default().library(Some("/nowhere/libonnxruntime.so".into()));
    let error = load("output_softmax", missing).unwrap_err().to_string();
    assert!(error.contains("/nowhere/libonnxruntime.so"), "{error}");
}
