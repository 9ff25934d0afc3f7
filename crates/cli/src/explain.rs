//! `riptide explain`: where the harm of a batch sits.

mod most;

use std::path::PathBuf;

use clap::ValueEnum;
use riptide_datasets::atomic;
use riptide_detectors::Answers;
use riptide_detectors::drift::Correction;
use riptide_detectors::harm::{ClassExcess, HarmData, PairExcess, excess_by_class, excess_by_pair};
use riptide_experiments::contact_sheet;
use serde::Serialize;

use crate::args::{Common, ImagesArgs};
use crate::exit::Ending;
use crate::monitor::{DetectorArgs, Monitor};
use crate::output::{Output, p_value, percent, table};
use crate::progress;
use most::Most;

/// Options of `riptide explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide explain --detector detector --images today/ --out most-harmful.png")]
pub struct ExplainArgs {
    #[command(flatten)]
    detector: DetectorArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// Draw the most harmful images as a contact sheet, a .png file
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,

    /// How many of the most harmful images are listed and drawn
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=600))]
    top: u16,

    /// Correction for the number of classes and pairs tested
    #[arg(long, value_enum, value_name = "NAME", default_value = "fdr")]
    correction: CorrectionName,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CorrectionName {
    /// Bounds the false discovery rate (Benjamini and Hochberg)
    Fdr,
    /// Bounds the chance of any false finding
    Bonferroni,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    n_images: usize,
    harm: HarmData,
    correction: Correction,
    classes: Vec<Named<'a, ClassExcess>>,
    pairs: Vec<Named<'a, PairExcess>>,
    images: Vec<most::Image<'a>>,
}

/// A finding with the names of its classes.
#[derive(Debug, Serialize)]
struct Named<'a, F> {
    names: Vec<&'a str>,
    #[serde(flatten)]
    finding: F,
}

/// Explains a batch.
pub fn run(args: ExplainArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let monitor = Monitor::load(&args.detector.detector)?;
    if monitor.detector.answers().is_none() {
        return Err(riptide_detectors::DetectorError::NoAnswers.into());
    }
    let mut images = args.images.open(monitor.size())?;
    let bar = progress::images(images.remaining(), "scoring");
    let (mut scores, mut answers) = (Vec::new(), Answers::default());
    let mut most = Most::new(usize::from(args.top));
    let n_images = monitor.pass(&mut images, &bar, |scored, _| {
        scores.extend(scored.scores.iter().copied().map(f64::from));
        let these = Answers::from(&scored.probabilities);
        most.look(&scored, &these);
        answers.classifier.extend(these.classifier);
        answers.distilled.extend(these.distilled);
        Ok(())
    })?;
    let correction = match args.correction {
        CorrectionName::Fdr => Correction::Fdr,
        CorrectionName::Bonferroni => Correction::Bonferroni,
    };
    let classes = excess_by_class(&monitor.detector, &scores, &answers, correction)?;
    let pairs = excess_by_pair(&monitor.detector, &answers, correction)?;
    let report = Report {
        n_images,
        harm: monitor.detector.harm_test()?.test(&scores)?.data,
        correction,
        classes: classes
            .into_iter()
            .map(|finding| Named {
                names: vec![monitor.class(finding.class)],
                finding,
            })
            .collect(),
        pairs: pairs
            .into_iter()
            .map(|finding| Named {
                names: vec![monitor.class(finding.classifier), monitor.class(finding.distilled)],
                finding,
            })
            .collect(),
        images: most.images(&monitor, &images),
    };
    if let Some(path) = &args.out {
        let title = format!("The {} most harmful of {n_images} images", report.images.len());
        atomic::write(path, &contact_sheet(&title, &most.pictures(&report.images))?)?;
    }
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&report)?;
    } else {
        for line in text(&report) {
            out.line(line)?;
        }
        if let Some(path) = &args.out {
            out.line(format_args!("\nContact sheet: {}", path.display()))?;
        }
    }
    out.flush()?;
    Ok(Ending::Fine)
}

fn text(report: &Report<'_>) -> Vec<String> {
    let fraction = report.harm.excess_fraction;
    let verdict = if report.harm.is_harmful {
        "harmful"
    } else {
        "not harmful"
    };
    let mut lines = vec![
        format!(
            "{} images: {verdict}; harmful fraction {} ({} to {}), p {}",
            report.n_images,
            percent(fraction.estimate),
            percent(fraction.lower),
            percent(fraction.upper),
            p_value(report.harm.p_val)
        ),
        String::new(),
        "By the classifier's answer (* significant after correction):".to_owned(),
    ];
    let classes: Vec<Vec<String>> = report
        .classes
        .iter()
        .map(|Named { names, finding }| {
            let fraction = finding.excess_fraction;
            vec![
                star(finding.is_significant),
                names.join(" "),
                finding.n_batch.to_string(),
                format!(
                    "{} ({} to {})",
                    percent(fraction.estimate),
                    percent(fraction.lower),
                    percent(fraction.upper)
                ),
                p_value(finding.p_val),
            ]
        })
        .collect();
    lines.push(table(
        &["", "class", "images", "harmful fraction", "p-value"],
        &classes,
        &[false, false, true, false, true],
    ));
    lines.extend([String::new(), "By confused pair, the most significant ten:".to_owned()]);
    let pairs: Vec<Vec<String>> = report
        .pairs
        .iter()
        .take(10)
        .map(|Named { names, finding }| {
            let n_reference = finding.n_reference;
            vec![
                star(finding.is_significant),
                names.first().copied().unwrap_or_default().to_owned(),
                names.last().copied().unwrap_or_default().to_owned(),
                finding.n_batch.to_string(),
                n_reference.to_string(),
                format!("{:+.1} %", 100.0 * finding.excess),
                p_value(finding.p_val),
            ]
        })
        .collect();
    lines.push(table(
        &[
            "",
            "classifier says",
            "distilled says",
            "images",
            "in reference",
            "excess",
            "p-value",
        ],
        &pairs,
        &[false, false, false, true, true, true, true],
    ));
    lines.extend([String::new(), "The most harmful images:".to_owned()]);
    let images: Vec<Vec<String>> = report
        .images
        .iter()
        .take(10)
        .map(|image| {
            vec![
                image.file.clone().unwrap_or_else(|| image.index.to_string()),
                format!("{:.3}", image.score),
                image.classifier.to_owned(),
                image.distilled.to_owned(),
            ]
        })
        .collect();
    lines.push(table(
        &["image", "score", "classifier says", "distilled says"],
        &images,
        &[false, true, false, false],
    ));
    lines
}

fn star(is_significant: bool) -> String {
    if is_significant { "*" } else { "" }.to_owned()
}
