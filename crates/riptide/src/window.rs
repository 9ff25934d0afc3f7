//! The group and the span of time of a batch.

use serde::Serialize;

/// Which images a batch is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Window {
    /// The value of the grouping column, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The beginning of the window in RFC 3339, if windows are of time; images of exactly this time belong to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Its end, likewise; images of exactly this time belong to the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}
