//! Named parameters: checking against a configuration.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Tensor};
use riptide_files::digest::Hasher;

use crate::architecture::{Parameter, ParameterKind};
use crate::config::NetworkConfig;
use crate::error::ModelError;

/// The parameters of a network by canonical name, in the order of the names.
///
/// All are f32. Kernels are (out, in, height, width), dense weights (out, in).
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use riptide_models::Weights;
///
/// let mut weights = Weights::default();
/// weights.insert("conv1.weight", Tensor::zeros((256, 3, 4, 4), DType::F32, &Device::Cpu)?);
/// assert_eq!(weights.get("conv1.weight")?.dims(), [256, 3, 4, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
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
    /// [`ModelError::MissingParameter`] if there is none.
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
            if let Some((index, value)) = values.into_iter().enumerate().find(|(_, value)| !allowed(*value)) {
                return Err(ModelError::ParameterValue {
                    name: name.clone(),
                    index,
                    value,
                });
            }
        }
        let known: BTreeSet<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        match self.tensors.keys().find(|name| !known.contains(name.as_str())) {
            Some(name) => Err(ModelError::UnexpectedParameter { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// Feeds names, shapes and values to a digest, in the order of the names.
    pub(crate) fn feed(&self, hasher: &mut Hasher) -> Result<(), ModelError> {
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
    pub(crate) fn to_bytes(&self) -> Result<Vec<Bytes<'_>>, ModelError> {
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
pub(crate) type Bytes<'a> = (&'a str, Vec<usize>, Vec<u8>);
