//! Checking an engine's answers on real images.

use candle_core::{IndexOp, Tensor};

use super::classifier::OnnxClassifier;
use super::output;
use super::run::Run;
use super::source::{Source, is_there};
use super::tract::{Kind, Tract};
use super::{Against, Check};
use crate::config::{Device, Engine};
use crate::error::ModelError;

/// The most images that are compared.
const MOST: usize = 64;
/// The same for images of more pixels than these, for which 64 would take long.
const MOST_LARGE: usize = 16;
const LARGE: usize = 128 * 128;
/// The largest difference of a probability between two engines, or between a graph with and without optimisations.
const ENGINES: f32 = 1e-3;
/// The same for an image alone and in company.
const ALONE: f32 = 1e-5;
/// Both for a graph of 16-bit floats, which have three digits: ONNX Runtime rounds every value to them, tract does not.
const HALF_ENGINES: f32 = 1e-2;
const HALF_ALONE: f32 = 1e-3;

impl OnnxClassifier {
    /// Checks the classifier on real images, before its answers are relied on: settles what the output is, and compares the engine with the other one, if it is
    /// there, on up to 64 images (16 large ones), or the graph with and without tract's optimisations. In any case, images alone are compared with the same ones
    /// in company.
    ///
    /// The images are those that [`Module::forward`](candle_core::Module::forward) takes; all kinds should be among the first ones.
    ///
    /// # Errors
    /// [`ModelError::Onnx`] if probabilities differ by more than 1e-3 (1e-5 for an image alone and in company; more for networks of 16-bit floats) and
    /// ONNX Runtime was not asked for by name, or if the output is not that of a classifier; and those of [`OnnxClassifier::probabilities`].
    pub fn verify(&mut self, images: &Tensor) -> Result<Check, ModelError> {
        let (height, width) = (self.config.height, self.config.width);
        let most = if height * width > LARGE { MOST_LARGE } else { MOST };
        let n = images.dim(0)?.min(most);
        let images = images.i(0..n)?;
        let rows = self.rows(&images)?;
        if self.options.output.is_none() {
            self.config.output =
                output::measure(&rows, self.columns(), self.bound).map_err(|message| self.error(message))?;
        }
        let own = output::probabilities(rows, self.columns(), self.config.output)?;
        let mut source = Source::new(&self.file, &self.options).map_err(|message| self.error(message))?;
        let mut check = Check {
            output: self.config.output,
            engine: self.engine(),
            against: Against::Itself,
            n_images: n,
            largest_difference: 0.0,
            note: None,
        };
        let half = if source.has_halves {
            (HALF_ENGINES, HALF_ALONE)
        } else {
            (ENGINES, ALONE)
        };
        let other: Result<Box<dyn Run>, String> = match check.engine {
            Engine::OnnxRuntime => source.tract(Kind::Fast).map(|plan| Box::new(plan) as Box<dyn Run>),
            _ => match is_there(self.options.library.as_deref()) {
                Ok(true) => source.runtime(&self.file, self.options.library.as_deref(), Device::Cpu),
                Ok(false) => Err("ONNX Runtime is not installed".into()),
                Err(error) => Err(error),
            },
        };
        match other {
            Ok(other) => {
                check.against = match check.engine {
                    Engine::OnnxRuntime => Against::Tract,
                    _ => Against::OnnxRuntime,
                };
                let found = self.compare(&own, other.as_ref(), &images)?;
                check.largest_difference = found.0;
                self.config.engines_agree = found.0 <= half.0;
                // Whoever asks for ONNX Runtime by name takes its word: it is what exporters are tested with.
                if found.0 > half.0 && self.options.engine != Engine::OnnxRuntime {
                    return Err(self.disagreement(
                        "is computed differently by tract and by ONNX Runtime",
                        found,
                        "choose the engine onnxruntime, which most exporters are tested with",
                    ));
                }
            }
            Err(reason) => {
                check.note = Some(reason);
                if check.engine == Engine::Tract {
                    check.largest_difference = self.compare_with_plain(&own, &mut source, &images, half.0)?;
                }
            }
        }
        let alone = self.compare_alone(&own, &mut source, &images, half.1)?;
        if check.against == Against::Itself {
            check.largest_difference = check.largest_difference.max(alone);
        }
        Ok(check)
    }

    fn disagreement(&self, what: &'static str, (difference, image): (f32, usize), cure: &'static str) -> ModelError {
        ModelError::Disagreement {
            path: self.path.clone(),
            what,
            image,
            difference,
            cure,
        }
    }

    /// The largest difference of a probability, and its image.
    fn compare(&self, own: &[f32], other: &dyn Run, images: &Tensor) -> Result<(f32, usize), ModelError> {
        let (pixels, n) = self.pixels(images)?;
        let rows = other.run(&pixels, n).map_err(|message| self.error(message))?;
        let theirs = output::probabilities(rows, self.columns(), self.config.output)?;
        Ok(largest(own, &theirs, self.config.n_classes))
    }

    /// As [`compare`](Self::compare); `None` if the plan cannot be made or run, which says nothing of the one that is used.
    fn compare_if_possible(
        &self,
        own: &[f32],
        plan: Result<Tract, String>,
        images: &Tensor,
    ) -> Result<Option<(f32, usize)>, ModelError> {
        let Ok(plan) = plan else {
            return Ok(None);
        };
        match self.compare(own, &plan, images) {
            Err(ModelError::Onnx { .. }) => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    /// Compares the graph with tract's optimisations and without them; gives the largest difference.
    fn compare_with_plain(
        &self,
        own: &[f32],
        source: &mut Source,
        images: &Tensor,
        most: f32,
    ) -> Result<f32, ModelError> {
        let (few, part) = self.few(own, images)?;
        match self.compare_if_possible(part, source.tract(Kind::Plain), &few)? {
            Some(found) if found.0 > most => Err(self.disagreement(
                "is computed differently with and without tract's optimisations",
                found,
                "install ONNX Runtime (`pip install onnxruntime`), and its engine is used",
            )),
            found => Ok(found.map_or(0.0, |found| found.0)),
        }
    }

    /// Compares images alone with the same ones in company; gives the largest difference.
    fn compare_alone(&self, own: &[f32], source: &mut Source, images: &Tensor, most: f32) -> Result<f32, ModelError> {
        let (few, part) = self.few(own, images)?;
        let found = match (self.engine(), source.interface.batch) {
            // tract takes one image at a time; a plan for two shows whether images would change each other's answers.
            (Engine::Tract, None) => self
                .compare_if_possible(part, source.tract(Kind::Two), &few)?
                .unwrap_or_default(),
            _ => {
                let mut single = Vec::with_capacity(part.len());
                for image in 0..few.dim(0)? {
                    let rows = self.rows(&few.i(image..image + 1)?)?;
                    single.extend(output::probabilities(rows, self.columns(), self.config.output)?);
                }
                largest(&single, part, self.config.n_classes)
            }
        };
        match found.0 > most {
            true => Err(self.disagreement(
                "gives other answers for an image alone than in company",
                found,
                "export the model in evaluation mode",
            )),
            false => Ok(found.0),
        }
    }

    /// A few of the images, and their part of the probabilities.
    fn few<'a>(&self, own: &'a [f32], images: &Tensor) -> Result<(Tensor, &'a [f32]), ModelError> {
        const FEW: usize = 4;
        let n = images.dim(0)?.min(FEW);
        let part = own.get(..n * self.config.n_classes).unwrap_or_default();
        Ok((images.i(0..n)?, part))
    }
}

/// The largest difference between rows of probabilities, and the row that has it.
fn largest(a: &[f32], b: &[f32], n_classes: usize) -> (f32, usize) {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs()).enumerate();
    differences.fold((0.0, 0), |most, (place, difference)| {
        if difference > most.0 {
            (difference, place / n_classes.max(1))
        } else {
            most
        }
    })
}
