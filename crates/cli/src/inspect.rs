//! `riptide inspect`: what a monitor is.

use std::path::PathBuf;

use riptide::datasets::{Filter, Framing};
use riptide::models::{Network, NetworkConfig};
use riptide::prelude::*;
use riptide::stats::summary;
use riptide::{ClassifierFacts, Facts};
use serde::Serialize;

use crate::args::Common;
use crate::exit::Ending;
use crate::judgement;
use crate::output::{Output, percent};

/// Options of `riptide inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide inspect monitor")]
pub struct InspectArgs {
    /// A monitor's folder
    monitor: PathBuf,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Missing if the classifier is a function, which is not saved, or if its probabilities were logged.
    classifier: Option<NetworkReport>,
    distilled: NetworkReport,
    facts: &'a Facts,
    options: &'a Options,
    /// The score above which a single image is flagged.
    threshold: f64,
    reference: Reference,
}

#[derive(Debug, Serialize)]
struct NetworkReport {
    config: NetworkConfig,
    /// Numbers in the network, without those of an ONNX file.
    n_parameters: usize,
    digest: String,
}

#[derive(Debug, Serialize)]
struct Reference {
    n_images: usize,
    mean: f64,
    std: f64,
    min: f64,
    median: f64,
    max: f64,
    histogram: Vec<Bin>,
}

#[derive(Debug, Serialize)]
struct Bin {
    from: f64,
    to: f64,
    count: usize,
}

/// Describes a monitor.
pub fn run(args: InspectArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let monitor = Monitor::load(&args.monitor)?;
    let report = Report {
        classifier: monitor.classifier().map(NetworkReport::of),
        distilled: NetworkReport::of(monitor.distilled()),
        facts: monitor.facts(),
        options: monitor.options(),
        threshold: monitor.threshold(),
        reference: Reference::of(monitor.reference_scores())?,
    };
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&report)?;
    } else {
        for line in text(&report) {
            out.line(line)?;
        }
    }
    out.flush()?;
    Ok(Ending::Fine)
}

impl NetworkReport {
    fn of(network: &Network) -> Self {
        Self {
            config: network.config().clone(),
            n_parameters: network.weights().iter().map(|(_, tensor)| tensor.elem_count()).sum(),
            digest: network.digest(),
        }
    }

    /// The network in words.
    fn name(&self) -> String {
        match &self.config {
            NetworkConfig::ResNet(config) => format!("ResNet-{}, {} parameters", config.depth, self.n_parameters),
            NetworkConfig::DistilledCnn(config) => format!(
                "distilled CNN, {} convolutions, {} parameters",
                config.n_conv_layers, self.n_parameters
            ),
            NetworkConfig::Onnx(config) => format!(
                "ONNX file, {}, run by {}",
                config.output.name().replace('_', " "),
                crate::fit::engine_name(config.engine)
            ),
        }
    }
}

impl Reference {
    const BINS: usize = 12;

    fn of(scores: &[f64]) -> anyhow::Result<Self> {
        let (min, max) = summary::min_max(scores)?;
        let width = (max - min) / Self::BINS as f64;
        let mut counts = [0; Self::BINS];
        for score in scores {
            // A reference of one value has no width; all of it is in the first bin.
            let bin = if width > 0.0 {
                ((score - min) / width) as usize
            } else {
                0
            };
            if let Some(count) = counts.get_mut(bin.min(Self::BINS - 1)) {
                *count += 1;
            }
        }
        let bins = counts.into_iter().enumerate().map(|(i, count)| Bin {
            from: min + i as f64 * width,
            to: min + (i + 1) as f64 * width,
            count,
        });
        Ok(Self {
            n_images: scores.len(),
            mean: summary::mean(scores)?,
            std: summary::std(scores)?,
            min,
            median: summary::percentile(scores, 50.0)?,
            max,
            histogram: bins.collect(),
        })
    }
}

fn text(report: &Report<'_>) -> Vec<String> {
    let Report {
        classifier,
        distilled,
        facts,
        options,
        threshold,
        reference,
    } = report;
    let [height, width] = facts.input_size;
    let names = &facts.class_names;
    let shown: Vec<&str> = names.iter().take(10).map(String::as_str).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    let mut lines = match classifier {
        Some(network) => vec![
            format!("classifier     {}", network.name()),
            format!("               SHA-256 {}", network.digest),
        ],
        None if facts.classifier == ClassifierFacts::Logged => {
            vec!["classifier     logged probabilities, which come with the images".to_owned()]
        }
        None => vec!["classifier     a function, to be given when the monitor is loaded".to_owned()],
    };
    let scaling = facts.preprocessing.unwrap_or(facts.distilled_preprocessing);
    lines.extend([
        format!("distilled      {}", distilled.name()),
        format!("               SHA-256 {}", distilled.digest),
        format!("images         {height} x {width}{}, {scaling}", framed(facts.framing)),
        format!("classes        {}: {}{more}", names.len(), shown.join(", ")),
        format!("score          {}", facts.score),
        format!("threshold      {threshold:.4}"),
        format!("drift test     {} at {}", options.alternative, options.level),
        format!(
            "harm test      greater at {}, from {} of the images on",
            options.level,
            percent(options.least_excess_fraction)
        ),
    ]);
    lines.extend(judgement::calibration(
        facts.calibration.as_ref(),
        options,
        "calibration    ",
    ));
    lines.extend([
        format!("reference      {} images", reference.n_images),
        format!(
            "               score mean {:.4}, standard deviation {:.4}, median {:.4}",
            reference.mean, reference.std, reference.median
        ),
        String::new(),
    ]);
    let most = reference
        .histogram
        .iter()
        .map(|bin| bin.count)
        .max()
        .unwrap_or(0)
        .max(1);
    for bin in &reference.histogram {
        let length = (40 * bin.count).div_ceil(most);
        let line = format!(
            "{:>9.4} to {:>8.4}  {:>6}  {}",
            bin.from,
            bin.to,
            bin.count,
            "█".repeat(length)
        );
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// How pictures become as large as the networks take them.
fn framed(framing: Framing) -> String {
    match framing {
        Framing::Stretch { filter, .. } => format!(" (stretched, {})", name(filter)),
        Framing::Crop { resize, filter, .. } => {
            format!(" (the centre of a shorter side of {resize}, {})", name(filter))
        }
        Framing::Letterbox { filter, .. } => format!(" (with borders, {})", name(filter)),
        _ => String::new(),
    }
}

fn name(filter: Filter) -> &'static str {
    match filter {
        Filter::Nearest => "nearest",
        Filter::Bilinear => "bilinear",
        Filter::Bicubic => "bicubic",
        Filter::Lanczos => "lanczos",
        _ => "another filter",
    }
}
