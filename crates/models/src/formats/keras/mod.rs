//! Keras `.h5` files, as `model.save("model.h5")` and `model.save_weights("weights.h5")` write them.
//!
//! A residual network is recognised by its layer names (`conv1`, `bn_conv1`, `res2_block0_branch2a`, ..., `fc10`); a distilled network,
//! whose layers have Keras's automatic names, by the kinds of its layers: one to three convolutions, then two dense layers. Sizes follow
//! from the arrays; strides, paddings, activations and the epsilons of the batch normalisations are compared with the description of the
//! network if the file tells them. A model within a model, such as a `Sequential` around a functional one, is read too.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::json;

use self::file::{Array, KerasFile, Layer};
use crate::architecture::{self, Architecture, Conv, Parameter, ParameterKind, Plain, Residual};
use crate::config::{DistilledCnnConfig, NetworkConfig, ResNetConfig};
use crate::error::ModelError;
use crate::weights::Weights;

const RESNET: &str = "ResNet for small images";
const DISTILLED: &str = "distilled network";

/// Reads the configuration and the parameters of a network from a Keras `.h5` file.
pub(super) fn read(path: &Path) -> Result<(NetworkConfig, Weights), ModelError> {
    let file = KerasFile::read(path)?;
    let (config, architecture): (NetworkConfig, _) = if file.layer("bn_conv1").is_some() {
        let config = resnet_config(&file)?;
        let architecture = config.architecture();
        (config.into(), architecture)
    } else {
        let config = distilled_config(&file)?;
        let architecture = config.architecture();
        (config.into(), architecture)
    };
    config.validate()?;
    let layers = Layers::new(&file, &architecture)?;
    check_settings(&file, &layers, &architecture)?;
    let weights = weights(&file, &layers, &architecture)?;
    Ok((config, weights))
}

/// Which layer of the file is which layer of the description.
enum Layers<'a> {
    /// A residual network: they have the same names.
    ByName(&'a KerasFile),
    /// A distilled network: Keras numbers layers as it likes, so the order of each kind counts.
    ByOrder(BTreeMap<String, &'a Layer>),
}

impl<'a> Layers<'a> {
    fn new(file: &'a KerasFile, architecture: &Architecture) -> Result<Self, ModelError> {
        let Architecture::Plain(Plain { convs, hidden, last }) = architecture else {
            return Ok(Self::ByName(file));
        };
        let (in_convs, in_dense) = distilled_layers(file)?;
        let convs = convs.iter().map(|conv| conv.name.clone()).zip(in_convs);
        let dense = [hidden, last].map(|dense| dense.name.clone()).into_iter().zip(in_dense);
        Ok(Self::ByOrder(convs.chain(dense).collect()))
    }

    fn find(&self, name: &str) -> Option<&'a Layer> {
        match self {
            Self::ByName(file) => file.layer(name),
            Self::ByOrder(layers) => layers.get(name).copied(),
        }
    }
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
    let ([first, ..], [hidden, last]) = (convolutions.as_slice(), dense.as_slice()) else {
        return Err(missing(file, "conv1", DISTILLED));
    };
    let mut config = DistilledCnnConfig {
        n_conv_layers: convolutions.len(),
        ..Default::default()
    };
    let kernels = [&mut config.kernel1, &mut config.kernel2, &mut config.kernel3];
    for (kernel, layer) in kernels.into_iter().zip(&convolutions) {
        *kernel = axis(file, layer, "kernel", 4, 0)?;
    }
    config.n_filters1 = axis(file, first, "kernel", 4, 3)?;
    config.n_dense = axis(file, hidden, "kernel", 2, 1)?;
    config.n_classes = axis(file, last, "kernel", 2, 1)?;
    (config.height, config.width) = match file.input_size {
        Some(size) => size,
        None => {
            // Only weights were saved: take the images to be square and their side to be divisible by every stride.
            let filters = (config.n_filters1 >> (config.n_conv_layers - 1)).max(1);
            let side = (axis(file, hidden, "kernel", 2, 0)? / filters).isqrt() << config.n_conv_layers;
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
fn check_settings(file: &KerasFile, layers: &Layers<'_>, architecture: &Architecture) -> Result<(), ModelError> {
    // The published residual network pads its stem in a layer of its own.
    let padded_apart = match architecture {
        Architecture::Residual(Residual { stem, .. }) => Some(stem.name.as_str()),
        Architecture::Plain(_) => None,
    };
    let all = architecture.layers();
    for (index, layer) in all.iter().enumerate() {
        match layer {
            architecture::Layer::Conv(conv) => {
                let Some(Layer { name, .. }) = layers.find(&conv.name) else {
                    continue;
                };
                check_conv(file, name, conv)?;
                // A kernel of 1x1 needs no padding.
                if conv.kernel > 1 && padded_apart != Some(conv.name.as_str()) {
                    file.check_setting(name, "padding", &json!("same"))?;
                }
            }
            architecture::Layer::Dense(dense) => {
                let Some(Layer { name, .. }) = layers.find(&dense.name) else {
                    continue;
                };
                let activation = if index + 1 == all.len() { "softmax" } else { "linear" };
                file.check_setting(name, "activation", &json!(activation))?;
            }
        }
    }
    Ok(())
}

fn check_conv(file: &KerasFile, name: &str, conv: &Conv) -> Result<(), ModelError> {
    file.check_setting(name, "strides", &json!([conv.stride, conv.stride]))?;
    if let Some(norm) = &conv.norm {
        file.check_setting(&norm.name, "epsilon", &json!(norm.epsilon))?;
    }
    // An activation after a batch normalisation is a layer of its own.
    let is_rectified = conv.is_rectified && conv.norm.is_none();
    file.check_setting(name, "activation", &json!(if is_rectified { "relu" } else { "linear" }))
}

/// Takes every parameter from the file.
fn weights(file: &KerasFile, layers: &Layers<'_>, architecture: &Architecture) -> Result<Weights, ModelError> {
    let kind = match architecture {
        Architecture::Residual(_) => RESNET,
        Architecture::Plain(_) => DISTILLED,
    };
    let mut weights = Weights::default();
    let mut used = BTreeSet::new();
    for parameter in architecture.parameters() {
        let (name, _) = parameter.name.split_once('.').unwrap_or((&parameter.name, ""));
        let layer = layers.find(name).ok_or_else(|| missing(file, name, kind))?;
        used.insert(layer.name.as_str());
        let tensor = tensor(file, layer, &parameter)?;
        weights.insert(parameter.name, tensor);
    }
    match file.layers.iter().find(|layer| !used.contains(layer.name.as_str())) {
        Some(layer) => Err(unknown(
            file,
            &format!("has a layer {}, which a {kind} of its size does not have", layer.name),
        )),
        None => Ok(weights),
    }
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
