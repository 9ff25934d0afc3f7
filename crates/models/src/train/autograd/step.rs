//! A whole network as one operation of candle.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor};

use super::floats;
use crate::error::ModelError;
use crate::train::engine::Engine;

/// An engine, and the step whose forward pass it holds.
#[derive(Debug)]
struct Held {
    engine: Box<dyn Engine>,
    step: u64,
}

/// An engine that takes part in many graphs.
#[derive(Debug)]
pub(super) struct SharedEngine {
    held: Mutex<Held>,
    steps: AtomicU64,
}

impl SharedEngine {
    pub(super) fn new(engine: Box<dyn Engine>) -> Self {
        Self {
            held: Mutex::new(Held { engine, step: 0 }),
            steps: AtomicU64::new(0),
        }
    }
}

/// One forward pass of the network over a batch of images, as a function of its flat parameters.
///
/// The backward pass uses what the forward pass left in the engine; where another forward pass has taken its place since, it is done again.
#[derive(Debug)]
pub(super) struct Step {
    shared: Arc<SharedEngine>,
    number: u64,
    n: usize,
    n_classes: usize,
    /// Preprocessed images (N, 3, H, W), row-major.
    images: Vec<f32>,
    /// Running statistics; the forward pass moves them.
    statistics: Arc<Mutex<Vec<f32>>>,
}

impl Step {
    pub(super) fn new(
        shared: Arc<SharedEngine>,
        (n, images): (usize, Vec<f32>),
        n_classes: usize,
        statistics: Arc<Mutex<Vec<f32>>>,
    ) -> Self {
        Self {
            number: 1 + shared.steps.fetch_add(1, Ordering::Relaxed),
            shared,
            n,
            n_classes,
            images,
            statistics,
        }
    }

    fn forward(&self, held: &mut Held, parameters: &[f32], statistics: &mut [f32]) -> Result<Vec<f32>, ModelError> {
        // Until it ends, the engine holds no whole pass.
        held.step = 0;
        held.engine.input().set_nchw(self.n, &self.images);
        let logits = held.engine.forward(parameters, statistics)?;
        held.step = self.number;
        Ok(logits)
    }
}

impl CustomOp1 for Step {
    fn name(&self) -> &'static str {
        "riptide-network"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let mut statistics = lock(&self.statistics);
        let logits = self.forward(&mut lock(&self.shared.held), floats(storage, layout)?, &mut statistics)?;
        Ok((CpuStorage::F32(logits), Shape::from((self.n, self.n_classes))))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad_res: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let parameters = arg.to_vec1::<f32>()?;
        let d_logits = grad_res.flatten_all()?.to_vec1::<f32>()?;
        let mut gradient = vec![0.0; parameters.len()];
        let mut held = lock(&self.shared.held);
        if held.step != self.number {
            // The batch moves the running statistics once, not twice.
            let mut statistics = lock(&self.statistics).clone();
            self.forward(&mut held, &parameters, &mut statistics)?;
        }
        held.engine.backward(&parameters, &d_logits, &mut gradient)?;
        let n = gradient.len();
        Ok(Some(Tensor::from_vec(gradient, n, &Device::Cpu)?))
    }
}

/// Locks, whatever a panic elsewhere left behind: a forward pass writes all that is read later.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
