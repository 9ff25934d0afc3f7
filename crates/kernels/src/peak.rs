//! How many multiply-adds a second the machine can do, to judge kernels by.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::lanes::{Kernel, Lanes};
use crate::simd::Simd;

/// Multiply-adds of each accumulator in a measured loop.
const ROUNDS: usize = 20_000;

/// Measures the multiply-add peak of one thread with the tier's instructions, in floating-point operations a second (a multiply-add is two).
///
/// The best of many short loops of independent multiply-adds in registers, over about `duration`.
///
/// ```
/// use std::time::Duration;
/// let peak = riptide_kernels::peak_flops(riptide_kernels::Simd::current()?, Duration::from_millis(5));
/// assert!(peak > 0.0);
/// # Ok::<(), riptide_kernels::KernelError>(())
/// ```
pub fn peak_flops(simd: Simd, duration: Duration) -> f64 {
    let start = Instant::now();
    let mut best = 0f64;
    loop {
        let one = Instant::now();
        let operations = simd.run(Loop {
            factor: black_box(0.999),
            term: black_box(0.001),
        });
        // The best counts: whatever else ran on the core can only slow a loop down.
        best = best.max(operations as f64 / one.elapsed().as_secs_f64());
        if start.elapsed() >= duration {
            return best;
        }
    }
}

struct Loop {
    factor: f32,
    term: f32,
}

impl Kernel for Loop {
    type Output = usize;

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> usize {
        // Enough independent chains to hide the latency of a multiply-add, and no more than stay in registers beside both factors.
        if L::REGISTERS >= 32 {
            chains::<L, 16>(l, self)
        } else {
            chains::<L, 6>(l, self)
        }
    }
}

#[inline(always)]
fn chains<L: Lanes, const N: usize>(l: L, work: Loop) -> usize {
    let (factor, term) = (l.splat(work.factor), l.splat(work.term));
    let mut acc = [term; N];
    for _ in 0..ROUNDS {
        for sum in &mut acc {
            *sum = l.mul_add(*sum, factor, term);
        }
    }
    let mut sum = l.zero();
    for part in acc {
        sum = l.add(sum, part);
    }
    let mut out = crate::lanes::Block::ZERO;
    l.store(sum, &mut out);
    black_box(out);
    ROUNDS * N * crate::lanes::LANES * 2
}
