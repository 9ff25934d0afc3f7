//! Classifies the images of a .npy file, uint8 (N, H, W, 3), and prints the most probable class of each and its probability.
//!
//! ```text
//! cargo run --release -p riptide-models --example classify -- NETWORK IMAGES.npy
//! ```
//!
//! NETWORK is a folder with config.json and model.safetensors, a Keras .h5 file, or (built with `--features onnx`) an .onnx file.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use candle_core::{D, Device, IndexOp, Module, Tensor};
use riptide_files::npy::{self, Array};
use riptide_models::Network;

fn main() -> ExitCode {
    match classify() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn classify() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [network, images] = arguments.as_slice() else {
        return Err("usage: classify NETWORK IMAGES.npy".into());
    };
    let network = Network::load(network)?;
    let bytes = std::fs::read(images).map_err(|error| format!("{images}: {error}"))?;
    let Array { shape, values } = npy::decode::<u8>(&bytes).map_err(|error| format!("{images}: {error}"))?;
    let &[n, _, _, 3] = shape.as_slice() else {
        return Err(format!("{images} has shape {shape:?}, but (N, H, W, 3) is needed").into());
    };
    let images = Tensor::from_vec(values, shape, &Device::Cpu)?;

    let mut out = std::io::stdout().lock();
    for start in (0..n).step_by(256) {
        let probabilities = network.forward(&images.i(start..n.min(start + 256))?)?;
        let classes = probabilities.argmax(D::Minus1)?.to_vec1::<u32>()?;
        for (index, (class, row)) in classes.iter().zip(probabilities.to_vec2::<f32>()?).enumerate() {
            writeln!(out, "{}\t{class}\t{:.4}", start + index, row[*class as usize])?;
        }
    }
    Ok(())
}
