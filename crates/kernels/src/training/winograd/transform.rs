//! The matrices of F(4x4, 3x3), along one axis.

use super::POINTS;
use crate::lanes::Lanes;

/// G times 3 values.
#[inline(always)]
pub(super) fn weight_transform<L: Lanes>(l: L, g: [L::V; 3]) -> [L::V; POINTS] {
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

/// Gᵀ times 6 values.
#[inline(always)]
pub(super) fn weight_adjoint<L: Lanes>(l: L, u: [L::V; POINTS]) -> [L::V; 3] {
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

/// Bᵀ times 6 values.
#[inline(always)]
pub(super) fn input_transform<L: Lanes>(l: L, d: [L::V; POINTS]) -> [L::V; POINTS] {
    let (two, four, five) = (l.splat(2.0), l.splat(4.0), l.splat(5.0));
    let even = l.neg_mul_add(d[2], four, d[4]);
    let odd = l.neg_mul_add(d[1], four, d[3]);
    let far_even = l.sub(d[4], d[2]);
    let far_odd = l.sub(d[3], d[1]);
    [
        l.mul_add(d[0], four, l.neg_mul_add(d[2], five, d[4])),
        l.add(even, odd),
        l.sub(even, odd),
        l.mul_add(far_odd, two, far_even),
        l.neg_mul_add(far_odd, two, far_even),
        l.mul_add(d[1], four, l.neg_mul_add(d[3], five, d[5])),
    ]
}

/// Aᵀ times 6 values.
#[inline(always)]
pub(super) fn output_transform<L: Lanes>(l: L, m: [L::V; POINTS]) -> [L::V; 4] {
    let (near, near_odd) = (l.add(m[1], m[2]), l.sub(m[1], m[2]));
    let (far, far_odd) = (l.add(m[3], m[4]), l.sub(m[3], m[4]));
    [
        l.add(l.add(m[0], near), far),
        l.mul_add(far_odd, l.splat(2.0), near_odd),
        l.mul_add(far, l.splat(4.0), near),
        l.add(l.mul_add(far_odd, l.splat(8.0), near_odd), m[5]),
    ]
}

/// A times 4 values.
#[inline(always)]
pub(super) fn gradient_transform<L: Lanes>(l: L, y: [L::V; 4]) -> [L::V; POINTS] {
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
