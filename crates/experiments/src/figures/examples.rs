//! Example images, as data URIs: the contact sheet's image and its twins, and images ranked by score.

use base64::Engine;
use image::{ExtendedColorType, ImageEncoder, RgbImage, imageops};
use rayon::prelude::*;
use riptide_corruptions::{Corruption, Severity};
use serde::Serialize;

use super::Findings;
use crate::ExperimentError;
use crate::harmfulness::{CorruptedPass, Kind};

/// Longest side of an embedded picture; larger images are made smaller.
const LONGEST: u32 = 96;
/// Longest side that is kept without loss; larger pictures are kept as JPEG, so that a page stays small.
const LOSSLESS: u32 = 48;
/// Quality of those, 1 to 100.
const QUALITY: u8 = 88;

/// An image as a data URI, so that drawings and page need no other file.
pub(super) fn data_uri(pixels: &[u8], height: usize, width: usize) -> Result<String, ExperimentError> {
    let fail = |reason: String| ExperimentError::Figure {
        figure: "an image".to_owned(),
        reason,
    };
    let whole = (pixels.len() == height * width * 3).then(|| pixels.to_vec());
    let mut picture = whole
        .and_then(|pixels| RgbImage::from_raw(width as u32, height as u32, pixels))
        .ok_or_else(|| fail(format!("{} bytes are no {height}x{width} image", pixels.len())))?;
    let longest = picture.width().max(picture.height());
    if longest > LONGEST {
        let side = |side: u32| (u64::from(side) * u64::from(LONGEST) / u64::from(longest)).max(1) as u32;
        picture = imageops::thumbnail(&picture, side(picture.width()), side(picture.height()));
    }
    let (width, height) = picture.dimensions();
    let mut bytes = Vec::new();
    let (kind, written) = if width.max(height) <= LOSSLESS {
        let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        let written = encoder.write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8);
        ("png", written)
    } else {
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, QUALITY);
        let written = encoder.write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8);
        ("jpeg", written)
    };
    written.map_err(|error| fail(error.to_string()))?;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    Ok(format!("data:image/{kind};base64,{text}"))
}

impl Findings<'_> {
    pub(super) fn twin(&self, corruption: Corruption, severity: Severity) -> Option<&CorruptedPass> {
        self.corrupted
            .iter()
            .find(|twin| twin.corruption == corruption && twin.severity == severity)
    }

    /// What the corruption did to one image; none where the classifier was wrong before.
    pub(super) fn kind(&self, image: usize, twin: &CorruptedPass) -> Option<Kind> {
        let right = |correct: &[bool]| correct.get(image).copied().unwrap_or(false);
        right(&self.clean.correct).then(|| {
            if right(&twin.pass.correct) {
                Kind::Harmless
            } else {
                Kind::Harmful
            }
        })
    }

    fn uri(&self, image: usize, twin: Option<(Corruption, Severity)>) -> Result<String, ExperimentError> {
        let pixels = match twin {
            Some((corruption, severity)) => self.images.twin(image, corruption, severity)?,
            None => self.images.clean().image(image).unwrap_or_default().to_vec(),
        };
        data_uri(&pixels, self.images.clean().height(), self.images.clean().width())
    }

    /// The image that is shown: the first that the classifier gets right and that is harmed by as near half of the
    /// corruptions at `severity` as can be, so that the sheet shows both kinds.
    fn example(&self, severity: Severity) -> usize {
        let twins: Vec<&CorruptedPass> = self.corrupted.iter().filter(|twin| twin.severity == severity).collect();
        let harmed = |image: usize| {
            let harmed = |twin: &&&CorruptedPass| self.kind(image, twin) == Some(Kind::Harmful);
            twins.iter().filter(harmed).count()
        };
        (0..self.clean.correct.len())
            .filter(|&image| self.clean.correct.get(image) == Some(&true))
            .min_by_key(|&image| (2 * harmed(image)).abs_diff(twins.len()))
            .unwrap_or(0)
    }

    pub(super) fn class(&self, image: usize) -> &str {
        let label = self.images.labels().get(image).copied().unwrap_or(0) as usize;
        self.images.clean().class_names().get(label).map_or("", String::as_str)
    }
}

pub(crate) fn spaced(corruption: Corruption) -> String {
    corruption.name().replace('_', " ")
}

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

    #[test]
    fn large_pictures_are_made_small_and_small_ones_kept() {
        let decode = |uri: &str| {
            let text = uri.split(',').nth(1).unwrap();
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
            image::load_from_memory(&bytes).unwrap().into_rgb8()
        };
        let small: Vec<u8> = (0..32 * 16 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let uri = data_uri(&small, 16, 32).unwrap();
        assert!(uri.starts_with("data:image/png;"));
        assert_eq!(decode(&uri).into_raw(), small);
        let uri = data_uri(&vec![90; 200 * 300 * 3], 200, 300).unwrap();
        assert!(uri.starts_with("data:image/jpeg;"));
        let picture = decode(&uri);
        assert_eq!(picture.dimensions(), (96, 64));
        assert!(picture.pixels().all(|pixel| pixel.0.iter().all(|c| c.abs_diff(90) < 3)));
        assert!(data_uri(&small, 16, 31).is_err());
    }
}
