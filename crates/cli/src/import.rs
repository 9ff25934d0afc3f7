//! `riptide import`: a detector from two networks that there are already.

use std::path::PathBuf;

use riptide_models::Network;

use crate::args::{Common, NetworkArgs, Reading, open};
use crate::exit::Ending;
use crate::monitor::networks;
use crate::output::Output;
use crate::progress;
use crate::reference::NewArgs;

/// Options of `riptide import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide import --classifier model.h5 --distilled distilled_model.h5 --reference cifar-10-batches-bin/ --out detector"
)]
pub struct ImportArgs {
    #[command(flatten)]
    classifier: NetworkArgs,

    /// The network distilled from it: a folder with config.json and model.safetensors, or a Keras .h5
    #[arg(long, value_name = "W")]
    distilled: PathBuf,

    /// Clean images that the distilled network was not trained on, in any form that --images takes elsewhere
    #[arg(long, value_name = "X")]
    reference: PathBuf,

    #[command(flatten)]
    reading: Reading,

    #[command(flatten)]
    new: NewArgs,

    #[command(flatten)]
    common: Common,
}

/// Makes a detector from networks.
pub fn run(args: ImportArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let classifier = args.classifier.load()?;
    args.new.check(classifier.n_classes())?;
    let preprocessing = classifier.preprocessing();
    let distilled = Network::load(&args.distilled)?.with_preprocessing(preprocessing)?;
    let networks = networks(classifier, distilled)?;
    let size = networks.input_size();
    let mut reference = open(&args.reference, args.reading, Some(size))?;
    let bar = progress::images(reference.remaining(), "scoring the reference");
    let made = args.new.make(&networks, &mut reference, &bar)?;
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&made)?;
    } else {
        made.tell(&mut out)?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}
