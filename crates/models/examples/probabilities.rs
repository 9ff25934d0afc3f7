//! Prints the class probabilities of the images of a .npy file, uint8 (N, H, W, 3), one JSON array a line. Images are divided by 255.
//!
//! ```text
//! cargo run --release -p riptide-models --features onnxruntime --example probabilities -- auto|tract|onnxruntime CLASSIFIER.onnx IMAGES.npy [TIMES]
//! ```
//!
//! With TIMES, the images are run so often, and the milliseconds of each pass are printed instead.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use candle_core::{Device, Tensor};
use riptide_files::npy::{self, Array};
use riptide_models::onnx::Engine;
use riptide_models::preprocess::Preprocessing;
use riptide_models::{OnnxClassifier, OnnxOptions};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (engine, network, images, times) = match arguments.as_slice() {
        [engine, network, images] => (engine, network, images, 0),
        [engine, network, images, times] => (engine, network, images, times.parse()?),
        _ => return Err("usage: probabilities auto|tract|onnxruntime CLASSIFIER.onnx IMAGES.npy [TIMES]".into()),
    };
    let engine = match engine.as_str() {
        "auto" => Engine::Auto,
        "tract" => Engine::Tract,
        "onnxruntime" => Engine::OnnxRuntime,
        other => return Err(format!("{other} is no engine").into()),
    };
    let Array { shape, values } = npy::decode::<u8>(&std::fs::read(images)?)?;
    let images = Tensor::from_vec(values, shape, &Device::Cpu)?;
    let (_, height, width, _) = images.dims4()?;
    let options = OnnxOptions::default().engine(engine).preprocessing(Preprocessing::None);
    let classifier = match OnnxClassifier::load(network, options.clone()) {
        Err(error) if error.to_string().contains("open") => {
            OnnxClassifier::load(network, options.size(Some((height, width))))?
        }
        outcome => outcome?,
    };
    let mut out = std::io::stdout().lock();
    for _ in 0..times {
        let start = Instant::now();
        classifier.probabilities(&images)?;
        writeln!(out, "{:.2}", start.elapsed().as_secs_f64() * 1e3)?;
    }
    if times == 0 {
        for row in classifier.probabilities(&images)?.to_vec2::<f32>()? {
            writeln!(out, "{row:?}")?;
        }
    }
    Ok(())
}
