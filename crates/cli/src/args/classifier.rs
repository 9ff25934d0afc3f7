//! The classifier to watch, and what raw images go through before it.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::ValueEnum;
use riptide::Classifier;
use riptide::models::OnnxOptions;
use riptide::models::onnx::{Device, Engine, Layout, Output};
use riptide::models::preprocess::{ColourOrder, Preprocessing};
use riptide::pipeline::{ClassifierOptions, Input, Preset};

use super::LoggedArgs;

/// The name of the preprocessing with constants of one's own.
const MEAN_STD: &str = "mean-std";

/// The order of the colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ColourName {
    /// Red, green, blue
    Rgb,
    /// Blue, green, red, as OpenCV reads pictures
    Bgr,
    /// One grey value, as Pillow's convert("L") makes it
    Grey,
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
    #[arg(long, value_name = "W", required_unless_present = "probabilities")]
    pub classifier: Option<PathBuf>,

    #[command(flatten)]
    pub logged: LoggedArgs,

    /// What images go through before the classifier; saved with the monitor. A name: none (byte / 255), keras-255 (0 to 255),
    /// keras-tf (-1 to 1), keras-caffe, imagenet, clip (both also resize and cut out the centre), cifar, mnist,
    /// scale-by-instance, mean-std (with --mean and --std); or a FILE: timm's config.json, Hugging Face's
    /// preprocessor_config.json, or JSON with "framing" and "preprocessing" [default: what the network's folder or the files
    /// beside an ONNX file say; else fit tries them on labelled images]
    #[arg(long, value_name = "NAME|FILE", value_parser = preprocessing)]
    preprocessing: Option<Named>,

    /// Mean of red, green and blue, in units of byte / 255, for --preprocessing mean-std
    #[arg(long, value_name = "R,G,B", value_parser = super::triple, requires = "preprocessing")]
    mean: Option<[f32; 3]>,

    /// Standard deviation of red, green and blue, likewise
    #[arg(long, value_name = "R,G,B", value_parser = super::triple, requires = "preprocessing")]
    std: Option<[f32; 3]>,

    /// The order in which the classifier takes the colours [default: as --preprocessing says, mostly rgb]
    #[arg(long, alias = "color", value_enum, value_name = "ORDER")]
    colour: Option<ColourName>,

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

/// A preprocessing as it was named.
#[derive(Debug, Clone)]
enum Named {
    MeanStd,
    Input(Input),
}

/// A name, or something that looks like a file: a mistyped name is a usage error.
fn preprocessing(text: &str) -> Result<Named, String> {
    if text == MEAN_STD {
        return Ok(Named::MeanStd);
    }
    let path = Path::new(text);
    match text.parse::<Preset>() {
        Ok(preset) => Ok(Named::Input(preset.into())),
        Err(_) if path.exists() || path.components().count() > 1 || path.extension().is_some() => {
            Ok(Named::Input(Input::File(path.into())))
        }
        Err(_) => {
            let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name()).collect();
            Err(format!("give {}, {MEAN_STD} or a file", names.join(", ")))
        }
    }
}

impl ClassifierArgs {
    /// Loads the classifier.
    pub fn load(&self) -> anyhow::Result<Classifier> {
        let Some(classifier) = &self.classifier else {
            bail!("only the classifier itself will do here: give --classifier");
        };
        let path = riptide::locate(classifier)?;
        if !is_onnx(&path) && self.has_onnx_options() {
            bail!(
                "--engine, --onnxruntime, --device, --output, --output-kind, --onnx-layout and --onnx-size are for ONNX files, which {} is not",
                classifier.display()
            );
        }
        let mut options = ClassifierOptions::default().onnx(self.onnx_options());
        options.input = self.input()?;
        options.colours = self.colour.map(|colour| match colour {
            ColourName::Rgb => ColourOrder::Rgb,
            ColourName::Bgr => ColourOrder::Bgr,
            ColourName::Grey => ColourOrder::Grey,
        });
        onnx_hint(Classifier::open_with(classifier, &options))
    }

    fn onnx_options(&self) -> OnnxOptions {
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

    fn input(&self) -> anyhow::Result<Option<Input>> {
        Ok(match (&self.preprocessing, self.mean, self.std) {
            (Some(Named::MeanStd), Some(mean), Some(std)) => Some(Preprocessing::MeanStd { mean, std }.into()),
            (Some(Named::MeanStd), ..) => bail!("--preprocessing mean-std needs --mean and --std"),
            (_, Some(_), _) | (_, _, Some(_)) => bail!("--mean and --std are for --preprocessing mean-std"),
            (Some(Named::Input(input)), ..) => Some(input.clone()),
            (None, ..) => None,
        })
    }
}

fn is_onnx(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}

/// Names the option that settles what an ONNX file leaves open.
fn onnx_hint<T>(result: riptide::Result<T>) -> anyhow::Result<T> {
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
