//! The reference tier: arrays of 16 floats in plain Rust.

use super::{Block, LANES, Lanes};

/// Lanes as an array; the compiler uses whatever instructions the target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generic;

/// Applies a function of the lane's number to build 16 lanes.
macro_rules! lanes {
    ($i:ident => $e:expr) => {{
        let mut out = [0.0; LANES];
        for $i in 0..LANES {
            out[$i] = $e;
        }
        out
    }};
}

impl Lanes for Generic {
    type V = [f32; LANES];
    // 16 SSE2 registers of 4 lanes: the least that a tier without a name may count on.
    const REGISTERS: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    fn load(self, block: &Block) -> Self::V {
        block.0
    }
    #[inline(always)]
    fn store(self, v: Self::V, block: &mut Block) {
        block.0 = v;
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        lanes!(i => a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        lanes!(i => a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        lanes!(i => a[i] * b[i])
    }
    // Not `f32::mul_add`, which is a call into the C library for each lane on targets without FMA.
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        lanes!(i => a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        lanes!(i => c[i] - a[i] * b[i])
    }
    // A comparison, not `f32::max`: one instruction, and of a NaN and a number it takes what x86 takes, the second.
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        lanes!(i => if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn keep_positive(self, v: Self::V, gate: Self::V) -> Self::V {
        lanes!(i => if gate[i] > 0.0 { v[i] } else { 0.0 })
    }
}
