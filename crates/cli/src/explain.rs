//! `riptide explain`: where the harm of a batch sits.

use std::path::PathBuf;

use clap::ValueEnum;
use riptide::detectors::drift::Correction;
use riptide::files::{atomic, shown};
use riptide::prelude::*;

use crate::args::{Common, ImagesArgs, MonitorArgs, check_output, hint, with_logged};
use crate::exit::Ending;
use crate::output::{Column, Output, interval, p_value, table};
use crate::progress::Bar;

/// Options of `riptide explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide explain --monitor monitor --images today/ --out most-harmful.png")]
pub struct ExplainArgs {
    #[command(flatten)]
    monitor: MonitorArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// The class probabilities that the classifier gave the images, row for row, if the monitor was fitted to such
    #[arg(long, value_name = "FILE")]
    logged_probabilities: Option<PathBuf>,

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

/// Explains a batch.
pub fn run(args: ExplainArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    if let Some(out) = &args.out {
        let read = [
            Some(args.monitor.monitor.as_path()),
            args.logged_probabilities.as_deref(),
        ];
        check_output("--out", out, Some(&args.images.images), &read)?;
    }
    let monitor = args.monitor.load()?;
    let images = args.images.open(&monitor)?;
    let logged = args.logged_probabilities.as_deref();
    let images = with_logged(images, &monitor, logged, "--logged-probabilities")?;
    let how = Explain::default()
        .n_images(usize::from(args.top))
        .correction(match args.correction {
            CorrectionName::Fdr => Correction::Fdr,
            CorrectionName::Bonferroni => Correction::Bonferroni,
        });
    let mut bar = Bar::scoring(images.remaining());
    let explanation = hint(monitor.explain_with(images, &how, &mut bar))?;
    if let Some(path) = &args.out {
        atomic::write(path, &explanation.contact_sheet()?)?;
    }
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&explanation)?;
    } else {
        for line in text(&explanation) {
            out.line(line)?;
        }
        if let Some(path) = &args.out {
            out.line(format_args!("\nContact sheet: {}", path.display()))?;
        }
    }
    out.flush()?;
    Ok(Ending::Fine)
}

fn text(explanation: &Explanation) -> Vec<String> {
    let verdict = match explanation.harm.is_harmful {
        true => "harmful",
        false => "no harm to be seen in their scores",
    };
    let mut lines = vec![
        format!(
            "{} images: {verdict}; excess fraction {}, p {}",
            explanation.n_images,
            interval(explanation.harm.excess_fraction),
            p_value(explanation.harm.p_value)
        ),
        String::new(),
        "By the classifier's answer (* significant after correction):".to_owned(),
    ];
    let classes = explanation.classes.iter().map(|class| {
        vec![
            star(class.finding.is_significant),
            class.name.clone(),
            class.finding.n_batch.to_string(),
            interval(class.finding.excess_fraction),
            p_value(class.finding.p_value),
        ]
    });
    lines.push(table(
        &[
            Column::left(""),
            Column::left("class"),
            Column::right("images"),
            Column::left("excess fraction"),
            Column::right("p-value"),
        ],
        &classes.collect::<Vec<_>>(),
    ));
    lines.extend([String::new(), "By confused pair, the most significant ten:".to_owned()]);
    let pairs = explanation.pairs.iter().take(10).map(|pair| {
        vec![
            star(pair.finding.is_significant),
            pair.classifier_name.clone(),
            pair.distilled_name.clone(),
            pair.finding.n_batch.to_string(),
            pair.finding.n_reference.to_string(),
            format!("{:+.1} %", 100.0 * pair.finding.excess),
            p_value(pair.finding.p_value),
        ]
    });
    lines.push(table(
        &[
            Column::left(""),
            Column::left("classifier says"),
            Column::left("distilled says"),
            Column::right("images"),
            Column::right("in reference"),
            Column::right("excess"),
            Column::right("p-value"),
        ],
        &pairs.collect::<Vec<_>>(),
    ));
    lines.extend([String::new(), "The most harmful images:".to_owned()]);
    let images = explanation.images.iter().take(10).map(|image| {
        let file = image.file.as_ref().map(|file| shown(file).to_string());
        vec![
            file.unwrap_or_else(|| image.index.to_string()),
            format!("{:.3}", image.score),
            image.classifier.clone(),
            image.distilled.clone(),
        ]
    });
    lines.push(table(
        &[
            Column::left("image"),
            Column::right("score"),
            Column::left("classifier says"),
            Column::left("distilled says"),
        ],
        &images.collect::<Vec<_>>(),
    ));
    lines
}

fn star(is_significant: bool) -> String {
    if is_significant { "*" } else { "" }.to_owned()
}
