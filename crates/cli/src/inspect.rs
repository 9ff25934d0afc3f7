//! `riptide inspect`: what a detector is.

use std::path::PathBuf;

use riptide_detectors::DetectorSettings;
use riptide_models::{Network, NetworkConfig};
use riptide_stats::summary;
use serde::Serialize;

use crate::args::Common;
use crate::exit::Ending;
use crate::monitor::Monitor;
use crate::output::Output;

/// Options of `riptide inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide inspect detector")]
pub struct InspectArgs {
    /// A detector's folder
    detector: PathBuf,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    classifier: NetworkReport,
    distilled: NetworkReport,
    settings: &'a DetectorSettings,
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
    n_seen: u64,
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

/// Describes a detector.
pub fn run(args: InspectArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let monitor = Monitor::load(&args.detector)?;
    let pair = &monitor.networks;
    let report = Report {
        classifier: NetworkReport::of(pair.classifier()),
        distilled: NetworkReport::of(pair.distilled()),
        settings: monitor.detector.settings(),
        reference: Reference::of(monitor.detector.reference().values(), monitor.detector.n_seen())?,
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
            NetworkConfig::Onnx(_) => "ONNX file".to_owned(),
        }
    }
}

impl Reference {
    const BINS: usize = 12;

    fn of(scores: &[f64], n_seen: u64) -> anyhow::Result<Self> {
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
            n_seen,
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
        settings,
        reference,
    } = report;
    let [height, width] = settings.input_size;
    let names = &settings.class_names;
    let shown: Vec<&str> = names.iter().take(10).map(String::as_str).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    let threshold = settings
        .threshold
        .map_or("none".to_owned(), |threshold| format!("{threshold:.4}"));
    let mut lines = vec![
        format!("classifier     {}", classifier.name()),
        format!("               SHA-256 {}", classifier.digest),
        format!("distilled      {}", distilled.name()),
        format!("               SHA-256 {}", distilled.digest),
        format!("images         {height} x {width}, {}", preprocessing(settings)),
        format!("classes        {}: {}{more}", names.len(), shown.join(", ")),
        format!("score          {}", settings.score),
        format!("threshold      {threshold}"),
        format!("drift test     {} at {}", settings.alternative, settings.drift.p_val),
        format!(
            "harm test      greater at {}, from {} of the images on",
            settings.harm.p_val,
            crate::output::percent(settings.harm.min_fraction)
        ),
        format!(
            "reference      {} images, {} seen",
            reference.n_images, reference.n_seen
        ),
        format!(
            "               score mean {:.4}, standard deviation {:.4}, median {:.4}",
            reference.mean, reference.std, reference.median
        ),
        String::new(),
    ];
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

fn preprocessing(settings: &DetectorSettings) -> String {
    use riptide_detectors::saving::Preprocessing;
    match &settings.preprocessing {
        Preprocessing::None => "divided by 255".to_owned(),
        Preprocessing::ScaleByInstance => "scaled by instance".to_owned(),
        Preprocessing::MeanStd { mean, std } => format!("divided by 255, less {mean:?}, divided by {std:?}"),
    }
}
