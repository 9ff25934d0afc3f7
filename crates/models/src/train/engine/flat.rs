//! Where the parameters are in flat vectors.

use std::ops::Range;

use candle_core::{Device, Tensor};

use crate::architecture::{Architecture, Parameter};
use crate::error::ModelError;
use crate::weights::Weights;

/// Which values of the flat vectors belong to which parameter. Parameters are flat so that an optimizer's step is one pass over one
/// vector, whatever the network.
#[derive(Debug, Clone)]
pub(crate) struct FlatLayout {
    /// Trained parameters, in the order of the layers.
    pub(crate) trained: Vec<(Parameter, Range<usize>)>,
    /// Running statistics, in the order of the layers.
    pub(crate) statistics: Vec<(Parameter, Range<usize>)>,
}

impl FlatLayout {
    pub(crate) fn new(architecture: &Architecture) -> Self {
        let mut layout = Self {
            trained: Vec::new(),
            statistics: Vec::new(),
        };
        for parameter in architecture.parameters() {
            let list = if parameter.kind.is_trained() {
                &mut layout.trained
            } else {
                &mut layout.statistics
            };
            let start = list.last().map_or(0, |(_, range)| range.end);
            let end = start + parameter.shape.elem_count();
            list.push((parameter, start..end));
        }
        layout
    }

    /// The values of a list of parameters, one after the other.
    pub(crate) fn flatten(
        &self,
        list: &[(Parameter, Range<usize>)],
        weights: &Weights,
    ) -> Result<Vec<f32>, ModelError> {
        let mut flat = Vec::with_capacity(list.last().map_or(0, |(_, range)| range.end));
        for (parameter, _) in list {
            flat.extend(weights.get(&parameter.name)?.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(flat)
    }

    /// Puts the values of a list of parameters back under their names.
    pub(crate) fn restore(
        &self,
        list: &[(Parameter, Range<usize>)],
        flat: &[f32],
        weights: &mut Weights,
    ) -> Result<(), ModelError> {
        for (parameter, range) in list {
            let values = flat[range.clone()].to_vec();
            let tensor = Tensor::from_vec(values, parameter.shape.clone(), &Device::Cpu)?;
            weights.insert(parameter.name.clone(), tensor);
        }
        Ok(())
    }

    /// Where an array of a layer is, in the vector that it belongs to.
    pub(super) fn find(&self, layer: &str, array: &str) -> Result<Range<usize>, ModelError> {
        let name = format!("{layer}.{array}");
        let mut all = self.trained.iter().chain(&self.statistics);
        let found = all.find(|(parameter, _)| parameter.name == name);
        found
            .map(|(_, range)| range.clone())
            .ok_or(ModelError::UnexpectedParameter { name })
    }
}
