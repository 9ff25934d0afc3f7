//! AVX2 with FMA (two registers of 8 lanes) and AVX-512 (one register of 16 lanes).

use std::arch::x86_64::*;

use super::{Block, Kernel, Lanes};

/// Proof that this processor has AVX-512F.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx512(());

/// Proof that this processor has AVX2 and FMA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx512 {
    /// The lanes, if the processor has the instructions.
    pub(crate) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    /// Runs a kernel compiled for AVX-512.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // AVX2 and FMA too: what the compiler vectorises by itself, and lone floats, then use them.
        #[target_feature(enable = "avx512f,avx2,fma")]
        fn inner<K: Kernel>(lanes: Avx512, kernel: K) -> K::Output {
            kernel.run(lanes)
        }
        // SAFETY: a value of this type exists only if `new` found the instructions.
        unsafe { inner(self, kernel) }
    }
}

impl Avx2 {
    /// The lanes, if the processor has the instructions.
    pub(crate) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    /// Runs a kernel compiled for AVX2 and FMA.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn inner<K: Kernel>(lanes: Avx2, kernel: K) -> K::Output {
            kernel.run(lanes)
        }
        // SAFETY: a value of this type exists only if `new` found the instructions.
        unsafe { inner(self, kernel) }
    }
}

impl Lanes for Avx512 {
    type V = __m512;
    const REGISTERS: usize = 32;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, block: &Block) -> __m512 {
        // SAFETY: `self` proves AVX-512F; a block is 16 floats, aligned to 64 bytes.
        unsafe { _mm512_load_ps(block.0.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, v: __m512, block: &mut Block) {
        // SAFETY: as for `load`; the block is borrowed mutably.
        unsafe { _mm512_store_ps(block.0.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn neg_mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn keep_positive(self, v: __m512, gate: __m512) -> __m512 {
        // A mask, because the `and` of floats is AVX-512DQ, which this tier does not ask for.
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(gate, _mm512_setzero_ps()), v) }
    }
}

/// Applies an intrinsic to both halves.
macro_rules! halves {
    ($f:ident, $($v:ident),+) => {
        // SAFETY: `self` proves AVX2 and FMA.
        unsafe { ($f($($v.0),+), $f($($v.1),+)) }
    };
}

impl Lanes for Avx2 {
    type V = (__m256, __m256);
    // 16 registers, two for each value.
    const REGISTERS: usize = 8;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: `self` proves AVX2.
        let v = unsafe { _mm256_set1_ps(x) };
        (v, v)
    }
    #[inline(always)]
    fn load(self, block: &Block) -> Self::V {
        let p = block.0.as_ptr();
        // SAFETY: `self` proves AVX2; a block is 16 floats, aligned to 64 bytes, so both halves are inside and aligned.
        unsafe { (_mm256_load_ps(p), _mm256_load_ps(p.add(8))) }
    }
    #[inline(always)]
    fn store(self, v: Self::V, block: &mut Block) {
        let p = block.0.as_mut_ptr();
        // SAFETY: as for `load`; the block is borrowed mutably.
        unsafe {
            _mm256_store_ps(p, v.0);
            _mm256_store_ps(p.add(8), v.1);
        }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        halves!(_mm256_add_ps, a, b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        halves!(_mm256_sub_ps, a, b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        halves!(_mm256_mul_ps, a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        halves!(_mm256_fmadd_ps, a, b, c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        halves!(_mm256_fnmadd_ps, a, b, c)
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        halves!(_mm256_max_ps, a, b)
    }
    #[inline(always)]
    fn keep_positive(self, v: Self::V, gate: Self::V) -> Self::V {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let zero = _mm256_setzero_ps();
            let low = _mm256_and_ps(v.0, _mm256_cmp_ps::<_CMP_GT_OQ>(gate.0, zero));
            (low, _mm256_and_ps(v.1, _mm256_cmp_ps::<_CMP_GT_OQ>(gate.1, zero)))
        }
    }
}
