//! Watches a candle module.
//!
//! `cargo run --release -p riptide-drift --example candle_module`

use candle_core::{DType, Device, Module, Tensor};
use candle_nn::{Linear, VarBuilder, VarMap, linear};
use riptide::ModuleOutput;
use riptide::datasets::shapes::Shapes;
use riptide::prelude::*;

/// A linear classifier of the mean colour of each of 16 fields.
struct Fields(Linear);

impl Module for Fields {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        self.0.forward(&images.avg_pool2d(8)?.flatten_from(1)?)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let module = Fields(linear(3 * 16, 10, builder)?);
    let classifier = Classifier::from_module(
        module,
        ModuleOutput::Logits,
        10,
        (32, 32),
        Preprocessing::ScaleByInstance,
    );
    let images = Shapes::new(0).generate(0, 600);
    let monitor = Fit::default().epochs(3).filters(16).run(classifier, &images)?;
    let outcome = monitor.detect(Shapes::new(0).generate(10_000, 200))?;
    println!("drift {}, p = {:.3}", outcome.is_drift, outcome.p_value);
    Ok(())
}
