//! `riptide import`: a monitor from two networks that already exist.

use std::path::PathBuf;

use riptide::prelude::*;

use crate::args::{ClassifierArgs, Common, NewCalibrationArgs, NewMonitorArgs, Reading, hint};
use crate::exit::Ending;
use crate::fit::Made;
use crate::output::Output;
use crate::progress::Bar;

/// Options of `riptide import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide import --classifier model.h5 --distilled distilled_model.h5 --reference cifar-10-batches-bin/ --out monitor"
)]
pub struct ImportArgs {
    #[command(flatten)]
    classifier: ClassifierArgs,

    /// The network distilled from it: a folder with config.json and model.safetensors, a Keras .h5, or an hf:// address
    #[arg(long, value_name = "W")]
    distilled: PathBuf,

    /// Clean images that the distilled network was not trained on, in any form that --images takes elsewhere
    #[arg(long, value_name = "X")]
    reference: PathBuf,

    #[command(flatten)]
    reading: Reading,

    #[command(flatten)]
    calibration: NewCalibrationArgs,

    #[command(flatten)]
    new: NewMonitorArgs,

    #[command(flatten)]
    common: Common,
}

/// Makes a monitor from networks.
pub fn run(args: ImportArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    args.new.check()?;
    let logged = &args.classifier.logged;
    let (classifier, reference) = match &logged.probabilities {
        Some(probabilities) => logged.open(probabilities, &args.reading, &args.reference)?,
        None => {
            let classifier = args.classifier.load()?;
            let (size, framing) = (classifier.input_size(), classifier.framing());
            let reference = args.reading.open(&args.reference, size, framing)?;
            (classifier, reference)
        }
    };
    let mut distilled = riptide::open_network(&args.distilled)?;
    // A Keras file does not say what its images went through; both networks were trained on the same.
    if let Some(network) = classifier.network() {
        distilled = distilled.with_preprocessing(network.preprocessing())?;
    }
    let reference = args.calibration.label(reference)?;
    let import = Import::default()
        .class_names(args.new.class_names())
        .options(args.new.options())
        .calibration(args.calibration.while_made(0, None));
    let mut bar = Bar::new();
    let monitor = hint(import.run(classifier, distilled, reference, &mut bar))?;
    let monitor = args.calibration.afterwards(monitor, &args.reading, 0, None, &mut bar)?;
    monitor.save(&args.new.out)?;
    let made = Made::of(&monitor, &args.new.out)?;
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&made)?;
    } else {
        made.tell(&mut out)?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}
