//! The transforms of F(4, 3) and F(4, 2), four outputs of a kernel of three or two taps, along one axis: for inference and for training.
//!
//! y = Aᵀ ((G g) ⊙ (Bᵀ d)) (Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks"). Inference transforms its weights once, in f64
//! with the matrix G; training transforms them every step, in lanes. The gradients are the adjoints: dg = Gᵀ ((A dy) ⊙ (Bᵀ d)).

use crate::lanes::Lanes;

/// Outputs of a tile, along one axis.
pub(super) const TILE: usize = 4;

/// A transform with `P` points: `P` inputs give [`TILE`] outputs of a kernel of `P - 3` taps.
pub(super) trait Transform<const P: usize>: Copy {
    /// G for a kernel of up to three taps; the taps that a shorter kernel lacks are zero.
    const G: [[f64; 3]; P];

    /// Bᵀ d
    fn input<L: Lanes>(l: L, d: [L::V; P]) -> [L::V; P];

    /// Aᵀ m
    fn output<L: Lanes>(l: L, m: [L::V; P]) -> [L::V; TILE];
}

/// F(4, 3) at the points 0, 1, -1, 2, -2 and infinity.
#[derive(Clone, Copy)]
pub(super) struct ThreeTaps;

impl Transform<6> for ThreeTaps {
    const G: [[f64; 3]; 6] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];

    // The points come in pairs ±p, whose rows share their even and their odd terms: one sum and one difference instead of two whole rows.
    #[inline(always)]
    fn input<L: Lanes>(l: L, d: [L::V; 6]) -> [L::V; 6] {
        let (two, four, five) = (l.splat(2.0), l.splat(4.0), l.splat(5.0));
        let (even, odd) = (l.neg_mul_add(four, d[2], d[4]), l.neg_mul_add(four, d[1], d[3]));
        let (far_even, far_odd) = (l.sub(d[4], d[2]), l.sub(d[3], d[1]));
        [
            l.mul_add(four, d[0], l.neg_mul_add(five, d[2], d[4])),
            l.add(even, odd),
            l.sub(even, odd),
            l.mul_add(two, far_odd, far_even),
            l.neg_mul_add(two, far_odd, far_even),
            l.mul_add(four, d[1], l.neg_mul_add(five, d[3], d[5])),
        ]
    }

    #[inline(always)]
    fn output<L: Lanes>(l: L, m: [L::V; 6]) -> [L::V; TILE] {
        let (near, near_odd) = (l.add(m[1], m[2]), l.sub(m[1], m[2]));
        let (far, far_odd) = (l.add(m[3], m[4]), l.sub(m[3], m[4]));
        [
            l.add(l.add(m[0], near), far),
            l.mul_add(l.splat(2.0), far_odd, near_odd),
            l.mul_add(l.splat(4.0), far, near),
            l.mul_add(l.splat(8.0), far_odd, l.add(near_odd, m[5])),
        ]
    }
}

/// F(4, 2) at the points 0, 1, -1, 2 and infinity.
#[derive(Clone, Copy)]
pub(super) struct TwoTaps;

impl Transform<5> for TwoTaps {
    const G: [[f64; 3]; 5] = [
        [1.0 / 2.0, 0.0, 0.0],
        [-1.0 / 2.0, -1.0 / 2.0, 0.0],
        [-1.0 / 6.0, 1.0 / 6.0, 0.0],
        [1.0 / 6.0, 1.0 / 3.0, 0.0],
        [0.0, 1.0, 0.0],
    ];

    #[inline(always)]
    fn input<L: Lanes>(l: L, d: [L::V; 5]) -> [L::V; 5] {
        let (two, three) = (l.splat(2.0), l.splat(3.0));
        let a = l.sub(d[3], d[1]);
        [
            l.mul_add(two, l.sub(d[0], d[2]), a),
            l.neg_mul_add(two, d[1], l.sub(d[3], d[2])),
            l.neg_mul_add(three, d[2], l.mul_add(two, d[1], d[3])),
            a,
            l.neg_mul_add(two, a, l.sub(d[4], d[2])),
        ]
    }

    #[inline(always)]
    fn output<L: Lanes>(l: L, m: [L::V; 5]) -> [L::V; TILE] {
        let (s, d) = (l.add(m[1], m[2]), l.sub(m[1], m[2]));
        [
            l.add(l.add(m[0], s), m[3]),
            l.mul_add(l.splat(2.0), m[3], d),
            l.mul_add(l.splat(4.0), m[3], s),
            l.mul_add(l.splat(8.0), m[3], l.add(d, m[4])),
        ]
    }
}

/// G g Gᵀ of a kernel of up to three by three taps: the `P` x `P` transformed values. In f64, because it is done once and its rounding would be in every
/// output.
pub(super) fn transform_kernel<const P: usize, F: Transform<P>>(g: &[[f64; 3]; 3]) -> [[f32; P]; P] {
    let mut half = [[0f64; 3]; P];
    for (row, coefficients) in half.iter_mut().zip(F::G) {
        for (x, value) in row.iter_mut().enumerate() {
            *value = (0..3).map(|y| coefficients[y] * g[y][x]).sum();
        }
    }
    half.map(|row| F::G.map(|coefficients| (0..3).map(|x| coefficients[x] * row[x]).sum::<f64>() as f32))
}

/// A linear map of `I` values to `O` values, for both axes of a tile in training.
///
/// A trait rather than a function argument, because a call through a closure would not be compiled for the tier's instructions.
pub(super) trait Axis<const I: usize, const O: usize> {
    fn apply<L: Lanes>(l: L, x: [L::V; I]) -> [L::V; O];
}

/// Bᵀ of F(4, 3).
pub(super) struct Input;

impl Axis<6, 6> for Input {
    #[inline(always)]
    fn apply<L: Lanes>(l: L, d: [L::V; 6]) -> [L::V; 6] {
        ThreeTaps::input(l, d)
    }
}

/// Aᵀ of F(4, 3).
pub(super) struct Output;

impl Axis<6, TILE> for Output {
    #[inline(always)]
    fn apply<L: Lanes>(l: L, m: [L::V; 6]) -> [L::V; TILE] {
        let [a, b, c, _] = ThreeTaps::output(l, m);
        // Training adds the point at infinity last. Inference adds it before the multiply-add, which rounds otherwise; neither may change without
        // changing the bits of trained networks or of scores.
        let finite = l.mul_add(l.splat(8.0), l.sub(m[3], m[4]), l.sub(m[1], m[2]));
        [a, b, c, l.add(finite, m[5])]
    }
}

/// A of F(4, 3), the adjoint of [`Output`].
pub(super) struct OutputAdjoint;

impl Axis<TILE, 6> for OutputAdjoint {
    #[inline(always)]
    fn apply<L: Lanes>(l: L, y: [L::V; TILE]) -> [L::V; 6] {
        let (even, odd) = (l.add(y[0], y[2]), l.add(y[1], y[3]));
        let far_even = l.mul_add(y[2], l.splat(4.0), y[0]);
        let far_odd = l.mul_add(y[3], l.splat(8.0), l.mul(y[1], l.splat(2.0)));
        [
            y[0],
            l.add(even, odd),
            l.sub(even, odd),
            l.add(far_even, far_odd),
            l.sub(far_even, far_odd),
            y[3],
        ]
    }
}

/// G of F(4, 3).
pub(super) struct Weights;

impl Axis<3, 6> for Weights {
    #[inline(always)]
    fn apply<L: Lanes>(l: L, g: [L::V; 3]) -> [L::V; 6] {
        let even = l.mul(l.add(g[0], g[2]), l.splat(-1.0 / 6.0));
        let sixth = l.splat(1.0 / 6.0);
        let outer = l.mul_add(g[2], sixth, l.mul(g[0], l.splat(1.0 / 24.0)));
        let twelfth = l.splat(1.0 / 12.0);
        [
            l.mul(g[0], l.splat(0.25)),
            l.neg_mul_add(g[1], sixth, even),
            l.mul_add(g[1], sixth, even),
            l.mul_add(g[1], twelfth, outer),
            l.neg_mul_add(g[1], twelfth, outer),
            g[2],
        ]
    }
}

/// Gᵀ of F(4, 3), the adjoint of [`Weights`].
pub(super) struct WeightsAdjoint;

impl Axis<6, 3> for WeightsAdjoint {
    #[inline(always)]
    fn apply<L: Lanes>(l: L, u: [L::V; 6]) -> [L::V; 3] {
        let (near, near_odd) = (l.add(u[1], u[2]), l.sub(u[2], u[1]));
        let (far, far_odd) = (l.add(u[3], u[4]), l.sub(u[3], u[4]));
        let sixth = l.splat(1.0 / 6.0);
        let first = l.neg_mul_add(near, sixth, l.mul(far, l.splat(1.0 / 24.0)));
        [
            l.mul_add(u[0], l.splat(0.25), first),
            l.mul_add(near_odd, sixth, l.mul(far_odd, l.splat(1.0 / 12.0))),
            l.mul_add(l.sub(far, near), sixth, u[5]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{Generic, LANES};

    /// The matrix of a map: its values at the unit vectors, each row a value.
    fn matrix<T: Axis<I, O>, const I: usize, const O: usize>() -> [[f32; I]; O] {
        let mut rows = [[0.0; I]; O];
        for i in 0..I {
            let mut unit = [[0.0; LANES]; I];
            unit[i] = [1.0; LANES];
            for (row, value) in rows.iter_mut().zip(T::apply(Generic, unit)) {
                row[i] = value[0];
            }
        }
        rows
    }

    fn transposed<const I: usize, const O: usize>(m: [[f32; I]; O]) -> [[f32; O]; I] {
        std::array::from_fn(|i| std::array::from_fn(|o| m[o][i]))
    }

    /// What inference and training take as Bᵀ and Aᵀ, for the law below.
    fn check_law<const P: usize, F: Transform<P>>(taps: usize) {
        let splat = |x: f64| [x as f32; LANES];
        for tap in 0..taps {
            for at in 0..P {
                // One tap of one and one input of one: output y is one exactly if y + tap = at.
                let mut d = [splat(0.0); P];
                d[at] = splat(1.0);
                let d = F::input(Generic, d);
                let m = std::array::from_fn(|p| d[p].map(|x| (F::G[p][tap] * f64::from(x)) as f32));
                for (y, value) in F::output(Generic, m).into_iter().enumerate() {
                    let expected = if y + tap == at { 1.0 } else { 0.0 };
                    assert!((value[0] - expected).abs() < 2e-6, "{P} points, tap {tap}, input {at}");
                }
            }
        }
    }

    #[test]
    fn products_of_transforms_are_convolutions() {
        check_law::<6, ThreeTaps>(3);
        check_law::<5, TwoTaps>(2);
    }

    #[test]
    fn training_takes_the_same_matrices_and_their_adjoints() {
        assert_eq!(matrix::<Weights, 3, 6>(), ThreeTaps::G.map(|row| row.map(|x| x as f32)));
        assert_eq!(matrix::<WeightsAdjoint, 6, 3>(), transposed(matrix::<Weights, 3, 6>()));
        assert_eq!(matrix::<OutputAdjoint, 4, 6>(), transposed(matrix::<Output, 6, 4>()));
        for i in 0..6 {
            let mut unit = [[0.0; LANES]; 6];
            unit[i] = [1.0; LANES];
            assert_eq!(Output::apply(Generic, unit), ThreeTaps::output(Generic, unit));
        }
    }
}
