//! Convolutions and poolings.

use super::{Node, Value, check_products, product};

/// How a window moves along one axis.
struct Window {
    size: u64,
    stride: u64,
    dilation: u64,
    /// Both ends together.
    padding: u64,
    before: u64,
}

/// The output of a convolution or pooling.
pub(super) fn outputs(node: &Node<'_>) -> Result<Vec<Value>, String> {
    let op = node.proto.op_type.as_str();
    let is_pool = op.ends_with("Pool");
    let kernel_at = if op == "QLinearConv" { 3 } else { 1 };
    let kernel = node.dims(kernel_at);
    let one = |dims: Option<Vec<u64>>| {
        let value = Value::of_dims(dims);
        // The second output of a MaxPool are indices, of the same shape.
        Ok(vec![value.clone(), value])
    };
    let axes = match (node.attributes.ints("kernel_shape"), kernel) {
        (Some(sizes), _) => sizes.len(),
        (None, Some(kernel)) if !is_pool => kernel.len().saturating_sub(2),
        _ => return one(None),
    };
    let sizes = match node.attributes.ints("kernel_shape") {
        Some(_) => whole(node, "kernel_shape", axes, 1)?,
        None => kernel.and_then(|kernel| kernel.get(2..)).unwrap_or_default().to_vec(),
    };
    let strides = whole(node, "strides", axes, 1)?;
    let dilations = whole(node, "dilations", axes, 1)?;
    let pads = whole(node, "pads", 2 * axes, 0)?;
    let group = whole_number(node, "group", 1, 1)?;
    if sizes.contains(&0) {
        return node.refuse("a kernel of size 0");
    }
    let auto = node.attributes.text("auto_pad").unwrap_or("NOTSET");
    let Some(x) = node.dims(0) else {
        return one(None);
    };
    let (Some((&n, &channels)), Some(spatial)) = (x.first().zip(x.get(1)), x.get(2..)) else {
        return node.refuse(&format!("an input of shape {x:?}, which has no channels"));
    };
    if spatial.len() != axes {
        return node.refuse(&format!("a kernel of {axes} axes for an input of shape {x:?}"));
    }
    let mut dims = vec![n];
    match (is_pool, op, kernel) {
        (true, ..) => dims.push(channels),
        (_, "ConvTranspose", Some(&[_, filters, ..])) => dims.push(filters.saturating_mul(group)),
        (_, _, Some(&[filters, ..])) => dims.push(filters),
        _ => return one(None),
    }
    let windows = sizes
        .iter()
        .zip(&strides)
        .zip(&dilations)
        .zip(pads.iter().zip(pads.get(axes..).unwrap_or_default()));
    for (place, (((&size, &stride), &dilation), (&before, &after))) in windows.enumerate() {
        let window = Window {
            size,
            stride,
            dilation,
            padding: before.saturating_add(after),
            before,
        };
        let length = spatial.get(place).copied().unwrap_or(0);
        let length = match op {
            "ConvTranspose" => opened(node, &window, length, place, auto),
            _ => slid(
                &window,
                length,
                auto,
                is_pool && node.attributes.int("ceil_mode") == Some(1),
            ),
        };
        // Nobody pads further than the window reaches, give or take.
        let reach = size.saturating_mul(dilation).saturating_add(1024);
        let Some(length) = length.filter(|_| before.max(after) <= reach) else {
            return node.refuse(&format!("a window that does not fit its input of shape {x:?}"));
        };
        dims.push(length);
    }
    if !is_pool {
        let each = kernel
            .and_then(|kernel| kernel.get(1..))
            .and_then(product)
            .unwrap_or(u64::MAX);
        // A transposed convolution spreads each input; the others gather each output.
        let places = if op == "ConvTranspose" {
            product(x)
        } else {
            product(&dims)
        };
        check_products(node.proto, &[places.unwrap_or(u64::MAX), each])?;
    }
    one(Some(dims))
}

/// How many places a window has that slides over `length`.
fn slid(window: &Window, length: u64, auto: &str, is_ceiled: bool) -> Option<u64> {
    let &Window {
        size,
        stride,
        dilation,
        before,
        ..
    } = window;
    let reach = (size - 1).checked_mul(dilation)?.checked_add(1)?;
    let padding = match auto {
        "SAME_UPPER" | "SAME_LOWER" => return Some(length.div_ceil(stride)),
        "VALID" => 0,
        _ => window.padding,
    };
    let free = length.checked_add(padding)?.checked_sub(reach)?;
    let places = if is_ceiled {
        free.div_ceil(stride)
    } else {
        free / stride
    } + 1;
    // The last window must begin inside the input or the padding before it.
    let begins_outside = is_ceiled && (places - 1).checked_mul(stride)? >= length.checked_add(before)?;
    Some(if begins_outside { places - 1 } else { places })
}

/// The length that a transposed convolution makes of `length`.
fn opened(node: &Node<'_>, window: &Window, length: u64, place: usize, auto: &str) -> Option<u64> {
    if let Some(shape) = node.attributes.ints("output_shape") {
        return u64::try_from(*shape.get(place)?).ok();
    }
    if auto.starts_with("SAME") {
        return length.checked_mul(window.stride);
    }
    let added = match node.attributes.ints("output_padding") {
        Some(added) => u64::try_from(*added.get(place)?).ok()?,
        None => 0,
    };
    let reach = (window.size - 1).checked_mul(window.dilation)?.checked_add(1)?;
    let padding = if auto == "VALID" { 0 } else { window.padding };
    let steps = length.checked_sub(1)?.checked_mul(window.stride)?;
    steps.checked_add(reach)?.checked_add(added)?.checked_sub(padding)
}

/// An attribute of whole numbers of at least `least`, which is also what they are if they are not given.
fn whole(node: &Node<'_>, name: &str, length: usize, least: u64) -> Result<Vec<u64>, String> {
    let Some(given) = node.attributes.ints(name) else {
        return Ok(vec![least; length]);
    };
    let numbers: Option<Vec<u64>> = given
        .iter()
        .map(|&number| {
            u64::try_from(number)
                .ok()
                .filter(|&number| number >= least && number <= 1 << 31)
        })
        .collect();
    match numbers.filter(|numbers| numbers.len() == length) {
        Some(numbers) => Ok(numbers),
        None => node.refuse(&format!("{name} {given:?}")),
    }
}

fn whole_number(node: &Node<'_>, name: &str, least: u64, default: u64) -> Result<u64, String> {
    match node.attributes.int(name) {
        None => Ok(default),
        Some(number) => match u64::try_from(number).ok().filter(|&number| number >= least) {
            Some(number) => Ok(number),
            None => node.refuse(&format!("{name} {number}")),
        },
    }
}
