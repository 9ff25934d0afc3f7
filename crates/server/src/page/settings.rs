//! What the page of settings shows.

use minijinja::value::Serde;
use minijinja::{Error, context};
use serde::Serialize;
use serde_json::Value;

use super::render;
use super::view::links;
use crate::config::Config;

#[derive(Serialize)]
struct Section {
    name: String,
    rows: Vec<(String, String)>,
}

/// The settings, the key left out.
pub(crate) fn settings(config: &Config) -> Result<String, Error> {
    let mut general = Section {
        name: "General".into(),
        rows: vec![(
            "key".into(),
            if config.key.is_some() {
                "set"
            } else {
                "none: everybody may do everything"
            }
            .into(),
        )],
    };
    let mut sections = Vec::new();
    if let Ok(Value::Object(all)) = serde_json::to_value(config) {
        for (name, value) in all {
            match value {
                Value::Object(section) => sections.push(Section {
                    rows: section.into_iter().map(|(key, value)| (key, plain(&value))).collect(),
                    name,
                }),
                value => general.rows.push((name, plain(&value))),
            }
        }
    }
    sections.insert(0, general);
    render(
        "settings.html",
        context! { title => "Settings", links => links("/settings"), sections => Serde(sections) },
    )
}

/// A setting as people write it. What a sink's address may hold of keys is not shown.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "not set".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => match items.is_empty() {
            true => "none".into(),
            false => items.iter().map(plain).collect::<Vec<_>>().join("; "),
        },
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let text = fields.map(|(key, value)| match key.as_str() {
                "url" => format!("{key} = {}", value.as_str().and_then(host).unwrap_or("set")),
                _ => format!("{key} = {}", plain(value)),
            });
            text.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// An address without its path and what may stand before its host.
fn host(url: &str) -> Option<&str> {
    let after = url.split_once("://")?.1;
    let authority = after.split('/').next()?;
    Some(authority.rsplit('@').next().unwrap_or(authority))
}
