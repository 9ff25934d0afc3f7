//! Times the layers of both networks, one thread: `cargo run --release -p riptide-kernels --example layers`.
use std::time::{Duration, Instant};

use riptide_kernels::*;

fn best(mut f: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    let mut best = f64::INFINITY;
    while start.elapsed() < Duration::from_millis(400) {
        let one = Instant::now();
        f()?;
        best = best.min(one.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn main() -> Result<()> {
    let images = 8;
    for tier in Tier::available() {
        let simd = Simd::with_tier(tier)?;
        let peak = peak_flops(simd, Duration::from_millis(300));
        println!("{tier}: peak {:.1} GFLOP/s", peak / 1e9);
        for (c, k, size, kernel, stride) in [
            (16, 16, 32, 3, 1),
            (32, 32, 16, 3, 1),
            (64, 64, 8, 3, 1),
            (16, 32, 32, 3, 2),
            (32, 64, 16, 3, 2),
            (16, 32, 32, 1, 2),
            (16, 16, 32, 1, 1),
            (128, 64, 8, 4, 2),
            (256, 128, 16, 4, 2),
        ] {
            let params = ConvParams {
                in_channels: c,
                out_channels: k,
                kernel: [kernel, kernel],
                stride,
                padding: Padding::same([kernel, kernel], stride, size, size),
            };
            let weights: Vec<f32> = (0..params.weights())
                .map(|i| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5)
                .collect();
            let mut input = Blocked::zeros(Shape::new(c, size, size), images);
            let floats: Vec<f32> = (0..images * input.shape().floats())
                .map(|i| ((i * 104729) % 1000) as f32 / 1000.0 - 0.5)
                .collect();
            input.pack_nchw(&floats)?;
            let mut output = Blocked::zeros(params.output(input.shape(), 1)?, images);
            let macs = (images * output.shape().height * output.shape().width * params.weights()) as f64;
            let report = |name: &str, t: f64| {
                println!(
                    "  {name:9} {c}->{k} {size} {kernel}x{kernel} s{stride}: {:7.1} us an image, {:6.1} GFLOP/s effective, {:.2} of peak",
                    t / images as f64 * 1e6,
                    2.0 * macs / t / 1e9,
                    2.0 * macs / t / peak
                );
            };
            let direct = DirectConv::new(params, &weights, None)?;
            report(
                "direct",
                best(|| direct.forward_into(simd, &input, None, Activation::Relu, &mut output))?,
            );
            if WinogradConv::supports(&params) {
                let winograd = WinogradConv::new(params, &weights, None)?;
                let mut scratch = Scratch::default();
                let before = output.to_nchw();
                report(
                    "winograd",
                    best(|| winograd.forward_into(simd, &input, None, Activation::Relu, &mut output, &mut scratch))?,
                );
                let after = output.to_nchw();
                let max = before.iter().fold(0f32, |a, b| a.max(b.abs()));
                let err = before.iter().zip(&after).fold(0f32, |a, (x, y)| a.max((x - y).abs()));
                println!("    difference {:.1e}", err / max);
            }
        }
        let image = |halo| ImageShape {
            channels: 3,
            height: 32,
            width: 32,
            halo,
        };
        let stem = ConvParams {
            in_channels: 3,
            out_channels: 16,
            kernel: [3, 3],
            stride: 1,
            padding: Padding::all(1),
        };
        let c1 = ConvParams {
            in_channels: 3,
            out_channels: 256,
            kernel: [4, 4],
            stride: 2,
            padding: Padding::all(1),
        };
        let c2 = ConvParams {
            in_channels: 256,
            out_channels: 128,
            kernel: [4, 4],
            stride: 2,
            padding: Padding::all(1),
        };
        let w = |n: usize| {
            (0..n)
                .map(|i| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5)
                .collect::<Vec<f32>>()
        };
        let stem = ImageConv::new(stem, image(1), &w(stem.weights()), None)?;
        let start = Instant::now();
        let both = ImageConv::composed(image(3), (c1, &w(c1.weights()), None), (c2, &w(c2.weights()), None))?;
        println!("  composing took {:?}", start.elapsed());
        for (name, conv) in [("stem", stem), ("composed", both)] {
            let input = w(images * conv.input().len());
            let mut output = vec![Block::ZERO; images * conv.output().len()];
            let t = best(|| conv.images(simd, &input, Activation::Relu, &mut output))?;
            let flops = 2.0 * (images * conv.multiply_adds()) as f64 / t;
            println!(
                "  {name}: {:.1} us an image, {:.1} GFLOP/s, {:.2} of peak",
                t / images as f64 * 1e6,
                flops / 1e9,
                flops / peak
            );
        }
    }
    Ok(())
}
