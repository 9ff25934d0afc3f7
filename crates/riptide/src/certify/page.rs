//! A certificate as one self-contained page.

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use riptide_detectors::certificate::{Certificate, CertificateCell, Mixture, SizeSummary};
use riptide_draw::{Axis, Chart, Drawing, Entry, Mark, Paint, Shape, css};
use riptide_stats::Interval;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::monitor::Monitor;

/// Dashes of the lines that say what is tolerated and what power is wanted.
const DASHES: &str = "5 4";

#[derive(Serialize)]
struct Figure {
    title: String,
    keys: Vec<riptide_draw::Key>,
    panels: Vec<String>,
    caption: String,
}

/// A table: names of columns, and rows of cells.
#[derive(Serialize)]
struct Table {
    /// What stands for it while it is folded away.
    summary: String,
    caption: String,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

#[derive(Serialize)]
struct Card {
    value: String,
    label: String,
}

/// The certificate of a monitor as an HTML page that needs nothing else: light or dark as the reader likes it, legible on a
/// telephone.
///
/// # Errors
/// [`Error::Page`] if it cannot be made.
pub fn certificate_page(monitor: &Monitor, certificate: &Certificate) -> Result<String> {
    let made = || -> Result<String, minijinja::Error> {
        let mut environment = Environment::new();
        environment.add_template("certificate.html", include_str!("../../assets/certificate.html"))?;
        let facts = monitor.facts();
        let calibration = facts.calibration.as_ref();
        let families: Vec<String> = certificate.families.iter().map(|name| name.replace('_', " ")).collect();
        environment.get_template("certificate.html")?.render(context! {
            headline => headline(certificate),
            cards => Value::from(Serde(cards(certificate))),
            sizes => Value::from(Serde(sizes(certificate))),
            figures => Value::from(Serde([power(certificate), streams(certificate)])),
            broken => Value::from(Serde(broken(certificate))),
            cells => Value::from(Serde(cells(certificate))),
            n_cells => certificate.cells.len(),
            families => families.join(", "),
            n_families => families.len(),
            n_images => calibration.map(|facts| facts.n_images),
            n_reference => calibration.map(|facts| facts.n_reference),
            flips => calibration.is_some_and(|facts| facts.target == riptide_detectors::accuracy::Target::Flips),
            batches => certificate.config.batches,
            streams => certificate.config.streams,
            stream_length => certificate.config.stream_length,
            level => certificate.config.options.level,
            sequential_level => certificate.config.sequential.level,
            seed => certificate.config.seed,
            distilled => facts.distilled.as_str(),
            css => Value::from_safe_string(css()),
        })
    };
    made().map_err(|error| Error::Page {
        reason: error.to_string(),
    })
}

/// 12.3 points as text.
fn points(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

fn rate(rate: Interval) -> String {
    format!(
        "{} % ({} to {})",
        points(rate.estimate),
        points(rate.lower),
        points(rate.upper)
    )
}

fn name(mixture: &Mixture) -> String {
    let family = mixture.family.replace('_', " ");
    format!("{:.0} % {family} {}", 100.0 * mixture.contamination, mixture.severity)
}

fn headline(certificate: &Certificate) -> String {
    let tolerated = points(certificate.config.options.tolerated_drop);
    let power = 100.0 * certificate.config.power;
    let best = certificate
        .sizes
        .iter()
        .filter_map(|size| Some((size.least_detectable_drop?, size.n)));
    match best.min_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((drop, n)) => format!(
            "Every declared drop of accuracy of {} points or more is found in a batch of {n} images with {power} % power; \
             {tolerated} points are tolerated.",
            points(drop)
        ),
        None => format!("No batch size that was tried finds every large drop of accuracy with {power} % power."),
    }
}

fn cards(certificate: &Certificate) -> Vec<Card> {
    let card = |value: String, label: &str| Card {
        value,
        label: label.to_owned(),
    };
    let worst = certificate.sizes.iter().filter_map(|size| size.false_alarms);
    let worst = worst.max_by(|a, b| a.estimate.total_cmp(&b.estimate));
    let clean = certificate.sizes.iter().map(|size| size.clean_alarms);
    let clean = clean.max_by(|a, b| a.estimate.total_cmp(&b.estimate));
    let none = || "none".to_owned();
    vec![
        card(
            format!("{} %", points(certificate.accuracy)),
            "accuracy on the clean images",
        ),
        card(
            clean.map_or_else(none, rate),
            "of clean batches alarm, in the worst batch size",
        ),
        card(
            worst.map_or_else(none, rate),
            "of the batches alarm whose drop is tolerated, in the worst declared set and size",
        ),
    ]
}

fn sizes(certificate: &Certificate) -> Table {
    let row = |size: &SizeSummary| {
        vec![
            size.n.to_string(),
            size.least_detectable_drop.map_or_else(|| "none".to_owned(), points),
            rate(size.clean_alarms),
            size.false_alarms.map_or_else(|| "none".to_owned(), rate),
            size.false_alarms_in.as_ref().map(name).unwrap_or_default(),
            size.missed.len().to_string(),
            size.alarming.len().to_string(),
        ]
    };
    Table {
        summary: String::new(),
        caption: format!(
            "By batch size. Least drop: the least one from which on every declared set is found with a power of at least {} %, by \
             the lower limit of the rate.",
            100.0 * certificate.config.power
        ),
        head: vec![
            "images",
            "least drop, points",
            "clean batches that alarm",
            "worst false alarms",
            "in",
            "sets missed",
            "sets that alarm for nothing",
        ],
        rows: certificate.sizes.iter().map(row).collect(),
    }
}

/// Alarms by true drop, a panel a size.
fn power(certificate: &Certificate) -> Figure {
    let config = &certificate.config;
    let tolerated = config.options.tolerated_drop;
    let legend = vec![
        Entry::new(Mark::Point(Shape::Dot), Paint::HARMFUL, "drop above the tolerated one"),
        Entry::new(Mark::Point(Shape::Triangle), Paint::HARMLESS, "drop that is tolerated"),
        Entry::new(Mark::Line(DASHES, None), Paint::INK, "tolerated drop"),
        Entry::new(Mark::Line("2 3", None), Paint::SOFT, "power asked for"),
    ];
    let mut chart = Chart::new(
        "Batches that alarm by true drop of accuracy",
        legend,
        certificate.sizes.len(),
    );
    let largest = certificate.cells.iter().map(|cell| cell.drop).fold(0.1, f64::max);
    for size in &certificate.sizes {
        let axes = (
            (drops(largest), "true drop, points"),
            (Axis::percent(), "batches that alarm"),
        );
        chart.panel(&format!("{} images", size.n), axes.0, axes.1, |svg, plot| {
            svg.line(
                &[plot.at(tolerated, 0.0), plot.at(tolerated, 1.0)],
                Paint::INK,
                1.5,
                DASHES,
            );
            svg.line(
                &[plot.at(0.0, config.power), plot.at(largest, config.power)],
                Paint::SOFT,
                1.5,
                "2 3",
            );
            let cells = certificate.cells.iter().filter(|cell| cell.n == size.n);
            for cell in cells {
                let at = plot.at(cell.drop, cell.alarms.estimate);
                match cell.drop > tolerated {
                    true => svg.mark(at, Shape::Dot, 2.6, Paint::HARMFUL),
                    false => svg.mark(at, Shape::Triangle, 3.2, Paint::HARMLESS),
                }
            }
        });
    }
    let caption = format!(
        "Each point is a declared set, or a mixture of it with clean images, judged by a model that did not see its family: \
         the share of {} batches that were called harmful, or outside what was declared. A drop below 0 is drawn at 0.",
        config.batches
    );
    figure(chart.finish(), caption)
}

/// Images to the sequential alarm, by true drop.
fn streams(certificate: &Certificate) -> Figure {
    let config = &certificate.config;
    let legend = vec![
        Entry::new(
            Mark::Point(Shape::Dot),
            Paint::HARMFUL,
            "half of the streams alarm, after so many images",
        ),
        Entry::new(Mark::Point(Shape::Hollow), Paint::CLEAN, "fewer than half alarm"),
    ];
    let mut chart = Chart::new("Images to the alarm over a stream", legend, 1);
    let largest = certificate.streams.iter().map(|stream| stream.drop).fold(0.1, f64::max);
    let length = config.stream_length as f64;
    let axes = (
        (drops(largest), "true drop, points"),
        (Axis::from_zero(length), "images"),
    );
    chart.panel("", axes.0, axes.1, |svg, plot| {
        for stream in &certificate.streams {
            match stream.median_images {
                Some(images) => svg.mark(plot.at(stream.drop, images as f64), Shape::Dot, 2.6, Paint::HARMFUL),
                None => svg.mark(plot.at(stream.drop, length), Shape::Hollow, 2.6, Paint::CLEAN),
            }
        }
    });
    let caption = format!(
        "The sequential test at {}: the chance of ever a false alarm is at most that. Median of {} streams of {} images for each \
         declared set.",
        config.sequential.level, config.streams, config.stream_length
    );
    figure(chart.finish(), caption)
}

/// Drops from 0 on, in points.
fn drops(largest: f64) -> Axis {
    let step = if largest > 0.5 { 0.2 } else { 0.1 };
    let count = (largest / step - 1e-9).ceil().max(1.0);
    let ticks = (0..=count as usize).map(|tick| (tick as f64 * step, format!("{:.0}", 100.0 * tick as f64 * step)));
    Axis::new(0.0, count * step, ticks.collect())
}

fn figure(drawing: Drawing, caption: String) -> Figure {
    Figure {
        title: drawing.title,
        keys: drawing.keys,
        panels: drawing.panels,
        caption,
    }
}

/// The sets that break what one would hope for.
fn broken(certificate: &Certificate) -> Vec<Table> {
    const MOST: usize = 20;
    let mut tables = Vec::new();
    for size in &certificate.sizes {
        let of = |mixture: &Mixture| -> Option<&CertificateCell> {
            certificate
                .cells
                .iter()
                .find(|cell| cell.n == size.n && cell.mixture == *mixture)
        };
        let rows = |mixtures: &[Mixture]| -> Vec<Vec<String>> {
            let cells = mixtures.iter().take(MOST).filter_map(of);
            cells
                .map(|cell| {
                    vec![
                        name(&cell.mixture),
                        points(cell.drop),
                        rate(cell.alarms),
                        rate(cell.outside),
                    ]
                })
                .collect()
        };
        let both = [
            (
                "missed",
                "missed: the drop is above the tolerated one, but too few batches alarm",
                &size.missed,
            ),
            (
                "alarm for nothing",
                "that alarm for nothing: the drop is tolerated",
                &size.alarming,
            ),
        ];
        for (short, what, mixtures) in both {
            if mixtures.is_empty() {
                continue;
            }
            let more = match mixtures.len() > MOST {
                true => format!(" The first {MOST} of {}.", mixtures.len()),
                false => String::new(),
            };
            tables.push(Table {
                summary: format!("Batches of {}: {} sets {short}", size.n, mixtures.len()),
                caption: format!("Sets {what}.{more}"),
                head: vec!["set", "drop, points", "batches that alarm", "of all, called outside"],
                rows: rows(mixtures),
            });
        }
    }
    tables
}

fn cells(certificate: &Certificate) -> Table {
    let row = |cell: &CertificateCell| {
        vec![
            name(&cell.mixture),
            cell.n.to_string(),
            points(cell.drop),
            rate(cell.alarms),
            rate(cell.harmful),
            rate(cell.fit),
            rate(cell.outside),
        ]
    };
    Table {
        summary: String::new(),
        caption: "Every mixture and size, with Clopper and Pearson's 95 % limits.".to_owned(),
        head: vec!["set", "images", "drop, points", "alarm", "harmful", "fit", "outside"],
        rows: certificate.cells.iter().map(row).collect(),
    }
}
