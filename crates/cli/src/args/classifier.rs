//! The classifier to watch, and what raw images go through before it.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::ValueEnum;
use riptide::Classifier;
use riptide::models::onnx::{Device, Engine, Layout, Output};
use riptide::models::preprocess::Preprocessing;
use riptide::models::{ModelError, Network, OnnxClassifier, OnnxOptions};

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

/// What an ONNX file's output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputKind {
    /// Numbers that add up to 1
    Probabilities,
    /// Any numbers
    Logits,
    /// Logarithms of probabilities
    LogProbabilities,
    /// One number: the probability of class 1 of two
    Probability,
    /// One number: the logit of class 1 of two
    Logit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineName {
    /// ONNX Runtime if it is installed, else tract
    Auto,
    /// Built in
    Tract,
    /// ONNX Runtime, which has to be installed
    #[value(name = "onnxruntime")]
    OnnxRuntime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DeviceName {
    Cpu,
    /// The first NVIDIA GPU, by ONNX Runtime; untested
    Cuda,
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

    /// What runs an ONNX file; saved with the monitor
    #[arg(long, value_enum, value_name = "NAME", default_value_t = EngineName::Auto, hide_default_value = true)]
    engine: EngineName,

    /// ONNX Runtime's library [default: $ORT_DYLIB_PATH, else that of an installed Python package onnxruntime]
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,

    /// What ONNX Runtime computes on
    #[arg(long, value_enum, value_name = "NAME", default_value_t = DeviceName::Cpu, hide_default_value = true)]
    device: DeviceName,

    /// Order of the axes of an ONNX file's input if the file does not show it
    #[arg(long, value_enum, value_name = "ORDER")]
    onnx_layout: Option<LayoutName>,

    /// Height and width of an ONNX file's images if it leaves them open
    #[arg(long, value_name = "HxW", value_parser = super::size)]
    onnx_size: Option<(usize, usize)>,

    /// Name of an ONNX file's output with the class scores if it has several
    #[arg(long = "output", alias = "onnx-output-name", value_name = "NAME")]
    output_name: Option<String>,

    /// What an ONNX file's output is [default: measured on images]
    #[arg(long, alias = "onnx-output", value_enum, value_name = "KIND")]
    output_kind: Option<OutputKind>,
}

impl ClassifierArgs {
    /// Loads the classifier.
    pub fn load(&self) -> anyhow::Result<Classifier> {
        let preprocessing = self.preprocessing()?;
        let path = riptide::locate(&self.classifier)?;
        if is_onnx(&path) {
            let options = self.onnx_options(preprocessing);
            let classifier = OnnxClassifier::load(&path, options);
            return Ok(Network::from(onnx_hint(classifier)?).into());
        }
        if self.has_onnx_options() {
            bail!(
                "--engine, --onnxruntime, --device, --output, --output-kind, --onnx-layout and --onnx-size are for ONNX files, which {} is not",
                self.classifier.display()
            );
        }
        let network = riptide::open_network(&self.classifier)?;
        Ok(match preprocessing {
            Some(preprocessing) => network.with_preprocessing(preprocessing)?.into(),
            None => network.into(),
        })
    }

    fn onnx_options(&self, preprocessing: Option<Preprocessing>) -> OnnxOptions {
        let layout = self.onnx_layout.map(|layout| match layout {
            LayoutName::Nchw => Layout::Nchw,
            LayoutName::Nhwc => Layout::Nhwc,
        });
        let output = self.output_kind.map(|output| match output {
            OutputKind::Probabilities => Output::Probabilities,
            OutputKind::Logits => Output::Logits,
            OutputKind::LogProbabilities => Output::LogProbabilities,
            OutputKind::Probability => Output::Probability,
            OutputKind::Logit => Output::Logit,
        });
        let engine = match self.engine {
            EngineName::Auto => Engine::Auto,
            EngineName::Tract => Engine::Tract,
            EngineName::OnnxRuntime => Engine::OnnxRuntime,
        };
        let device = match self.device {
            DeviceName::Cpu => Device::Cpu,
            DeviceName::Cuda => Device::Cuda,
        };
        OnnxOptions::default()
            .layout(layout)
            .size(self.onnx_size)
            .output_name(self.output_name.clone())
            .output(output)
            .preprocessing(preprocessing.unwrap_or_default())
            .engine(engine)
            .library(self.onnxruntime.clone())
            .device(device)
    }

    fn has_onnx_options(&self) -> bool {
        self.onnx_layout.is_some()
            || self.onnx_size.is_some()
            || self.output_name.is_some()
            || self.output_kind.is_some()
            || self.engine != EngineName::Auto
            || self.onnxruntime.is_some()
            || self.device != DeviceName::Cpu
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

/// Names the option that settles what an ONNX file leaves open.
fn onnx_hint(result: Result<OnnxClassifier, ModelError>) -> anyhow::Result<OnnxClassifier> {
    const OPTIONS: [(&str, &str); 5] = [
        ("class scores by its name", "--output NAME (also --onnx-output-name)"),
        ("leaves the layout", "--onnx-layout"),
        ("leaves the height", "--onnx-size"),
        ("say whether it is", "--output-kind"),
        ("are logits, say so", "--output-kind logits"),
    ];
    result.map_err(|error| {
        let text = error.to_string();
        match OPTIONS.iter().find(|(said, _)| text.contains(said)) {
            Some((_, option)) => anyhow::anyhow!("{text} ({option})"),
            None => error.into(),
        }
    })
}
