//! Tensors inside an ONNX file: what they declare, and whether they have it.

use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataType;

/// Bits of a value of an element type; `None` for strings and types that are not known.
pub(super) fn bits(data_type: i32) -> Option<u64> {
    match data_type {
        2 | 3 | 9 | 17..=20 | 24 => Some(8),
        4 | 5 | 10 | 16 => Some(16),
        1 | 6 | 12 => Some(32),
        7 | 11 | 13 | 14 => Some(64),
        15 => Some(128),
        21..=23 => Some(4),
        25 | 26 => Some(2),
        _ => None,
    }
}

/// The dimensions, if they are possible.
pub(super) fn dims(tensor: &TensorProto) -> Option<Vec<u64>> {
    tensor.dims.iter().map(|&dim| u64::try_from(dim).ok()).collect()
}

/// Checks that a tensor holds as many values as it declares.
pub(super) fn check(tensor: &TensorProto) -> Result<(), String> {
    let lies = |what: String| Err(format!("has a tensor {} {what}: the file is damaged", name(tensor)));
    let Some(dims) = dims(tensor) else {
        return lies(format!("of shape {:?}", tensor.dims));
    };
    if dims.iter().any(|&dim| dim > u64::from(u32::MAX)) {
        return lies(format!("of shape {dims:?}"));
    }
    let Some(count) = dims.iter().try_fold(1u64, |count, &dim| count.checked_mul(dim)) else {
        return lies(format!("of shape {dims:?}"));
    };
    if !tensor.raw_data.is_empty() {
        let Some(needed) = bits(tensor.data_type).and_then(|bits| count.checked_mul(bits)) else {
            return lies(format!("of type {}, which is not known", tensor.data_type));
        };
        let (needed, found) = (needed.div_ceil(8), tensor.raw_data.len() as u64);
        if needed != found {
            return lies(format!("of shape {dims:?} with {found} bytes instead of {needed}"));
        }
    }
    if let Some(index) = nan(tensor) {
        return Err(format!(
            "has NaN at index {index} of the tensor {}: the weights are damaged, or the training diverged",
            name(tensor)
        ));
    }
    if !tensor.raw_data.is_empty() {
        return Ok(());
    }
    // Numbers below 32 bits are kept as 32-bit ones; some of them two or more in one.
    let found = [
        tensor.float_data.len(),
        tensor.int32_data.len(),
        tensor.string_data.len(),
        tensor.int64_data.len(),
        tensor.double_data.len(),
        tensor.uint64_data.len(),
    ]
    .into_iter()
    .max()
    .unwrap_or(0) as u64;
    let needed = match bits(tensor.data_type) {
        Some(bits @ ..8) => count.div_ceil(8 / bits.max(1)),
        Some(128) => count.saturating_mul(2),
        _ => count,
    };
    match found == needed {
        true => Ok(()),
        false => lies(format!("of shape {dims:?} with {found} values")),
    }
}

/// The index of the first NaN.
fn nan(tensor: &TensorProto) -> Option<usize> {
    let raw = &tensor.raw_data;
    let is_nan16 = |bits: u16, exponent: u16| bits & exponent == exponent && bits & !exponent & 0x7fff != 0;
    match (DataType::try_from(tensor.data_type).ok()?, raw.is_empty()) {
        (DataType::Float, false) => parts(raw).position(|bytes| f32::from_le_bytes(bytes).is_nan()),
        (DataType::Float, true) => tensor.float_data.iter().position(|value| value.is_nan()),
        (DataType::Double, false) => parts(raw).position(|bytes| f64::from_le_bytes(bytes).is_nan()),
        (DataType::Double, true) => tensor.double_data.iter().position(|value| value.is_nan()),
        (DataType::Float16, false) => parts(raw).position(|bytes| is_nan16(u16::from_le_bytes(bytes), 0x7c00)),
        (DataType::Bfloat16, false) => parts(raw).position(|bytes| is_nan16(u16::from_le_bytes(bytes), 0x7f80)),
        _ => None,
    }
}

fn name(tensor: &TensorProto) -> String {
    match tensor.name.is_empty() {
        true => "without a name".into(),
        false => super::guard::one_line(&tensor.name),
    }
}

/// The values of a small tensor of numbers, and whether they are integers.
pub(super) fn numbers(tensor: &TensorProto, most: usize) -> Option<(Vec<f64>, bool)> {
    let count = dims(tensor)?
        .iter()
        .try_fold(1u64, |count, &dim| count.checked_mul(dim))?;
    if count > most as u64 {
        return None;
    }
    let raw = &tensor.raw_data;
    let kind = DataType::try_from(tensor.data_type).ok()?;
    let is_int = !matches!(
        kind,
        DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16
    );
    let values: Vec<f64> = match (kind, raw.is_empty()) {
        (DataType::Float, false) => parts(raw).map(|b| f64::from(f32::from_le_bytes(b))).collect(),
        (DataType::Float, true) => tensor.float_data.iter().map(|&v| f64::from(v)).collect(),
        (DataType::Double, false) => parts(raw).map(f64::from_le_bytes).collect(),
        (DataType::Double, true) => tensor.double_data.clone(),
        (DataType::Int64, false) => parts(raw).map(|b| i64::from_le_bytes(b) as f64).collect(),
        (DataType::Int64, true) => tensor.int64_data.iter().map(|&v| v as f64).collect(),
        (DataType::Int32, false) => parts(raw).map(|b| f64::from(i32::from_le_bytes(b))).collect(),
        (DataType::Uint8 | DataType::Bool, false) => raw.iter().map(|&b| f64::from(b)).collect(),
        (DataType::Int32 | DataType::Uint8 | DataType::Bool, true) => {
            tensor.int32_data.iter().map(|&v| f64::from(v)).collect()
        }
        _ => return None,
    };
    (values.len() as u64 == count).then_some((values, is_int))
}

fn parts<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}
