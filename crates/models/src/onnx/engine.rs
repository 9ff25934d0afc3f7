//! tract under an ONNX classifier: from the file's bytes to a plan, and from images to class scores.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::prelude::*;
use tract_onnx::Onnx;
use tract_onnx::pb::{ModelProto, NodeProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::framework::Framework;

use crate::config::{Layout, OnnxConfig, OnnxOptions, Output};

/// How many images go through the plan at a time, if the file leaves that open.
const BATCH: usize = 8;
/// The largest number of values that a batch of images may have.
const MAX_VALUES: usize = 1 << 28;

/// A compiled model.
pub(super) struct Engine {
    plan: TypedSimplePlan<TypedModel>,
    /// The shape of the plan's input: the number of images comes first.
    shape: [usize; 4],
    n_classes: usize,
}

impl Engine {
    pub(super) fn new(file: &[u8], options: OnnxOptions) -> Result<(Self, OnnxConfig), String> {
        // tract is written for files that its own exporters made; a damaged one must not take the process down.
        catch_unwind(AssertUnwindSafe(|| Self::compile(file, options)))
            .unwrap_or_else(|_| Err("is damaged: its graph makes no sense".into()))
    }

    fn compile(file: &[u8], options: OnnxOptions) -> Result<(Self, OnnxConfig), String> {
        let onnx = tract_onnx::onnx().with_ignore_output_shapes(true);
        let proto = onnx
            .proto_model_for_read(&mut &*file)
            .map_err(|_| "is not a whole ONNX file".to_owned())?;
        check_operators(&onnx, &proto)?;
        let input = only_input(&proto)?;
        let axes = input_axes(input)?;
        let layout = match options.layout {
            Some(layout) => layout,
            None => match (axes[1], axes[3]) {
                (Some(3), Some(3)) => return Err(open(input, &axes, "the layout (nchw or nhwc)")),
                (Some(3), _) => Layout::Nchw,
                (_, Some(3)) => Layout::Nhwc,
                _ => return Err(open(input, &axes, "the layout (nchw or nhwc)")),
            },
        };
        let (channels, height, width) = match layout {
            Layout::Nchw => (axes[1], axes[2], axes[3]),
            Layout::Nhwc => (axes[3], axes[1], axes[2]),
        };
        let (height, width) = match (height, width, options.size) {
            (Some(height), Some(width), None) => (height, width),
            (h, w, Some((height, width))) if h.is_none_or(|h| h == height) && w.is_none_or(|w| w == width) => {
                (height, width)
            }
            (_, _, None) => return Err(open(input, &axes, "the height and width")),
            (_, _, Some(size)) => {
                return Err(format!(
                    "takes images of shape {}, not of size {size:?}",
                    display(&axes)
                ));
            }
        };
        if channels.is_some_and(|channels| channels != 3) {
            return Err(format!(
                "takes images of shape {}, which have no axis of 3 channels in that layout",
                display(&axes)
            ));
        }
        let batch = axes[0].unwrap_or(BATCH);
        let shape = match layout {
            Layout::Nchw => [batch, 3, height, width],
            Layout::Nhwc => [batch, height, width, 3],
        };
        let count = shape
            .iter()
            .try_fold(1usize, |product, &axis| product.checked_mul(axis));
        if !count.is_some_and(|count| (1..=MAX_VALUES).contains(&count)) {
            return Err(format!(
                "takes batches of shape {shape:?}, which is not a possible size"
            ));
        }
        let plan = onnx
            .model_for_proto_model(&proto)
            .and_then(|model| model.with_input_fact(0, f32::fact(shape).into()))
            .and_then(|model| model.into_optimized())
            .map_err(|error| format!("cannot be compiled: {error:#}"))?;
        let n_classes = match plan
            .outlet_fact(plan.outputs[0])
            .ok()
            .and_then(|fact| fact.shape.as_concrete().map(<[usize]>::to_vec))
        {
            Some(dims) if matches!(dims.as_slice(), [n, classes] if *n == batch && *classes >= 2) => dims[1],
            dims => {
                return Err(format!(
                    "gives an output of shape {dims:?} for {batch} images; ({batch}, classes) is needed"
                ));
            }
        };
        let plan = plan
            .into_runnable()
            .map_err(|error| format!("cannot be compiled: {error:#}"))?;
        let output = options.output.map_or_else(|| output_kind(&proto), Ok)?;
        let config = OnnxConfig {
            layout,
            height,
            width,
            n_classes,
            output,
            preprocessing: options.preprocessing,
        };
        Ok((Self { plan, shape, n_classes }, config))
    }

    /// `n` images in the plan's layout to `n` rows of class scores. The last batch is filled up with zeros.
    pub(super) fn run(&self, values: &[f32], n: usize) -> Result<Vec<f32>, String> {
        let [batch, ..] = self.shape;
        let image: usize = self.shape[1..].iter().product();
        let mut scores = vec![0f32; n * self.n_classes];
        values
            .par_chunks(batch * image)
            .zip(scores.par_chunks_mut(batch * self.n_classes))
            .try_for_each(|(values, scores)| {
                let mut filled = values.to_vec();
                filled.resize(batch * image, 0.0);
                let input = tract_onnx::prelude::Tensor::from_shape(&self.shape, &filled)?;
                let outputs = self.plan.run(tvec!(input.into()))?;
                let output = outputs[0].as_slice::<f32>()?;
                scores.copy_from_slice(&output[..scores.len()]);
                Ok::<_, TractError>(())
            })
            .map_err(|error| format!("the ONNX model failed: {error:#}"))?;
        Ok(scores)
    }
}

/// The names of all operators that tract reads.
pub(super) fn operators() -> Vec<String> {
    let mut names: Vec<String> = tract_onnx::onnx().op_register.0.into_keys().collect();
    names.sort();
    names
}

fn nodes(proto: &ModelProto) -> &[NodeProto] {
    proto.graph.as_ref().map_or(&[], |graph| graph.node.as_slice())
}

fn check_operators(onnx: &Onnx, proto: &ModelProto) -> Result<(), String> {
    let mut unknown: Vec<&str> = nodes(proto)
        .iter()
        .map(|node| node.op_type.as_str())
        .filter(|name| !onnx.op_register.0.contains_key(*name))
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    if nodes(proto).is_empty() {
        return Err("is not a whole ONNX file: it has no operators".into());
    }
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(format!("has operators that are not supported: {}", unknown.join(", ")))
    }
}

/// The one input that is not a parameter.
fn only_input(proto: &ModelProto) -> Result<&ValueInfoProto, String> {
    let graph = proto.graph.as_ref().ok_or("has no graph")?;
    let inputs: Vec<&ValueInfoProto> = graph
        .input
        .iter()
        .filter(|input| !graph.initializer.iter().any(|parameter| parameter.name == input.name))
        .collect();
    match (inputs.as_slice(), graph.output.len()) {
        ([input], 1) => Ok(input),
        (inputs, outputs) => Err(format!(
            "has {} inputs and {outputs} outputs; an image classifier has one of each",
            inputs.len()
        )),
    }
}

/// The axes of an input of images; `None` if the file leaves one open.
fn input_axes(input: &ValueInfoProto) -> Result<[Option<usize>; 4], String> {
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return Err(format!("has an input {} that is no tensor", input.name));
    };
    const FLOAT: i32 = 1;
    if tensor.elem_type != FLOAT {
        return Err(format!("has an input {} that is not of 32-bit floats", input.name));
    }
    let axes: Vec<Option<usize>> = tensor
        .shape
        .iter()
        .flat_map(|shape| &shape.dim)
        .map(|axis| match axis.value {
            Some(dimension::Value::DimValue(size)) => usize::try_from(size).ok().filter(|&size| size > 0),
            _ => None,
        })
        .collect();
    axes.as_slice()
        .try_into()
        .map_err(|_| format!("has an input {} of {} axes; images have 4", input.name, axes.len()))
}

/// Probabilities if the output comes from a softmax, else logits.
fn output_kind(proto: &ModelProto) -> Result<Output, String> {
    let mut name = proto
        .graph
        .as_ref()
        .and_then(|graph| graph.output.first())
        .map_or("", |output| output.name.as_str());
    // Follow what only passes values on; a graph has no cycles, but a damaged file may.
    for _ in 0..nodes(proto).len() {
        let Some(node) = nodes(proto)
            .iter()
            .find(|node| node.output.iter().any(|output| output == name))
        else {
            break;
        };
        match (node.op_type.as_str(), node.input.first()) {
            ("Identity" | "Cast" | "Dropout", Some(input)) => name = input,
            ("Softmax", _) => return Ok(Output::Probabilities),
            ("Sigmoid", _) => {
                return Err(
                    "ends in Sigmoid: its outputs are not the probabilities of classes that exclude each other".into(),
                );
            }
            _ => break,
        }
    }
    Ok(Output::Logits)
}

fn display(axes: &[Option<usize>; 4]) -> String {
    let axes = axes.map(|axis| axis.map_or_else(|| "?".into(), |size| size.to_string()));
    format!("({})", axes.join(", "))
}

fn open(input: &ValueInfoProto, axes: &[Option<usize>; 4], what: &str) -> String {
    format!(
        "has an input {} of shape {}, which leaves {what} open: give it as an option",
        input.name,
        display(axes)
    )
}
