//! How single values are read from the command line; what is out of range is a usage error.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use riptide::corruptions::Severity;
use riptide::files::regular;
use riptide::stats::StatsError;
use riptide::stats::ks::{Alternative, Method};

/// two-sided, less or greater.
pub fn alternative() -> impl TypedValueParser<Value = Alternative> {
    PossibleValuesParser::new(Alternative::ALL.map(Alternative::name)).try_map(|name| name.parse::<Alternative>())
}

/// auto, exact or asymp.
pub fn method() -> impl TypedValueParser<Value = Method> {
    let asymptotic = PossibleValue::new("asymp").alias("asymptotic");
    PossibleValuesParser::new([PossibleValue::new("auto"), PossibleValue::new("exact"), asymptotic]).try_map(|name| {
        match name.as_str() {
            "asymp" => Ok::<_, StatsError>(Method::Asymptotic),
            name => name.parse(),
        }
    })
}

/// A number between 0 and 1, both excluded.
pub fn inside_unit(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value < 1.0 => Ok(value),
        _ => Err("give a number between 0 and 1, both excluded".to_owned()),
    }
}

/// A drop of accuracy: from 0 up to, but without, 1.
pub fn drop(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..1.0).contains(&value) => Ok(value),
        _ => Err("give a number from 0 up to 1, for instance 0.05 for five points".to_owned()),
    }
}

/// A number from 0 to 100.
pub fn percentile(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("give a number from 0 to 100".to_owned()),
    }
}

/// 1 to 5, or all five.
pub fn severity(text: &str) -> Result<Option<Severity>, String> {
    match text {
        "all" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|error: riptide::corruptions::CorruptionError| error.to_string()),
    }
}

/// Height and width, as 32x32.
pub fn size(text: &str) -> Result<(usize, usize), String> {
    let sides = text
        .split_once('x')
        .and_then(|(height, width)| Some((height.parse().ok()?, width.parse().ok()?)));
    match sides {
        Some((height @ 1.., width @ 1..)) => Ok((height, width)),
        _ => Err("give height and width in pixels, as 224x224".to_owned()),
    }
}

/// Names separated by commas, or `@FILE` with one per line.
pub fn names(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = match text.strip_prefix('@') {
        Some(file) => {
            let lines = regular::read_text(file, regular::TEXT).map_err(|error| error.to_string())?;
            lines
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect()
        }
        None => text.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    match names.iter().any(String::is_empty) || names.is_empty() {
        true => Err("give one name per class, separated by commas, or @FILE with one per line".to_owned()),
        false => Ok(names),
    }
}

/// Three finite numbers separated by commas.
pub fn triple(text: &str) -> Result<[f32; 3], String> {
    let numbers: Option<Vec<f32>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[red, green, blue]) if [red, green, blue].iter().all(|number| number.is_finite()) => {
            Ok([red, green, blue])
        }
        _ => Err("give three numbers, as 0.49,0.48,0.45".to_owned()),
    }
}
