//! Single operators against ONNX Runtime's outputs (fixtures/onnx/golden.json), by tract and, if its library is there, by ONNX Runtime.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use riptide_models::onnx::{Engine, Output};
use riptide_models::preprocess::Preprocessing;
use riptide_models::{OnnxClassifier, OnnxOptions};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    tolerance: f32,
    output: Vec<Vec<f32>>,
    /// Only of files that are not about an operator.
    name: Option<String>,
}

/// What tract refuses, and what its refusal says.
const REFUSED: &[(&str, &str)] = &[
    ("conv_transpose_grouped", "ConvTranspose"),
    ("lp_pool", "LpPool"),
    ("pad_negative_reflect", "Pad"),
    ("swish_24", "Swish"),
    ("upsample", "Upsample"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/onnx")
}

fn images() -> Tensor {
    let bytes = (0..5 * 6 * 6 * 3u64)
        .map(|k| ((k * k * 31 + k * 17) / 8 % 256) as u8)
        .collect();
    Tensor::from_vec(bytes, (5, 6, 6, 3), &Device::Cpu).unwrap()
}

/// The name of each case, and its largest error or the refusal.
fn outcomes(engine: Engine) -> BTreeMap<String, Result<f32, String>> {
    let json = std::fs::read(folder().join("golden.json")).unwrap();
    let mut cases: BTreeMap<String, Case> = serde_json::from_slice(&json).unwrap();
    cases.retain(|_, case| case.name.is_none());
    assert!(cases.len() > 90);
    let options = OnnxOptions::default()
        .engine(engine)
        .output(Some(Output::Logits))
        .preprocessing(Preprocessing::None);
    let outcome = |name: &str, case: &Case| {
        let classifier =
            OnnxClassifier::load(folder().join(format!("{name}.onnx")), options.clone()).map_err(|e| e.to_string())?;
        let logits: Vec<Vec<f32>> = classifier
            .logits(&images())
            .map_err(|e| e.to_string())?
            .to_vec2()
            .unwrap();
        assert_eq!(logits.len(), case.output.len());
        let pairs = logits.iter().flatten().zip(case.output.iter().flatten());
        let errors = pairs.map(|(a, b)| (a - b).abs() / b.abs().max(1.0));
        // A NaN must not pass for a small error.
        Ok(errors.fold(0.0, |most: f32, error| if error <= most { most } else { error }) / case.tolerance)
    };
    cases
        .iter()
        .map(|(name, case)| (name.clone(), outcome(name, case)))
        .collect()
}

#[test]
fn tract_gives_what_onnx_runtime_gives() {
    let mut wrong = Vec::new();
    for (name, outcome) in outcomes(Engine::Tract) {
        let refusal = REFUSED.iter().find(|(refused, _)| *refused == name);
        match (outcome, refusal) {
            (Ok(error), None) if error <= 1.0 => {}
            (Err(message), Some((_, said))) if message.contains(said) => {}
            (outcome, _) => wrong.push(format!("{name}: {outcome:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[cfg(feature = "onnxruntime")]
#[test]
fn onnx_runtime_gives_what_it_gave() {
    let mut wrong = Vec::new();
    for (name, outcome) in outcomes(Engine::OnnxRuntime) {
        match outcome {
            Err(message) if message.contains("library is not found") => return,
            Ok(error) if error <= 1.0 => {}
            outcome => wrong.push(format!("{name}: {outcome:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
