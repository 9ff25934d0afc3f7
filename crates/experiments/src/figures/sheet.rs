//! Contact sheets: one image under each corruption.

use riptide_corruptions::Severity;
use riptide_draw::{Anchor, Entry, Mark, Paint, SHEET_WIDTH, Svg, head};

use super::examples::Contact;
use super::figure::{Figure, Findings, Part};
use super::look::paint;
use crate::format::spaced;
use crate::harmfulness::Kind;

const SMALL: f64 = 12.5;

/// The same image under each corruption, at the middle severity and at every one.
pub(crate) fn sheets(found: &Findings<'_>, contact: &Contact) -> Vec<Figure> {
    let severities = &found.summary.protocol.severities;
    let middle = severities.len() / 2;
    let mut figures: Vec<Figure> = severities
        .get(middle)
        .map(|&severity| corruptions(found, contact, (middle, severity)))
        .into_iter()
        .collect();
    if severities.len() > 1 {
        figures.push(every_severity(found, contact));
    }
    figures
}

fn kinds() -> Vec<Entry> {
    vec![
        Entry::new(
            Mark::Outline(4.0),
            Paint::HARMFUL,
            "harmful: the classifier is now wrong",
        ),
        Entry::new(Mark::Outline(1.5), Paint::HARMLESS, "harmless: still right"),
    ]
}

fn corruptions(found: &Findings<'_>, contact: &Contact, (middle, severity): (usize, Severity)) -> Figure {
    const COLUMNS: usize = 6;
    const PICTURE: f64 = 128.0;
    let (params, image) = (&found.summary.protocol, contact.image);
    let title = format!(
        "One image ({}) under each corruption, severity {severity}",
        found.class(image)
    );
    let top = head(&mut Svg::new(SHEET_WIDTH, 0.0, &title), &title, &kinds()) + 6.0;
    let (wide, tall) = (SHEET_WIDTH / COLUMNS as f64, PICTURE + 50.0);
    let rows = (1 + params.corruptions.len()).div_ceil(COLUMNS);
    let mut svg = Svg::new(SHEET_WIDTH, top + rows as f64 * tall + 4.0, &title);
    head(&mut svg, &title, &kinds());
    let shown = std::iter::once(None).chain(params.corruptions.iter().copied().map(Some));
    for (place, corruption) in shown.enumerate() {
        let (centre, y) = (
            ((place % COLUMNS) as f64 + 0.5) * wide,
            top + (place / COLUMNS) as f64 * tall,
        );
        let area = [centre - PICTURE / 2.0, y, PICTURE, PICTURE];
        let row = place.checked_sub(1).and_then(|row| contact.twins.get(row));
        svg.picture(area, row.and_then(|row| row.get(middle)).unwrap_or(&contact.clean));
        let twin = corruption.and_then(|corruption| found.twin(corruption, severity));
        let pass = twin.map_or(found.clean, |twin| &twin.pass);
        let kind = twin.and_then(|twin| found.kind(image, twin));
        outline(&mut svg, area, kind);
        let name = corruption.map_or_else(|| "clean".to_owned(), spaced);
        svg.text((centre, y + PICTURE + 19.0), &name, SMALL, Anchor::Middle, Paint::INK);
        if let Some(score) = pass.scores.first().and_then(|scores| scores.get(image)) {
            let text = format!("score {score:.3}");
            let paint = kind.map_or(Paint::SOFT, paint);
            svg.text((centre, y + PICTURE + 36.0), &text, SMALL, Anchor::Middle, paint);
        }
    }
    let score = params.scores.first().map(ToString::to_string).unwrap_or_default();
    let caption = format!(
        "Test image {image} and its twins at severity {severity}, with their scores ({score}); thick outlines mark twins \
         that the classifier gets wrong. The image is the first that about half of the corruptions harm."
    );
    Figure::sheet("corruptions", Part::Images, title, svg.file(), caption)
}

fn every_severity(found: &Findings<'_>, contact: &Contact) -> Figure {
    const PICTURE: f64 = 64.0;
    const STEP: f64 = 70.0;
    const LABEL: f64 = 130.0;
    let (params, image) = (&found.summary.protocol, contact.image);
    let title = format!(
        "One image ({}) under each corruption at every severity",
        found.class(image)
    );
    let halves = if params.corruptions.len() > 5 { 2 } else { 1 };
    let rows = params.corruptions.len().div_ceil(halves);
    let top = head(&mut Svg::new(SHEET_WIDTH, 0.0, &title), &title, &kinds()) + 24.0;
    let mut svg = Svg::new(SHEET_WIDTH, top + rows as f64 * STEP + 6.0, &title);
    head(&mut svg, &title, &kinds());
    for (half, corruptions) in params.corruptions.chunks(rows.max(1)).enumerate() {
        let left = half as f64 * SHEET_WIDTH / 2.0;
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
                if let Some(uri) = contact.twins.get(half * rows + row).and_then(|twins| twins.get(column)) {
                    svg.picture(area, uri);
                }
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
    let caption = format!("Test image {image} under every corruption, severities from left to right.");
    Figure::sheet("severities", Part::Images, title, svg.file(), caption)
}

fn outline(svg: &mut Svg, [x, y, w, h]: [f64; 4], kind: Option<Kind>) {
    match kind {
        Some(Kind::Harmful) => svg.frame([x, y, w, h], Paint::HARMFUL, 4.0, ""),
        Some(Kind::Harmless) => svg.frame([x, y, w, h], Paint::HARMLESS, 1.5, ""),
        None => {}
    }
}
