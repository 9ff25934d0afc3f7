//! The classifier to watch, and what raw images go through before it.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::ValueEnum;
use riptide::Classifier;
use riptide::models::onnx::{Layout, Output};
use riptide::models::preprocess::Preprocessing;
use riptide::models::{Network, OnnxClassifier, OnnxOptions};

/// Preprocessing by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PreprocessingName {
    /// byte / 255, less the image's mean, divided by its standard deviation
    ScaleByInstance,
    /// byte / 255, less --mean, divided by --std, for each channel
    MeanStd,
    /// byte / 255
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LayoutName {
    /// (N, 3, H, W)
    Nchw,
    /// (N, H, W, 3)
    Nhwc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputName {
    Probabilities,
    Logits,
}

/// The options that name a classifier.
#[derive(Debug, Clone, clap::Args)]
pub struct ClassifierArgs {
    /// The classifier: a folder with config.json and model.safetensors, a Keras .h5 of the ResNet, an ONNX file, or
    /// hf://OWNER/REPO[/PATH][@REVISION]
    #[arg(long, value_name = "W")]
    pub classifier: PathBuf,

    /// What raw images go through before the networks; saved with the monitor [default: what the network's folder says,
    /// else scale-by-instance]
    #[arg(long, value_enum, value_name = "NAME")]
    preprocessing: Option<PreprocessingName>,

    /// Mean of red, green and blue, in units of byte / 255, for --preprocessing mean-std
    #[arg(long, value_name = "R,G,B", value_parser = super::triple, requires = "preprocessing")]
    mean: Option<[f32; 3]>,

    /// Standard deviation of red, green and blue, likewise
    #[arg(long, value_name = "R,G,B", value_parser = super::triple, requires = "preprocessing")]
    std: Option<[f32; 3]>,

    /// Order of the axes of an ONNX file's input if the file does not show it
    #[arg(long, value_enum, value_name = "ORDER")]
    onnx_layout: Option<LayoutName>,

    /// Height and width of an ONNX file's images if it leaves them open
    #[arg(long, value_name = "HxW", value_parser = super::size)]
    onnx_size: Option<(usize, usize)>,

    /// What an ONNX file's output is [default: probabilities if it ends in Softmax, else logits]
    #[arg(long, value_enum, value_name = "KIND")]
    onnx_output: Option<OutputName>,
}

impl ClassifierArgs {
    /// Loads the classifier.
    pub fn load(&self) -> anyhow::Result<Classifier> {
        let preprocessing = self.preprocessing()?;
        let path = riptide::locate(&self.classifier)?;
        if is_onnx(&path) {
            let options = OnnxOptions {
                layout: self.onnx_layout.map(|layout| match layout {
                    LayoutName::Nchw => Layout::Nchw,
                    LayoutName::Nhwc => Layout::Nhwc,
                }),
                size: self.onnx_size,
                output: self.onnx_output.map(|output| match output {
                    OutputName::Probabilities => Output::Probabilities,
                    OutputName::Logits => Output::Logits,
                }),
                preprocessing: preprocessing.unwrap_or_default(),
            };
            return Ok(Network::from(OnnxClassifier::load(&path, options)?).into());
        }
        if self.onnx_layout.is_some() || self.onnx_size.is_some() || self.onnx_output.is_some() {
            bail!(
                "--onnx-layout, --onnx-size and --onnx-output are for ONNX files, which {} is not",
                self.classifier.display()
            );
        }
        let network = riptide::open_network(&self.classifier)?;
        Ok(match preprocessing {
            Some(preprocessing) => network.with_preprocessing(preprocessing)?.into(),
            None => network.into(),
        })
    }

    fn preprocessing(&self) -> anyhow::Result<Option<Preprocessing>> {
        let preprocessing = match (self.preprocessing, self.mean, self.std) {
            (Some(PreprocessingName::MeanStd), Some(mean), Some(std)) => Some(Preprocessing::MeanStd { mean, std }),
            (Some(PreprocessingName::MeanStd), ..) => {
                bail!("--preprocessing mean-std needs --mean and --std")
            }
            (_, Some(_), _) | (_, _, Some(_)) => bail!("--mean and --std are for --preprocessing mean-std"),
            (Some(PreprocessingName::ScaleByInstance), ..) => Some(Preprocessing::ScaleByInstance),
            (Some(PreprocessingName::None), ..) => Some(Preprocessing::None),
            (None, ..) => None,
        };
        if let Some(preprocessing) = &preprocessing {
            preprocessing.validate()?;
        }
        Ok(preprocessing)
    }
}

fn is_onnx(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}
