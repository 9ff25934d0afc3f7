//! `riptide predict`: which single images score above the threshold.

use serde::Serialize;

use crate::args::{Common, ImagesArgs};
use crate::exit::Ending;
use crate::monitor::{DetectorArgs, Monitor};
use crate::output::{Output, table};
use crate::progress;

/// Options of `riptide predict`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide predict --detector detector --images today/\n  \
    riptide predict --detector detector --images today/ --json | jq 'select(.is_adversarial)'")]
pub struct PredictArgs {
    #[command(flatten)]
    detector: DetectorArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// Score above which an image is flagged, instead of the detector's
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    threshold: Option<f64>,

    /// Add both networks' class probabilities to each line of --json
    #[arg(long, requires = "json")]
    probabilities: bool,

    #[command(flatten)]
    common: Common,
}

/// The decision on one image.
#[derive(Debug, Serialize)]
struct Decision<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    is_adversarial: bool,
    instance_score: f32,
    threshold: f64,
    prediction: usize,
    class: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    classifier: Option<&'a [f32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distilled: Option<&'a [f32]>,
}

/// Decides on each image.
pub fn run(args: PredictArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let monitor = Monitor::load(&args.detector.detector)?;
    let threshold = match args.threshold.or(monitor.detector.settings().threshold) {
        Some(threshold) if !threshold.is_nan() => threshold,
        Some(_) => anyhow::bail!("--threshold: give a number"),
        None => anyhow::bail!(
            "{}: the detector has no threshold; give --threshold",
            args.detector.detector.display()
        ),
    };
    let mut images = args.images.open(monitor.size())?;
    let mut out = Output::new(args.common.json);
    let bar = progress::images(images.remaining(), "scoring");
    let mut flagged: Vec<Vec<String>> = Vec::new();
    let n = monitor.pass(&mut images, &bar, |scored, images| {
        let probabilities = &scored.probabilities;
        let rows = probabilities.classifier.chunks_exact(probabilities.n_classes);
        let rows = rows.zip(probabilities.distilled.chunks_exact(probabilities.n_classes));
        let answers = probabilities.predicted_classes();
        for (i, ((&score, prediction), (classifier, distilled))) in
            scored.scores.iter().zip(answers).zip(rows).enumerate()
        {
            let index = scored.first + i;
            let decision = Decision {
                index,
                file: images.file(index).map(|file| file.display().to_string()),
                is_adversarial: f64::from(score) > threshold,
                instance_score: score,
                threshold,
                prediction,
                class: monitor.class(prediction),
                classifier: args.probabilities.then_some(classifier),
                distilled: args.probabilities.then_some(distilled),
            };
            if out.is_json() {
                out.record(&decision)?;
            } else if decision.is_adversarial {
                flagged.push(vec![
                    decision.file.unwrap_or_else(|| index.to_string()),
                    format!("{score:.4}"),
                    decision.class.to_owned(),
                ]);
            }
        }
        out.flush()
    })?;
    if !out.is_json() {
        if !flagged.is_empty() {
            out.line(table(
                &["image", "score", "prediction"],
                &flagged,
                &[false, true, false],
            ))?;
            out.line("")?;
        }
        out.line(format_args!(
            "{} of {n} images score above {threshold:.4}",
            flagged.len()
        ))?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}
