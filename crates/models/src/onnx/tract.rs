//! tract as the engine: from a graph to a plan.

use std::sync::Arc;

use rayon::prelude::*;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::IntoRunnable;

use super::graph::Interface;
use super::guard::{guarded, one_line};
use super::limits::{Attributes, MAX_VALUES, Values};
use super::rewrite::rewrite;
use super::run::{Pixels, Run, columns};
use crate::config::InputType;

/// How a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// With all of tract's optimisations, for one image if the file leaves their number open: threads share out the images.
    Fast,
    /// Operator by operator as the file has them, to check the fast one.
    Plain,
    /// As the fast one, for two images, to check that images do not change each other's answers.
    Two,
}

/// A plan.
pub(super) struct Tract {
    plan: Arc<TypedRunnableModel>,
    input_type: InputType,
    /// The shape of the plan's input: the number of images comes first.
    shape: [usize; 4],
    columns: usize,
}

impl Tract {
    /// Makes a plan of a graph whose sizes were checked, and which is rewritten for tract.
    ///
    /// # Errors
    /// What tract cannot do, in one line.
    pub(super) fn new(
        proto: &mut ModelProto,
        interface: &Interface,
        values: &Values,
        kind: Kind,
    ) -> Result<Self, String> {
        check_operators(proto)?;
        rewrite(proto, values)?;
        // tract is written for files that its own exporters made; a damaged one must not take the process down.
        guarded(|| Self::compile(proto, interface, kind))
            .unwrap_or_else(|panic| Err(format!("cannot be compiled: {panic}")))
    }

    fn compile(proto: &ModelProto, interface: &Interface, kind: Kind) -> Result<Self, String> {
        let failed = |error: TractError| format!("cannot be compiled: {}", one_line(&format!("{error:#}")));
        // What a file says of the shapes inside is of use to nobody: it is inferred. PyTorch's second exporter names them in ways that tract refuses.
        let onnx = tract_onnx::onnx()
            .with_ignore_output_shapes(true)
            .with_ignore_output_types(true)
            .with_ignore_value_info(true);
        let batch = interface.batch.unwrap_or(if kind == Kind::Two { 2 } else { 1 });
        let shape = interface.shape(batch);
        let fact = match interface.input_type {
            // 16-bit floats were rewritten as 32-bit ones.
            InputType::Float32 | InputType::Float16 => f32::fact(shape),
            InputType::Uint8 => u8::fact(shape),
        };
        let typed = onnx
            .model_for_proto_model(proto)
            .and_then(|model| model.with_input_fact(0, fact.into()))
            .and_then(|model| model.into_typed())
            .map_err(failed)?;
        for node in typed.nodes() {
            for output in node.outputs.iter().filter(|output| output.fact.konst.is_none()) {
                let count = output
                    .fact
                    .shape
                    .as_concrete()
                    .and_then(|dims| dims.iter().try_fold(1u64, |count, &dim| count.checked_mul(dim as u64)));
                match count {
                    Some(count) if count <= MAX_VALUES => {}
                    Some(_) => {
                        return Err(format!(
                            "asks for more than {MAX_VALUES} numbers in {}",
                            one_line(&node.name)
                        ));
                    }
                    None => {
                        return Err(format!(
                            "has a value {} whose size depends on the images, which is not supported",
                            one_line(&node.name)
                        ));
                    }
                }
            }
        }
        let typed = match kind {
            Kind::Plain => typed,
            // What the optimiser fails on can still be run as it is, only more slowly.
            _ => guarded(|| typed.clone().into_optimized())
                .ok()
                .and_then(Result::ok)
                .unwrap_or(typed),
        };
        let outlet = *typed.output_outlets().map_err(failed)?.first().ok_or("has no output")?;
        let dims = typed
            .outlet_fact(outlet)
            .map_err(failed)?
            .shape
            .as_concrete()
            .map(<[usize]>::to_vec);
        let columns = columns(&dims.ok_or("has an output of unknown shape")?, batch)?;
        Ok(Self {
            plan: typed.into_runnable().map_err(failed)?,
            input_type: interface.input_type,
            shape,
            columns,
        })
    }

    /// One batch, of which the last images may be missing.
    fn batch(&self, input: Tensor, scores: &mut [f32]) -> TractResult<()> {
        let outputs = self.plan.run(tvec!(input.into()))?;
        let output = outputs.first().ok_or_else(|| anyhow("no output"))?.cast_to::<f32>()?;
        let view = output.try_as_plain_ram()?;
        let rows = view
            .as_slice::<f32>()?
            .get(..scores.len())
            .ok_or_else(|| anyhow("too few outputs"))?;
        scores.copy_from_slice(rows);
        Ok(())
    }

    /// A tensor of a whole batch; images that are missing are zeros.
    fn tensor<T: Datum + Copy + Default, F: Copy>(
        &self,
        values: &[F],
        as_type: impl Fn(F) -> T,
    ) -> TractResult<Tensor> {
        let mut filled: Vec<T> = values.iter().map(|&value| as_type(value)).collect();
        filled.resize(self.shape.iter().product(), T::default());
        Tensor::from_shape(&self.shape, &filled)
    }
}

fn anyhow(text: &'static str) -> TractError {
    TractError::msg(text)
}

impl Run for Tract {
    fn run(&self, images: &Pixels, n: usize) -> Result<Vec<f32>, String> {
        let [batch, ..] = self.shape;
        let len: usize = self.shape.iter().product();
        let mut scores = vec![0f32; n * self.columns];
        let places = scores.par_chunks_mut(batch * self.columns);
        // The guard is the thread's that runs the batch.
        let run = |input: TractResult<Tensor>, scores: &mut [f32]| {
            guarded(|| self.batch(input?, scores))
                .and_then(|outcome| outcome.map_err(|error| one_line(&format!("{error:#}"))))
        };
        let outcome = match images {
            Pixels::Bytes(bytes) => bytes
                .par_chunks(len)
                .zip(places)
                .try_for_each(|(bytes, scores)| run(self.tensor(bytes, |byte| byte), scores)),
            Pixels::Floats(values) => values.par_chunks(len).zip(places).try_for_each(|(values, scores)| {
                let input = match self.input_type {
                    InputType::Float16 => self.tensor(values, |value| f16::from_f32(value).to_f32()),
                    _ => self.tensor(values, |value| value),
                };
                run(input, scores)
            }),
        };
        outcome.map_err(|error| format!("failed as it ran: {error}"))?;
        Ok(scores)
    }

    fn columns(&self) -> usize {
        self.columns
    }
}

/// Operators of `com.microsoft` that tract takes for what they are; others of that domain share only their names with standard ones.
const MICROSOFT: &[&str] = &[
    "BiasGelu",
    "DequantizeLinear",
    "FastGelu",
    "GatherBlockQuantized",
    "Gelu",
    "MatMulNBits",
    "QuantizeLinear",
    "QuickGelu",
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
];

/// The versions of the standard's operators that tract was tested with, or says that it was.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=24;

/// Refuses operators that tract does not know, or would take for others.
fn check_operators(proto: &ModelProto) -> Result<(), String> {
    let onnx = tract_onnx::onnx();
    let opset = proto.opset_import.iter().find(|import| is_standard(&import.domain));
    let opset = opset.map_or(0, |import| import.version);
    if !OPSETS.contains(&opset) {
        return Err(format!(
            "is written for version {opset} of the ONNX operators, but tract reads {} to {}; export the model for one of those",
            OPSETS.start(),
            OPSETS.end()
        ));
    }
    let mut unknown: Vec<String> = Vec::new();
    let mut graphs: Vec<(&GraphProto, bool)> = proto.graph.iter().map(|graph| (graph, false)).collect();
    while let Some((graph, is_nested)) = graphs.pop() {
        for node in &graph.node {
            let inside = node
                .attribute
                .iter()
                .flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
            graphs.extend(inside.map(|graph| (graph, true)));
            let is_registered = onnx.op_register.0.contains_key(&node.op_type);
            let is_known = match node.domain.as_str() {
                domain if is_standard(domain) => is_registered,
                "com.microsoft" => is_registered && MICROSOFT.contains(&node.op_type.as_str()),
                _ => false,
            };
            if !is_known {
                let name = match is_standard(&node.domain) {
                    true => node.op_type.clone(),
                    false => format!("{}.{}", node.domain, node.op_type),
                };
                unknown.push(one_line(&name));
            }
            check_attributes(node, is_nested)?;
        }
    }
    unknown.sort_unstable();
    unknown.dedup();
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(format!("has operators that are not supported: {}", unknown.join(", "))),
    }
}

/// Refuses what tract would pass over.
fn check_attributes(node: &NodeProto, is_nested: bool) -> Result<(), String> {
    let attributes = Attributes(node);
    let is_set = |name: &str| attributes.int(name).unwrap_or(0) != 0;
    let what = match node.op_type.as_str() {
        "BatchNormalization" if is_set("training_mode") => {
            return Err(
                "has a BatchNormalization in training mode; export the model in evaluation mode (model.eval())".into(),
            );
        }
        "QuantizeLinear" | "DequantizeLinear" if is_set("block_size") => "in blocks",
        "Swish" if attributes.float("alpha").is_some_and(|alpha| alpha != 1.0) => "with an alpha other than 1",
        "Pad" if is_nested => "inside a branch",
        _ => return Ok(()),
    };
    Err(format!(
        "has an operator {} {what}, which is not supported",
        node.op_type
    ))
}

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The names of all standard operators that tract reads.
pub(super) fn operators() -> Vec<String> {
    let mut names: Vec<String> = tract_onnx::onnx().op_register.0.into_keys().collect();
    names.sort();
    names
}
