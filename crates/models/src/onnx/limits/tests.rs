//! Shapes are those that ONNX Runtime and tract find; what asks for too much is refused.

use tract_onnx::pb::{AttributeProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto};

use super::*;

fn tensor(name: &str, dims: &[i64], numbers: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 7,
        int64_data: numbers.to_vec(),
        ..Default::default()
    }
}

fn node(op: &str, inputs: &[&str], output: &str, ints: &[(&str, &[i64])]) -> NodeProto {
    let attribute = |(name, values): &(&str, &[i64])| AttributeProto {
        name: (*name).into(),
        i: values.first().copied().unwrap_or_default(),
        ints: values.to_vec(),
        ..Default::default()
    };
    NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        attribute: ints.iter().map(attribute).collect(),
        ..Default::default()
    }
}

fn check_graph(parameters: Vec<TensorProto>, nodes: Vec<NodeProto>) -> Result<Values, String> {
    let graph = GraphProto {
        initializer: parameters,
        node: nodes,
        output: vec![ValueInfoProto::default()],
        ..Default::default()
    };
    let proto = ModelProto {
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 17,
        }],
        ..Default::default()
    };
    check(&proto, "x", [1, 3, 8, 8])
}

fn shape(parameters: Vec<TensorProto>, nodes: Vec<NodeProto>) -> Option<Vec<u64>> {
    check_graph(parameters, nodes).unwrap().remove("y").unwrap().dims
}

#[test]
fn shapes_computed_in_the_graph_are_followed() {
    // As a vision transformer computes the shape of its class token.
    let nodes = vec![
        node("Shape", &["x"], "s", &[]),
        node("Gather", &["s", "zero"], "n", &[]),
        node("Unsqueeze", &["n", "axes"], "n1", &[]),
        node("Concat", &["n1", "rest"], "shape", &[("axis", &[0])]),
        node("Expand", &["token", "shape"], "y", &[]),
    ];
    let parameters = vec![
        tensor("zero", &[], &[0]),
        tensor("axes", &[1], &[0]),
        tensor("rest", &[2], &[-1, 4]),
        tensor("token", &[1, 1, 4], &[0; 4]),
    ];
    let unknown = check_graph(parameters.clone(), nodes.clone()).unwrap_err();
    assert!(
        unknown.contains("Expand") && unknown.contains("cannot be told"),
        "{unknown}"
    );
    let mut parameters = parameters;
    parameters[2] = tensor("rest", &[2], &[5, 4]);
    assert_eq!(shape(parameters, nodes), Some(vec![1, 5, 4]));
}

#[test]
fn what_asks_for_too_much_is_refused() {
    const HUGE: i64 = 1 << 40;
    let huge: [(&str, Vec<TensorProto>, Vec<NodeProto>); 9] = [
        (
            "ConstantOfShape",
            vec![tensor("a", &[1], &[HUGE])],
            vec![node("ConstantOfShape", &["a"], "y", &[])],
        ),
        (
            "ConstantOfShape",
            vec![tensor("a", &[2], &[i64::MAX, 4])],
            vec![node("ConstantOfShape", &["a"], "y", &[])],
        ),
        (
            "Tile",
            vec![tensor("a", &[4], &[1, 1, HUGE, HUGE])],
            vec![node("Tile", &["x", "a"], "y", &[])],
        ),
        (
            "Expand",
            vec![tensor("a", &[5], &[HUGE, 1, 1, 8, 8])],
            vec![node("Expand", &["x", "a"], "y", &[])],
        ),
        (
            "Pad",
            vec![tensor("a", &[8], &[0, 0, 0, 0, 0, 0, i64::MAX, i64::MAX])],
            vec![node("Pad", &["x", "a"], "y", &[])],
        ),
        (
            "Range",
            vec![
                tensor("a", &[], &[0]),
                tensor("b", &[], &[HUGE]),
                tensor("c", &[], &[1]),
            ],
            vec![node("Range", &["a", "b", "c"], "y", &[])],
        ),
        (
            "Resize",
            vec![tensor("a", &[4], &[1, 3, HUGE, 2])],
            vec![node("Resize", &["x", "", "", "a"], "y", &[])],
        ),
        // Computed from harmless numbers.
        (
            "ConstantOfShape",
            vec![tensor("a", &[1], &[1 << 20])],
            vec![
                node("Mul", &["a", "a"], "b", &[]),
                node("ConstantOfShape", &["b"], "y", &[]),
            ],
        ),
        // Each broadcast against the other.
        (
            "Add",
            vec![tensor("a", &[4], &[1, 1 << 20, 1, 1])],
            vec![
                node("ConstantOfShape", &["a"], "b", &[]),
                node("Transpose", &["b"], "c", &[("perm", &[1, 0, 2, 3])]),
                node("Add", &["b", "c"], "y", &[]),
            ],
        ),
    ];
    for (op, parameters, nodes) in huge {
        let error = check_graph(parameters, nodes).unwrap_err();
        assert!(error.contains(op), "{op}: {error}");
    }
}

#[test]
fn pads_computed_as_pytorch_does_are_followed() {
    // Pairs from the last axis on are turned round: reshaped, sliced backwards, transposed.
    let nodes = vec![
        node("Concat", &["given", "rest"], "all", &[("axis", &[0])]),
        node("Reshape", &["all", "pairs"], "rows", &[]),
        node("Slice", &["rows", "last", "first", "zero", "back"], "turned", &[]),
        node("Transpose", &["turned"], "columns", &[("perm", &[1, 0])]),
        node("Reshape", &["columns", "flat"], "pads", &[]),
        node("Pad", &["x", "pads"], "y", &[]),
    ];
    let parameters = vec![
        tensor("given", &[4], &[0, 3, 1, 2]),
        tensor("rest", &[4], &[0; 4]),
        tensor("pairs", &[2], &[-1, 2]),
        tensor("last", &[1], &[-1]),
        tensor("first", &[1], &[i64::MIN + 1]),
        tensor("zero", &[1], &[0]),
        tensor("back", &[1], &[-1]),
        tensor("flat", &[1], &[-1]),
    ];
    assert_eq!(shape(parameters, nodes), Some(vec![1, 3, 8 + 1 + 2, 8 + 3]));
}

#[test]
fn numbers_that_spread_over_two_axes_are_not_followed() {
    let nodes = vec![node("Add", &["a", "b"], "y", &[])];
    let parameters = vec![tensor("a", &[2, 1], &[1, 2]), tensor("b", &[1, 2], &[3, 4])];
    let y = check_graph(parameters, nodes).unwrap().remove("y").unwrap();
    assert_eq!((y.dims, y.numbers), (Some(vec![2, 2]), None));
    let empty = vec![tensor("a", &[2], &[0, i64::MAX])];
    assert!(check_graph(empty, vec![node("ConstantOfShape", &["a"], "y", &[])]).is_err());
}

#[test]
fn windows_that_cannot_be_are_refused() {
    let pool = |attributes: &[(&str, &[i64])]| check_graph(vec![], vec![node("MaxPool", &["x"], "y", attributes)]);
    let dims = |attributes: &[(&str, &[i64])]| pool(attributes).unwrap().remove("y").unwrap().dims;
    assert_eq!(
        dims(&[("kernel_shape", &[3, 3]), ("strides", &[2, 2])]),
        Some(vec![1, 3, 3, 3])
    );
    assert_eq!(
        dims(&[("kernel_shape", &[3, 3]), ("strides", &[2, 2]), ("ceil_mode", &[1])]),
        Some(vec![1, 3, 4, 4])
    );
    // The last window would begin in the padding behind the image.
    let ceiled: &[(&str, &[i64])] = &[
        ("kernel_shape", &[1, 1]),
        ("strides", &[2, 2]),
        ("pads", &[0, 0, 1, 1]),
        ("ceil_mode", &[1]),
    ];
    assert_eq!(dims(ceiled), Some(vec![1, 3, 4, 4]));
    for attributes in [
        &[("kernel_shape", &[3, 3][..]), ("strides", &[0, 1])][..],
        &[("kernel_shape", &[3, 3]), ("strides", &[-1, 1])],
        &[("kernel_shape", &[3, 3]), ("dilations", &[0, 1])],
        &[("kernel_shape", &[0, 3])],
        &[("kernel_shape", &[9, 9])],
        &[("kernel_shape", &[3, 3]), ("pads", &[-1, 0, 0, 0])],
        &[("kernel_shape", &[3, 3]), ("pads", &[1])],
        &[("kernel_shape", &[3])],
    ] {
        assert!(pool(attributes).is_err(), "{attributes:?}");
    }
}

#[test]
fn tensors_that_lie_are_refused() {
    for (dims, numbers) in [(&[3][..], 2), (&[-1], 1), (&[i64::MAX, 4], 1), (&[], 2)] {
        let error = check_graph(vec![tensor("lie", dims, &vec![0; numbers])], vec![]).unwrap_err();
        assert!(error.contains("lie") && error.contains("damaged"), "{error}");
    }
}

#[test]
fn weights_with_nan_are_refused() {
    let floats = |values: &[f32]| TensorProto {
        name: "w".into(),
        dims: vec![values.len() as i64],
        data_type: 1,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..Default::default()
    };
    let halves = |bits: &[u16]| TensorProto {
        data_type: 10,
        dims: vec![bits.len() as i64],
        raw_data: bits.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..Default::default()
    };
    assert!(
        check_graph(
            vec![floats(&[1.0, f32::NEG_INFINITY]), halves(&[0x3c00, 0xfc00])],
            vec![]
        )
        .is_ok()
    );
    for tensor in [floats(&[1.0, f32::NAN]), halves(&[0x3c00, 0x7c01])] {
        let error = check_graph(vec![tensor], vec![]).unwrap_err();
        assert!(error.contains("NaN at index 1"), "{error}");
    }
}

#[test]
fn loops_are_refused() {
    let error = check_graph(vec![], vec![node("Loop", &["x"], "y", &[])]).unwrap_err();
    assert!(error.contains("Loop"), "{error}");
}
