//! Keras `.h5` files, as `model.save("model.h5")` and `model.save_weights("weights.h5")` write them.
//!
//! A [`ResNet`](crate::ResNet) is recognised by its layer names (`conv1`, `bn_conv1`, `res2_block0_branch2a`, ..., `fc10`); a
//! [`DistilledCnn`](crate::DistilledCnn), whose layers have Keras's automatic names, by the kinds of its layers: one to three convolutions, then
//! two dense layers. Sizes follow from the arrays; strides, paddings, activations and the batch normalisation's epsilon are checked where the
//! file tells them. A model within a model, as a `Sequential` around a functional one, is read too.

use std::collections::BTreeSet;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::json;

pub(crate) use super::keras_file::is_hdf5;
use super::keras_file::{Array, KerasFile, Layer};
use crate::config::{DistilledCnnConfig, NetworkConfig, Parameter, ParameterKind, ResNetConfig};
use crate::error::ModelError;
use crate::network::Network;
use crate::weights::Weights;

const RESNET: &str = "ResNet for small images";
const DISTILLED: &str = "distilled CNN";

/// Reads a network from a Keras `.h5` file.
///
/// # Errors
/// [`ModelError::Io`] where the file is missing, [`ModelError::NotHdf5`] and [`ModelError::Hdf5`] where it is something else, truncated or damaged,
/// [`ModelError::UnknownArchitecture`] where it holds another network, [`ModelError::MissingLayer`], [`ModelError::LayerShape`] and
/// [`ModelError::LayerSetting`] where a layer differs from the architecture's.
pub fn load(path: impl AsRef<Path>) -> Result<Network, ModelError> {
    let file = KerasFile::read(path.as_ref())?;
    let config: NetworkConfig = if file.layer("bn_conv1").is_some() {
        resnet_config(&file)?.into()
    } else {
        distilled_config(&file)?.into()
    };
    config.validate()?;
    check_settings(&file, &config)?;
    let weights = weights(&file, &config)?;
    Network::new(config, weights)
}

/// The size of one axis of a layer's array, which must have `rank` axes.
fn axis(file: &KerasFile, layer: &Layer, array: &str, rank: usize, axis: usize) -> Result<usize, ModelError> {
    let found = layer
        .arrays
        .get(array)
        .map(|array| array.shape.clone())
        .unwrap_or_default();
    match found.get(axis) {
        Some(&size) if found.len() == rank => Ok(size),
        _ => Err(unknown(
            file,
            &format!(
                "layer {} has {array} of shape {found:?}, not of {rank} axes",
                layer.name
            ),
        )),
    }
}

fn unknown(file: &KerasFile, message: &str) -> ModelError {
    ModelError::UnknownArchitecture {
        path: file.path.clone(),
        message: message.into(),
    }
}

fn missing(file: &KerasFile, layer: &str, architecture: &str) -> ModelError {
    ModelError::MissingLayer {
        path: file.path.clone(),
        layer: layer.into(),
        architecture: architecture.into(),
    }
}

fn resnet_config(file: &KerasFile) -> Result<ResNetConfig, ModelError> {
    let layer = |name: &str| file.layer(name).ok_or_else(|| missing(file, name, RESNET));
    let blocks = (0..)
        .take_while(|block| file.layer(&format!("res2_block{block}_branch2a")).is_some())
        .count();
    if blocks == 0 {
        return Err(missing(file, "res2_block0_branch2a", RESNET));
    }
    let defaults = ResNetConfig::default();
    let (height, width) = file.input_size.unwrap_or((defaults.height, defaults.width));
    let number = |setting, default| {
        file.setting("bn_conv1", setting)
            .and_then(|value| value.as_f64())
            .unwrap_or(default)
    };
    Ok(ResNetConfig {
        depth: 6 * blocks + 2,
        n_classes: axis(file, layer("fc10")?, "kernel", 2, 1)?,
        n_filters1: axis(file, layer("conv1")?, "kernel", 4, 3)?,
        height,
        width,
        bn_epsilon: number("epsilon", defaults.bn_epsilon),
        bn_momentum: number("momentum", defaults.bn_momentum),
        ..defaults
    })
}

fn distilled_config(file: &KerasFile) -> Result<DistilledCnnConfig, ModelError> {
    let (convolutions, dense) = distilled_layers(file)?;
    let mut config = DistilledCnnConfig {
        n_conv_layers: convolutions.len(),
        ..Default::default()
    };
    let kernels = [&mut config.kernel1, &mut config.kernel2, &mut config.kernel3];
    for (kernel, layer) in kernels.into_iter().zip(&convolutions) {
        *kernel = axis(file, layer, "kernel", 4, 0)?;
    }
    config.n_filters1 = axis(file, convolutions[0], "kernel", 4, 3)?;
    config.n_dense = axis(file, dense[0], "kernel", 2, 1)?;
    config.n_classes = axis(file, dense[1], "kernel", 2, 1)?;
    (config.height, config.width) = match file.input_size {
        Some(size) => size,
        None => {
            // Only weights were saved: take the images to be square and their side to be divisible by every stride.
            let filters = (config.n_filters1 >> (config.n_conv_layers - 1)).max(1);
            let side = (axis(file, dense[0], "kernel", 2, 0)? / filters).isqrt() << config.n_conv_layers;
            (side, side)
        }
    };
    Ok(config)
}

/// The convolutions and the two dense layers, by kind and order.
fn distilled_layers(file: &KerasFile) -> Result<(Vec<&Layer>, Vec<&Layer>), ModelError> {
    let of_rank = |rank| {
        file.layers
            .iter()
            .filter(move |layer| layer.kernel_rank() == Some(rank))
            .collect::<Vec<_>>()
    };
    let (convolutions, dense) = (of_rank(4), of_rank(2));
    let in_order = file.layers.iter().map(Layer::kernel_rank).is_sorted_by(|a, b| a >= b);
    let others = file.layers.len() - convolutions.len() - dense.len();
    if !(1..=3).contains(&convolutions.len()) || dense.len() != 2 || others > 0 || !in_order {
        let names: Vec<&str> = file.layers.iter().take(12).map(|layer| layer.name.as_str()).collect();
        return Err(unknown(
            file,
            &format!(
                "holds neither a {RESNET} (layers conv1, bn_conv1, res2_block0_branch2a, ..., fc10) nor a {DISTILLED} (one to three \
                 convolutions, then two dense layers); its {} layers with weights are {}{}",
                file.layers.len(),
                names.join(", "),
                if file.layers.len() > names.len() { ", ..." } else { "" }
            ),
        ));
    }
    Ok((convolutions, dense))
}

/// Checks everything that the arrays do not show: strides, paddings, activations, epsilons.
fn check_settings(file: &KerasFile, config: &NetworkConfig) -> Result<(), ModelError> {
    match config {
        NetworkConfig::ResNet(config) => {
            for Layer { name, .. } in &file.layers {
                if name.starts_with("bn") {
                    file.check_setting(name, "epsilon", &json!(config.bn_epsilon))?;
                } else if name == "fc10" {
                    file.check_setting(name, "activation", &json!("softmax"))?;
                } else {
                    let halves = ["res3_block0_", "res4_block0_"]
                        .iter()
                        .any(|prefix| name.starts_with(prefix));
                    let stride = if halves && !name.ends_with("branch2b") { 2 } else { 1 };
                    file.check_setting(name, "strides", &json!([stride, stride]))?;
                    file.check_setting(name, "activation", &json!("linear"))?;
                    if name.ends_with("2a") || name.ends_with("2b") {
                        file.check_setting(name, "padding", &json!("same"))?;
                    }
                }
            }
        }
        _ => {
            let (convolutions, dense) = distilled_layers(file)?;
            for (index, Layer { name, .. }) in convolutions.iter().enumerate() {
                file.check_setting(name, "strides", &json!([2, 2]))?;
                file.check_setting(name, "padding", &json!("same"))?;
                file.check_setting(name, "activation", &json!(if index == 0 { "linear" } else { "relu" }))?;
            }
            for (Layer { name, .. }, activation) in dense.iter().zip(["linear", "softmax"]) {
                file.check_setting(name, "activation", &json!(activation))?;
            }
        }
    }
    Ok(())
}

/// Takes every parameter of the configuration from the file.
fn weights(file: &KerasFile, config: &NetworkConfig) -> Result<Weights, ModelError> {
    let architecture = if matches!(config, NetworkConfig::ResNet(_)) {
        RESNET
    } else {
        DISTILLED
    };
    let mut weights = Weights::default();
    let mut used = BTreeSet::new();
    for parameter in config.parameters() {
        let (layer, _) = parameter.name.split_once('.').unwrap_or((&parameter.name, ""));
        let layer = match config {
            NetworkConfig::ResNet(_) => file.layer(layer),
            _ => distilled_layer(file, layer)?,
        };
        let layer = layer.ok_or_else(|| {
            let (name, _) = parameter.name.split_once('.').unwrap_or((&parameter.name, ""));
            missing(file, name, architecture)
        })?;
        used.insert(layer.name.as_str());
        let tensor = tensor(file, layer, &parameter)?;
        weights.insert(parameter.name, tensor);
    }
    match file.layers.iter().find(|layer| !used.contains(layer.name.as_str())) {
        Some(layer) => Err(unknown(
            file,
            &format!("has a layer {}, which a {architecture} of its size has not", layer.name),
        )),
        None => Ok(weights),
    }
}

/// The layer in the file for `conv1`..`conv3`, `dense1`, `dense2`.
fn distilled_layer<'a>(file: &'a KerasFile, name: &str) -> Result<Option<&'a Layer>, ModelError> {
    let (convolutions, dense) = distilled_layers(file)?;
    let (kind, number) = name.split_at(name.len() - 1);
    let index = number.parse::<usize>().unwrap_or(1) - 1;
    Ok(if kind == "conv" {
        convolutions.get(index).copied()
    } else {
        dense.get(index).copied()
    })
}

/// One parameter, from Keras's order of axes to ours.
fn tensor(file: &KerasFile, layer: &Layer, parameter: &Parameter) -> Result<Tensor, ModelError> {
    let dims = parameter.shape.dims();
    let (name, expected) = match (parameter.kind, dims) {
        (ParameterKind::Kernel, &[outputs, inputs, height, width]) => ("kernel", vec![height, width, inputs, outputs]),
        (ParameterKind::Dense, &[outputs, inputs]) => ("kernel", vec![inputs, outputs]),
        (ParameterKind::Bias, _) if layer.arrays.contains_key("beta") => ("beta", dims.to_vec()),
        (ParameterKind::Scale, _) => ("gamma", dims.to_vec()),
        (ParameterKind::RunningMean, _) => ("moving_mean", dims.to_vec()),
        (ParameterKind::RunningVariance, _) => ("moving_variance", dims.to_vec()),
        _ => ("bias", dims.to_vec()),
    };
    let Some(Array { shape, values }) = layer.arrays.get(name) else {
        return Err(ModelError::LayerShape {
            path: file.path.clone(),
            layer: layer.name.clone(),
            array: name,
            found: Vec::new(),
            expected,
        });
    };
    if *shape != expected {
        return Err(ModelError::LayerShape {
            path: file.path.clone(),
            layer: layer.name.clone(),
            array: name,
            found: shape.clone(),
            expected,
        });
    }
    let tensor = Tensor::from_slice(values, expected, &Device::Cpu)?;
    Ok(match parameter.kind {
        ParameterKind::Kernel => tensor.permute((3, 2, 0, 1))?.contiguous()?,
        ParameterKind::Dense => tensor.t()?.contiguous()?,
        _ => tensor,
    })
}
