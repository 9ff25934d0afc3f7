//! Adam (Kingma & Ba 2015), in the form that Keras has.

use candle_core::Var;
use candle_core::backprop::GradStore;
use candle_nn::{AdamW, Optimizer, ParamsAdamW};

use super::fit::FitOptions;

/// Adam with epsilon beside the uncorrected second moment, the paper's "epsilon hat" and Keras's form:
/// θ ← θ − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε).
///
/// candle's AdamW without decay adds epsilon to √(v / (1 − β₂ᵗ)) instead; giving it ε / √(1 − β₂ᵗ) at step t makes the two equal.
#[derive(Debug)]
pub(crate) struct Adam {
    inner: AdamW,
    epsilon: f64,
    beta2: f64,
    step: i32,
}

impl Adam {
    pub(crate) fn new(vars: Vec<Var>, options: &FitOptions) -> candle_core::Result<Self> {
        let params = ParamsAdamW {
            lr: options.learning_rate,
            beta1: options.beta1,
            beta2: options.beta2,
            eps: options.epsilon,
            weight_decay: 0.0,
        };
        Ok(Self {
            inner: AdamW::new(vars, params)?,
            epsilon: options.epsilon,
            beta2: options.beta2,
            step: 0,
        })
    }

    pub(crate) fn step(&mut self, gradients: &GradStore) -> candle_core::Result<()> {
        self.step = self.step.saturating_add(1);
        let mut params = self.inner.params().clone();
        params.eps = self.epsilon / (1.0 - self.beta2.powi(self.step)).sqrt();
        self.inner.set_params(params);
        self.inner.step(gradients)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    /// The three steps that Keras's formula gives, in f64, for gradients small enough that epsilon counts.
    #[test]
    fn takes_the_steps_of_keras() {
        let options = FitOptions {
            epsilon: 1e-3,
            learning_rate: 0.1,
            ..FitOptions::default()
        };
        let var = Var::from_tensor(&Tensor::new(&[1.0_f64], &Device::Cpu).unwrap()).unwrap();
        let mut adam = Adam::new(vec![var.clone()], &options).unwrap();
        let (mut theta, mut m, mut v) = (1.0_f64, 0.0, 0.0);
        for t in 1..=3 {
            let loss = (var.as_tensor().sqr().unwrap() * 1e-3).unwrap().sum_all().unwrap();
            adam.step(&loss.backward().unwrap()).unwrap();
            let g = 2e-3 * theta;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            theta -= 0.1 * (1.0 - 0.999_f64.powi(t)).sqrt() / (1.0 - 0.9_f64.powi(t)) * m / (v.sqrt() + 1e-3);
            let found = var.to_vec1::<f64>().unwrap()[0];
            assert!((found - theta).abs() < 1e-12, "step {t}: {found} {theta}");
        }
    }
}
