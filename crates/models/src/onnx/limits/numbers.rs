//! Arithmetic on the few numbers that shapes are computed from.

use super::Value;

/// Above this f64 counts no longer by one; a larger result is taken as not known.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The numbers that an elementwise operator gives; `None` if they are not known.
pub(super) fn elementwise(op: &str, inputs: &[&Value]) -> Option<Vec<f64>> {
    let lists: Vec<&Vec<f64>> = inputs
        .iter()
        .map(|input| input.numbers.as_ref())
        .collect::<Option<_>>()?;
    let longest = lists.iter().map(|list| list.len()).max()?;
    // Shapes are vectors and scalars; what broadcasts otherwise is no shape.
    if lists.iter().any(|list| list.len() != longest && list.len() != 1) || longest > super::MAX_KEPT {
        return None;
    }
    let is_int = inputs.iter().all(|input| input.is_int);
    let at = |list: &Vec<f64>, index: usize| list.get(if list.len() == 1 { 0 } else { index }).copied();
    (0..longest)
        .map(|index| {
            let operands: Vec<f64> = lists.iter().map(|list| at(list, index)).collect::<Option<_>>()?;
            let value = apply(op, &operands, is_int)?;
            (value.is_finite() && value.abs() <= EXACT).then_some(value)
        })
        .collect()
}

fn apply(op: &str, operands: &[f64], is_int: bool) -> Option<f64> {
    let truth = |is: bool| Some(f64::from(u8::from(is)));
    match (op, operands) {
        ("Add" | "Sum", operands) => Some(operands.iter().sum()),
        ("Sub", [a, b]) => Some(a - b),
        ("Mul", [a, b]) => Some(a * b),
        ("Div", [_, 0.0]) => None,
        ("Div", [a, b]) if is_int => Some((a / b).trunc()),
        ("Div", [a, b]) => Some(a / b),
        ("Mod", [_, 0.0]) => None,
        ("Mod", [a, b]) => Some(a - b * (a / b).floor()),
        ("Pow", [a, b]) => Some(a.powf(*b)),
        ("Max", operands) => operands.iter().copied().reduce(f64::max),
        ("Min", operands) => operands.iter().copied().reduce(f64::min),
        ("Neg", [a]) => Some(-a),
        ("Abs", [a]) => Some(a.abs()),
        ("Floor", [a]) => Some(a.floor()),
        ("Ceil", [a]) => Some(a.ceil()),
        ("Round", [a]) => Some(a.round_ties_even()),
        ("Sqrt", [a]) => Some(a.sqrt()),
        ("Reciprocal", [a]) => Some(a.recip()),
        ("Identity", [a]) => Some(*a),
        ("Equal", [a, b]) => truth(a == b),
        ("Greater", [a, b]) => truth(a > b),
        ("Less", [a, b]) => truth(a < b),
        ("GreaterOrEqual", [a, b]) => truth(a >= b),
        ("LessOrEqual", [a, b]) => truth(a <= b),
        ("Not", [a]) => truth(*a == 0.0),
        ("And", [a, b]) => truth(*a != 0.0 && *b != 0.0),
        ("Or", [a, b]) => truth(*a != 0.0 || *b != 0.0),
        ("Where", [condition, a, b]) => Some(if *condition != 0.0 { *a } else { *b }),
        _ => None,
    }
}

/// The numbers as an element type of that code holds them; `None` if one does not fit, or the type has none of these numbers.
pub(super) fn cast(numbers: &[f64], to: i64) -> Option<Vec<f64>> {
    let (low, high) = match to {
        1 | 10 | 11 | 16 => return Some(numbers.to_vec()),
        2 => (0.0, 255.0),
        3 => (-128.0, 127.0),
        4 => (0.0, 65_535.0),
        5 => (-32_768.0, 32_767.0),
        6 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        // The largest index of all stands for "to the end" in slices.
        7 => (i64::MIN as f64, i64::MAX as f64),
        9 => {
            return Some(
                numbers
                    .iter()
                    .map(|&number| f64::from(u8::from(number != 0.0)))
                    .collect(),
            );
        }
        12 => (0.0, f64::from(u32::MAX)),
        13 => (0.0, u64::MAX as f64),
        _ => return None,
    };
    let fits = |number: f64| (low..=high).contains(&number).then_some(number);
    numbers.iter().map(|number| fits(number.trunc())).collect()
}

/// A number as a size or index.
pub(super) fn index(number: f64) -> Option<i64> {
    // i64::MAX is no f64; the next one is taken for it.
    (number.is_finite() && number.abs() <= 9.3e18).then_some(number as i64)
}
