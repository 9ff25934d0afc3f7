//! What stands for the engine if the feature `onnx` is off.

use crate::config::{OnnxConfig, OnnxOptions};

pub(super) enum Engine {}

impl Engine {
    pub(super) fn new(_file: &[u8], _options: OnnxOptions) -> Result<(Self, OnnxConfig), String> {
        Err("needs the feature onnx".into())
    }

    pub(super) fn run(&self, _values: &[f32], _n: usize) -> Result<Vec<f32>, String> {
        match *self {}
    }
}

pub(super) fn operators() -> Vec<String> {
    Vec::new()
}
