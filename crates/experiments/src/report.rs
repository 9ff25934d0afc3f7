//! `report.html`: one self-contained page with everything that a run found.

use std::path::Path;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use serde::Serialize;

use crate::ExperimentError;
use crate::figures::{CSS, Figure, Part, Strip};
use crate::files::write_atomically;
use crate::harmfulness::Kind;
use crate::summary::{Moments, Summary};
use crate::table::POWER;

#[derive(Serialize)]
struct Card {
    value: String,
    label: String,
}

#[derive(Default, Serialize)]
struct Section {
    id: &'static str,
    title: String,
    text: String,
    figures: Vec<Drawing>,
    tables: Vec<Table>,
    strips: Vec<Strip>,
}

#[derive(Serialize)]
struct Drawing {
    drawing: String,
    caption: String,
}

#[derive(Serialize)]
struct Table {
    caption: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Writes the page into `out`.
pub(crate) fn write(
    out: &Path,
    summary: &Summary,
    figures: &[Figure],
    strips: Vec<Strip>,
) -> Result<(), ExperimentError> {
    let mut environment = Environment::new();
    environment.add_template("report.html", include_str!("../assets/report.html"))?;
    let params = &summary.protocol;
    let page = environment.get_template("report.html")?.render(context! {
        dataset => summary.dataset.as_str(),
        verdict => verdict(summary),
        cards => Value::from(Serde(cards(summary))),
        tested => tested(summary),
        provenance => summary.provenance.as_str(),
        sections => Value::from(Serde(sections(summary, figures, strips))),
        figure_css => Value::from_safe_string(CSS.to_owned()),
        seed => params.seed,
        images_digest => summary.images_digest.as_str(),
        networks_digest => summary.networks_digest.as_str(),
    })?;
    write_atomically(&out.join("report.html"), page.as_bytes())
}

fn percent(fraction: f64) -> String {
    let tenths = (fraction * 1000.0).round() / 10.0;
    format!("{tenths} %")
}

fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("{value:.digits$}"))
}

/// The finding in two or three sentences, for the leading score.
fn verdict(summary: &Summary) -> String {
    let params = &summary.protocol;
    let Some(&score) = params.scores.first() else {
        return String::new();
    };
    let found: Vec<Option<f64>> = params
        .severities
        .iter()
        .map(|&severity| summary.detection(score, severity, POWER))
        .collect();
    let seen = if found.iter().all(Option::is_some) {
        let worst = found.iter().flatten().copied().fold(0.0, f64::max);
        format!(
            "Harmful drift was found in at least {} of batches once {} of a batch was harmful, at every severity.",
            percent(POWER),
            percent(worst)
        )
    } else {
        let n = found.iter().filter(|f| f.is_some()).count();
        format!(
            "Harmful drift was found in at least {} of batches at {n} of {} severities; at the others it was missed more often than that.",
            percent(POWER),
            found.len()
        )
    };
    let alarms: Vec<f64> = params
        .severities
        .iter()
        .filter_map(|&severity| summary.false_alarms(score, severity))
        .collect();
    let (low, high) = (
        alarms.iter().copied().fold(1.0, f64::min),
        alarms.iter().copied().fold(0.0, f64::max),
    );
    let cried = if alarms.is_empty() {
        "No harmless corrupted image was there to cry wolf about.".to_owned()
    } else {
        format!(
            "On batches contaminated with harmless images it alarmed in {} to {} of cases, by severity, at a level of {}.",
            percent(low),
            percent(high),
            percent(params.p_val)
        )
    };
    format!(
        "{seen} {cried} Score: {score}; {} test, batches of {}.",
        params.alternative, params.batch_size
    )
}

fn cards(summary: &Summary) -> Vec<Card> {
    let card = |value: String, label: &str| Card {
        value,
        label: label.to_owned(),
    };
    let mean = |kind: Kind| {
        let values: Vec<f64> = summary
            .severities
            .iter()
            .filter_map(|severity| severity.scores.first())
            .filter_map(|score| match kind {
                Kind::Harmful => score.harmful.mean,
                Kind::Harmless => score.harmless.mean,
            })
            .collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    vec![
        card(percent(summary.accuracy), "accuracy on clean images"),
        card(
            optional(summary.clean.first().and_then(|clean| clean.mean), 3),
            "mean score, clean",
        ),
        card(
            optional(mean(Kind::Harmless), 3),
            "mean score, harmless, over the severities",
        ),
        card(
            optional(mean(Kind::Harmful), 3),
            "mean score, harmful, over the severities",
        ),
    ]
}

fn tested(summary: &Summary) -> String {
    let params = &summary.protocol;
    format!(
        "A classifier and its distilled network on {} clean test images of {} and their twins under {} corruption(s) at {} severities. \
         A reference of {} clean scores is compared with batches of {} images by a two-sample Kolmogorov-Smirnov test ({}, level {}); \
         {} batches for each severity, kind and percentage.",
        summary.n_images,
        summary.dataset,
        params.corruptions.len(),
        params.severities.len(),
        params.n_ref,
        params.batch_size,
        params.alternative,
        params.p_val,
        params.batches
    )
}

fn sections(summary: &Summary, figures: &[Figure], strips: Vec<Strip>) -> Vec<Section> {
    let drawn = |part: Part| {
        let drawing = |figure: &Figure| Drawing {
            drawing: figure.svg.clone(),
            caption: figure.caption.clone(),
        };
        figures
            .iter()
            .filter(|figure| figure.part == part)
            .map(drawing)
            .collect()
    };
    vec![
        Section {
            figures: drawn(Part::Scores),
            ..scores(summary)
        },
        Section {
            figures: drawn(Part::Sweep),
            ..sweep(summary)
        },
        Section {
            figures: drawn(Part::Accuracy),
            ..accuracies(summary)
        },
        Section {
            id: "images",
            title: "The images".to_owned(),
            figures: drawn(Part::Images),
            strips,
            ..Default::default()
        },
    ]
}

fn scores(summary: &Summary) -> Section {
    let moments = |moments: &Moments| {
        [
            moments.n.to_string(),
            optional(moments.mean, 4),
            optional(moments.std, 4),
        ]
    };
    let mut rows = Vec::new();
    for severity in &summary.severities {
        for found in &severity.scores {
            let auroc = found.auroc.map_or_else(
                || vec!["none".to_owned(); 3],
                |auroc| {
                    [auroc.estimate, auroc.low, auroc.high]
                        .map(|value| format!("{value:.4}"))
                        .to_vec()
                },
            );
            let mut row = vec![
                severity.severity.to_string(),
                found.score.to_string(),
                format!("{:.4}", severity.accuracy),
            ];
            row.extend(moments(&found.harmful));
            row.extend(moments(&found.harmless));
            row.extend(auroc);
            row.push(optional(summary.detection(found.score, severity.severity, POWER), 2));
            row.push(optional(summary.false_alarms(found.score, severity.severity), 4));
            rows.push(row);
        }
    }
    let head = [
        "severity",
        "score",
        "accuracy",
        "harmful n",
        "mean",
        "std",
        "harmless n",
        "mean",
        "std",
        "AUROC",
        "low",
        "high",
        "found from",
        "false alarms",
    ];
    Section {
        id: "scores",
        title: "Scores and harm".to_owned(),
        text: "The area under the ROC curve says how well a score tells harmful from harmless images; its interval is a \
               bootstrap over clean images, each with all its twins. \"Found from\" is the smallest fraction from which on \
               at least 95 % of harmful batches alarm; \"false alarms\" the mean alarm rate of harmless batches."
            .to_owned(),
        tables: vec![Table { caption: "By severity and score".to_owned(), head: head.map(str::to_owned).to_vec(), rows }],
        ..Default::default()
    }
}

fn sweep(summary: &Summary) -> Section {
    let rows = summary.sweep.iter().map(|cell| {
        let mut row = vec![
            cell.score.to_string(),
            cell.severity.to_string(),
            cell.kind.name().to_owned(),
            percent(cell.fraction),
        ];
        row.extend([cell.mean, cell.std, cell.min, cell.max].map(|value| format!("{value:.4}")));
        row.extend([cell.alarms.estimate, cell.alarms.low, cell.alarms.high].map(percent));
        row
    });
    let head = [
        "score",
        "severity",
        "kind",
        "corrupted",
        "mean p",
        "std",
        "min",
        "max",
        "alarms",
        "low",
        "high",
    ];
    Section {
        id: "sweep",
        title: "p-values by contamination".to_owned(),
        tables: vec![Table {
            caption: "Every cell of the sweep".to_owned(),
            head: head.map(str::to_owned).to_vec(),
            rows: rows.collect(),
        }],
        ..Default::default()
    }
}

fn accuracies(summary: &Summary) -> Section {
    let params = &summary.protocol;
    let rows = params.corruptions.iter().map(|&corruption| {
        let mut row = vec![corruption.to_string()];
        for &severity in &params.severities {
            let found = summary
                .accuracies
                .iter()
                .find(|a| a.corruption == corruption && a.severity == severity);
            row.push(found.map_or_else(String::new, |a| format!("{:.4}", a.accuracy)));
        }
        row
    });
    let mut head = vec!["corruption".to_owned()];
    head.extend(params.severities.iter().map(|severity| format!("severity {severity}")));
    Section {
        id: "accuracy",
        title: "Accuracy by corruption".to_owned(),
        tables: vec![Table {
            caption: "Fraction of images that the classifier gets right".to_owned(),
            head,
            rows: rows.collect(),
        }],
        ..Default::default()
    }
}
