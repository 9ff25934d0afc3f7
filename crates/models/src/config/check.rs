//! Ranges of the values in configurations.

use crate::architecture::Parameter;
use crate::error::ModelError;

/// The largest value that a size in a configuration may have.
pub(super) const MAX_SIZE: usize = 1 << 16;
/// The largest number of values that a network's parameters may have together.
const MAX_PARAMETERS: usize = 1 << 31;

pub(super) fn range(field: &'static str, value: usize, min: usize, max: usize) -> Result<(), ModelError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ModelError::Config {
        field,
        value: value.to_string(),
        expected: format!("between {min} and {max}"),
    })
}

/// Refuses sizes that are each possible but together would not fit in memory, before anything is allocated.
pub(super) fn total(parameters: &[Parameter]) -> Result<(), ModelError> {
    let total = parameters.iter().try_fold(0usize, |sum, parameter| {
        let dims = parameter.shape.dims();
        let count = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim))?;
        sum.checked_add(count)
    });
    match total {
        Some(total) if total <= MAX_PARAMETERS => Ok(()),
        _ => Err(ModelError::Config {
            field: "the number of parameters",
            value: total.map_or_else(|| "beyond counting".into(), |total| total.to_string()),
            expected: format!("at most {MAX_PARAMETERS}"),
        }),
    }
}
