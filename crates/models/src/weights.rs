//! Named parameters: reading and writing safetensors, checking against a configuration, random initial values.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Normal, Uniform};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use sha2::{Digest, Sha256};

use crate::config::{NetworkConfig, Parameter, ParameterKind};
use crate::error::ModelError;

/// The parameters of a network by canonical name, in the order of the names.
///
/// All are f32. Kernels are (out, in, height, width), dense weights (out, in).
///
/// ```
/// use riptide_models::{DistilledCnnConfig, Weights};
/// let weights = Weights::random(&DistilledCnnConfig::default().into(), 0)?;
/// assert_eq!(weights.get("conv1.weight")?.dims(), [256, 3, 4, 4]);
/// # Ok::<(), riptide_models::ModelError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Initial values for training: the same seed gives the same values on every machine.
    ///
    /// Kernels of a ResNet are normal with variance `2 / fan_in` (He et al. 2015); kernels and dense weights of a distilled CNN, and the dense
    /// weight of a ResNet, are uniform within `sqrt(6 / (fan_in + fan_out))` (Glorot & Bengio 2010, Keras's default). Biases and running means
    /// are 0, batch normalisation's factors and running variances 1.
    ///
    /// # Errors
    /// [`ModelError::Config`] where the configuration is invalid.
    pub fn random(config: &NetworkConfig, seed: u64) -> Result<Self, ModelError> {
        config.validate()?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = Self::default();
        for Parameter { name, shape, kind } in config.parameters() {
            let count = shape.elem_count();
            let dims = shape.dims().to_vec();
            let area: usize = dims.iter().skip(2).product();
            let (fan_out, fan_in) = (dims[0] * area, dims.get(1).copied().unwrap_or(1) * area);
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

    /// No parameters at all.
    pub(crate) fn none() -> &'static Self {
        static NONE: Weights = Weights {
            tensors: BTreeMap::new(),
        };
        &NONE
    }

    /// Adds a parameter, or replaces the one of that name.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.tensors.insert(name.into(), tensor);
    }

    /// The parameter of that name.
    ///
    /// # Errors
    /// [`ModelError::MissingParameter`] where there is none.
    pub fn get(&self, name: &str) -> Result<&Tensor, ModelError> {
        self.tensors.get(name).ok_or_else(|| ModelError::MissingParameter {
            name: name.into(),
            expected: ().into(),
        })
    }

    /// Names and parameters in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The number of parameters (tensors, not values).
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is no parameter at all.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Whether all parameters lie on the CPU and none is a variable of candle's, or made from one, that a gradient could be asked for.
    pub(crate) fn are_plain_on_cpu(&self) -> bool {
        self.tensors
            .values()
            .all(|tensor| tensor.device().is_cpu() && !tensor.track_op())
    }

    /// A copy on another device.
    ///
    /// # Errors
    /// [`ModelError::Candle`] where the device refuses.
    pub fn to_device(&self, device: &Device) -> Result<Self, ModelError> {
        let copy = |(name, tensor): (&String, &Tensor)| Ok((name.clone(), tensor.to_device(device)?));
        Ok(Self {
            tensors: self.tensors.iter().map(copy).collect::<Result<_, ModelError>>()?,
        })
    }

    /// Checks that these are exactly the parameters that `config` asks for: names, shapes, f32, finite, variances not negative.
    ///
    /// # Errors
    /// [`ModelError::MissingParameter`], [`ModelError::UnexpectedParameter`], [`ModelError::ParameterShape`], [`ModelError::ParameterType`] or
    /// [`ModelError::ParameterValue`], naming the parameter.
    pub fn check(&self, config: &NetworkConfig) -> Result<(), ModelError> {
        let parameters = config.parameters();
        for Parameter { name, shape, kind } in &parameters {
            let Some(tensor) = self.tensors.get(name) else {
                return Err(ModelError::MissingParameter {
                    name: name.clone(),
                    expected: shape.clone(),
                });
            };
            if tensor.shape() != shape {
                let (found, expected) = (tensor.shape().clone(), shape.clone());
                return Err(ModelError::ParameterShape {
                    name: name.clone(),
                    found,
                    expected,
                });
            }
            if tensor.dtype() != DType::F32 {
                let found = tensor.dtype().as_str().to_owned();
                return Err(ModelError::ParameterType {
                    name: name.clone(),
                    found,
                });
            }
            let values = tensor.flatten_all()?.to_vec1::<f32>()?;
            let allowed = |value: f32| value.is_finite() && (*kind != ParameterKind::RunningVariance || value >= 0.0);
            if let Some(index) = values.iter().position(|&value| !allowed(value)) {
                return Err(ModelError::ParameterValue {
                    name: name.clone(),
                    index,
                    value: values[index],
                });
            }
        }
        let known: std::collections::BTreeSet<&str> =
            parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        match self.tensors.keys().find(|name| !known.contains(name.as_str())) {
            Some(name) => Err(ModelError::UnexpectedParameter { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// Reads a safetensors file. Parameters of f16, bf16 and f64 become f32.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Safetensors`] where the file is truncated or something else, [`ModelError::ParameterType`] for
    /// integers.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| ModelError::io("read", path, source))?;
        Self::parse(&bytes, path)
    }

    /// The parameters in the bytes of a safetensors file; `path` is what an error calls it.
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Self, ModelError> {
        let file = SafeTensors::deserialize(bytes).map_err(|source| ModelError::Safetensors {
            path: path.into(),
            source,
        })?;
        let mut weights = Self::default();
        for (name, view) in file.iter() {
            let dtype = match view.dtype() {
                Dtype::F32 => DType::F32,
                Dtype::F16 => DType::F16,
                Dtype::BF16 => DType::BF16,
                Dtype::F64 => DType::F64,
                other => {
                    return Err(ModelError::ParameterType {
                        name: name.into(),
                        found: other.to_string(),
                    });
                }
            };
            let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)?;
            weights.insert(name, tensor.to_dtype(DType::F32)?);
        }
        Ok(weights)
    }

    /// Writes a safetensors file: first a temporary file beside it, then a rename, so that no half-written file ever has the name.
    ///
    /// # Errors
    /// [`ModelError::Io`] where the folder does not exist or the disk is full, say.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ModelError> {
        let path = path.as_ref();
        let bytes = self.to_bytes()?;
        let views: Vec<(&str, TensorView<'_>)> = bytes
            .iter()
            .map(|(name, shape, bytes)| {
                let view =
                    TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(|source| ModelError::Safetensors {
                        path: path.into(),
                        source,
                    })?;
                Ok((*name, view))
            })
            .collect::<Result<_, ModelError>>()?;
        let file = safetensors::serialize(views, None).map_err(|source| ModelError::Safetensors {
            path: path.into(),
            source,
        })?;
        write_atomically(path, &file)
    }

    /// Feeds names, shapes and values to a digest, in the order of the names.
    pub(crate) fn feed(&self, hasher: &mut Sha256) -> Result<(), ModelError> {
        for (name, shape, bytes) in self.to_bytes()? {
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name);
            hasher.update((shape.len() as u64).to_le_bytes());
            for dim in shape {
                hasher.update((dim as u64).to_le_bytes());
            }
            hasher.update(bytes);
        }
        Ok(())
    }

    /// Every parameter in the order of the names.
    fn to_bytes(&self) -> Result<Vec<Bytes<'_>>, ModelError> {
        self.iter()
            .map(|(name, tensor)| {
                let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
                Ok((
                    name,
                    tensor.dims().to_vec(),
                    values.iter().flat_map(|value| value.to_le_bytes()).collect(),
                ))
            })
            .collect()
    }
}

/// A parameter's name, shape and little-endian f32 values.
type Bytes<'a> = (&'a str, Vec<usize>, Vec<u8>);

/// Writes a temporary file in the folder of `path`, then renames it to `path`.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".riptide-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        // A temporary file is private to its owner; what it becomes should be as readable as any other file.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| ModelError::io("write", path, source))
}
