//! Random initial values.

use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand::distr::{Distribution, Uniform};
use rand_chacha::ChaCha8Rng;
use rand_distr::Normal;

use crate::architecture::{Parameter, ParameterKind};
use crate::config::NetworkConfig;
use crate::error::ModelError;
use crate::network::Network;
use crate::weights::Weights;

impl Weights {
    /// Initial values for training (feature `train`): the same seed gives the same values on every machine.
    ///
    /// Kernels of a ResNet are normal with variance `2 / fan_in` (He et al. 2015); kernels and dense weights of a distilled CNN, and the dense
    /// weight of a ResNet, are uniform within `sqrt(6 / (fan_in + fan_out))` (Glorot & Bengio 2010, Keras's default). Biases and running means
    /// are 0, batch normalisation's factors and running variances 1.
    ///
    /// # Errors
    /// [`ModelError::Config`] if the configuration is invalid.
    pub fn random(config: &NetworkConfig, seed: u64) -> Result<Self, ModelError> {
        config.validate()?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = Self::default();
        for Parameter { name, shape, kind } in config.parameters() {
            let count = shape.elem_count();
            let dims = shape.dims().to_vec();
            let area: usize = dims.iter().skip(2).product();
            let fan = |axis: usize| dims.get(axis).copied().unwrap_or(1) * area;
            let (fan_out, fan_in) = (fan(0), fan(1));
            let values: Vec<f32> = match (kind, config) {
                (ParameterKind::Kernel, NetworkConfig::ResNet(_)) => {
                    let normal = Normal::new(0.0, (2.0 / fan_in as f64).sqrt());
                    let normal = normal.map_err(candle_core::Error::wrap)?;
                    (0..count).map(|_| normal.sample(&mut rng) as f32).collect()
                }
                (ParameterKind::Kernel | ParameterKind::Dense, _) => {
                    let limit = (6.0 / (fan_in + fan_out) as f64).sqrt();
                    let uniform = Uniform::new(-limit, limit);
                    let uniform = uniform.map_err(candle_core::Error::wrap)?;
                    (0..count).map(|_| uniform.sample(&mut rng) as f32).collect()
                }
                (ParameterKind::Scale | ParameterKind::RunningVariance, _) => vec![1.0; count],
                (ParameterKind::Bias | ParameterKind::RunningMean, _) => vec![0.0; count],
            };
            weights.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
        }
        Ok(weights)
    }
}

impl Network {
    /// An untrained network with the initial values of [`Weights::random`] (feature `train`).
    ///
    /// ```
    /// use candle_core::{DType, Device, Module, Tensor};
    /// use riptide_models::{Network, ResNetConfig};
    ///
    /// let network = Network::random(ResNetConfig { depth: 8, n_filters1: 4, ..Default::default() }, 0)?;
    /// let images = Tensor::zeros((2, 32, 32, 3), DType::U8, &Device::Cpu)?;
    /// assert_eq!(network.forward(&images)?.dims(), [2, 10]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ModelError::Config`] if the configuration is invalid, [`ModelError::Opaque`] for that of an ONNX file.
    pub fn random(config: impl Into<NetworkConfig>, seed: u64) -> Result<Self, ModelError> {
        let config = config.into();
        let weights = Weights::random(&config, seed)?;
        Self::new(config, weights)
    }
}
