//! NEON: four registers of 4 lanes.

use std::arch::aarch64::*;

use super::{Block, Kernel, Lanes};

/// Proof that this processor has NEON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Neon(());

impl Neon {
    /// The lanes, if the processor has the instructions.
    pub(crate) fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    /// Runs a kernel compiled for NEON.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon")]
        fn inner<K: Kernel>(lanes: Neon, kernel: K) -> K::Output {
            kernel.run(lanes)
        }
        // SAFETY: a value of this type exists only if `new` found the instructions.
        unsafe { inner(self, kernel) }
    }
}

/// Applies an intrinsic to the four quarters.
macro_rules! quarters {
    ($f:ident, $($v:ident),+) => {
        // SAFETY: `self` proves NEON.
        unsafe { [$f($($v[0]),+), $f($($v[1]),+), $f($($v[2]),+), $f($($v[3]),+)] }
    };
}

impl Lanes for Neon {
    type V = [float32x4_t; 4];
    // 32 registers, four for each value.
    const REGISTERS: usize = 8;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: `self` proves NEON.
        [unsafe { vdupq_n_f32(x) }; 4]
    }
    #[inline(always)]
    fn load(self, block: &Block) -> Self::V {
        let p = block.0.as_ptr();
        // SAFETY: `self` proves NEON; a block is 16 floats, so all four quarters are inside.
        unsafe {
            [
                vld1q_f32(p),
                vld1q_f32(p.add(4)),
                vld1q_f32(p.add(8)),
                vld1q_f32(p.add(12)),
            ]
        }
    }
    #[inline(always)]
    fn store(self, v: Self::V, block: &mut Block) {
        let p = block.0.as_mut_ptr();
        // SAFETY: as for `load`; the block is borrowed mutably.
        unsafe {
            vst1q_f32(p, v[0]);
            vst1q_f32(p.add(4), v[1]);
            vst1q_f32(p.add(8), v[2]);
            vst1q_f32(p.add(12), v[3]);
        }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        quarters!(vaddq_f32, a, b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        quarters!(vsubq_f32, a, b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        quarters!(vmulq_f32, a, b)
    }
    // NEON takes the addend first.
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        quarters!(vfmaq_f32, c, a, b)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        quarters!(vfmsq_f32, c, a, b)
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        quarters!(vmaxq_f32, a, b)
    }
    #[inline(always)]
    fn keep_positive(self, v: Self::V, gate: Self::V) -> Self::V {
        let mut out = v;
        for (out, gate) in out.iter_mut().zip(gate) {
            // SAFETY: `self` proves NEON.
            *out = unsafe { vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(*out), vcgtzq_f32(gate))) };
        }
        out
    }
}
