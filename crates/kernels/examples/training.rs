//! Where a training step of both networks goes, on one thread: `cargo run --release -p riptide-kernels --example training`.
//!
//! Every kernel runs over a whole batch, in parts that stay in the second-level cache, as a step runs it; the best of several runs counts.

use std::time::{Duration, Instant};

use riptide_kernels::lanes::as_floats;
use riptide_kernels::training::{
    Affine, Gate, Layout, Moments, NormGradient, PackedWeights, Planes, Scratch, Shortcut, TrainableConv, add_moments,
    normalise, normalise_backward, relu_backward,
};
use riptide_kernels::{Block, ConvParams, Padding, Result, Shape, Simd};

const BATCH: usize = 128;
/// What is timed.
const KERNELS: [&str; 6] = ["forward", "dX", "dW", "moments", "normalise", "backward"];

/// A convolution with what follows it, and how often the network has it.
struct Layer {
    count: usize,
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    size: usize,
    /// Without batch normalisation there are no moments and no gradient through it; bias and ReLU take the same passes.
    is_normalised: bool,
}

const fn layer(count: usize, channels: [usize; 2], kernel: usize, stride: usize, size: usize) -> Layer {
    Layer {
        count,
        channels,
        kernel,
        stride,
        size,
        is_normalised: true,
    }
}

const RESNET_32: [Layer; 9] = [
    layer(1, [3, 16], 3, 1, 32),
    layer(10, [16, 16], 3, 1, 32),
    layer(1, [16, 16], 1, 1, 32),
    layer(1, [16, 32], 3, 2, 32),
    layer(9, [32, 32], 3, 1, 16),
    layer(1, [16, 32], 1, 2, 32),
    layer(1, [32, 64], 3, 2, 16),
    layer(9, [64, 64], 3, 1, 8),
    layer(1, [32, 64], 1, 2, 16),
];

const DISTILLED: [Layer; 3] = [
    Layer {
        is_normalised: false,
        ..layer(1, [3, 256], 4, 2, 32)
    },
    Layer {
        is_normalised: false,
        ..layer(1, [256, 128], 4, 2, 16)
    },
    Layer {
        is_normalised: false,
        ..layer(1, [128, 64], 4, 2, 8)
    },
];

/// Seconds of the fastest run.
fn best(mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    run()?;
    let start = Instant::now();
    let mut best = f64::INFINITY;
    while start.elapsed() < Duration::from_millis(400) {
        let one = Instant::now();
        run()?;
        best = best.min(one.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn filled(len: usize) -> Vec<Block> {
    let value = |i: usize| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5;
    (0..len)
        .map(|i| Block(std::array::from_fn(|lane| value(i * 16 + lane))))
        .collect()
}

/// Seconds of each kernel over a batch.
fn times(simd: Simd, layer: &Layer) -> Result<[f64; 6]> {
    let [in_channels, out_channels] = layer.channels;
    let padding = Padding::same([layer.kernel; 2], layer.stride, layer.size, layer.size);
    let params = ConvParams {
        in_channels,
        out_channels,
        kernel: [layer.kernel; 2],
        stride: layer.stride,
        padding,
    };
    let is_image = in_channels == 3;
    let layout = if is_image { Layout::Interleaved } else { Layout::Blocked };
    let input = Shape::new(in_channels, layer.size, layer.size);
    let conv = TrainableConv::new(params, layout, input)?;
    let (wide, plain) = (conv.output(), conv.output().with_halo(0));
    let at_once = (512 / (plain.height * plain.width)).clamp(1, 16);
    let (mut packed, mut scratch) = (PackedWeights::default(), Scratch::default());
    let weights: Vec<f32> = (0..params.weights()).map(|i| (i % 13) as f32 / 13.0 - 0.5).collect();
    conv.pack(simd, &weights, &mut packed)?;
    let x = filled((BATCH * conv.input_floats()).div_ceil(16));
    let x = &as_floats(&x)[..BATCH * conv.input_floats()];
    let dy = filled(BATCH * wide.len());
    let mut y = filled(BATCH * plain.len());
    let mut dx = vec![Block::ZERO; BATCH * input.len()];
    let mut sums = vec![Block::ZERO; conv.gradient_blocks()];
    let mut moments = Moments::zeros(&plain);
    let affine = Affine::from_fn(out_channels, |_| (0.5, 0.1));
    let ones = vec![1.0; out_channels];
    let through = NormGradient::new(&ones, &ones, &ones, &moments, 1);
    let mean = vec![Block::ZERO; plain.blocks()];
    let (image, len) = (conv.input_floats(), plain.len());
    let part = |first: usize| (first, at_once.min(BATCH - first));
    let parts = || (0..BATCH).step_by(at_once).map(part);

    let forward = best(|| {
        parts().try_for_each(|(first, n)| {
            let (x, y) = (
                &x[first * image..(first + n) * image],
                &mut y[first * len..(first + n) * len],
            );
            conv.forward(simd, &packed, x, n, y, plain, &mut scratch)
        })
    })?;
    let of_input = if is_image {
        0.0
    } else {
        best(|| {
            parts().try_for_each(|(first, n)| {
                let dy = &dy[first * wide.len()..(first + n) * wide.len()];
                let dx = &mut dx[first * input.len()..(first + n) * input.len()];
                conv.backward_input(simd, &packed, dy, n, dx, input, false, &mut scratch)
            })
        })?
    };
    let of_weights = best(|| {
        parts().try_for_each(|(first, n)| {
            let x = &x[first * image..(first + n) * image];
            let dy = &dy[first * wide.len()..(first + n) * wide.len()];
            conv.backward_weights(simd, x, dy, wide, n, &mut sums, &mut scratch)
        })
    })?;
    let mut of_moments = 0.0;
    if layer.is_normalised {
        of_moments = best(|| {
            parts().try_for_each(|(first, n)| {
                add_moments(
                    simd,
                    Planes::new(&y[first * len..(first + n) * len], plain),
                    n,
                    &mut moments,
                )
            })
        })?;
    }
    let mut out = vec![Block::ZERO; BATCH * wide.len()];
    let normalised = best(|| {
        parts().try_for_each(|(first, n)| {
            let y = Planes::new(&y[first * len..(first + n) * len], plain);
            let out = &mut out[first * wide.len()..(first + n) * wide.len()];
            normalise(simd, y, &affine, Shortcut::None, true, n, out, wide)
        })
    })?;
    let mut g = filled(BATCH * len);
    let backward = best(|| {
        parts().try_for_each(|(first, n)| {
            let y = Planes::new(&y[first * len..(first + n) * len], plain);
            let g = &mut g[first * len..(first + n) * len];
            let values = (y, mean.as_slice(), &mut moments);
            relu_backward(simd, g, plain, None, Gate::Affine(&affine), n, &mut [values])?;
            if !layer.is_normalised {
                return Ok(());
            }
            let out = &mut out[first * wide.len()..(first + n) * wide.len()];
            normalise_backward(simd, Planes::new(g, plain), y, &through, n, out, wide)
        })
    })?;
    Ok([forward, of_input, of_weights, of_moments, normalised, backward])
}

fn main() -> Result<()> {
    let simd = Simd::current()?;
    for (name, layers) in [("ResNet-32", &RESNET_32[..]), ("distilled CNN", &DISTILLED[..])] {
        println!("{name} on {}, batch {BATCH}, one thread: milliseconds", simd.tier());
        let columns: String = KERNELS.iter().map(|kernel| format!(" {kernel:>9}")).collect();
        println!("{:32}{columns}", "");
        let mut totals = [0.0; 6];
        for layer in layers {
            let times = times(simd, layer)?;
            let [i, o] = layer.channels;
            let name = format!(
                "{:2} x {i}->{o} {}x{} s{} on {}",
                layer.count, layer.kernel, layer.kernel, layer.stride, layer.size
            );
            let mut cells = String::new();
            for (total, time) in totals.iter_mut().zip(times) {
                *total += time * layer.count as f64;
                cells += &format!(" {:9.2}", 1e3 * time * layer.count as f64);
            }
            println!("{name:32}{cells}");
        }
        let all: f64 = totals.iter().sum();
        let cells: String = totals
            .iter()
            .map(|total| format!(" {:8.0} %", 100.0 * total / all))
            .collect();
        println!("{:32}{cells}", format!("share of {:.1}", 1e3 * all));
    }
    Ok(())
}
