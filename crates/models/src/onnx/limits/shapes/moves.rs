//! Operators that move, repeat, choose or sum up values.

use super::{MAX_KEPT, Node, Value, axis, constant, grow, kept, product, sizes};

pub(super) fn outputs(node: &Node<'_>) -> Result<Vec<Value>, String> {
    let op = node.proto.op_type.as_str();
    if op == "Constant" {
        return Ok(vec![constant_node(node)?]);
    }
    if op == "Split" {
        return Ok(split(node).unwrap_or_default());
    }
    let value = match op {
        "Shape" => shape(node),
        "Size" => node
            .input(0)
            .and_then(Value::count)
            .map(|count| Value::of_integers(vec![], vec![count as f64])),
        "ConstantOfShape" => grow::filled(node),
        "Range" => grow::range(node),
        "Concat" => concat(node),
        "Gather" => gather(node),
        "Slice" => slice(node),
        "Transpose" => transpose(node),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
            let dims = match op {
                "Reshape" => reshape(node),
                "Flatten" => flatten(node),
                "Squeeze" => squeeze(node),
                _ => unsqueeze(node),
            };
            // The order of the numbers stays.
            Some(Value {
                dims,
                numbers: node.input(0).and_then(|input| input.numbers.clone()),
                is_int: node.input(0).is_some_and(|input| input.is_int),
                is_constant: false,
            })
        }
        "Expand" => grow::expand(node),
        "Tile" => grow::tile(node),
        op if op.starts_with("Reduce") || matches!(op, "ArgMax" | "ArgMin") => reduce(node),
        _ => dims_of(node, op).map(|dims| Value::of_dims(Some(dims))),
    };
    let value = value.unwrap_or_default();
    Ok(match op {
        // Values and indices.
        "TopK" => vec![value.clone(), value],
        _ => vec![value],
    })
}

/// Operators of which nothing but the shape is of interest.
fn dims_of(node: &Node<'_>, op: &str) -> Option<Vec<u64>> {
    let first = node.dims(0);
    match op {
        "Pad" => grow::pad(node),
        "Resize" | "Upsample" => grow::resize(node, op),
        "GatherElements" => node.dims(1).map(<[u64]>::to_vec),
        "GatherND" => {
            let (&last, leading) = node.dims(1)?.split_last()?;
            let batch = usize::try_from(node.attributes.int("batch_dims").unwrap_or(0)).ok()?;
            let rest = first?.get(batch.checked_add(usize::try_from(last).ok()?)?..)?;
            Some([leading, rest].concat())
        }
        "OneHot" => {
            let depth = u64::try_from(*node.ints(1)?.first()?).ok()?;
            let mut dims = first?.to_vec();
            let place = axis(node.attributes.int("axis").unwrap_or(-1), dims.len() + 1)?;
            dims.insert(place, depth);
            Some(dims)
        }
        "TopK" => {
            let mut dims = first?.to_vec();
            let k = node.ints_of("k", 1)?.first().copied();
            let place = axis(node.attributes.int("axis").unwrap_or(-1), dims.len())?;
            *dims.get_mut(place)? = u64::try_from(k.or(node.attributes.int("k"))?).ok()?;
            Some(dims)
        }
        "DepthToSpace" | "SpaceToDepth" => {
            let block = u64::try_from(node.attributes.int("blocksize")?)
                .ok()
                .filter(|&block| block > 0)?;
            let &[n, c, h, w] = first? else { return None };
            match op {
                "DepthToSpace" => Some(vec![
                    n,
                    c / block.checked_mul(block)?,
                    h.checked_mul(block)?,
                    w.checked_mul(block)?,
                ]),
                _ => Some(vec![n, c.checked_mul(block.checked_mul(block)?)?, h / block, w / block]),
            }
        }
        "RandomNormal" | "RandomUniform" => sizes(node.attributes.ints("shape")?),
        "GridSample" => match (first?, node.dims(1)?) {
            (&[n, c, ..], &[_, h, w, _]) => Some(vec![n, c, h, w]),
            _ => None,
        },
        "Einsum" => einsum(node),
        "CenterCropPad" => {
            let mut dims = first?.to_vec();
            let lengths = sizes(&node.ints(1)?)?;
            let axes = match node.attributes.ints("axes") {
                Some(axes) => axes
                    .iter()
                    .map(|&place| axis(place, dims.len()))
                    .collect::<Option<Vec<_>>>()?,
                None => (0..dims.len()).collect(),
            };
            for (place, length) in axes.into_iter().zip(lengths) {
                *dims.get_mut(place)? = length;
            }
            Some(dims)
        }
        "HannWindow" | "HammingWindow" | "BlackmanWindow" => sizes(node.ints(0)?.get(..1)?),
        _ => None,
    }
}

fn constant_node(node: &Node<'_>) -> Result<Value, String> {
    if let Some(tensor) = node.attributes.tensor("value") {
        return constant(tensor);
    }
    let value = if let Some(number) = node.attributes.int("value_int") {
        Value::of_integers(vec![], vec![number as f64])
    } else if let Some(numbers) = node.attributes.ints("value_ints") {
        let numbers: Vec<f64> = numbers.iter().map(|&number| number as f64).collect();
        kept(vec![numbers.len() as u64], Some(numbers), true)
    } else if let Some(number) = node.attributes.float("value_float") {
        kept(vec![], Some(vec![f64::from(number)]), false)
    } else if let Some(numbers) = node.attributes.floats("value_floats") {
        let numbers: Vec<f64> = numbers.iter().map(|&number| f64::from(number)).collect();
        kept(vec![numbers.len() as u64], Some(numbers), false)
    } else {
        Value::default()
    };
    Ok(value)
}

fn shape(node: &Node<'_>) -> Option<Value> {
    let dims = node.dims(0)?;
    let rank = i64::try_from(dims.len()).ok()?;
    let bound = |name: &str, default: i64| {
        let bound = node.attributes.int(name).unwrap_or(default);
        let from_start = if bound < 0 { bound.saturating_add(rank) } else { bound };
        usize::try_from(from_start.clamp(0, rank)).ok()
    };
    let (start, end) = (bound("start", 0)?, bound("end", rank)?);
    let part: Vec<f64> = dims.get(start..end.max(start))?.iter().map(|&dim| dim as f64).collect();
    Some(Value::of_integers(vec![part.len() as u64], part))
}

fn concat(node: &Node<'_>) -> Option<Value> {
    let inputs: Vec<&Value> = node.inputs.iter().map(Option::as_ref).collect::<Option<_>>()?;
    let mut dims = inputs.first()?.dims.clone()?;
    let place = axis(node.attributes.int("axis").unwrap_or(1), dims.len())?;
    let mut along = 0u64;
    for input in &inputs {
        along = along.checked_add(*input.dims.as_ref()?.get(place)?)?;
    }
    *dims.get_mut(place)? = along;
    let outer = product(dims.get(..place)?).filter(|&outer| outer <= MAX_KEPT as u64)? as usize;
    let numbers = (0..outer)
        .map(|row| {
            let parts = inputs.iter().map(|input| {
                let numbers = input.numbers.as_ref()?;
                let len = numbers.len().checked_div(outer)?;
                numbers.get(row * len..(row + 1) * len)
            });
            Some(parts.collect::<Option<Vec<_>>>()?.concat())
        })
        .collect::<Option<Vec<_>>>()
        .map(|rows| rows.concat());
    Some(kept(dims, numbers, inputs.iter().all(|input| input.is_int)))
}

fn gather(node: &Node<'_>) -> Option<Value> {
    let (data, indices) = (node.input(0)?, node.input(1)?);
    let dims = data.dims.as_ref()?;
    let place = axis(node.attributes.int("axis").unwrap_or(0), dims.len())?;
    let chosen = [dims.get(..place)?, indices.dims.as_deref()?, dims.get(place + 1..)?].concat();
    let size = usize::try_from(*dims.get(place)?).ok()?;
    let numbers = data.numbers.as_ref().zip(node.ints(1)).and_then(|(numbers, indices)| {
        let indices: Vec<usize> = indices
            .into_iter()
            .map(|place| axis(place, size))
            .collect::<Option<_>>()?;
        taken(numbers, dims, place, &indices)
    });
    Some(kept(chosen, numbers, data.is_int))
}

fn slice(node: &Node<'_>) -> Option<Value> {
    let data = node.input(0)?;
    let mut dims = data.dims.clone()?;
    let (starts, ends) = (node.ints_of("starts", 1)?, node.ints_of("ends", 2)?);
    let axes = match node.attributes.ints("axes").map(<[i64]>::to_vec) {
        Some(axes) => axes,
        None if node.input(3).is_some() => node.ints(3)?,
        None => (0..i64::try_from(starts.len()).ok()?).collect(),
    };
    let steps = match node.input(4) {
        Some(_) => node.ints(4)?,
        None => vec![1; starts.len()],
    };
    let mut numbers = data.numbers.clone();
    for (((start, end), place), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let place = axis(*place, dims.len())?;
        let length = i64::try_from(*dims.get(place)?).ok()?;
        let at = |bound: i64| if bound < 0 { bound.saturating_add(length) } else { bound };
        let (first, last) = match step {
            0 => return None,
            1.. => (at(*start).clamp(0, length), at(*end).clamp(0, length)),
            _ => (at(*start).clamp(-1, length - 1), at(*end).clamp(-1, length - 1)),
        };
        let span = if *step > 0 { last - first } else { first - last };
        let count = span.max(0).unsigned_abs().div_ceil(step.unsigned_abs());
        numbers = numbers.and_then(|numbers| {
            let indices: Vec<usize> = (0..i64::try_from(count).ok()?)
                .map(|k| usize::try_from(first + k * step).ok())
                .collect::<Option<_>>()?;
            taken(&numbers, &dims, place, &indices)
        });
        *dims.get_mut(place)? = count;
    }
    Some(kept(dims, numbers, data.is_int))
}

fn split(node: &Node<'_>) -> Option<Vec<Value>> {
    let data = node.input(0)?;
    let dims = data.dims.as_ref()?;
    let place = axis(node.attributes.int("axis").unwrap_or(0), dims.len())?;
    let size = *dims.get(place)?;
    let parts = node.proto.output.len() as u64;
    let lengths = match node.ints_of("split", 1) {
        Some(lengths) => sizes(&lengths)?,
        None if node.input(1).is_some() || parts == 0 => return None,
        None => {
            let each = size.div_ceil(parts);
            (0..parts)
                .map(|part| each.min(size.saturating_sub(part.saturating_mul(each))))
                .collect()
        }
    };
    let mut first = 0usize;
    lengths
        .into_iter()
        .map(|length| {
            let end = first.checked_add(usize::try_from(length).ok()?)?;
            let few = length <= MAX_KEPT as u64;
            let numbers = data.numbers.as_ref().filter(|_| few);
            let numbers = numbers.and_then(|numbers| taken(numbers, dims, place, &(first..end).collect::<Vec<_>>()));
            first = end;
            let mut dims = dims.clone();
            *dims.get_mut(place)? = length;
            Some(kept(dims, numbers, data.is_int))
        })
        .collect()
}

/// The numbers at some places along one axis.
fn taken(numbers: &[f64], dims: &[u64], place: usize, indices: &[usize]) -> Option<Vec<f64>> {
    let size = usize::try_from(*dims.get(place)?).ok()?;
    let inner = usize::try_from(product(dims.get(place + 1..)?)?).ok()?;
    let mut chosen = Vec::new();
    for block in numbers.chunks(size.checked_mul(inner)?.max(1)) {
        for index in indices {
            chosen.extend_from_slice(block.get(index * inner..(index + 1) * inner)?);
            if chosen.len() > MAX_KEPT {
                return None;
            }
        }
    }
    Some(chosen)
}

fn transpose(node: &Node<'_>) -> Option<Value> {
    let input = node.input(0)?;
    let dims = input.dims.as_ref()?;
    let order: Vec<usize> = match node.attributes.ints("perm") {
        Some(order) => order
            .iter()
            .map(|&place| axis(place, dims.len()))
            .collect::<Option<_>>()?,
        None => (0..dims.len()).rev().collect(),
    };
    let turned: Vec<u64> = order
        .iter()
        .map(|&place| dims.get(place).copied())
        .collect::<Option<_>>()?;
    let numbers = input.numbers.as_ref().and_then(|numbers| {
        (0..numbers.len())
            .map(|place| {
                // The place in the result, axis by axis from the last, and with it the place in the input.
                let (mut rest, mut from) = (place as u64, 0);
                for (&axis, &size) in order.iter().zip(&turned).rev() {
                    from += rest.checked_rem(size)? * product(dims.get(axis + 1..)?)?;
                    rest = rest.checked_div(size)?;
                }
                numbers.get(from as usize).copied()
            })
            .collect()
    });
    Some(kept(turned, numbers, input.is_int))
}

fn reshape(node: &Node<'_>) -> Option<Vec<u64>> {
    let wanted = match node.attributes.ints("shape") {
        Some(shape) if node.opset < 5 => shape.to_vec(),
        _ => node.ints(1)?,
    };
    let keeps_zeros = node.attributes.int("allowzero") == Some(1);
    let given = node.dims(0);
    let mut open = None;
    let mut dims = Vec::with_capacity(wanted.len());
    for (place, size) in wanted.into_iter().enumerate() {
        dims.push(match size {
            0 if !keeps_zeros => *given?.get(place)?,
            -1 => {
                open = Some(place);
                1
            }
            size => u64::try_from(size).ok()?,
        });
    }
    if let Some(place) = open {
        *dims.get_mut(place)? = product(given?)?.checked_div(product(&dims)?)?;
    }
    // A reshape keeps the number of values; another one will be refused by the engine.
    (product(given?)? == product(&dims)?).then_some(dims)
}

fn flatten(node: &Node<'_>) -> Option<Vec<u64>> {
    let dims = node.dims(0)?;
    let at = node.attributes.int("axis").unwrap_or(1);
    let rank = i64::try_from(dims.len()).ok()?;
    let place = usize::try_from(if at < 0 { at.checked_add(rank)? } else { at }).ok()?;
    Some(vec![product(dims.get(..place)?)?, product(dims.get(place..)?)?])
}

fn squeeze(node: &Node<'_>) -> Option<Vec<u64>> {
    let dims = node.dims(0)?;
    let axes = match node.ints_of("axes", 1) {
        Some(axes) => axes
            .iter()
            .map(|&place| axis(place, dims.len()))
            .collect::<Option<Vec<_>>>()?,
        None if node.input(1).is_some() => return None,
        None => dims
            .iter()
            .enumerate()
            .filter(|(_, dim)| **dim == 1)
            .map(|(place, _)| place)
            .collect(),
    };
    let kept = dims.iter().enumerate().filter(|(place, _)| !axes.contains(place));
    Some(kept.map(|(_, &dim)| dim).collect())
}

fn unsqueeze(node: &Node<'_>) -> Option<Vec<u64>> {
    let dims = node.dims(0)?;
    let axes = node.ints_of("axes", 1)?;
    let rank = dims.len().checked_add(axes.len())?;
    let axes = axes
        .iter()
        .map(|&place| axis(place, rank))
        .collect::<Option<Vec<_>>>()?;
    let mut own = dims.iter();
    (0..rank)
        .map(|place| {
            if axes.contains(&place) {
                Some(1)
            } else {
                own.next().copied()
            }
        })
        .collect()
}

fn reduce(node: &Node<'_>) -> Option<Value> {
    let input = node.input(0)?;
    let dims = input.dims.as_ref()?;
    let keeps = node.attributes.int("keepdims").unwrap_or(1) != 0;
    let is_arg = node.proto.op_type.starts_with("Arg");
    let axes = match node.ints_of("axes", 1) {
        _ if is_arg => Some(vec![node.attributes.int("axis").unwrap_or(0)]),
        Some(axes) => Some(axes).filter(|axes| !axes.is_empty()),
        None if node.input(1).is_some() => return None,
        None => None,
    };
    let axes = match axes {
        Some(axes) => axes
            .iter()
            .map(|&place| axis(place, dims.len()))
            .collect::<Option<Vec<_>>>()?,
        None if node.attributes.int("noop_with_empty_axes") == Some(1) => vec![],
        None => (0..dims.len()).collect(),
    };
    let places = dims.iter().enumerate();
    let reduced: Vec<u64> = match keeps {
        true => places
            .map(|(place, &dim)| if axes.contains(&place) { 1 } else { dim })
            .collect(),
        false => places
            .filter(|(place, _)| !axes.contains(place))
            .map(|(_, &dim)| dim)
            .collect(),
    };
    let numbers = match (&input.numbers, product(&reduced)) {
        (Some(numbers), Some(1)) => match node.proto.op_type.as_str() {
            "ReduceProd" => Some(numbers.iter().product()),
            "ReduceSum" => Some(numbers.iter().sum()),
            "ReduceMax" => numbers.iter().copied().reduce(f64::max),
            "ReduceMin" => numbers.iter().copied().reduce(f64::min),
            _ => None,
        },
        _ => None,
    };
    let numbers = numbers
        .filter(|number: &f64| number.abs() <= 9e15)
        .map(|number| vec![number]);
    Some(kept(reduced, numbers, input.is_int))
}

/// The axes of the equation's right side, each as long as the same letter is on the left.
fn einsum(node: &Node<'_>) -> Option<Vec<u64>> {
    let equation: String = node
        .attributes
        .text("equation")?
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let (left, right) = equation.split_once("->")?;
    if equation.contains('.') {
        return None;
    }
    let mut lengths = std::collections::HashMap::new();
    for (place, letters) in left.split(',').enumerate() {
        let dims = node.dims(place)?;
        for (letter, &dim) in letters.chars().zip(dims) {
            let length = lengths.entry(letter).or_insert(dim);
            *length = dim.max(*length);
        }
    }
    right.chars().map(|letter| lengths.get(&letter).copied()).collect()
}
