//! One step of an optimizer over flat parameters.

use rayon::prelude::*;

use super::recipe::Optimizer;

/// Values that one task updates: enough to be worth a task, few enough for every thread to get some. Values do not depend on each other, so
/// any cut gives the same bits.
const PIECE: usize = 1 << 14;

/// Moves the parameters by one step. `state` is what the optimizer keeps: two vectors as long as the parameters. `step` counts from 1.
pub(super) fn update(
    optimizer: Optimizer,
    rate: f64,
    step: u64,
    parameters: &mut [f32],
    gradient: &[f32],
    state: &mut [Vec<f32>; 2],
) {
    let [first, second] = state;
    let pieces = parameters
        .par_chunks_mut(PIECE)
        .zip(gradient.par_chunks(PIECE))
        .zip(first.par_chunks_mut(PIECE).zip(second.par_chunks_mut(PIECE)));
    match optimizer {
        Optimizer::Sgd { momentum } => {
            let (rate, momentum) = (rate as f32, momentum as f32);
            pieces.for_each(|((w, g), (v, _))| {
                for ((w, g), v) in w.iter_mut().zip(g).zip(v) {
                    *v = momentum * *v + g;
                    *w -= rate * (g + momentum * *v);
                }
            });
        }
        Optimizer::Adam { beta1, beta2, epsilon } => {
            let step = i32::try_from(step).unwrap_or(i32::MAX);
            // The corrections of both means (section 2 of the paper), as one factor of the rate.
            let rate = (rate * (1.0 - beta2.powi(step)).sqrt() / (1.0 - beta1.powi(step))) as f32;
            let (beta1, beta2, epsilon) = (beta1 as f32, beta2 as f32, epsilon as f32);
            pieces.for_each(|((w, g), (m, v))| {
                for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                    *m += (1.0 - beta1) * (g - *m);
                    *v += (1.0 - beta2) * (g * g - *v);
                    *w -= rate * *m / (v.sqrt() + epsilon);
                }
            });
        }
    }
}
