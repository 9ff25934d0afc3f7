//! The classifier to watch, and what raw images go through before it.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::ValueEnum;
use riptide::Classifier;
use riptide::models::OnnxOptions;
use riptide::models::onnx::{Layout, Output};
use riptide::models::preprocess::{ColourOrder, Preprocessing};
use riptide::pipeline::{ClassifierOptions, Input, Preset};

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
        let onnx = OnnxOptions {
            layout: self.onnx_layout.map(|layout| match layout {
                LayoutName::Nchw => Layout::Nchw,
                LayoutName::Nhwc => Layout::Nhwc,
            }),
            size: self.onnx_size,
            output: self.onnx_output.map(|output| match output {
                OutputName::Probabilities => Output::Probabilities,
                OutputName::Logits => Output::Logits,
            }),
            preprocessing: Preprocessing::default(),
        };
        let path = riptide::locate(&self.classifier)?;
        if !is_onnx(&path) && (self.onnx_layout.is_some() || self.onnx_size.is_some() || self.onnx_output.is_some()) {
            bail!(
                "--onnx-layout, --onnx-size and --onnx-output are for ONNX files, which {} is not",
                self.classifier.display()
            );
        }
        let mut options = ClassifierOptions::default().onnx(onnx);
        options.input = self.input()?;
        options.colours = self.colour.map(|colour| match colour {
            ColourName::Rgb => ColourOrder::Rgb,
            ColourName::Bgr => ColourOrder::Bgr,
            ColourName::Grey => ColourOrder::Grey,
        });
        Ok(Classifier::open_with(&self.classifier, &options)?)
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
