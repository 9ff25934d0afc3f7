//! A classifier from an ONNX file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Module, Tensor};

use super::file;
use super::output;
use super::run::{Pixels, Run};
use super::source::Source;
use crate::config::{Engine, InputType, Layout, OnnxConfig, OnnxOptions, Output};
use crate::error::ModelError;
use crate::preprocess::{ColourOrder, Preprocessing};

/// A classifier from an ONNX file.
///
/// [`Module::forward`] takes u8 (N, H, W, 3) raw images, which it preprocesses as the configuration says, or f32 (N, 3, H, W) preprocessed ones
/// (whatever the layout of the file), and gives class probabilities, f32 (N, n_classes).
///
/// ```no_run
/// use riptide_models::{Network, OnnxClassifier, OnnxOptions, preprocess::Preprocessing};
///
/// let preprocessing = Preprocessing::MeanStd { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
/// let classifier = OnnxClassifier::load("classifier.onnx", OnnxOptions::default().preprocessing(preprocessing))?;
/// let network = Network::from(classifier);
/// # Ok::<(), riptide_models::ModelError>(())
/// ```
#[derive(Clone)]
pub struct OnnxClassifier {
    pub(super) config: OnnxConfig,
    /// What is not in the configuration: it is of the moment.
    pub(super) options: OnnxOptions,
    pub(super) path: PathBuf,
    pub(super) file: Arc<[u8]>,
    pub(super) bound: output::Bound,
    engine: Arc<dyn Run>,
    /// What runs the file here: another one than the configuration says if that is missing and both agree.
    running: Engine,
}

impl fmt::Debug for OnnxClassifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxClassifier")
            .field("config", &self.config)
            .field("path", &self.path)
            .field("bytes", &self.file.len())
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl OnnxClassifier {
    /// Reads a classifier from an ONNX file, with the weights that are in other files of its folder.
    ///
    /// It is run once on a few images of noise, which tell what its output is; [`verify`](Self::verify) settles that on real ones.
    ///
    /// # Errors
    /// [`ModelError::File`] if the file cannot be read; [`ModelError::Onnx`] if it is damaged, is no image classifier, has an operator that is not
    /// supported, asks for too much memory, or leaves something open that `options` does not settle; [`ModelError::Config`] if the preprocessing is
    /// invalid; [`ModelError::FeatureMissing`] if this crate was built without the feature `onnx`.
    pub fn load(path: impl AsRef<Path>, options: OnnxOptions) -> Result<Self, ModelError> {
        let path = path.as_ref();
        options.preprocessing.validate()?;
        let file = file::read(path)?.into();
        let mut classifier = Self::build(path, file, options)?;
        let columns = classifier.engine.columns();
        classifier.config.output = match classifier.options.output {
            Some(output) => output,
            None => {
                let rows = classifier.rows(&noise(classifier.config.height, classifier.config.width)?)?;
                output::measure(&rows, columns, classifier.bound).map_err(|message| classifier.error(message))?
            }
        };
        output::check(classifier.config.output, columns).map_err(|message| classifier.error(message))?;
        Ok(classifier)
    }

    fn build(path: &Path, file: Arc<[u8]>, options: OnnxOptions) -> Result<Self, ModelError> {
        let failed = |message| ModelError::Onnx {
            path: path.into(),
            message,
        };
        let mut source = Source::new(&file, &options).map_err(failed)?;
        let (engine, running) = source.engine(&file, &options).map_err(failed)?;
        let interface = source.interface;
        let preprocessing = match (interface.input_type, options.preprocessing) {
            // Scaling by instance is what options have if nothing was said.
            (InputType::Uint8, preprocessing)
                if preprocessing != Preprocessing::ScaleByInstance && !is_raw(preprocessing) =>
            {
                return Err(failed(uint8()));
            }
            (InputType::Uint8, _) => Preprocessing::None,
            (_, preprocessing) => preprocessing,
        };
        let config = OnnxConfig {
            layout: interface.layout,
            height: interface.height,
            width: interface.width,
            channels: interface.channels,
            input_type: interface.input_type,
            n_classes: output::n_classes(engine.columns()),
            output_name: interface.has_others.then_some(interface.output),
            output: options.output.unwrap_or(Output::Logits),
            preprocessing,
            engine: running,
            device: options.device,
            engines_agree: false,
        };
        Ok(Self {
            config,
            options,
            path: path.into(),
            file,
            bound: interface.bound,
            engine,
            running,
        })
    }

    /// Reads the file of a folder that [`Network::save`](crate::Network::save) wrote. If what ran it then is missing, but the engines agreed, the other
    /// one runs it.
    pub(crate) fn load_as(path: &Path, config: OnnxConfig) -> Result<Self, ModelError> {
        let saved = OnnxOptions::default()
            .layout(Some(config.layout))
            .size(Some((config.height, config.width)))
            .output_name(config.output_name.clone())
            .output(Some(config.output))
            .preprocessing(config.preprocessing)
            .engine(config.engine)
            .device(config.device);
        let file: Arc<[u8]> = file::read(path)?.into();
        let mut classifier = match Self::build(path, file.clone(), saved.clone()) {
            Err(_) if config.engines_agree => Self::build(
                path,
                file,
                saved.engine(Engine::Auto).device(crate::config::Device::Cpu),
            )?,
            outcome => outcome?,
        };
        let found = &classifier.config;
        let mismatch = |what: &str, found: String, saved: String| ModelError::Onnx {
            path: path.into(),
            message: format!("has {what} {found}, but its configuration says {saved}"),
        };
        if found.n_classes != config.n_classes {
            let (found, saved) = (found.n_classes.to_string(), config.n_classes.to_string());
            return Err(mismatch("a number of classes of", found, saved));
        }
        if found.input_type != config.input_type {
            let (found, saved) = (format!("{:?}", found.input_type), format!("{:?}", config.input_type));
            return Err(mismatch("an input of type", found, saved));
        }
        output::check(config.output, classifier.engine.columns()).map_err(|message| classifier.error(message))?;
        classifier.config = config;
        Ok(classifier)
    }

    /// How the file is used.
    pub fn config(&self) -> &OnnxConfig {
        &self.config
    }

    /// What runs the file: another engine than [`OnnxConfig::engine`] if that one is missing here and both agreed when they were compared.
    pub fn engine(&self) -> Engine {
        self.running
    }

    /// The bytes of the file, with all weights inside.
    pub fn file(&self) -> &[u8] {
        &self.file
    }

    pub(crate) fn with_preprocessing(mut self, preprocessing: Preprocessing) -> Result<Self, ModelError> {
        preprocessing.validate()?;
        self.config.preprocessing = match self.config.input_type {
            InputType::Uint8 if !is_raw(preprocessing) => return Err(self.error(uint8())),
            InputType::Uint8 => Preprocessing::None,
            _ => preprocessing,
        };
        Ok(self)
    }

    /// Logits, f32 (N, n_classes), for the same images as [`Module::forward`] takes. If the file gives probabilities, their logarithms.
    ///
    /// # Errors
    /// [`ModelError::Images`] if the images have another layout or size, [`ModelError::Onnx`] if the run fails.
    pub fn logits(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        let n = images.dim(0)?;
        let logits = output::logits(self.rows(images)?, self.config.output);
        Ok(Tensor::from_vec(logits, (n, self.config.n_classes), images.device())?)
    }

    /// As [`Module::forward`], with an error of this crate.
    ///
    /// # Errors
    /// [`ModelError::Images`] if the images have another layout or size, [`ModelError::Onnx`] if the run fails, [`ModelError::NotFinite`] or
    /// [`ModelError::NotProbabilities`] if an image's answer is no probabilities.
    pub fn probabilities(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        let n = images.dim(0)?;
        let p = output::probabilities(self.rows(images)?, self.engine.columns(), self.config.output)?;
        Ok(Tensor::from_vec(p, (n, self.config.n_classes), images.device())?)
    }

    /// The file's own output.
    pub(super) fn rows(&self, images: &Tensor) -> Result<Vec<f32>, ModelError> {
        let (pixels, n) = self.pixels(images)?;
        self.engine.run(&pixels, n).map_err(|message| self.error(message))
    }

    /// Numbers that the file gives for an image.
    pub(super) fn columns(&self) -> usize {
        self.engine.columns()
    }

    /// The images as the file takes them.
    pub(super) fn pixels(&self, images: &Tensor) -> Result<(Pixels, usize), ModelError> {
        let input = crate::config::NetworkConfig::Onnx(self.config.clone()).input();
        let n = images.dim(0)?;
        let flat = |x: Tensor| x.to_device(&Device::Cpu)?.contiguous()?.flatten_all();
        if self.config.input_type == InputType::Uint8 {
            input.check(images)?;
            let bytes = match self.config.channels {
                1 => grey(&bytes(images)?)?,
                _ => bytes(images)?,
            };
            let x = match self.config.layout {
                Layout::Nchw => bytes.permute((0, 3, 1, 2))?,
                Layout::Nhwc => bytes,
            };
            return Ok((Pixels::Bytes(flat(x)?.to_vec1::<u8>()?), n));
        }
        let x = input.prepare(images)?;
        let x = match self.config.layout {
            Layout::Nchw => x,
            Layout::Nhwc => x.permute((0, 2, 3, 1))?,
        };
        Ok((Pixels::Floats(flat(x)?.to_vec1::<f32>()?), n))
    }

    pub(super) fn error(&self, message: String) -> ModelError {
        ModelError::Onnx {
            path: self.path.clone(),
            message,
        }
    }
}

/// Whether a preprocessing may be named for pixels that are taken as they are: none, or 0 to 255.
fn is_raw(preprocessing: Preprocessing) -> bool {
    let bytes = crate::preprocess::Pixels::default().range(crate::preprocess::PixelRange::Bytes);
    preprocessing == Preprocessing::None || preprocessing == bytes.into()
}

/// The grey values of raw images, u8 (N, H, W, 3) to (N, H, W, 1).
fn grey(images: &Tensor) -> Result<Tensor, ModelError> {
    let (n, height, width, _) = images.dims4()?;
    let bytes = images.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<u8>()?;
    let grey = ColourOrder::Grey
        .arrange(&bytes)
        .iter()
        .copied()
        .step_by(3)
        .collect::<Vec<u8>>();
    Ok(Tensor::from_vec(grey, (n, height, width, 1), images.device())?)
}

fn uint8() -> String {
    "takes uint8 pixels, 0 to 255, as they are: it can have no preprocessing".into()
}

/// Raw images, u8 (N, H, W, 3), again from images that were divided by 255.
fn bytes(images: &Tensor) -> Result<Tensor, ModelError> {
    if images.dtype() == DType::U8 {
        return Ok(images.clone());
    }
    let scaled = (images.to_dtype(DType::F32)?.permute((0, 2, 3, 1))? * 255.0)?.round()?;
    Ok(scaled.clamp(0f32, 255f32)?.to_dtype(DType::U8)?)
}

/// A few images that are not alike: noise of several contrasts and brightnesses, always the same.
fn noise(height: usize, width: usize) -> Result<Tensor, ModelError> {
    const RANGES: [(u64, u64); 6] = [(0, 256), (0, 64), (192, 64), (96, 64), (0, 128), (128, 128)];
    // Large images say as much in smaller number.
    const PIXELS: usize = 1 << 22;
    let n = (PIXELS / (height * width)).clamp(1, RANGES.len());
    let mut state = 1u64;
    let mut pixels = Vec::with_capacity(n * height * width * 3);
    for (low, span) in RANGES.into_iter().take(n) {
        for _ in 0..height * width * 3 {
            // Knuth's linear congruential generator; its upper bits are good enough here.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            pixels.push((low + (state >> 33) % span) as u8);
        }
    }
    Ok(Tensor::from_vec(pixels, (n, height, width, 3), &Device::Cpu)?)
}

impl Module for OnnxClassifier {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        Ok(self.probabilities(images)?)
    }
}
