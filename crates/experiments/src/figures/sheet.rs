//! Contact sheets, and strips of example images.

use base64::Engine;
use image::{ExtendedColorType, ImageEncoder, RgbImage, imageops};
use riptide_corruptions::{Corruption, Severity};
use serde::Serialize;

use super::legend::{Mark, head};
use super::svg::{Anchor, Paint, Svg};
use super::sweep::paint;
use super::{Figure, Findings, Part, WIDTH};
use crate::ExperimentError;
use crate::harmfulness::{CorruptedPass, Kind};

/// Longest side of an embedded picture; larger images are made smaller.
const LONGEST: u32 = 128;
const SMALL: f64 = 12.5;

/// An image as a data URI, so that drawings and page need no other file.
pub(super) fn data_uri(pixels: &[u8], height: usize, width: usize) -> Result<String, ExperimentError> {
    let fail = |reason: String| ExperimentError::Figure {
        figure: "an image".to_owned(),
        reason,
    };
    let mut picture = RgbImage::from_raw(width as u32, height as u32, pixels.to_vec())
        .ok_or_else(|| fail(format!("{} bytes are no {height}x{width} image", pixels.len())))?;
    let longest = picture.width().max(picture.height());
    if longest > LONGEST {
        let side = |side: u32| (u64::from(side) * u64::from(LONGEST) / u64::from(longest)).max(1) as u32;
        picture = imageops::thumbnail(&picture, side(picture.width()), side(picture.height()));
    }
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(&mut png)
        .write_image(
            picture.as_raw(),
            picture.width(),
            picture.height(),
            ExtendedColorType::Rgb8,
        )
        .map_err(|error| fail(error.to_string()))?;
    Ok(format!(
        "data:image/png;base64,{}",
        base64::engine::general_purpose::STANDARD.encode(png)
    ))
}

impl Findings<'_> {
    fn twin(&self, corruption: Corruption, severity: Severity) -> Option<&CorruptedPass> {
        self.corrupted
            .iter()
            .find(|twin| twin.corruption == corruption && twin.severity == severity)
    }

    /// What the corruption did to one image; none where the classifier was wrong before.
    fn kind(&self, image: usize, twin: &CorruptedPass) -> Option<Kind> {
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

    fn class(&self, image: usize) -> &str {
        let label = self.images.labels().get(image).copied().unwrap_or(0) as usize;
        self.images.clean().class_names().get(label).map_or("", String::as_str)
    }
}

fn spaced(corruption: Corruption) -> String {
    corruption.name().replace('_', " ")
}

/// The same image under each corruption, at the middle severity and at every one.
pub(crate) fn sheets(found: &Findings<'_>) -> Result<Vec<Figure>, ExperimentError> {
    let severities = &found.summary.protocol.severities;
    let Some(&severity) = severities.get(severities.len() / 2) else {
        return Ok(Vec::new());
    };
    let image = found.example(severity);
    let mut figures = vec![corruptions(found, image, severity)?];
    if severities.len() > 1 {
        figures.push(every_severity(found, image)?);
    }
    Ok(figures)
}

const KINDS: [(Mark, Paint, &str); 2] = [
    (
        Mark::Outline(4.0),
        Paint::HARMFUL,
        "harmful: the classifier is now wrong",
    ),
    (Mark::Outline(1.5), Paint::HARMLESS, "harmless: still right"),
];

fn corruptions(found: &Findings<'_>, image: usize, severity: Severity) -> Result<Figure, ExperimentError> {
    const COLUMNS: usize = 6;
    const PICTURE: f64 = 128.0;
    let params = &found.summary.protocol;
    let title = format!(
        "One image ({}) under each corruption, severity {severity}",
        found.class(image)
    );
    let top = head(&mut Svg::new(WIDTH, 0.0, &title), WIDTH, &title, &KINDS) + 6.0;
    let (wide, tall) = (WIDTH / COLUMNS as f64, PICTURE + 50.0);
    let rows = (1 + params.corruptions.len()).div_ceil(COLUMNS);
    let mut svg = Svg::new(WIDTH, top + rows as f64 * tall + 4.0, &title);
    head(&mut svg, WIDTH, &title, &KINDS);
    let shown = std::iter::once(None).chain(params.corruptions.iter().copied().map(Some));
    for (place, corruption) in shown.enumerate() {
        let (middle, y) = (
            ((place % COLUMNS) as f64 + 0.5) * wide,
            top + (place / COLUMNS) as f64 * tall,
        );
        let area = [middle - PICTURE / 2.0, y, PICTURE, PICTURE];
        let uri = found.uri(image, corruption.map(|corruption| (corruption, severity)))?;
        svg.picture(area, &uri);
        let twin = corruption.and_then(|corruption| found.twin(corruption, severity));
        let pass = twin.map_or(found.clean, |twin| &twin.pass);
        let kind = twin.and_then(|twin| found.kind(image, twin));
        outline(&mut svg, area, kind);
        let name = corruption.map_or_else(|| "clean".to_owned(), spaced);
        svg.text((middle, y + PICTURE + 19.0), &name, SMALL, Anchor::Middle, Paint::INK);
        if let Some(score) = pass.scores.first().and_then(|scores| scores.get(image)) {
            let text = format!("score {score:.3}");
            let paint = kind.map_or(Paint::SOFT, paint);
            svg.text((middle, y + PICTURE + 36.0), &text, SMALL, Anchor::Middle, paint);
        }
    }
    let score = params.scores.first().map(ToString::to_string).unwrap_or_default();
    Ok(Figure {
        name: "corruptions".to_owned(),
        part: Part::Images,
        caption: format!(
            "Test image {image} and its twins at severity {severity}, with their scores ({score}); thick outlines mark \
             twins that the classifier gets wrong. The image is the first that about half of the corruptions harm."
        ),
        svg: svg.finish(),
    })
}

fn every_severity(found: &Findings<'_>, image: usize) -> Result<Figure, ExperimentError> {
    const PICTURE: f64 = 64.0;
    const STEP: f64 = 70.0;
    const LABEL: f64 = 130.0;
    let params = &found.summary.protocol;
    let title = format!(
        "One image ({}) under each corruption at every severity",
        found.class(image)
    );
    let halves = if params.corruptions.len() > 5 { 2 } else { 1 };
    let rows = params.corruptions.len().div_ceil(halves);
    let top = head(&mut Svg::new(WIDTH, 0.0, &title), WIDTH, &title, &KINDS) + 24.0;
    let mut svg = Svg::new(WIDTH, top + rows as f64 * STEP + 6.0, &title);
    head(&mut svg, WIDTH, &title, &KINDS);
    for (half, corruptions) in params.corruptions.chunks(rows.max(1)).enumerate() {
        let left = half as f64 * WIDTH / 2.0;
        for (column, &severity) in params.severities.iter().enumerate() {
            let x = left + LABEL + column as f64 * STEP;
            svg.text(
                (x + PICTURE / 2.0, top - 9.0),
                &severity.to_string(),
                SMALL,
                Anchor::Middle,
                Paint::SOFT,
            );
            for (row, &corruption) in corruptions.iter().enumerate() {
                let area = [x, top + row as f64 * STEP, PICTURE, PICTURE];
                svg.picture(area, &found.uri(image, Some((corruption, severity)))?);
                let twin = found.twin(corruption, severity);
                outline(&mut svg, area, twin.and_then(|twin| found.kind(image, twin)));
            }
        }
        for (row, &corruption) in corruptions.iter().enumerate() {
            let y = top + row as f64 * STEP + PICTURE / 2.0 + 0.35 * SMALL;
            svg.text(
                (left + LABEL - 9.0, y),
                &spaced(corruption),
                SMALL,
                Anchor::End,
                Paint::INK,
            );
        }
    }
    Ok(Figure {
        name: "severities".to_owned(),
        part: Part::Images,
        caption: format!("Test image {image} under every corruption, severities from left to right."),
        svg: svg.finish(),
    })
}

fn outline(svg: &mut Svg, [x, y, w, h]: [f64; 4], kind: Option<Kind>) {
    match kind {
        Some(Kind::Harmful) => svg.frame([x, y, w, h], Paint::HARMFUL, 4.0, ""),
        Some(Kind::Harmless) => svg.frame([x, y, w, h], Paint::HARMLESS, 1.5, ""),
        None => {}
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
}

/// Example images by the leading score: harm that it sees, harm that it misses, and harmless images that it suspects.
/// An image is shown once a strip at most.
pub(crate) fn strips(found: &Findings<'_>) -> Result<Vec<Strip>, ExperimentError> {
    let Some(score) = found.summary.protocol.scores.first() else {
        return Ok(Vec::new());
    };
    let wanted = [
        (
            Kind::Harmful,
            true,
            "Harmful images with the highest scores: harm that is seen",
        ),
        (
            Kind::Harmful,
            false,
            "Harmful images with the lowest scores: harm that is missed",
        ),
        (
            Kind::Harmless,
            true,
            "Harmless images with the highest scores: suspected without cause",
        ),
    ];
    let mut strips = Vec::new();
    for (kind, highest, caption) in wanted {
        let images = ranked(found, kind, highest)
            .into_iter()
            .map(|(value, twin, image)| {
                let name = format!("{} {}", spaced(twin.corruption), twin.severity);
                Ok(Example {
                    src: found.uri(image, Some((twin.corruption, twin.severity)))?,
                    alt: format!("{}, {name}", found.class(image)),
                    text: format!("{}, {name}: {value:.3}", found.class(image)),
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

fn ranked<'a>(found: &'a Findings<'_>, kind: Kind, highest: bool) -> Vec<(f32, &'a CorruptedPass, usize)> {
    const SHOWN: usize = 8;
    let mut entries: Vec<(f32, &CorruptedPass, usize)> = Vec::new();
    for twin in found.corrupted {
        for (image, &score) in twin.pass.scores.first().into_iter().flatten().enumerate() {
            if found.kind(image, twin) == Some(kind) {
                entries.push((score, twin, image));
            }
        }
    }
    // Stable, so that ties keep the order of the sets.
    entries.sort_by(|a, b| {
        if highest {
            b.0.total_cmp(&a.0)
        } else {
            a.0.total_cmp(&b.0)
        }
    });
    let mut seen = std::collections::HashSet::new();
    entries.retain(|entry| seen.len() < SHOWN && seen.insert(entry.2));
    entries
}
