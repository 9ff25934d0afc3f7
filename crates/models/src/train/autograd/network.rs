//! A network with candle variables as its parameters.

use std::sync::{Arc, Mutex};

use candle_core::{D, DType, Device, Tensor, Var};
use riptide_kernels::Simd;

use super::layers;
use super::step::{SharedEngine, Step, lock};
use crate::config::{NetworkConfig, Parameter, ParameterKind};
use crate::error::ModelError;
use crate::forward::{Input, check};
use crate::network::Network;
use crate::train::engine::{self, FlatLayout};
use crate::weights::Weights;

/// A network in training whose parameters are candle variables, for candle's own losses and optimizers.
///
/// [`logits`](Self::logits) runs it in training mode: batch normalisation over the batch, running statistics moved by the configuration's momentum.
/// In f32 on the CPU the whole network is one operation in this crate's kernels, forward and backward, and the same steps give the same bits for any
/// number of threads. In another type, on another device, or where a gradient is to flow into the images, it is made of candle's own operations.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_nn::{AdamW, Optimizer, ParamsAdamW, loss};
/// use riptide_models::train::autograd::DifferentiableNetwork;
/// use riptide_models::{Network, ResNet, ResNetConfig};
///
/// let config = ResNetConfig { depth: 8, n_filters1: 4, height: 8, width: 8, n_classes: 2, ..Default::default() };
/// let network = Network::from(ResNet::random(config, 0)?);
/// let pixels: Vec<u8> = (0..20 * 8 * 8 * 3).map(|i| (i % 251) as u8).collect();
/// let images = Tensor::from_vec(pixels, (20, 8, 8, 3), &Device::Cpu)?;
/// let labels = Tensor::from_vec((0..20).map(|i| i % 2).collect::<Vec<u32>>(), 20, &Device::Cpu)?;
///
/// let student = DifferentiableNetwork::new(&network, DType::F32, &Device::Cpu)?;
/// let mut optimizer = AdamW::new(student.vars(), ParamsAdamW { lr: 1e-3, ..Default::default() })?;
/// for _ in 0..3 {
///     let loss = loss::cross_entropy(&student.logits(&images)?, &labels)?;
///     optimizer.backward_step(&loss)?;
/// }
/// assert_ne!(student.network()?.digest(), network.digest());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DifferentiableNetwork {
    config: NetworkConfig,
    input: Input,
    momentum: f64,
    /// In the order of [`FlatLayout::trained`].
    vars: Vec<Var>,
    /// In the order of [`FlatLayout::statistics`].
    statistics: Vec<Var>,
    layout: FlatLayout,
    dtype: DType,
    device: Device,
    /// `None` where candle's own operations do the work.
    engine: Option<Arc<SharedEngine>>,
}

impl DifferentiableNetwork {
    /// Begins with the weights of `network`, as variables of the given float type on the given device. In f32 on the CPU it runs on the best
    /// kernels of this machine.
    ///
    /// # Errors
    /// [`ModelError::Opaque`] for an ONNX classifier, [`ModelError::Kernel`] where `RIPTIDE_KERNEL` names kernels that cannot run,
    /// [`ModelError::Candle`] where the device refuses.
    pub fn new(network: &Network, dtype: DType, device: &Device) -> Result<Self, ModelError> {
        let simd = if dtype == DType::F32 && device.is_cpu() {
            Some(Simd::current()?)
        } else {
            None
        };
        Self::build(network, dtype, device, simd)
    }

    /// Like [`Self::new`] in f32 on the CPU, on the given kernels.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn with_kernels(network: &Network, simd: Simd) -> Result<Self, ModelError> {
        Self::build(network, DType::F32, &Device::Cpu, Some(simd))
    }

    fn build(network: &Network, dtype: DType, device: &Device, simd: Option<Simd>) -> Result<Self, ModelError> {
        let config = network.config();
        let momentum = match &config {
            NetworkConfig::ResNet(config) => config.bn_momentum,
            NetworkConfig::DistilledCnn(_) => 0.0,
            NetworkConfig::Onnx(_) => return Err(ModelError::Opaque { operation: "training" }),
        };
        let engine = match simd {
            Some(simd) => Some(Arc::new(SharedEngine::new(engine::new(&config, simd)?))),
            None => None,
        };
        let layout = FlatLayout::new(&config);
        let variables = |list: &[(Parameter, _)]| -> Result<Vec<Var>, ModelError> {
            let of = |(parameter, _): &(Parameter, _)| {
                let tensor = network.weights().get(&parameter.name)?;
                // A copy of its own: a variable must not write through to the network's weights.
                Ok(Var::from_tensor(&tensor.to_dtype(dtype)?.to_device(device)?.copy()?)?)
            };
            list.iter().map(of).collect()
        };
        Ok(Self {
            vars: variables(&layout.trained)?,
            statistics: variables(&layout.statistics)?,
            input: config.input(),
            config,
            momentum,
            layout,
            dtype,
            device: device.clone(),
            engine,
        })
    }

    /// The trained parameters, in the order of the layers: what an optimizer takes.
    pub fn vars(&self) -> Vec<Var> {
        self.vars.clone()
    }

    /// The trained parameters with their names.
    pub fn named_vars(&self) -> impl Iterator<Item = (&str, &Var)> {
        let names = self.layout.trained.iter().map(|(parameter, _)| parameter.name.as_str());
        names.zip(&self.vars)
    }

    /// Logits (N, n_classes) in training mode: of raw images, u8 (N, H, W, 3), or preprocessed ones, (N, 3, H, W). Moves the running statistics.
    ///
    /// # Errors
    /// [`ModelError::Images`] where the images have another layout or size, or there are none; [`ModelError::Candle`] where an operation fails.
    pub fn logits(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        check(&self.input, images)?;
        let n = images.dim(0)?;
        if n == 0 {
            let found = "tensor of no images".to_owned();
            let expected = "at least one, to take the batch's statistics of,".to_owned();
            return Err(ModelError::Images { found, expected });
        }
        let images = match images.dtype() {
            DType::U8 => self.input.preprocessing.apply(images)?,
            _ => images.clone(),
        };
        let images = images.to_dtype(self.dtype)?.to_device(&self.device)?;
        match &self.engine {
            Some(engine) if !images.track_op() => self.by_kernels(engine, n, &images),
            _ => self.by_candle(&images),
        }
    }

    /// Class probabilities (N, n_classes): softmax of [`Self::logits`].
    ///
    /// # Errors
    /// Those of [`Self::logits`].
    pub fn probabilities(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        Ok(candle_nn::ops::softmax(&self.logits(images)?, D::Minus1)?)
    }

    /// Sum of the magnitudes of all kernels after the first: the L1 term of the published recipe for the distilled network, without its factor. A scalar.
    ///
    /// # Errors
    /// [`ModelError::Candle`].
    pub fn l1(&self) -> Result<Tensor, ModelError> {
        let mut sum = Tensor::zeros((), self.dtype, &self.device)?;
        for ((parameter, _), var) in self.layout.trained.iter().zip(&self.vars).skip(1) {
            if parameter.kind == ParameterKind::Kernel {
                sum = (sum + var.abs()?.sum_all()?)?;
            }
        }
        Ok(sum)
    }

    fn by_kernels(&self, engine: &Arc<SharedEngine>, n: usize, images: &Tensor) -> Result<Tensor, ModelError> {
        let images = images.flatten_all()?.to_vec1::<f32>()?;
        let flat = self.vars.iter().map(|var| var.flatten_all());
        let flat = Tensor::cat(&flat.collect::<Result<Vec<_>, _>>()?, 0)?;
        let mut statistics = Vec::new();
        for var in &self.statistics {
            statistics.extend(var.flatten_all()?.to_vec1::<f32>()?);
        }
        let statistics = Arc::new(Mutex::new(statistics));
        let step = Step::new(
            Arc::clone(engine),
            (n, images),
            self.input.n_classes,
            Arc::clone(&statistics),
        );
        let logits = flat.apply_op1(step)?;
        let statistics = lock(&statistics);
        for (var, (parameter, range)) in self.statistics.iter().zip(&self.layout.statistics) {
            let moved = Tensor::from_slice(&statistics[range.clone()], &parameter.shape, &self.device)?;
            var.set(&moved)?;
        }
        Ok(logits)
    }

    fn by_candle(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        let mut weights = Weights::default();
        for (name, var) in self.named_vars() {
            weights.insert(name, var.as_tensor().clone());
        }
        let (logits, batch) = layers::logits(&self.config, &weights, images)?;
        for of in batch {
            for (array, value) in [("running_mean", of.mean), ("running_var", of.variance)] {
                let name = format!("{}.{array}", of.name);
                let place = self.layout.statistics.iter().position(|(p, _)| p.name == name);
                if let Some(var) = place.and_then(|place| self.statistics.get(place)) {
                    let old = var.as_tensor().detach();
                    var.set(&((old * self.momentum)? + (value * (1.0 - self.momentum))?)?)?;
                }
            }
        }
        Ok(logits)
    }

    /// The network as it stands, in f32 on the CPU.
    ///
    /// # Errors
    /// [`ModelError::ParameterValue`] where the training has diverged.
    pub fn network(&self) -> Result<Network, ModelError> {
        let mut weights = Weights::default();
        let all = self.layout.trained.iter().zip(&self.vars);
        for ((parameter, _), var) in all.chain(self.layout.statistics.iter().zip(&self.statistics)) {
            let tensor = var.as_tensor().detach().to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
            weights.insert(parameter.name.clone(), tensor.copy()?);
        }
        Network::new(self.config.clone(), weights)
    }
}
