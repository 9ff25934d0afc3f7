//! What tract would read wrongly, written another way.

use std::collections::HashSet;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto::DataType, type_proto,
};
use tract_onnx::prelude::f16;

use super::limits::{Attributes, Values};

/// Writes what tract would read wrongly another way: `Pad` of negative amounts as a `Pad` and a `Slice`, `Celu` by `Elu`, 16-bit floats as 32-bit ones,
/// `ConstantOfShape` with its value, `GlobalLpPool` as a reduction, and each operator's name only once. What was written so before stays.
///
/// # Errors
/// If something can be written in no other way: its name, and what to do.
pub(super) fn rewrite(proto: &mut ModelProto, values: &Values) -> Result<(), String> {
    if let Some(graph) = &mut proto.graph {
        pads(graph, values)?;
        scaled_elus(graph);
        widen(graph);
        zeros(graph);
        pools(graph, values)?;
        names(graph);
    }
    Ok(())
}

/// tract wants names of operators to be unique, which the standard does not; those of their outputs are.
fn names(graph: &mut GraphProto) {
    let mut seen = HashSet::new();
    for node in &mut graph.node {
        if !node.name.is_empty() && !seen.insert(node.name.clone()) {
            node.name.clear();
        }
    }
}

/// tract's Celu forgets to multiply by alpha: alpha Elu(x / alpha) is the same.
fn scaled_elus(graph: &mut GraphProto) {
    let nodes = std::mem::take(&mut graph.node);
    for mut node in nodes {
        let alpha = Attributes(&node).float("alpha").unwrap_or(1.0);
        let output = match (node.op_type.as_str(), node.output.first()) {
            ("Celu", Some(output)) => output.clone(),
            _ => {
                graph.node.push(node);
                continue;
            }
        };
        let names = ["alpha", "divided", "elu"].map(|part| format!("{output}, {part}"));
        let [alpha_name, divided, elu] = names;
        graph.initializer.push(TensorProto {
            data_type: DataType::Float as i32,
            float_data: vec![alpha],
            name: alpha_name.clone(),
            ..Default::default()
        });
        let inputs = std::mem::take(&mut node.input);
        graph
            .node
            .push(operator("Div", [inputs, vec![alpha_name.clone()]].concat(), &divided));
        graph.node.push(operator("Elu", vec![divided], &elu));
        graph.node.push(operator("Mul", vec![elu, alpha_name], &output));
    }
}

/// tract takes the zeros of a ConstantOfShape that does not say of what for 64-bit floats; the standard has 32-bit ones.
fn zeros(graph: &mut GraphProto) {
    for node in graph.node.iter_mut().filter(|node| node.op_type == "ConstantOfShape") {
        if Attributes(node).tensor("value").is_none() {
            node.attribute.push(AttributeProto {
                name: "value".into(),
                r#type: AttributeType::Tensor as i32,
                t: Some(TensorProto {
                    dims: vec![1],
                    data_type: DataType::Float as i32,
                    float_data: vec![0.0],
                    ..Default::default()
                }),
                ..Default::default()
            });
        }
    }
}

/// Numbers of 16 bits as the same of 32: few processors compute with 16, and tract would add up long sums in them.
fn widen(graph: &mut GraphProto) {
    const HALF: i64 = DataType::Float16 as i64;
    const FLOAT: i64 = DataType::Float as i64;
    graph.initializer.iter_mut().for_each(widened);
    for input in &mut graph.input {
        if let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_mut().and_then(|kind| kind.value.as_mut())
            && i64::from(tensor.elem_type) == HALF
        {
            tensor.elem_type = FLOAT as i32;
        }
    }
    for node in &mut graph.node {
        for attribute in &mut node.attribute {
            if matches!(attribute.name.as_str(), "to" | "dtype" | "output_dtype") && attribute.i == HALF {
                attribute.i = FLOAT;
            }
            attribute.t.iter_mut().for_each(widened);
            attribute.g.iter_mut().for_each(widen);
        }
    }
}

fn widened(tensor: &mut TensorProto) {
    if tensor.data_type != DataType::Float16 as i32 {
        return;
    }
    let halves: Vec<u16> = match tensor.raw_data.is_empty() {
        true => tensor.int32_data.iter().map(|&bits| bits as u16).collect(),
        false => {
            let pairs = tensor.raw_data.as_chunks::<2>().0.iter();
            pairs.map(|&bytes| u16::from_le_bytes(bytes)).collect()
        }
    };
    tensor.data_type = DataType::Float as i32;
    tensor.int32_data.clear();
    tensor.raw_data.clear();
    tensor.float_data = halves.into_iter().map(|bits| f16::from_bits(bits).to_f32()).collect();
}

fn operator(op: &str, inputs: Vec<String>, output: &str) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        input: inputs,
        output: vec![output.into()],
        ..Default::default()
    }
}

/// tract's GlobalLpPool of p = 2 divides by the number of values; a reduction is what the standard says.
fn pools(graph: &mut GraphProto, values: &Values) -> Result<(), String> {
    for node in graph.node.iter_mut().filter(|node| node.op_type == "GlobalLpPool") {
        let name = match Attributes(node).int("p").unwrap_or(2) {
            1 => "ReduceL1",
            2 => "ReduceL2",
            p => return Err(format!("has a GlobalLpPool with p = {p}, which is not supported")),
        };
        let rank = node
            .input
            .first()
            .and_then(|input| values.get(input)?.dims.as_ref())
            .map(Vec::len);
        let Some(rank) = rank else {
            return Err("has a GlobalLpPool of an input whose number of axes is not known".into());
        };
        // As the attribute that it was until version 18; tract reads it at any.
        node.op_type = name.into();
        node.attribute = vec![AttributeProto {
            name: "axes".into(),
            r#type: AttributeType::Ints as i32,
            ints: (2..rank as i64).collect(),
            ..Default::default()
        }];
    }
    Ok(())
}

/// tract takes a negative amount for a huge one.
fn pads(graph: &mut GraphProto, values: &Values) -> Result<(), String> {
    let nodes = std::mem::take(&mut graph.node);
    for mut node in nodes {
        let amounts = match node.op_type.as_str() {
            "Pad" => amounts(&node, values),
            _ => None,
        };
        let Some(amounts) = amounts.filter(|amounts| amounts.iter().any(|&amount| amount < 0)) else {
            graph.node.push(node);
            continue;
        };
        if Attributes(&node).text("mode").is_some_and(|mode| mode != "constant") {
            return Err(
                "has a Pad of negative amounts that mirrors or repeats the edge, which is not supported".into(),
            );
        }
        let (Some(output), Some(pads), Some(axes)) = (
            node.output.first().cloned(),
            node.input.get(1),
            amounts.len().checked_div(2),
        ) else {
            return Err("has a Pad of negative amounts without their own input, which is not supported".into());
        };
        let (pads, padded) = (format!("{pads} of {output}, added"), format!("{output}, padded"));
        let (before, after) = amounts.split_at(axes);
        graph
            .initializer
            .push(integers(&pads, amounts.iter().map(|&amount| amount.max(0)).collect()));
        let starts: Vec<i64> = before.iter().map(|&amount| amount.min(0).saturating_neg()).collect();
        let ends = after
            .iter()
            .map(|&amount| if amount < 0 { amount } else { i64::MAX })
            .collect();
        let mut inputs = vec![padded.clone()];
        for (name, numbers) in [("starts", starts), ("ends", ends)] {
            let name = format!("{output}, {name}");
            graph.initializer.push(integers(&name, numbers));
            inputs.push(name);
        }
        // The axes are those of the pad, or the first ones.
        match node.input.get(3).filter(|name| !name.is_empty()) {
            Some(axes) => inputs.push(axes.clone()),
            None => {
                let name = format!("{output}, axes");
                graph.initializer.push(integers(&name, (0..axes as i64).collect()));
                inputs.push(name);
            }
        }
        if let Some(input) = node.input.get_mut(1) {
            *input = pads;
        }
        node.output = vec![padded.clone()];
        node.name = padded;
        graph.node.push(node);
        graph.node.push(NodeProto {
            input: inputs,
            name: format!("{output}, cut"),
            output: vec![output],
            op_type: "Slice".into(),
            ..Default::default()
        });
    }
    Ok(())
}

fn amounts(node: &NodeProto, values: &Values) -> Option<Vec<i64>> {
    if let Some(pads) = Attributes(node).ints("pads") {
        return Some(pads.to_vec());
    }
    let numbers = values.get(node.input.get(1)?)?.numbers.as_ref()?;
    Some(numbers.iter().map(|&number| number as i64).collect())
}

fn integers(name: &str, numbers: Vec<i64>) -> TensorProto {
    TensorProto {
        dims: vec![numbers.len() as i64],
        data_type: DataType::Int64 as i32,
        int64_data: numbers,
        name: name.into(),
        ..Default::default()
    }
}
