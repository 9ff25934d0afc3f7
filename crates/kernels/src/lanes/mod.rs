//! Sixteen floats at a time: [`Block`], the unit of memory of all kernels.

mod generic;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub(crate) use generic::Generic;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{Avx2, Avx512};

/// Floats in a [`Block`]: channels are handled in blocks of this many.
pub const LANES: usize = 16;

/// Sixteen neighbouring channels of one pixel: one AVX-512 register, two AVX2 or four NEON ones. Aligned to a cache line.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C, align(64))]
pub struct Block(pub [f32; LANES]);

impl Block {
    /// Sixteen zeros.
    pub const ZERO: Block = Block([0.0; LANES]);
}

/// The blocks as one slice of floats.
pub fn as_floats(blocks: &[Block]) -> &[f32] {
    // SAFETY: a Block is exactly 16 f32 in C layout without padding (size 64, checked below), and the alignment of f32 is smaller.
    unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), blocks.len() * LANES) }
}

/// The blocks as one mutable slice of floats.
pub fn as_floats_mut(blocks: &mut [Block]) -> &mut [f32] {
    // SAFETY: as in `as_floats`; the mutable borrow is passed on.
    unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), blocks.len() * LANES) }
}

/// One value for each channel, in blocks; zeros if there is no bias.
pub(crate) fn pack_bias(bias: Option<&[f32]>, blocks: usize) -> Vec<Block> {
    let mut packed = vec![Block::ZERO; blocks];
    for (o, b) in bias.unwrap_or_default().iter().enumerate() {
        packed[o / LANES].0[o % LANES] = *b;
    }
    packed
}

/// Adds `values` to `sums`, block by block.
pub(crate) fn add(sums: &mut [Block], values: &[Block]) {
    for (sums, values) in sums.iter_mut().zip(values) {
        for (sum, value) in sums.0.iter_mut().zip(values.0) {
            *sum += value;
        }
    }
}

const _: () = assert!(size_of::<Block>() == LANES * size_of::<f32>());

/// Sixteen f32 lanes of a tier: what kernels are written over.
///
/// A kernel is written once as a [`Kernel`] over any [`Lanes`]; [`crate::Simd`] compiles it for the tier's instructions. Everything that a kernel calls
/// on its way must be `#[inline(always)]` and free of closures over lanes: a function of its own would be compiled without the tier's instructions, and
/// every intrinsic in it would become a call.
///
/// A value of the implementing type exists only if its instructions can run.
pub(crate) trait Lanes: Copy + Send + Sync + 'static {
    /// Sixteen floats in registers.
    type V: Copy;

    /// How many [`Lanes::V`] fit in the register file: 32 for AVX-512, 8 for AVX2 and NEON. Tiles are sized by it.
    const REGISTERS: usize;

    /// All lanes equal to `x`.
    fn splat(self, x: f32) -> Self::V;
    /// Lanes of a block.
    fn load(self, block: &Block) -> Self::V;
    /// Writes the lanes to a block.
    fn store(self, v: Self::V, block: &mut Block);
    /// a + b
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// a - b
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// a * b
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a * b + c
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// c - a * b
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger of a and b.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `v` in the lanes where `gate` is above zero, zero in the others: the gradient of a ReLU.
    fn keep_positive(self, v: Self::V, gate: Self::V) -> Self::V;

    /// Zero in all lanes.
    #[inline(always)]
    fn zero(self) -> Self::V {
        self.splat(0.0)
    }

    /// Lanes of block `i` of the slice.
    ///
    /// # Safety
    /// `i` is inside the slice.
    #[inline(always)]
    unsafe fn at(self, blocks: &[Block], i: usize) -> Self::V {
        debug_assert!(i < blocks.len());
        // SAFETY: the caller says that `i` is inside.
        self.load(unsafe { blocks.get_unchecked(i) })
    }

    /// Writes the lanes to block `i` of the slice.
    ///
    /// # Safety
    /// `i` is inside the slice.
    #[inline(always)]
    unsafe fn put(self, v: Self::V, blocks: &mut [Block], i: usize) {
        debug_assert!(i < blocks.len());
        // SAFETY: the caller says that `i` is inside.
        self.store(v, unsafe { blocks.get_unchecked_mut(i) });
    }

    /// All lanes equal to the float at `i` of the slice.
    ///
    /// # Safety
    /// `i` is inside the slice.
    #[inline(always)]
    unsafe fn splat_at(self, floats: &[f32], i: usize) -> Self::V {
        debug_assert!(i < floats.len());
        // SAFETY: the caller says that `i` is inside.
        self.splat(unsafe { *floats.get_unchecked(i) })
    }
}

/// Work that runs with the lanes of any tier.
pub(crate) trait Kernel {
    /// What the work gives.
    type Output;

    /// Does the work. Must be `#[inline(always)]`, as everything that it calls.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Simd, Tier};

    struct Arithmetic<'a>(&'a Block, &'a Block, &'a Block);

    impl Kernel for Arithmetic<'_> {
        type Output = Vec<Block>;
        #[inline(always)]
        fn run<L: Lanes>(self, l: L) -> Vec<Block> {
            let (a, b, c) = (l.load(self.0), l.load(self.1), l.load(self.2));
            let results = [
                l.add(a, b),
                l.sub(a, b),
                l.mul(a, b),
                l.mul_add(a, b, c),
                l.neg_mul_add(a, b, c),
                l.max(a, b),
                l.keep_positive(a, b),
                l.zero(),
                l.splat(self.0.0[3]),
            ];
            let mut out = vec![Block::ZERO; results.len()];
            for (block, v) in out.iter_mut().zip(results) {
                l.store(v, block);
            }
            out
        }
    }

    #[test]
    fn every_tier_computes_each_lane() {
        let mut blocks = [Block::ZERO; 3];
        for (i, x) in as_floats_mut(&mut blocks).iter_mut().enumerate() {
            *x = ((i * 7) % 23) as f32 - 11.0;
        }
        let [a, b, c] = blocks;
        for tier in Tier::available() {
            let out = Simd::with_tier(tier).unwrap().run(Arithmetic(&a, &b, &c));
            for i in 0..LANES {
                let (x, y, z) = (a.0[i], b.0[i], c.0[i]);
                let expected = [
                    x + y,
                    x - y,
                    x * y,
                    x * y + z,
                    z - x * y,
                    x.max(y),
                    if y > 0.0 { x } else { 0.0 },
                    0.0,
                    a.0[3],
                ];
                for (k, e) in expected.iter().enumerate() {
                    assert_eq!(out[k].0[i], *e, "{tier}, operation {k}, lane {i}");
                }
            }
        }
    }
}
