//! Both networks in training mode by candle's own operations, of any float type and on any device.

use candle_core::Tensor;

use crate::config::{DistilledCnnConfig, NetworkConfig, ResNetConfig};
use crate::error::ModelError;
use crate::layers::{Conv, Dense, flatten_nhwc, global_mean_pool};
use crate::weights::Weights;

/// The statistics of one batch normalisation over a batch, each of shape (channels), outside of the graph.
#[derive(Debug)]
pub(in crate::train) struct BatchStatistics {
    /// The normalisation's canonical name.
    pub(in crate::train) name: String,
    pub(in crate::train) mean: Tensor,
    /// The population variance.
    pub(in crate::train) variance: Tensor,
}

/// Logits (N, n_classes) of preprocessed images (N, 3, H, W), batch normalisation over the batch, and the statistics of that.
pub(in crate::train) fn logits(
    config: &NetworkConfig,
    weights: &Weights,
    x: &Tensor,
) -> Result<(Tensor, Vec<BatchStatistics>), ModelError> {
    match config {
        NetworkConfig::ResNet(config) => resnet(config, weights, x),
        NetworkConfig::DistilledCnn(config) => Ok((distilled(config, weights, x)?, Vec::new())),
        NetworkConfig::Onnx(_) => Err(ModelError::Opaque { operation: "training" }),
    }
}

fn distilled(config: &DistilledCnnConfig, weights: &Weights, x: &Tensor) -> Result<Tensor, ModelError> {
    let mut x = x.clone();
    for layer in 1..=config.n_conv_layers {
        x = Conv::new(weights, &format!("conv{layer}"), 2, true)?.forward(&x)?;
        if layer > 1 {
            x = x.relu()?;
        }
    }
    let hidden = Dense::new(weights, "dense1")?.forward(&flatten_nhwc(&x)?)?;
    Ok(Dense::new(weights, "dense2")?.forward(&hidden)?)
}

fn resnet(config: &ResNetConfig, weights: &Weights, x: &Tensor) -> Result<(Tensor, Vec<BatchStatistics>), ModelError> {
    let mut statistics = Vec::new();
    let mut layer = |x: &Tensor, conv: &str, norm: String, stride| {
        let y = Conv::new(weights, conv, stride, false)?.forward(x)?;
        let (z, of) = batch_norm(weights, norm, &y, config.bn_epsilon)?;
        statistics.push(of);
        Ok::<_, ModelError>(z)
    };
    let mut x = layer(x, "conv1", "bn_conv1".to_owned(), 1)?.relu()?;
    for stage in 0..3 {
        for block in 0..config.n_blocks() {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let mut branch = |x: &Tensor, branch: &str, stride| {
                let name = format!("{}_block{block}_branch{branch}", stage + 2);
                layer(x, &format!("res{name}"), format!("bn{name}"), stride)
            };
            let inner = branch(&x, "2a", stride)?.relu()?;
            let main = branch(&inner, "2b", 1)?;
            let shortcut = if block == 0 { branch(&x, "1", stride)? } else { x };
            x = (main + shortcut)?.relu()?;
        }
    }
    let logits = Dense::new(weights, "fc10")?.forward(&global_mean_pool(&x)?)?;
    Ok((logits, statistics))
}

/// γ (y - μ) / sqrt(σ² + ε) + β with the mean and the population variance of the batch (Ioffe and Szegedy 2015).
fn batch_norm(
    weights: &Weights,
    name: String,
    y: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, BatchStatistics), ModelError> {
    let per_channel = |array: &str| {
        weights
            .get(&format!("{name}.{array}"))?
            .reshape((1, (), 1, 1))
            .map_err(ModelError::from)
    };
    let mean = y.mean_keepdim((0, 2, 3))?;
    let centred = y.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim((0, 2, 3))?;
    let normal = centred.broadcast_div(&(&variance + epsilon)?.sqrt()?)?;
    let z = normal
        .broadcast_mul(&per_channel("weight")?)?
        .broadcast_add(&per_channel("bias")?)?;
    let statistics = BatchStatistics {
        mean: mean.flatten_all()?.detach(),
        variance: variance.flatten_all()?.detach(),
        name,
    };
    Ok((z, statistics))
}
