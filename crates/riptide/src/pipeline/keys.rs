//! The keys of a description, taken out one by one, and what their values may be.

use riptide_datasets::Filter;
use serde_json::{Map, Value};

/// The keys of an object, taken out one by one; what is left at the end is unknown.
pub(super) struct Keys(pub(super) Map<String, Value>);

impl Keys {
    pub(super) fn of(map: Map<String, Value>) -> Self {
        // An absent key and `null` mean the same in both libraries.
        Self(map.into_iter().filter(|(_, value)| !value.is_null()).collect())
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    pub(super) fn flag(&mut self, key: &str, default: bool) -> Result<bool, String> {
        match self.take(key) {
            None => Ok(default),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| format!("`{key}` is {value}, not true or false")),
        }
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|number| number.is_finite() && *number > 0.0) {
                None => Err(format!("`{key}` is {value}, not a number above 0")),
                number => Ok(number),
            },
        }
    }

    /// One number per channel, or one for all.
    pub(super) fn channels(&mut self, key: &str) -> Result<Option<[f64; 3]>, String> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let numbers: Option<Vec<f64>> = match &value {
            Value::Array(numbers) => numbers.iter().map(Value::as_f64).collect(),
            single => single.as_f64().map(|number| vec![number]),
        };
        match numbers.as_deref() {
            Some(&[one]) => Ok(Some([one; 3])),
            Some(&[first, second, third]) => Ok(Some([first, second, third])),
            _ => Err(format!("`{key}` is {value}, not one number per channel")),
        }
    }

    /// What is left must be known not to change the numbers.
    pub(super) fn finish(mut self, harmless: &[&str]) -> Result<(), String> {
        for key in harmless {
            self.0.remove(*key);
        }
        match self.0.iter().next() {
            None => Ok(()),
            Some((key, value)) => {
                let mut shown = value.to_string();
                if shown.chars().count() > 40 {
                    shown = shown.chars().take(40).chain(['…']).collect();
                }
                Err(format!(
                    "`{key}` ({shown}) is not understood, and might change what the images go through; write the preprocessing as \
                     {{\"framing\": …, \"preprocessing\": …}} instead"
                ))
            }
        }
    }
}

pub(super) fn sides(height: u64, width: u64) -> Result<(u32, u32), String> {
    let side = |side: u64| u32::try_from(side).ok().filter(|side| *side > 0);
    side(height)
        .zip(side(width))
        .ok_or_else(|| format!("{height} x {width} is no size of an image"))
}

pub(super) fn narrow(numbers: [f64; 3]) -> [f32; 3] {
    numbers.map(|number| number as f32)
}

pub(super) fn filter(name: &str) -> Option<Filter> {
    match name {
        "nearest" => Some(Filter::Nearest),
        "bilinear" => Some(Filter::Bilinear),
        "bicubic" => Some(Filter::Bicubic),
        "lanczos" => Some(Filter::Lanczos),
        _ => None,
    }
}

/// A size of transformers' image processors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Size {
    Both(u32, u32),
    Shorter(u32),
}

pub(super) fn size(key: &str, value: &Value) -> Result<Size, String> {
    let wrong = || {
        format!(
            "`{key}` is {value}; write it as {{\"height\": …, \"width\": …}}{}",
            if key == "size" {
                " or {\"shortest_edge\": …}"
            } else {
                ""
            }
        )
    };
    match value {
        Value::Number(side) => {
            let side = side.as_u64().ok_or_else(wrong)?;
            sides(side, side).map(|(height, width)| Size::Both(height, width))
        }
        Value::Object(map) => {
            let get = |name: &str| map.get(name).and_then(Value::as_u64);
            match (get("height"), get("width"), get("shortest_edge"), map.len()) {
                (Some(height), Some(width), None, 2) => sides(height, width).map(|(h, w)| Size::Both(h, w)),
                (None, None, Some(edge), 1) => sides(edge, edge).map(|(edge, _)| Size::Shorter(edge)),
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}
