//! Operators that can give more values than they take.

use super::numbers::index;
use super::{MAX_KEPT, Node, Value, axis, broadcast, kept, product, sizes};

pub(super) fn filled(node: &Node<'_>) -> Option<Value> {
    let dims = sizes(&node.ints(0)?)?;
    let tensor = node.attributes.tensor("value");
    let (fill, is_int) = match tensor {
        Some(tensor) => {
            let number = super::tensor::numbers(tensor, 1);
            let is_int = number.as_ref().is_some_and(|(_, is_int)| *is_int);
            (number.and_then(|(numbers, _)| numbers.first().copied()), is_int)
        }
        None => (Some(0.0), false),
    };
    let count = product(&dims)
        .and_then(|count| usize::try_from(count).ok())
        .filter(|&count| count <= MAX_KEPT);
    let numbers = fill.zip(count).map(|(fill, count)| vec![fill; count]);
    Some(kept(dims, numbers, is_int))
}

pub(super) fn range(node: &Node<'_>) -> Option<Value> {
    let number = |at: usize| node.input(at)?.numbers.as_ref()?.first().copied();
    let (start, limit, step) = (number(0)?, number(1)?, number(2)?);
    let count = ((limit - start) / step).ceil().max(0.0);
    if !count.is_finite() {
        return None;
    }
    let numbers =
        (count <= MAX_KEPT as f64).then(|| (0..count as usize).map(|place| start + place as f64 * step).collect());
    let is_int = node.input(0).is_some_and(|input| input.is_int);
    // A count beyond u64 becomes its largest number, which is refused.
    Some(kept(vec![count as u64], numbers, is_int))
}

pub(super) fn expand(node: &Node<'_>) -> Option<Value> {
    let wanted = sizes(&node.ints(1)?)?;
    let dims = broadcast(&[node.dims(0)?, &wanted])?;
    let input = node.input(0)?;
    let numbers = match (input.numbers.as_deref(), product(&dims)) {
        (Some(&[number]), Some(count)) if count <= MAX_KEPT as u64 => Some(vec![number; count as usize]),
        _ => None,
    };
    Some(kept(dims, numbers, input.is_int))
}

pub(super) fn tile(node: &Node<'_>) -> Option<Value> {
    let dims = node.dims(0)?;
    let times = sizes(&node.ints(1)?)?;
    if times.len() != dims.len() {
        return None;
    }
    // A product beyond counting becomes the largest number, which is refused.
    let tiled: Vec<u64> = dims
        .iter()
        .zip(&times)
        .map(|(&dim, &times)| dim.saturating_mul(times))
        .collect();
    let input = node.input(0)?;
    let numbers = match (&input.numbers, tiled.as_slice(), times.as_slice()) {
        (Some(numbers), &[count], &[times]) if count <= MAX_KEPT as u64 => Some(numbers.repeat(times as usize)),
        _ => None,
    };
    Some(kept(tiled, numbers, input.is_int))
}

pub(super) fn pad(node: &Node<'_>) -> Option<Vec<u64>> {
    let dims = node.dims(0)?;
    let pads = node.ints_of("pads", 1)?;
    let axes = match node.input(3) {
        Some(_) => node
            .ints(3)?
            .iter()
            .map(|&place| axis(place, dims.len()))
            .collect::<Option<Vec<_>>>()?,
        None => (0..dims.len()).collect(),
    };
    let (before, after) = pads.split_at_checked(axes.len())?;
    let mut padded = dims.to_vec();
    for ((place, before), after) in axes.into_iter().zip(before).zip(after) {
        let size = padded.get_mut(place)?;
        let length = i128::from(*size) + i128::from(*before) + i128::from(*after);
        // What is beyond counting becomes the largest number, which is refused.
        *size = u64::try_from(length.max(0)).unwrap_or(u64::MAX);
    }
    Some(padded)
}

pub(super) fn resize(node: &Node<'_>, op: &str) -> Option<Vec<u64>> {
    let dims = node.dims(0)?;
    let scales_at = if op == "Upsample" || node.opset < 11 { 1 } else { 2 };
    let axes = match node.attributes.ints("axes") {
        Some(axes) => axes
            .iter()
            .map(|&place| axis(place, dims.len()))
            .collect::<Option<Vec<_>>>()?,
        None => (0..dims.len()).collect(),
    };
    let mut resized = dims.to_vec();
    let asked: Option<Vec<i64>> = if op == "Resize" && node.opset >= 11 {
        node.ints(3)
    } else {
        None
    };
    if let Some(asked) = asked.filter(|asked| !asked.is_empty()) {
        for (place, size) in axes.into_iter().zip(sizes(&asked)?) {
            *resized.get_mut(place)? = size;
        }
        return Some(resized);
    }
    let scales = match node.attributes.floats("scales") {
        Some(scales) if op == "Upsample" => scales.iter().map(|&scale| f64::from(scale)).collect(),
        _ => node.input(scales_at)?.numbers.clone()?,
    };
    if scales.len() != axes.len() {
        return None;
    }
    for (place, scale) in axes.into_iter().zip(scales) {
        let size = resized.get_mut(place)?;
        let length = (*size as f64 * scale).floor();
        *size = u64::try_from(index(length)?).ok()?;
    }
    Some(resized)
}
