//! The transforms of F(4, 3) and F(4, 2): four outputs of a kernel of three or two taps, in one dimension.
//!
//! y = A^T ((G g) * (B^T d)) (Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks").

use crate::lanes::Lanes;

/// Outputs of a tile, in one dimension.
pub(super) const TILE: usize = 4;

/// A transform with `P` points: `P` inputs give [`TILE`] outputs of a kernel of `P - 3` taps.
pub(super) trait Transform<const P: usize>: Copy {
    /// G for a kernel of up to three taps; what a shorter kernel has not is zero.
    const G: [[f64; 3]; P];

    /// B^T d
    fn input<L: Lanes>(l: L, d: [L::V; P]) -> [L::V; P];

    /// A^T m
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

    #[inline(always)]
    fn input<L: Lanes>(l: L, d: [L::V; 6]) -> [L::V; 6] {
        let (two, four, five) = (l.splat(2.0), l.splat(4.0), l.splat(5.0));
        let a = l.neg_mul_add(four, d[2], d[4]);
        let b = l.neg_mul_add(four, d[1], d[3]);
        let c = l.sub(d[4], d[2]);
        let e = l.sub(d[3], d[1]);
        [
            l.mul_add(four, d[0], l.neg_mul_add(five, d[2], d[4])),
            l.add(a, b),
            l.sub(a, b),
            l.mul_add(two, e, c),
            l.neg_mul_add(two, e, c),
            l.mul_add(four, d[1], l.neg_mul_add(five, d[3], d[5])),
        ]
    }

    #[inline(always)]
    fn output<L: Lanes>(l: L, m: [L::V; 6]) -> [L::V; TILE] {
        let (s1, d1) = (l.add(m[1], m[2]), l.sub(m[1], m[2]));
        let (s2, d2) = (l.add(m[3], m[4]), l.sub(m[3], m[4]));
        [
            l.add(l.add(m[0], s1), s2),
            l.mul_add(l.splat(2.0), d2, d1),
            l.mul_add(l.splat(4.0), s2, s1),
            l.mul_add(l.splat(8.0), d2, l.add(d1, m[5])),
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

/// G g G^T of a kernel of `taps` x `taps`, row-major: the `P` x `P` transformed values.
pub(super) fn transform_kernel<const P: usize, F: Transform<P>>(g: &[[f64; 3]; 3]) -> [[f32; P]; P] {
    let mut half = [[0f64; 3]; P];
    for (row, coefficients) in half.iter_mut().zip(F::G) {
        for (x, value) in row.iter_mut().enumerate() {
            *value = (0..3).map(|y| coefficients[y] * g[y][x]).sum();
        }
    }
    half.map(|row| F::G.map(|coefficients| (0..3).map(|x| coefficients[x] * row[x]).sum::<f64>() as f32))
}
