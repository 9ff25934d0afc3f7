//! What tract would read wrongly, written another way.

use std::collections::HashSet;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::limits::{Attributes, Values};

/// The graph with each operator's name only once, `Pad` of negative amounts as a `Pad` and a `Slice`, `Celu` by `Elu`, and `GlobalLpPool` as a reduction.
///
/// # Errors
/// If something can be written in no other way: its name, and what to do.
pub(super) fn rewritten(proto: &ModelProto, values: &Values) -> Result<ModelProto, String> {
    let mut proto = proto.clone();
    if let Some(graph) = &mut proto.graph {
        pads(graph, values)?;
        scaled_elus(graph);
        pools(graph, values)?;
        names(graph);
    }
    Ok(proto)
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
        let operator = |op: &str, inputs: Vec<String>, output: &str| NodeProto {
            op_type: op.into(),
            input: inputs,
            output: vec![output.into()],
            ..Default::default()
        };
        let inputs = std::mem::take(&mut node.input);
        graph
            .node
            .push(operator("Div", [inputs, vec![alpha_name.clone()]].concat(), &divided));
        graph.node.push(operator("Elu", vec![divided], &elu));
        graph.node.push(operator("Mul", vec![elu, alpha_name], &output));
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
