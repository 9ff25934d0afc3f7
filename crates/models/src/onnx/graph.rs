//! What an ONNX file takes and gives, as far as its graph says it.

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto};

use super::output::Bound;
use crate::config::{InputType, Layout, OnnxOptions};

/// The largest number of values that a batch of images may have.
const MAX_INPUT: usize = 1 << 25;

/// The most pixels that a side of an image may have.
const MAX_SIDE: usize = 1 << 16;

/// The input and the output that are used.
#[derive(Debug, Clone)]
pub(super) struct Interface {
    pub(super) input: String,
    pub(super) input_type: InputType,
    pub(super) layout: Layout,
    /// 3, or 1 for grey values.
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// The number of images of a run, if the file fixes it.
    pub(super) batch: Option<usize>,
    pub(super) output: String,
    /// Whether there are other outputs.
    pub(super) has_others: bool,
    /// Whether something is measured over a whole batch, so that the number of images in it matters.
    #[cfg(feature = "onnxruntime")]
    pub(super) is_dynamic: bool,
    /// What the operator that the output comes from says of it.
    pub(super) bound: Bound,
}

impl Interface {
    /// Finds the input and output in a file, with what `options` settles.
    pub(super) fn of(proto: &ModelProto, options: &OnnxOptions) -> Result<Self, String> {
        let graph = proto.graph.as_ref().ok_or("has no graph")?;
        if graph.node.is_empty() {
            return Err("is not a whole ONNX file: it has no operators".into());
        }
        let input = only_input(graph)?;
        let (input_type, axes) = input_axes(input)?;
        let layout = match options.layout {
            Some(layout) => layout,
            None => match (axes[1].is_some_and(is_channels), axes[3].is_some_and(is_channels)) {
                (true, false) => Layout::Nchw,
                (false, true) => Layout::Nhwc,
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
        let channels = channels.unwrap_or(3);
        if !is_channels(channels) {
            return Err(format!(
                "takes images of shape {}, which have no axis of 3 channels, or of 1, in that layout",
                display(&axes)
            ));
        }
        let (output, has_others) = chosen_output(graph, options)?;
        let interface = Self {
            input: input.name.clone(),
            input_type,
            layout,
            channels,
            height,
            width,
            batch: axes[0],
            #[cfg(feature = "onnxruntime")]
            is_dynamic: graph.node.iter().any(|node| node.op_type.starts_with("Dynamic")),
            bound: bound(graph, &output),
            output,
            has_others,
        };
        let shape = interface.shape(axes[0].unwrap_or(1));
        let count = shape
            .iter()
            .try_fold(1usize, |product, &axis| product.checked_mul(axis));
        if height.max(width) > MAX_SIDE || !count.is_some_and(|count| (1..=MAX_INPUT).contains(&count)) {
            return Err(format!(
                "takes batches of shape {shape:?}, which is not a possible size"
            ));
        }
        Ok(interface)
    }

    /// The shape of a batch of that many images.
    pub(super) fn shape(&self, batch: usize) -> [usize; 4] {
        match self.layout {
            Layout::Nchw => [batch, self.channels, self.height, self.width],
            Layout::Nhwc => [batch, self.height, self.width, self.channels],
        }
    }
}

/// Whether an axis of that length may be the colours of a pixel.
fn is_channels(length: usize) -> bool {
    matches!(length, 1 | 3)
}

/// The one input that is not a parameter.
fn only_input(graph: &GraphProto) -> Result<&ValueInfoProto, String> {
    let inputs: Vec<&ValueInfoProto> = graph
        .input
        .iter()
        .filter(|input| !graph.initializer.iter().any(|parameter| parameter.name == input.name))
        .collect();
    match inputs.as_slice() {
        [input] => Ok(input),
        inputs => Err(format!(
            "has {} inputs ({}); an image classifier has one",
            inputs.len(),
            names(inputs.iter().map(|input| input.name.as_str()))
        )),
    }
}

/// The output's name, and whether there are others.
fn chosen_output(graph: &GraphProto, options: &OnnxOptions) -> Result<(String, bool), String> {
    let all = || {
        let shapes = graph
            .output
            .iter()
            .map(|output| format!("{} {}", output.name, shape_text(output)));
        names(shapes.collect::<Vec<_>>().iter().map(String::as_str))
    };
    let output = match (&options.output_name, graph.output.as_slice()) {
        (_, []) => return Err("has no output".into()),
        (None, [only]) => only,
        (None, _) => {
            return Err(format!(
                "has {} outputs: {}; choose the one with the class scores by its name",
                graph.output.len(),
                all()
            ));
        }
        (Some(name), outputs) => outputs
            .iter()
            .find(|output| output.name == *name)
            .ok_or_else(|| format!("has no output {name:?}; its outputs are {}", all()))?,
    };
    let made = graph.node.iter().flat_map(|node| &node.output);
    let given = graph.initializer.iter().map(|parameter| &parameter.name);
    if !made.chain(given).any(|name| *name == output.name) {
        return Err(format!("has an output {} that no operator gives", output.name));
    }
    if output.r#type.is_some() && dims(output).is_none() {
        return Err(format!(
            "has an output {} that is no tensor; export the class scores as one (for scikit-learn, without ZipMap)",
            output.name
        ));
    }
    Ok((output.name.clone(), graph.output.len() > 1))
}

/// A few names, for an error.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 8;
    let names: Vec<&str> = names.collect();
    let shown: Vec<&str> = names.iter().take(SHOWN).copied().collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    super::guard::one_line(&format!("{}{more}", shown.join(", ")))
}

fn dims(value: &ValueInfoProto) -> Option<(i32, Vec<Option<usize>>)> {
    let Some(type_proto::Value::TensorType(tensor)) = value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return None;
    };
    let axes = tensor
        .shape
        .iter()
        .flat_map(|shape| &shape.dim)
        .map(|axis| match axis.value {
            Some(dimension::Value::DimValue(size)) => usize::try_from(size).ok().filter(|&size| size > 0),
            _ => None,
        })
        .collect();
    Some((tensor.elem_type, axes))
}

fn shape_text(value: &ValueInfoProto) -> String {
    dims(value).map_or_else(String::new, |(_, axes)| display(&axes))
}

/// The type and axes of an input of images; an axis is `None` if the file leaves it open.
fn input_axes(input: &ValueInfoProto) -> Result<(InputType, [Option<usize>; 4]), String> {
    let Some((elem_type, axes)) = dims(input) else {
        return Err(format!("has an input {} that is no tensor", input.name));
    };
    let input_type = match elem_type {
        1 => InputType::Float32,
        2 => InputType::Uint8,
        10 => InputType::Float16,
        _ => {
            return Err(format!(
                "has an input {} that is not of 32-bit floats, 16-bit floats or uint8",
                input.name
            ));
        }
    };
    let axes = axes
        .as_slice()
        .try_into()
        .map_err(|_| format!("has an input {} of {} axes; images have 4", input.name, axes.len()))?;
    Ok((input_type, axes))
}

/// Follows an output back, through operators that only pass values on.
fn bound(graph: &GraphProto, output: &str) -> Bound {
    let mut name = output;
    // A graph has no cycles, but a damaged file may.
    for _ in 0..graph.node.len() {
        let Some(node) = producer(graph, name) else {
            return Bound::None;
        };
        match (node.op_type.as_str(), node.input.first()) {
            ("Softmax", _) => return Bound::Sum,
            ("Sigmoid" | "HardSigmoid", _) => return Bound::Each,
            (
                "Identity" | "Cast" | "Dropout" | "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Transpose"
                | "Slice" | "Gather" | "Clip" | "QuantizeLinear" | "DequantizeLinear",
                Some(input),
            ) => name = input,
            _ => return Bound::None,
        }
    }
    Bound::None
}

fn producer<'a>(graph: &'a GraphProto, name: &str) -> Option<&'a NodeProto> {
    graph
        .node
        .iter()
        .find(|node| node.output.iter().any(|output| output == name))
}

fn display(axes: &[Option<usize>]) -> String {
    let axes: Vec<String> = axes
        .iter()
        .map(|axis| axis.map_or_else(|| "?".into(), |size| size.to_string()))
        .collect();
    format!("({})", axes.join(", "))
}

fn open(input: &ValueInfoProto, axes: &[Option<usize>; 4], what: &str) -> String {
    format!(
        "has an input {} of shape {}, which leaves {what} open: give it as an option",
        input.name,
        display(axes)
    )
}
