//! `riptide check`: does the classifier answer here as it does in the user's own program?

use std::path::PathBuf;

use anyhow::bail;
use riptide::pipeline::Candidate;
use riptide::{Agreement, Expected};
use serde::Serialize;

use crate::args::{ClassifierArgs, Common, ImagesArgs, hint};
use crate::exit::Ending;
use crate::output::{Column, Output, table};
use crate::progress::Bar;

/// Options of `riptide check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide check --classifier model.onnx --preprocessing imagenet --images photographs/ --expected p.npy\n  \
    riptide check --classifier model.onnx --images x.npy --expected p.npy   # which preprocessing is it?"
)]
pub struct CheckArgs {
    #[command(flatten)]
    classifier: ClassifierArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// The class probabilities that your own program gives the same images in the same order: a .npy of float32 or float64
    /// (N, classes)
    #[arg(long, value_name = "FILE")]
    expected: PathBuf,

    /// The largest difference of a probability that is accepted; beyond it the command ends with exit code 1
    #[arg(long, value_name = "P", default_value_t = 0.01, value_parser = super::args::inside_unit)]
    tolerance: f64,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    /// What the images went through, if it was tried and not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    preprocessing: Option<&'a str>,
    #[serde(flatten)]
    agreement: &'a Agreement,
    tolerance: f64,
    agrees: bool,
}

/// Compares.
pub fn run(args: CheckArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let expected = Expected::read(&args.expected)?;
    let classifier = args.classifier.load()?;
    let images = args.images.open_for(&classifier)?;
    let mut out = Output::new(args.common.json).outlives_reader(true);
    let mut bar = Bar::new();
    // Of a network the preprocessing is known, or it is looked for; a function has none to look for.
    let tried: Vec<(Option<Candidate>, Agreement)> = match classifier.preprocessing() {
        Some(_) => vec![(None, hint(riptide::check(&classifier, images, &expected, &mut bar))?)],
        None => hint(riptide::check_candidates(&classifier, images, &expected, &mut bar))?
            .into_iter()
            .map(|(candidate, agreement)| (Some(candidate), agreement))
            .collect(),
    };
    let Some((candidate, best)) = tried.first() else {
        bail!("nothing was compared");
    };
    let agrees = best.is_within(args.tolerance as f32);
    if out.is_json() {
        for (candidate, agreement) in &tried {
            out.record(&Report {
                preprocessing: candidate.as_ref().map(|candidate| candidate.name.as_str()),
                agreement,
                tolerance: args.tolerance,
                agrees: agreement.is_within(args.tolerance as f32),
            })?;
        }
    } else {
        if candidate.is_some() {
            out.line("The preprocessing is not given; these were tried, the closest first:")?;
            out.line("")?;
            let columns = [
                Column::left("preprocessing"),
                Column::right("largest difference"),
                Column::right("same class"),
            ];
            let rows: Vec<Vec<String>> = tried
                .iter()
                .map(|(candidate, agreement)| {
                    vec![
                        candidate
                            .as_ref()
                            .map_or_else(String::new, |candidate| candidate.name.clone()),
                        format!("{:.2e}", agreement.largest_difference),
                        format!("{} of {}", agreement.n_same_class, agreement.n_images),
                    ]
                })
                .collect();
            out.line(table(&columns, &rows))?;
            out.line("")?;
        }
        out.line(format_args!(
            "same class          {} of {} images",
            best.n_same_class, best.n_images
        ))?;
        out.line(format_args!(
            "largest difference  {:.2e}: image {}{}, class {}, expected {:.4}, found {:.4}",
            best.largest_difference,
            best.image,
            best.file
                .as_ref()
                .map(|file| format!(" ({})", file.display()))
                .unwrap_or_default(),
            best.class,
            best.expected,
            best.found
        ))?;
    }
    out.flush()?;
    if agrees {
        return Ok(Ending::Fine);
    }
    bail!(
        "the classifier answers otherwise here than expected: a probability of image {} differs by {:.2e}, and {:.2e} is accepted (--tolerance); \
         look at --preprocessing, --colour and the order of the images",
        best.image,
        best.largest_difference,
        args.tolerance
    );
}
