//! Example images: the contact sheet's image and its twins, and images ranked by score.

use rayon::prelude::*;
use serde::Serialize;

use super::figure::Findings;
use crate::error::ExperimentError;
use crate::format::spaced;
use crate::harmfulness::{CorruptedPass, Kind};

/// One image, clean and under every corruption at every severity.
pub(crate) struct Contact {
    /// Which of the test images.
    pub(super) image: usize,
    /// The clean image, as a data URI.
    pub(super) clean: String,
    /// A row a corruption, a column a severity.
    pub(super) twins: Vec<Vec<String>>,
}

impl Contact {
    /// Makes the twins of an image that about half of the corruptions at the middle severity harm.
    pub(crate) fn new(found: &Findings<'_>) -> Result<Self, ExperimentError> {
        let params = &found.summary.protocol;
        let middle = params.severities.get(params.severities.len() / 2);
        let image = middle.map_or(0, |&severity| found.example(severity));
        let twins = params.corruptions.par_iter().map(|&corruption| {
            let row = params.severities.par_iter();
            row.map(|&severity| found.uri(image, Some((corruption, severity))))
                .collect()
        });
        Ok(Self {
            image,
            clean: found.uri(image, None)?,
            twins: twins.collect::<Result<_, ExperimentError>>()?,
        })
    }

    /// The sheet as rows of pictures: the clean image, then a row a corruption.
    pub(crate) fn strips(&self, found: &Findings<'_>) -> Vec<Strip> {
        let params = &found.summary.protocol;
        let score = |scores: &[Vec<f32>]| {
            let score = scores.first().and_then(|scores| scores.get(self.image));
            score.map_or_else(String::new, |score| format!("{score:.2}"))
        };
        let class = found.class(self.image);
        let clean = Example {
            src: self.clean.clone(),
            alt: format!("{class}, clean"),
            text: score(&found.clean.scores),
            kind: "clean",
        };
        let mut strips = vec![Strip {
            caption: "clean".to_owned(),
            images: vec![clean],
        }];
        for (&corruption, row) in params.corruptions.iter().zip(&self.twins) {
            let examples = params.severities.iter().zip(row).filter_map(|(&severity, uri)| {
                let twin = found.twin(corruption, severity)?;
                Some(Example {
                    src: uri.clone(),
                    alt: format!("{class}, {} {severity}", spaced(corruption)),
                    text: score(&twin.pass.scores),
                    kind: found.kind(self.image, twin).map_or("clean", Kind::name),
                })
            });
            strips.push(Strip {
                caption: spaced(corruption),
                images: examples.collect(),
            });
        }
        strips
    }
}

/// Pictures in a row of the report.
#[derive(Debug, Serialize)]
pub(crate) struct Strip {
    pub(crate) caption: String,
    pub(crate) images: Vec<Example>,
}

/// One picture and what stands below it.
#[derive(Debug, Serialize)]
pub(crate) struct Example {
    pub(crate) src: String,
    pub(crate) alt: String,
    pub(crate) text: String,
    /// `harmful`, `harmless` or `clean`: how it is outlined.
    pub(crate) kind: &'static str,
}

/// Images in a strip.
const SHOWN: usize = 8;

/// Example images by the leading score: from the least to the most suspicious, harm that it sees, harm that it misses, and
/// harmless images that it suspects. An image is shown once a strip at most.
pub(crate) fn strips(found: &Findings<'_>) -> Result<Vec<Strip>, ExperimentError> {
    let Some(score) = found.summary.protocol.scores.first() else {
        return Ok(Vec::new());
    };
    let mut ranked: Vec<Ranked<'_>> = Vec::new();
    for twin in found.corrupted {
        for (image, &score) in twin.pass.scores.first().into_iter().flatten().enumerate() {
            ranked.extend(found.kind(image, twin).map(|kind| (score, kind, twin, image)));
        }
    }
    // Stable, so that ties keep the order of the sets.
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let only = |kind| move |entry: &&Ranked<'_>| entry.1 == kind;
    let wanted: [(Vec<&Ranked<'_>>, &str); 4] = [
        (
            spread(&ranked, SHOWN),
            "From the least to the most suspicious image, at even steps of rank",
        ),
        (
            distinct(ranked.iter().rev().filter(only(Kind::Harmful))),
            "Harmful images with the highest scores: harm that is seen",
        ),
        (
            distinct(ranked.iter().filter(only(Kind::Harmful))),
            "Harmful images with the lowest scores: harm that is missed",
        ),
        (
            distinct(ranked.iter().rev().filter(only(Kind::Harmless))),
            "Harmless images with the highest scores: suspected without cause",
        ),
    ];
    let mut strips = Vec::new();
    for (entries, caption) in wanted {
        let images = entries
            .into_par_iter()
            .map(|&(value, kind, twin, image)| {
                let name = format!("{} {}", spaced(twin.corruption), twin.severity);
                Ok(Example {
                    src: found.uri(image, Some((twin.corruption, twin.severity)))?,
                    alt: format!("{}, {name}", found.class(image)),
                    text: format!("{}, {name}: {value:.3}", found.class(image)),
                    kind: kind.name(),
                })
            })
            .collect::<Result<Vec<_>, ExperimentError>>()?;
        if !images.is_empty() {
            strips.push(Strip {
                caption: format!("{caption} ({score})."),
                images,
            });
        }
    }
    Ok(strips)
}

/// A corrupted image with its score: (score, kind, set, index).
type Ranked<'a> = (f32, Kind, &'a CorruptedPass, usize);

/// The first entries that are of different images.
fn distinct<'a, 'b: 'a>(entries: impl Iterator<Item = &'a Ranked<'b>>) -> Vec<&'a Ranked<'b>> {
    let mut seen = std::collections::HashSet::new();
    entries.filter(|entry| seen.insert(entry.3)).take(SHOWN).collect()
}

/// At most `amount` entries at even steps, the first and the last among them.
fn spread<T>(entries: &[T], amount: usize) -> Vec<&T> {
    let amount = amount.min(entries.len());
    let last = entries.len().saturating_sub(1);
    (0..amount)
        .filter_map(|place| entries.get(place * last / amount.saturating_sub(1).max(1)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_holds_both_ends() {
        let entries: Vec<usize> = (0..100).collect();
        assert_eq!(spread(&entries, 4), [&0, &33, &66, &99]);
        assert_eq!(spread(&entries[..2], 8), [&0, &1]);
        assert_eq!(spread(&entries[..1], 8), [&0]);
        assert!(spread(&entries[..0], 8).is_empty());
    }
}
