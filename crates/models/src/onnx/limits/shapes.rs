//! The shapes that operators give, by the ONNX specification (<https://onnx.ai/onnx/operators>).

use tract_onnx::pb::{NodeProto, TensorProto};

use super::numbers::{self, index};
use super::{Attributes, MAX_KEPT, Value, check_products, product, tensor};

mod grow;
mod moves;
mod windows;

/// Operators that can give more numbers than they take; each must be understood.
pub(super) const GROWING: &[&str] = &[
    "AffineGrid",
    "BlackmanWindow",
    "CenterCropPad",
    "Col2Im",
    "ConstantOfShape",
    "ConvTranspose",
    "DFT",
    "Expand",
    "EyeLike",
    "HammingWindow",
    "HannWindow",
    "MaxUnpool",
    "MelWeightMatrix",
    "Multinomial",
    "OneHot",
    "Pad",
    "RandomNormal",
    "RandomUniform",
    "Range",
    "Resize",
    "RoiAlign",
    "STFT",
    "Tile",
    "Upsample",
];

#[rustfmt::skip]
/// Operators whose first output has the shape of the first input.
const SAME: &[&str] = &[
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BatchNormalization", "Bernoulli", "BiasGelu", "Cast", "CastLike", "Ceil", "Celu", "Clip",
    "Cos", "Cosh", "CumSum", "DequantizeLinear", "Dropout", "DynamicQuantizeLinear", "Elu", "Erf", "Exp", "EyeLike", "FastGelu", "Floor", "Gelu",
    "GroupNormalization", "HardSigmoid", "HardSwish", "Hardmax", "Identity", "InstanceNormalization", "IsInf", "IsNaN", "LRN", "LayerNormalization",
    "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "MeanVarianceNormalization", "Mish", "Neg", "Not", "PRelu", "QuantizeLinear", "QuickGelu",
    "RMSNormalization", "RandomNormalLike", "RandomUniformLike", "Reciprocal", "Relu", "ReverseSequence", "RotaryEmbedding", "Round", "Scatter",
    "ScatterElements", "ScatterND", "Selu", "Shrink", "Sigmoid", "Sign", "SimplifiedLayerNormalization", "Sin", "Sinh", "SkipLayerNormalization",
    "Softmax", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Trilu",
];

#[rustfmt::skip]
/// Operators whose inputs are broadcast against each other.
const BROADCAST: &[&str] = &[
    "Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean",
    "Min", "Mod", "Mul", "Or", "Pow", "Sub", "Sum", "Where", "Xor",
];

/// A tensor of the file as a value.
pub(super) fn constant(tensor: &TensorProto) -> Result<Value, String> {
    tensor::check(tensor)?;
    let numbers = tensor::numbers(tensor, MAX_KEPT);
    Ok(Value {
        dims: tensor::dims(tensor),
        is_int: numbers.as_ref().is_some_and(|(_, is_int)| *is_int),
        numbers: numbers.map(|(numbers, _)| numbers),
        is_constant: true,
    })
}

/// The inputs of a node, and what is asked of them.
struct Node<'a> {
    proto: &'a NodeProto,
    attributes: Attributes<'a>,
    inputs: &'a [Option<Value>],
    opset: i64,
}

impl<'a> Node<'a> {
    fn input(&self, index: usize) -> Option<&'a Value> {
        self.inputs.get(index)?.as_ref()
    }

    fn dims(&self, index: usize) -> Option<&'a [u64]> {
        self.input(index)?.dims.as_deref()
    }

    /// The whole numbers of an input.
    fn ints(&self, at: usize) -> Option<Vec<i64>> {
        self.input(at)?
            .numbers
            .as_ref()?
            .iter()
            .map(|&number| index(number))
            .collect()
    }

    /// Whole numbers that are an attribute, or since some version an input.
    fn ints_of(&self, name: &str, at: usize) -> Option<Vec<i64>> {
        match self.attributes.ints(name) {
            Some(ints) => Some(ints.to_vec()),
            None => self.ints(at),
        }
    }

    fn refuse<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("has an operator {} with {what}", self.proto.op_type))
    }
}

/// An axis counted from either end.
fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank_ = i64::try_from(rank).ok()?;
    let from_start = if axis < 0 { axis.checked_add(rank_)? } else { axis };
    usize::try_from(from_start).ok().filter(|&axis| axis < rank)
}

/// A value whose numbers are kept only if there are few.
fn kept(dims: Vec<u64>, numbers: Option<Vec<f64>>, is_int: bool) -> Value {
    let numbers = numbers.filter(|numbers| numbers.len() <= MAX_KEPT && product(&dims) == Some(numbers.len() as u64));
    Value {
        dims: Some(dims),
        numbers,
        is_int,
        is_constant: false,
    }
}

/// Numbers as lengths of axes.
fn sizes(numbers: &[i64]) -> Option<Vec<u64>> {
    numbers.iter().map(|&number| u64::try_from(number).ok()).collect()
}

fn broadcast(all: &[&[u64]]) -> Option<Vec<u64>> {
    let rank = all.iter().map(|dims| dims.len()).max()?;
    (0..rank)
        .map(|place| {
            let mut size = 1;
            for dims in all {
                let own = match (place + dims.len()).checked_sub(rank) {
                    Some(own) => *dims.get(own)?,
                    None => 1,
                };
                match (size, own) {
                    (_, 1) => {}
                    (1, own) => size = own,
                    (size, own) if size == own => {}
                    _ => return None,
                }
            }
            Some(size)
        })
        .collect()
}

/// The values that a node gives; those that are missing are not known.
pub(super) fn outputs(proto: &NodeProto, inputs: &[Option<Value>], opset: i64) -> Result<Vec<Value>, String> {
    for tensor in proto.attribute.iter().filter_map(|attribute| attribute.t.as_ref()) {
        tensor::check(tensor)?;
    }
    let node = Node {
        proto,
        attributes: Attributes(proto),
        inputs,
        opset,
    };
    let op = proto.op_type.as_str();
    let first = node.dims(0);
    let one = |dims: Option<Vec<u64>>| Ok(vec![Value::of_dims(dims)]);
    if SAME.contains(&op) {
        let mut value = Value::of_dims(first.map(<[u64]>::to_vec));
        let input = node.input(0);
        if let Some(input) = input {
            value.is_int = input.is_int;
            value.numbers = match op {
                "Cast" => {
                    let to = node.attributes.int("to").unwrap_or(0);
                    value.is_int = !matches!(to, 1 | 10 | 11 | 16);
                    input.numbers.as_ref().and_then(|numbers| numbers::cast(numbers, to))
                }
                _ => numbers::elementwise(op, &[input]),
            };
        }
        return Ok(vec![value]);
    }
    if BROADCAST.contains(&op) {
        let given: Option<Vec<&Value>> = inputs.iter().map(Option::as_ref).collect();
        let Some(given) = given else {
            return one(None);
        };
        let dims: Option<Vec<&[u64]>> = given.iter().map(|value| value.dims.as_deref()).collect();
        let is_int = given.iter().all(|value| value.is_int);
        return Ok(vec![Value {
            dims: dims.and_then(|dims| broadcast(&dims)),
            numbers: numbers::elementwise(op, &given),
            is_int: is_int || (op == "Where" && given.iter().skip(1).all(|value| value.is_int)),
            is_constant: false,
        }]);
    }
    match op {
        "Conv" | "ConvInteger" | "QLinearConv" | "ConvTranspose" | "MaxPool" | "AveragePool" | "LpPool" => {
            windows::outputs(&node)
        }
        "MatMul" | "MatMulInteger" | "QLinearMatMul" | "Gemm" => one(matrix(&node)?),
        "Attention" => one(attention(&node)),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => one(first.map(|dims| {
            dims.iter()
                .enumerate()
                .map(|(place, &dim)| if place < 2 { dim } else { 1 })
                .collect()
        })),
        _ => moves::outputs(&node),
    }
}

fn matrix(node: &Node<'_>) -> Result<Option<Vec<u64>>, String> {
    let second = if node.proto.op_type == "QLinearMatMul" { 3 } else { 1 };
    let (Some(a), Some(b)) = (node.dims(0), node.dims(second)) else {
        return Ok(None);
    };
    if node.proto.op_type == "Gemm" {
        let (&[a0, a1], &[b0, b1]) = (a, b) else {
            return Ok(None);
        };
        let is_set = |name| node.attributes.int(name).unwrap_or(0) != 0;
        let (rows, inner) = if is_set("transA") { (a1, a0) } else { (a0, a1) };
        let columns = if is_set("transB") { b0 } else { b1 };
        check_products(node.proto, &[rows, inner, columns])?;
        return Ok(Some(vec![rows, columns]));
    }
    let (a_matrix, b_matrix);
    let a = match a {
        [inner] => {
            a_matrix = [1, *inner];
            &a_matrix[..]
        }
        a => a,
    };
    let b = match b {
        [inner] => {
            b_matrix = [*inner, 1];
            &b_matrix[..]
        }
        b => b,
    };
    let (Some((a_batch, &[rows, inner])), Some((b_batch, &[_, columns]))) =
        (a.split_last_chunk(), b.split_last_chunk())
    else {
        return Ok(None);
    };
    let Some(mut dims) = broadcast(&[a_batch, b_batch]) else {
        return Ok(None);
    };
    check_products(node.proto, &[product(&dims).unwrap_or(u64::MAX), rows, inner, columns])?;
    if node.dims(0).is_some_and(|dims| dims.len() > 1) {
        dims.push(rows);
    }
    if node.dims(second).is_some_and(|dims| dims.len() > 1) {
        dims.push(columns);
    }
    Ok(Some(dims))
}

/// Of the standard's operator: the shape of the queries, with the values' last axis.
fn attention(node: &Node<'_>) -> Option<Vec<u64>> {
    match (node.dims(0)?, node.dims(2)?) {
        (&[n, heads, queries, _], &[.., width]) => Some(vec![n, heads, queries, width]),
        (&[n, queries, _], &[.., width]) => {
            let heads = u64::try_from(node.attributes.int("q_num_heads")?).ok()?;
            let own = u64::try_from(node.attributes.int("kv_num_heads")?).ok()?;
            Some(vec![n, queries, width.checked_div(own)?.checked_mul(heads)?])
        }
        _ => None,
    }
}
