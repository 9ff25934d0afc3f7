//! ONNX Runtime as the engine.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::ep;
use ort::session::builder::SessionBuilder;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, TensorElementType, TensorRef};
use rayon::prelude::*;
use tract_onnx::prelude::f16;

use super::graph::Interface;
use super::guard::{guarded, one_line};
use super::library;
use super::run::{Pixels, Run, columns};
use crate::config::{Device, InputType};

/// The most images of a run, if the file leaves their number open.
const MOST: usize = 32;
/// The most pixels of a run: a few images of 224 x 224 are as fast as many, and stay in the cache.
const PIXELS: usize = 200_000;
/// The most bytes that the copies of a file in all sessions may have.
const COPIES: usize = 1 << 30;

/// A file in ONNX Runtime.
///
/// Sessions of one thread, each with some images, are faster than one session of several threads: operators differ in how well they can be shared out, images do not.
/// By what `ort` says of ONNX Runtime's providers, no session may be run by two threads at a time.
pub(super) struct Runtime {
    /// Made when they are first needed.
    sessions: Vec<OnceLock<Mutex<Session>>>,
    making: Making,
    interface: Interface,
    batch: usize,
    columns: usize,
}

/// What another session is made of.
struct Making {
    file: Arc<[u8]>,
    environment: Environment,
    device: Device,
    threads: usize,
}

/// Whether ONNX Runtime is there.
///
/// # Errors
/// As [`library::load`].
pub(super) fn is_there(library: Option<&Path>) -> Result<bool, String> {
    Ok(library::load(library)?.is_some())
}

impl Runtime {
    /// Loads a file whose sizes were checked.
    ///
    /// # Errors
    /// If the library is missing, or what it says of the file, in one line.
    pub(super) fn new(
        file: &Arc<[u8]>,
        interface: &Interface,
        library: Option<&Path>,
        device: Device,
    ) -> Result<Self, String> {
        let library = library::load(library)?.ok_or(
            "needs ONNX Runtime, whose library is not found: `pip install onnxruntime` in the active Python environment, or name the library \
             in ORT_DYLIB_PATH",
        )?;
        let threads = rayon::current_num_threads();
        let sessions = match device {
            Device::Cpu => threads.min(COPIES / file.len().max(1)).max(1),
            Device::Cuda => 1,
        };
        let mut runtime = Self {
            sessions: (0..sessions).map(|_| OnceLock::new()).collect(),
            making: Making {
                file: file.clone(),
                environment: library.environment,
                device,
                threads: threads.div_ceil(sessions),
            },
            batch: match interface.batch {
                Some(batch) => batch,
                // What a dynamic quantisation measures must be of one image, not of its company.
                None if interface.is_dynamic => 1,
                None => (PIXELS / (interface.height * interface.width)).clamp(1, MOST),
            },
            interface: interface.clone(),
            columns: 0,
        };
        // The number of columns is known only from a run: the file may leave it open.
        let n = interface.batch.unwrap_or(1);
        let len: usize = interface.shape(n).iter().product();
        let nothing = match interface.input_type {
            InputType::Uint8 => Pixels::Bytes(vec![0; len]),
            _ => Pixels::Floats(vec![0.0; len]),
        };
        runtime.columns =
            runtime.outcome(|session| runtime.once(session, &nothing, 0..len, n).map(|(_, columns)| columns))?;
        Ok(runtime)
    }

    /// Runs `task` with a session that no other thread uses meanwhile.
    fn outcome<T>(&self, task: impl FnOnce(&mut Session) -> Result<T, String>) -> Result<T, String> {
        let place = rayon::current_thread_index().unwrap_or(0) % self.sessions.len().max(1);
        let slot = self.sessions.get(place).ok_or("has no session")?;
        if slot.get().is_none() {
            let made = guarded(|| self.making.session())
                .and_then(|outcome| outcome)
                .map_err(|error| format!("is refused by ONNX Runtime: {error}"))?;
            // If another thread was faster, its session is used.
            let _ = slot.set(Mutex::new(made));
        }
        let session = slot.get().ok_or("has no session")?;
        let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
        guarded(|| task(&mut session))
            .and_then(|outcome| outcome)
            .map_err(|error| format!("failed as it ran: {error}"))
    }

    /// The output for a batch of `n` images, which are the given part of all numbers, and its number of columns.
    fn once(
        &self,
        session: &mut Session,
        images: &Pixels,
        part: std::ops::Range<usize>,
        n: usize,
    ) -> Result<(Vec<f32>, usize), String> {
        let shape = self.interface.shape(n);
        let said = |error: ort::Error| one_line(error.message());
        let halves: Vec<f16>;
        let input: SessionInputValue<'_> = match images {
            Pixels::Bytes(bytes) => TensorRef::from_array_view((shape, bytes.get(part).unwrap_or_default()))
                .map_err(said)?
                .into(),
            Pixels::Floats(values) => {
                let values = values.get(part).unwrap_or_default();
                match self.interface.input_type {
                    InputType::Float16 => {
                        halves = values.iter().map(|&value| f16::from_f32(value)).collect();
                        TensorRef::from_array_view((shape, halves.as_slice()))
                            .map_err(said)?
                            .into()
                    }
                    _ => TensorRef::from_array_view((shape, values)).map_err(said)?.into(),
                }
            }
        };
        let outputs = session
            .run(vec![(self.interface.input.as_str(), input)])
            .map_err(said)?;
        let output = outputs.get(&self.interface.output).ok_or("the output is missing")?;
        let (dims, values) = floats(output)?;
        let columns = columns(&dims, n)?;
        Ok((values, columns))
    }
}

impl Making {
    fn session(&self) -> Result<Session, String> {
        let said = |error: ort::Error| one_line(error.message());
        let refused = |error: ort::Error<SessionBuilder>| one_line(error.message());
        let mut builder = Session::builder(&self.environment)
            .map_err(said)?
            .with_intra_threads(self.threads)
            .map_err(refused)?
            // Threads that wait for work without sleeping take the processor from those that read images.
            .with_intra_op_spinning(false)
            .map_err(refused)?;
        if self.device == Device::Cuda {
            // Without TF32: the answers are to be those of the CPU.
            let provider = ep::CUDA::default().with_tf32(false).build().error_on_failure();
            builder = builder.with_execution_providers([provider]).map_err(refused)?;
        }
        builder.commit_from_memory(&self.file).map_err(said)
    }
}

/// The shape and numbers of an output.
fn floats(output: &DynValue) -> Result<(Vec<usize>, Vec<f32>), String> {
    let said = |error: ort::Error| one_line(error.message());
    let kind = output.dtype().tensor_type().ok_or("the output is no tensor")?;
    let (shape, values) = match kind {
        TensorElementType::Float32 => {
            let (shape, values) = output.try_extract_tensor::<f32>().map_err(said)?;
            (shape, values.to_vec())
        }
        TensorElementType::Float16 => {
            let (shape, values) = output.try_extract_tensor::<f16>().map_err(said)?;
            (shape, values.iter().map(|value| value.to_f32()).collect())
        }
        TensorElementType::Float64 => {
            let (shape, values) = output.try_extract_tensor::<f64>().map_err(said)?;
            (shape, values.iter().map(|&value| value as f32).collect())
        }
        other => return Err(format!("the output is of type {other}, not of floats")),
    };
    let dims = shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect();
    Ok((dims, values))
}

impl Run for Runtime {
    fn run(&self, images: &Pixels, n: usize) -> Result<Vec<f32>, String> {
        let len: usize = self.interface.shape(1).iter().product();
        let mut scores = vec![0f32; n * self.columns];
        let places = scores.par_chunks_mut(self.batch * self.columns).enumerate();
        places.try_for_each(|(index, scores)| {
            let first = index * self.batch;
            let count = scores.len() / self.columns.max(1);
            let part = first * len..(first + count) * len;
            self.outcome(|session| {
                let (values, columns) = match self.interface.batch {
                    // The file takes whole batches only; images that are missing are zeros.
                    Some(whole) if count < whole => {
                        let filled = filled(images, part, whole * len);
                        self.once(session, &filled, 0..whole * len, whole)?
                    }
                    _ => self.once(session, images, part, count)?,
                };
                match values.get(..scores.len()) {
                    Some(values) if columns == self.columns => scores.copy_from_slice(values),
                    _ => return Err(format!("{columns} outputs an image instead of {}", self.columns)),
                }
                Ok(())
            })
        })?;
        Ok(scores)
    }

    fn columns(&self) -> usize {
        self.columns
    }
}

/// A part of the images with zeros behind it.
fn filled(images: &Pixels, part: std::ops::Range<usize>, len: usize) -> Pixels {
    match images {
        Pixels::Bytes(bytes) => {
            let mut bytes = bytes.get(part).unwrap_or_default().to_vec();
            bytes.resize(len, 0);
            Pixels::Bytes(bytes)
        }
        Pixels::Floats(values) => {
            let mut values = values.get(part).unwrap_or_default().to_vec();
            values.resize(len, 0.0);
            Pixels::Floats(values)
        }
    }
}
