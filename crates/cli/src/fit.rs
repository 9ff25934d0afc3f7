//! `riptide fit`: distils a small network from a classifier and saves both as a monitor.

use std::path::{Path, PathBuf};

use riptide::models::onnx::{Against, Check, Engine};
use riptide::models::train::Augmentation;
use riptide::pipeline::{InputCheck, Tried};
use riptide::prelude::*;
use riptide::training::Epoch;
use riptide::{Facts, FewImages, Fitted, Found, SelfTest, SelfTested};
use serde::Serialize;

use crate::args::{ClassifierArgs, Common, ImagesArgs, NewCalibrationArgs, NewMonitorArgs, hint};
use crate::exit::{Ending, say};
use crate::judgement;
use crate::output::{Column, Output, interval, percent, table};
use crate::progress::Bar;
use crate::train::Augment;

/// Options of `riptide fit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide fit --classifier model.onnx --preprocessing imagenet --images training/ --out monitor\n  \
    riptide fit --classifier model.onnx --preprocessing mean-std --mean 0.49,0.48,0.45 --std 0.25,0.24,0.26 \\\n      --images training.npy --out monitor"
)]
pub struct FitArgs {
    #[command(flatten)]
    classifier: ClassifierArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// Clean images that are kept as the reference [default: a part of --images, which is then not trained on]
    #[arg(long, value_name = "X2", conflicts_with = "probabilities")]
    reference: Option<PathBuf>,

    /// Images that are kept apart for the reference, at most a fifth of all
    #[arg(long, value_name = "N", default_value_t = 1000, conflicts_with = "reference", value_parser = clap::value_parser!(u32).range(1..))]
    n_ref: u32,

    /// Images that are kept apart to validate the epochs, and for the self-test [default: a tenth of all, at
    /// least 100 unless that is more than a fifth, at most 1,000]
    #[arg(long, value_name = "N")]
    validation: Option<u32>,

    /// Passes over the images [default: 20; 60 if fewer than 10,000 images are learned from]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    epochs: Option<u32>,

    /// Stop after so many epochs without a lower validation loss
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    patience: Option<u32>,

    /// Images of a training step
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: u32,

    /// The largest learning rate
    #[arg(long, value_name = "RATE", default_value_t = 1e-3, allow_negative_numbers = true)]
    learning_rate: f64,

    /// Temperature of the classifier's outputs, which the distilled network learns from
    #[arg(long, value_name = "T", default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,

    /// How images are varied [default: flip; jitter-flip if fewer than 10,000 images are learned from]
    #[arg(long, value_enum, value_name = "HOW")]
    augment: Option<Augment>,

    /// Filters of the distilled network's first convolution; the next have half and a quarter of them [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..=4096))]
    filters: Option<u32>,

    /// Convolutions of the distilled network, 1 to 3 [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3))]
    conv_layers: Option<u32>,

    /// Units of the distilled network's first dense layer [default: one for each class, from 40 to 512]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    dense: Option<u32>,

    /// Divide the images' height and width by this number before the distilled network [default: what brings the longer side
    /// nearest to 32 pixels]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    shrink: Option<u32>,

    /// Do not try the monitor on corrupted images of its own
    #[arg(long)]
    no_self_test: bool,

    #[command(flatten)]
    calibration: NewCalibrationArgs,

    /// Decides the initial weights, the order of the images and which are kept apart
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Keep a checkpoint in this folder after each epoch; a fit that was stopped goes on from it
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,

    /// Fit even if the classifier is hardly ever right about labelled images
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    new: NewMonitorArgs,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    n_images: usize,
    input: &'a InputCheck,
    epochs: &'a [Epoch],
    #[serde(skip_serializing_if = "Option::is_none")]
    few_images: Option<FewImages>,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_test: Option<&'a SelfTested>,
    /// How a classifier from an ONNX file was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'a Check>,
    #[serde(flatten)]
    made: Made<'a>,
}

/// What was made.
#[derive(Debug, Serialize)]
pub struct Made<'a> {
    out: &'a Path,
    facts: &'a Facts,
    options: &'a Options,
    score_mean: f64,
    threshold: f64,
    /// What there is to say about the calibration.
    note: Option<&'a str>,
}

/// Fits a monitor.
pub fn run(args: FitArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    args.new.check()?;
    let logged = &args.classifier.logged;
    let (classifier, images) = match &logged.probabilities {
        Some(probabilities) => logged.open(probabilities, &args.images.reading, &args.images.images)?,
        None => {
            let classifier = args.classifier.load()?;
            let images = args.images.open_for(&classifier)?;
            (classifier, images)
        }
    };
    let is_logged = classifier.is_logged();
    let images = args.calibration.label(images)?;
    let reference = match &args.reference {
        Some(path) => {
            let (size, framing) = (classifier.input_size(), classifier.framing());
            Some(args.images.reading.open(path, size, framing)?)
        }
        None => None,
    };
    let fit = args.fit();
    let mut bar = Bar::new();
    let Fitted {
        monitor,
        epochs,
        held_out,
        few_images,
        relative_cost,
        input,
        check,
        ..
    } = hint(fit.run_with(classifier, images, reference, &mut bar))?;
    if let Some(reason) = &input.unused_labels {
        say(&format!("the images' labels are not used: {reason}"));
    }
    let folder = args.checkpoint.as_deref();
    let monitor = &args
        .calibration
        .afterwards(monitor, &args.images.reading, args.seed, folder, &mut bar)?;
    monitor.save(&args.new.out)?;
    // The self-test asks the classifier about corrupted images.
    let self_test = match args.no_self_test || is_logged {
        true => None,
        false => {
            let images = held_out.sample(SELF_TEST)?;
            let test = SelfTest::default().seed(args.seed);
            Some(test.run(monitor, &images, &mut Bar::new())?)
        }
    };
    let n_images = monitor
        .facts()
        .training
        .as_ref()
        .map_or(0, |training| training.n_images);
    let report = Report {
        n_images,
        input: &input,
        epochs: &epochs,
        few_images,
        self_test: self_test.as_ref(),
        check: check.as_ref(),
        made: Made::of(monitor, &args.new.out)?,
    };
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&report)?;
    } else {
        for line in told(&input) {
            out.line(line)?;
        }
        if let Some(check) = &check {
            out.line(format_args!("classifier  {}", checked(check)))?;
        }
        if let Some(training) = &monitor.facts().training {
            out.line(format_args!(
                "distilled   {} epochs over {n_images} images; loss {:.4}, agreement {} in epoch {}",
                epochs.len(),
                training.loss,
                percent(training.agreement),
                training.epoch,
            ))?;
        }
        if let Some(share) = relative_cost {
            out.line(format_args!("cost        {} of the classifier's time", percent(share)))?;
        }
        report.made.tell(&mut out)?;
        if let Some(tested) = &self_test {
            tell(tested, &mut out)?;
        }
        // JSON holds it in a field.
        if let Some(few) = few_images {
            say(&format!("warning: {few}"));
        }
    }
    out.flush()?;
    Ok(Ending::Fine)
}

/// Images that the self-test corrupts, at most: each goes through both networks eleven times.
const SELF_TEST: usize = 500;

/// Prints what a self-test found: how many answers each corruption flipped, and how often that was found.
fn tell(tested: &SelfTested, out: &mut Output) -> anyhow::Result<()> {
    let sizes: Vec<String> = tested
        .clean
        .iter()
        .map(|found| format!("found at {}", found.batch_size))
        .collect();
    out.line(format_args!(
        "self-test   {} images, corrupted; how many answers changed, and how many batches of each size were found harmful",
        tested.n_images,
    ))?;
    let shares = |found: &[Found]| -> Vec<String> { found.iter().map(|found| percent(found.share)).collect() };
    let mut columns = vec![Column::left("corruption"), Column::right("flipped")];
    columns.extend(sizes.iter().map(|size| Column::right(size)));
    let mut clean = vec!["clean".to_owned(), percent(0.0)];
    clean.extend(shares(&tested.clean));
    let mut rows = vec![clean];
    for row in &tested.rows {
        let mut cells = vec![
            format!("{} {}", row.corruption, row.severity.get()),
            percent(row.flipped),
        ];
        cells.extend(shares(&row.found));
        rows.push(cells);
    }
    out.line(format_args!("{}", table(&columns, &rows)))?;
    for row in tested.missed() {
        out.line(format_args!(
            "not found: {} {}, which flips {} of the answers",
            row.corruption,
            row.severity.get(),
            percent(row.flipped)
        ))?;
    }
    for row in tested.false_alarms() {
        out.line(format_args!(
            "false alarm: {} {}, which flips only {} of the answers",
            row.corruption,
            row.severity.get(),
            percent(row.flipped)
        ))?;
    }
    Ok(())
}

/// What labelled images said about the classifier's input.
fn told(input: &InputCheck) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(choice) = &input.choice {
        let share = |tried: &Tried| percent(tried.n_right as f64 / tried.n_images.max(1) as f64);
        let next = match choice.tried.as_slice() {
            [chosen, next, ..] => format!(
                ": {} of {} labelled images right; the next, {}, {}",
                share(chosen),
                chosen.n_images,
                next.candidate.name,
                share(next)
            ),
            _ => String::new(),
        };
        lines.push(format!("input       {}, chosen by accuracy{next}", choice.chosen.name));
    }
    if let Some(found) = &input.accuracy {
        lines.push(format!(
            "classifier  right about {} of {} labelled images",
            interval(found.accuracy),
            found.n_images
        ));
    }
    lines
}

/// A check in words.
fn checked(check: &Check) -> String {
    let output = check.output.name().replace('_', " ");
    let (n, difference) = (check.n_images, check.largest_difference);
    let engine = engine_name(check.engine);
    match check.against {
        Against::Tract | Against::OnnxRuntime => {
            let other = if check.against == Against::Tract {
                "tract"
            } else {
                "ONNX Runtime"
            };
            format!("{output}, run by {engine}; {other} differs by at most {difference:.1e} on {n} images")
        }
        _ => format!(
            "{output}, run by {engine}; not compared with another engine ({})",
            check.note.as_deref().unwrap_or("there is none")
        ),
    }
}

/// An engine's name.
pub fn engine_name(engine: Engine) -> &'static str {
    match engine {
        Engine::OnnxRuntime => "ONNX Runtime",
        _ => "tract",
    }
}

impl FitArgs {
    fn fit(&self) -> Fit {
        Fit::default()
            .n_reference(self.n_ref as usize)
            .n_validation(self.validation.map(|n| n as usize))
            .epochs(self.epochs)
            .patience(self.patience)
            .batch_size(self.batch_size as usize)
            .learning_rate(self.learning_rate)
            .temperature(self.temperature)
            .filters(self.filters.map(|n| n as usize))
            .conv_layers(self.conv_layers.map(|n| n as usize))
            .dense(self.dense.map(|n| n as usize))
            .shrink(self.shrink.map(|n| n as usize))
            .seed(self.seed)
            .class_names(self.new.class_names())
            .force(self.force)
            .options(self.new.options())
            .calibration(self.calibration.while_made(self.seed, self.checkpoint.as_deref()))
            .checkpoint(self.checkpoint.clone())
            .augmentation(self.augment.map(Augmentation::from))
    }
}

impl<'a> Made<'a> {
    /// What there is to say of a monitor that was saved.
    pub fn of(monitor: &'a Monitor, out: &'a Path) -> anyhow::Result<Self> {
        Ok(Self {
            out,
            facts: monitor.facts(),
            options: monitor.options(),
            score_mean: riptide::stats::summary::mean(monitor.reference_scores())?,
            threshold: monitor.threshold(),
            note: monitor.note(),
        })
    }

    /// Prints it.
    pub fn tell(&self, out: &mut Output) -> anyhow::Result<()> {
        let reference = &self.facts.reference;
        out.line(format_args!(
            "reference   {} images; both networks agree on {}",
            reference.n_images,
            percent(reference.agreement.unwrap_or_default())
        ))?;
        out.line(format_args!(
            "score       mean {:.4}; threshold of single images {:.4}",
            self.score_mean, self.threshold
        ))?;
        out.line(format_args!(
            "drift test  {} at {}",
            self.options.alternative, self.options.level
        ))?;
        let calibration = self.facts.calibration.as_ref();
        for line in judgement::calibration(calibration, self.options, "calibration ") {
            out.line(line)?;
        }
        if let Some(note) = self.note {
            out.line(format_args!("            {note}"))?;
        }
        out.line(format_args!("monitor     {}", self.out.display()))
    }
}
