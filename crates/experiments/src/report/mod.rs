//! `report.html`: one self-contained page with everything that a run found.

mod tables;
mod verdicts;
mod words;

use std::path::Path;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use riptide_detectors::ScoreKind;
use riptide_draw::{Key, css};
use riptide_files::atomic;
use serde::Serialize;

use crate::error::ExperimentError;
use crate::figures::{Figure, Part, Strip};
use crate::format::{percent, range};
use crate::summary::Summary;
use tables::Table;
use words::{comparison, found_from, headline, points, tested, verdict};

#[derive(Serialize)]
struct Card {
    value: String,
    label: String,
}

#[derive(Serialize)]
struct Section {
    id: &'static str,
    title: &'static str,
    /// Name in the list of contents.
    short: &'static str,
    text: String,
    blocks: Vec<Block>,
}

/// A part of a section, folded away if it has a name.
#[derive(Default, Serialize)]
struct Block {
    fold: String,
    figures: Vec<Drawing>,
    tables: Vec<Table>,
    strips: Vec<Strip>,
    contact: Vec<Strip>,
}

#[derive(Serialize)]
struct Drawing {
    title: String,
    keys: Vec<Key>,
    panels: Vec<String>,
    caption: String,
}

/// What the page shows besides numbers.
pub(crate) struct Pictures<'a> {
    pub(crate) figures: &'a [Figure],
    pub(crate) contact: Vec<Strip>,
    pub(crate) strips: Vec<Strip>,
}

/// Writes the page into `out`.
pub(crate) fn write(out: &Path, summary: &Summary, pictures: Pictures<'_>) -> Result<(), ExperimentError> {
    let mut environment = Environment::new();
    environment.add_template("report.html", include_str!("../../assets/report.html"))?;
    let score = summary.protocol.scores.first().copied().unwrap_or_default();
    let page = environment.get_template("report.html")?.render(context! {
        dataset => summary.dataset.as_str(),
        score => score.name(),
        headline => headline(summary, score),
        points => points(summary, score),
        comparison => comparison(summary),
        cards => Value::from(Serde(cards(summary, score))),
        glance => Value::from(Serde(Block { tables: tables::glance(summary).into_iter().collect(), ..Default::default() })),
        tested => tested(summary),
        provenance => summary.provenance.as_str(),
        sections => Value::from(Serde(sections(summary, pictures))),
        figure_css => Value::from_safe_string(css()),
        seed => summary.protocol.seed,
        images_digest => summary.images_digest.as_str(),
        networks_digest => summary.networks_digest.as_str(),
    })?;
    Ok(atomic::write(out.join("report.html"), page.as_bytes())?)
}

fn cards(summary: &Summary, score: ScoreKind) -> Vec<Card> {
    let card = |value: Option<String>, label: &str| Card {
        value: value.unwrap_or_else(|| "none".to_owned()),
        label: label.to_owned(),
    };
    let areas = summary.by_severity(|severity| Some(summary.score(score, severity)?.auroc?.estimate));
    let areas = areas.iter().fold(None, |bounds: Option<(f64, f64)>, &area| {
        Some(bounds.map_or((area, area), |(low, high)| (low.min(area), high.max(area))))
    });
    let corrupted = summary.severities.iter().map(|found| found.accuracy);
    vec![
        card(
            Some(found_from(summary, score)),
            "of a batch harmful: from there on, harm is found with 95 % power",
        ),
        card(
            range(summary.by_severity(|severity| summary.false_alarms(score, severity))),
            "false alarms: harmless batches that alarm, mean over the contaminations, by severity",
        ),
        card(
            areas.map(|(low, high)| format!("{low:.2} to {high:.2}")),
            "AUROC of single images, harmful against harmless, by severity",
        ),
        card(
            Some(percent(summary.accuracy)),
            &range(corrupted).map_or_else(String::new, |corrupted| {
                format!("accuracy on clean images; {corrupted} on corrupted ones, by severity")
            }),
        ),
    ]
}

fn drawings(figures: &[Figure], part: Part) -> impl Iterator<Item = (&str, Drawing)> {
    figures.iter().filter(move |figure| figure.part == part).map(|figure| {
        let drawing = Drawing {
            title: figure.drawing.title.clone(),
            keys: figure.drawing.keys.clone(),
            panels: figure.drawing.panels.clone(),
            caption: figure.caption.clone(),
        };
        (figure.name.as_str(), drawing)
    })
}

/// A part's figures: those of the leading score first, then a folded block a score for the others.
fn of_scores(summary: &Summary, figures: &[Figure], part: Part) -> Vec<Block> {
    let others = summary.protocol.scores.get(1..).unwrap_or_default();
    let belongs = |name: &str, score: ScoreKind| {
        let end = name.rsplit_once('-').map(|(_, end)| end);
        end == Some(score.name())
    };
    let mut leading = Block::default();
    let all = drawings(figures, part).filter(|(name, _)| !others.iter().any(|&score| belongs(name, score)));
    leading.figures = all.map(|(_, drawing)| drawing).collect();
    let folded = others.iter().map(|&score| Block {
        fold: format!("The same for {score}"),
        figures: drawings(figures, part)
            .filter(|(name, _)| belongs(name, score))
            .map(|(_, drawing)| drawing)
            .collect(),
        ..Default::default()
    });
    std::iter::once(leading).chain(folded).collect()
}

fn folded(name: &str, table: Table) -> Block {
    Block {
        fold: format!("{name} ({} rows)", table.rows.len()),
        tables: vec![table],
        ..Default::default()
    }
}

fn sections(summary: &Summary, pictures: Pictures<'_>) -> Vec<Section> {
    let figures = pictures.figures;
    let mut sections = vec![
        Section {
            id: "sweep",
            title: "Does it alarm on harm, and only on harm?",
            short: "Sweep",
            text: "Batches are contaminated with a rising share of harmful or of harmless images, and each is tested against \
                   the clean reference."
                .to_owned(),
            blocks: of_scores(summary, figures, Part::Sweep),
        },
        Section {
            id: "scores",
            title: "Does the score tell harmful images from harmless ones?",
            short: "Scores",
            text: "The test sees only the scores: it can find only what changes them.".to_owned(),
            blocks: of_scores(summary, figures, Part::Scores),
        },
    ];
    if let Some(section) = sections.first_mut() {
        section
            .blocks
            .push(folded("Table: every cell of the sweep", tables::sweep(summary)));
    }
    if let Some(section) = sections.get_mut(1) {
        section
            .blocks
            .push(folded("Table: by severity and score", tables::scores(summary)));
    }
    if let Some(said) = comparison(summary) {
        sections.push(Section {
            id: "compare",
            title: "Which score suits this classifier?",
            short: "Comparison",
            text: said,
            blocks: vec![
                Block {
                    tables: tables::trade(summary).into_iter().collect(),
                    ..Default::default()
                },
                Block {
                    figures: drawings(figures, Part::Compare).map(|(_, drawing)| drawing).collect(),
                    ..Default::default()
                },
            ],
        });
    }
    if let Some(found) = &summary.comparison {
        sections.push(Section {
            id: "verdict",
            title: "Has the accuracy fallen?",
            short: "Accuracy test",
            text: verdict(found),
            blocks: vec![
                Block {
                    tables: verdicts::all(found),
                    ..Default::default()
                },
                Block {
                    figures: drawings(figures, Part::Verdict).map(|(_, drawing)| drawing).collect(),
                    ..Default::default()
                },
                folded(
                    "Table: every corruption and severity, naturally corrupted batches",
                    verdicts::natural(found),
                ),
            ],
        });
    }
    let mut excess = of_scores(summary, figures, Part::Excess);
    if let Some(leading) = excess.first_mut() {
        leading.tables.extend(tables::harm(summary));
    }
    excess.push(folded(
        "Table: every cell, harm-directed test",
        tables::harm_cells(summary),
    ));
    sections.push(Section {
        id: "harm",
        title: "How much of a batch is harmful?",
        short: "Harm test",
        text: "The harm-directed test sees the same batches. It is always one-sided, estimates which fraction of a batch lies \
               in excess of the reference, and alarms only if the batch is significantly worse and the excess is at least a \
               tenth."
            .to_owned(),
        blocks: excess,
    });
    sections.push(Section {
        id: "accuracy",
        title: "What the corruptions cost",
        short: "Accuracy",
        text: String::new(),
        blocks: vec![Block {
            tables: vec![tables::accuracies(summary)],
            ..Default::default()
        }],
    });
    let about = drawings(figures, Part::Images)
        .last()
        .map(|(_, drawing)| drawing.caption);
    sections.push(Section {
        id: "images",
        title: "The images",
        short: "Images",
        text: format!(
            "{} Thick orange outlines mark twins that the classifier gets wrong (harmful), thin blue ones those that it still \
             gets right (harmless); the score is below each.",
            about.unwrap_or_default()
        ),
        blocks: vec![
            Block {
                contact: pictures.contact,
                ..Default::default()
            },
            Block {
                strips: pictures.strips,
                ..Default::default()
            },
        ],
    });
    sections
}
