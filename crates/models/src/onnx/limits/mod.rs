//! How large everything in an ONNX file becomes, found before any of it is allocated.
//!
//! A few bytes can ask for any amount of memory: `ConstantOfShape`, `Tile`, `Expand`, `Range`, `Pad`, `Resize`. The engines allocate what such a node
//! asks for while they load a file, so the sizes are computed here from the file alone: the shape of every value, and the numbers in the small ones that
//! shapes are computed from. What cannot be known of a harmless node (a `Reshape` keeps its number of values) is left to the engine; a node that can
//! grow its input is refused if its size cannot be known.

mod attributes;
mod numbers;
mod shapes;

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

pub(super) use attributes::Attributes;

use super::tensor;

/// The most numbers that one computed value of a graph may have: 256 MiB of 32-bit floats. (Weights are as large as their file.)
pub(super) const MAX_VALUES: u64 = 1 << 26;
/// The most numbers that all computed values that do not depend on the images may have together: the engines keep them.
const MAX_CONSTANTS: u64 = 1 << 26;
/// The most multiplications of one convolution or matrix product.
const MAX_PRODUCTS: u64 = 1 << 42;
/// The most nodes of a graph, those of its functions and branches each time that they are used.
const MAX_NODES: usize = 1 << 20;
/// Numbers of values larger than these are not kept.
const MAX_KEPT: usize = 4096;
/// Graphs in graphs.
const MAX_DEPTH: usize = 24;

/// What is known of a value of the graph.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Value {
    /// Its shape.
    pub(super) dims: Option<Vec<u64>>,
    /// Its numbers in row-major order, if they are few and do not depend on the images.
    pub(super) numbers: Option<Vec<f64>>,
    /// Whether they are integers.
    pub(super) is_int: bool,
    /// Whether it is the same for all images.
    pub(super) is_constant: bool,
}

impl Value {
    pub(super) fn of_dims(dims: Option<Vec<u64>>) -> Self {
        Self {
            dims,
            ..Default::default()
        }
    }

    fn of_integers(dims: Vec<u64>, numbers: Vec<f64>) -> Self {
        Self {
            dims: Some(dims),
            numbers: Some(numbers),
            is_int: true,
            is_constant: false,
        }
    }

    /// The number of its values; `None` if unknown or beyond counting.
    fn count(&self) -> Option<u64> {
        product(self.dims.as_ref()?)
    }
}

fn product(dims: &[u64]) -> Option<u64> {
    dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim))
}

/// All values of a graph by name.
pub(super) type Values = HashMap<String, Value>;

/// Checks the whole file with an input of the given name and shape; gives what is known of every value.
pub(super) fn check(proto: &ModelProto, input: &str, shape: [usize; 4]) -> Result<Values, String> {
    let graph = proto.graph.as_ref().ok_or("has no graph")?;
    let opset = proto
        .opset_import
        .iter()
        .find(|import| matches!(import.domain.as_str(), "" | "ai.onnx"))
        .map_or(1, |import| import.version);
    let mut walk = Walk {
        proto,
        opset,
        nodes: 0,
        constants: 0,
    };
    let mut values = Values::new();
    let dims = shape.iter().map(|&axis| axis as u64).collect();
    values.insert(input.into(), Value::of_dims(Some(dims)));
    walk.graph(graph, &mut values, 0)?;
    Ok(values)
}

struct Walk<'a> {
    proto: &'a ModelProto,
    opset: i64,
    nodes: usize,
    constants: u64,
}

impl Walk<'_> {
    fn graph(&mut self, graph: &GraphProto, values: &mut Values, depth: usize) -> Result<(), String> {
        if !graph.sparse_initializer.is_empty() {
            return Err("has sparse weights, which are not supported; store them as dense ones".into());
        }
        for parameter in &graph.initializer {
            let value = shapes::constant(parameter)?;
            values.insert(parameter.name.clone(), value);
        }
        self.run(&graph.node, values, depth)
    }

    fn run(&mut self, nodes: &[NodeProto], values: &mut Values, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("has graphs in graphs, more than {MAX_DEPTH} deep"));
        }
        for node in nodes {
            self.nodes += 1;
            if self.nodes > MAX_NODES {
                return Err(format!("has more than {MAX_NODES} operators"));
            }
            let inputs: Vec<Option<Value>> = node
                .input
                .iter()
                .map(|name| (!name.is_empty()).then(|| values.get(name).cloned().unwrap_or_default()))
                .collect();
            let is_constant = inputs.iter().flatten().all(|input| input.is_constant);
            let outputs = match self.nested(node, &inputs, values, depth)? {
                Some(outputs) => outputs,
                None => shapes::outputs(node, &inputs, self.opset)?,
            };
            let mut outputs = outputs.into_iter();
            for name in &node.output {
                let mut value = outputs.next().unwrap_or_default();
                value.is_constant = is_constant;
                if value.count() != value.numbers.as_ref().map(|numbers| numbers.len() as u64) {
                    value.numbers = None;
                }
                if node.op_type != "Constant" {
                    self.add(&format!("{} {name}", node.op_type), &value)?;
                }
                if shapes::GROWING.contains(&node.op_type.as_str()) && value.dims.is_none() {
                    return Err(format!(
                        "has an operator {} ({name}) whose size cannot be told before it runs; export the model with a fixed input size",
                        node.op_type
                    ));
                }
                if !name.is_empty() {
                    values.insert(name.clone(), value);
                }
            }
        }
        Ok(())
    }

    /// What a node with graphs of its own gives.
    fn nested(
        &mut self,
        node: &NodeProto,
        inputs: &[Option<Value>],
        values: &Values,
        depth: usize,
    ) -> Result<Option<Vec<Value>>, String> {
        if matches!(node.op_type.as_str(), "Loop" | "Scan" | "SequenceMap") {
            return Err(format!(
                "has an operator {}, which is not supported: how long it runs cannot be told beforehand",
                node.op_type
            ));
        }
        let branches: Vec<&GraphProto> = node
            .attribute
            .iter()
            .filter_map(|attribute| attribute.g.as_ref())
            .collect();
        if !branches.is_empty() {
            let mut found: Option<Vec<Value>> = None;
            for branch in branches {
                let mut inner = values.clone();
                self.graph(branch, &mut inner, depth + 1)?;
                let outputs: Vec<Value> = branch
                    .output
                    .iter()
                    .map(|output| inner.get(&output.name).cloned().unwrap_or_default())
                    .collect();
                found = Some(match found {
                    // Which branch runs is not known, so only what is the same in both is.
                    Some(before) => before
                        .into_iter()
                        .zip(outputs)
                        .map(|(a, b)| if a == b { a } else { Value::default() })
                        .collect(),
                    None => outputs,
                });
            }
            return Ok(found);
        }
        let function = self.proto.functions.iter().find(|function| {
            function.name.as_deref() == Some(&node.op_type)
                && function.domain.as_deref().unwrap_or_default() == node.domain
        });
        let Some(function) = function else {
            return Ok(None);
        };
        let mut inner: Values = function
            .input
            .iter()
            .zip(inputs)
            .map(|(name, value)| (name.clone(), value.clone().unwrap_or_default()))
            .collect();
        self.run(&function.node, &mut inner, depth + 1)?;
        let outputs = function.output.iter();
        Ok(Some(
            outputs
                .map(|name| inner.get(name).cloned().unwrap_or_default())
                .collect(),
        ))
    }

    /// Counts a value.
    fn add(&mut self, what: &str, value: &Value) -> Result<(), String> {
        let Some(dims) = &value.dims else {
            return Ok(());
        };
        // An axis of length 0 makes the product 0, whatever the others are.
        let is_long = dims.iter().any(|&dim| dim > MAX_VALUES);
        let count = product(dims).filter(|&count| count <= MAX_VALUES && !is_long);
        let Some(count) = count else {
            return Err(format!(
                "asks for {dims:?} numbers in {}, more than the {MAX_VALUES} that one value may have",
                super::guard::one_line(what)
            ));
        };
        if value.is_constant {
            self.constants = self.constants.saturating_add(count);
        }
        if self.constants > MAX_CONSTANTS {
            return Err(format!(
                "computes constants of more than {MAX_CONSTANTS} numbers together"
            ));
        }
        Ok(())
    }
}

/// Refuses a convolution or product of that many multiplications.
fn check_products(node: &NodeProto, factors: &[u64]) -> Result<(), String> {
    match product(factors) {
        Some(products) if products <= MAX_PRODUCTS => Ok(()),
        _ => Err(format!(
            "has an operator {} of more than {MAX_PRODUCTS} multiplications",
            node.op_type
        )),
    }
}

#[cfg(test)]
mod tests;
