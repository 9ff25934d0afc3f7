//! A trainable convolution, its output and both its gradients, against sums in f64, on every tier.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use riptide_kernels::lanes::as_floats;
use riptide_kernels::training::{Layout, PackedWeights, Scratch, TrainableConv};
use riptide_kernels::{Block, Blocked, ConvParams, Padding, Shape, Simd, Tier};

const N: usize = 5;

/// Numbers between -1 and 1 that look random.
fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// Output, gradient of the images and gradient of the weights, for the gradient `g` of the output; all row-major (n, channels, y, x).
fn by_hand(params: &ConvParams, input: Shape, output: Shape, [x, w, g]: [&[f32]; 3]) -> [Vec<f64>; 3] {
    let [rows, columns] = params.kernel;
    let mut y = vec![0.0; N * output.floats()];
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
    for (at, y) in y.iter_mut().enumerate() {
        let (column, rest) = (at % output.width, at / output.width);
        let (row, rest) = (rest % output.height, rest / output.height);
        let (o, n) = (rest % output.channels, rest / output.channels);
        for c in 0..input.channels {
            for (r, q) in (0..rows).flat_map(|r| (0..columns).map(move |q| (r, q))) {
                let from = (row * params.stride + r).checked_sub(params.padding.top);
                let right = (column * params.stride + q).checked_sub(params.padding.left);
                let (Some(from), Some(right)) = (from, right) else {
                    continue;
                };
                if from >= input.height || right >= input.width {
                    continue;
                }
                let pixel = ((n * input.channels + c) * input.height + from) * input.width + right;
                let tap = ((o * input.channels + c) * rows + r) * columns + q;
                *y += f64::from(w[tap]) * f64::from(x[pixel]);
                dx[pixel] += f64::from(w[tap]) * f64::from(g[at]);
                dw[tap] += f64::from(x[pixel]) * f64::from(g[at]);
            }
        }
    }
    [y, dx, dw]
}

fn by_kernels(simd: Simd, conv: &TrainableConv, [x, w, g]: [&[f32]; 3]) -> [Vec<f32>; 3] {
    let (input, output) = (conv.input(), conv.output());
    let (mut packed, mut scratch) = (PackedWeights::default(), Scratch::default());
    conv.pack(simd, w, &mut packed).unwrap();
    let x = Blocked::from_nchw(x, N, input).unwrap();
    let x = as_floats(x.data());
    let plain = output.with_halo(0);
    let mut y = Blocked::zeros(plain, N);
    conv.forward(simd, &packed, x, N, y.data_mut(), plain, &mut scratch)
        .unwrap();
    let g = Blocked::from_nchw(g, N, output).unwrap();
    let mut dx = Blocked::zeros(input.with_halo(0), N);
    let to = dx.shape();
    conv.backward_input(simd, &packed, g.data(), N, dx.data_mut(), to, false, &mut scratch)
        .unwrap();
    let mut sums = vec![Block::ZERO; conv.gradient_blocks()];
    conv.backward_weights(simd, x, g.data(), output, N, &mut sums, &mut scratch)
        .unwrap();
    let mut blocks = vec![Block::ZERO; conv.plain_blocks()];
    conv.plain_gradient(simd, &sums, &mut blocks).unwrap();
    let mut dw = vec![0.0; w.len()];
    conv.unpack_gradient(&blocks, &mut dw).unwrap();
    [y.to_nchw(), dx.to_nchw(), dw]
}

#[test]
fn a_trainable_convolution_is_that_of_sums_in_f64() {
    let sides = |top, bottom, left, right| Padding {
        top,
        bottom,
        left,
        right,
    };
    // (channels in, channels out, kernel, stride, padding, height, width)
    let cases = [
        (3, 20, [3, 3], 1, sides(1, 1, 1, 1), 8, 12),
        (16, 5, [3, 3], 2, sides(0, 1, 0, 1), 8, 8),
        (20, 16, [4, 4], 2, sides(1, 1, 1, 1), 8, 12),
        (18, 4, [1, 1], 1, sides(0, 0, 0, 0), 5, 7),
        (4, 17, [2, 3], 1, sides(0, 1, 1, 1), 6, 5),
    ];
    for (in_channels, out_channels, kernel, stride, padding, height, width) in cases {
        let params = ConvParams {
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
        };
        let input = Shape::new(in_channels, height, width).with_halo(padding.halo());
        let conv = TrainableConv::new(params, Layout::Blocked, input).unwrap();
        let x = numbers(1, N * input.floats());
        let w = numbers(2, in_channels * out_channels * kernel[0] * kernel[1]);
        let g = numbers(3, N * conv.output().floats());
        let expected = by_hand(&params, input, conv.output(), [&x, &w, &g]);
        for tier in Tier::available() {
            let found = by_kernels(Simd::with_tier(tier).unwrap(), &conv, [&x, &w, &g]);
            for ((found, expected), what) in found.iter().zip(&expected).zip(["y", "dX", "dW"]) {
                assert_eq!(found.len(), expected.len());
                let size = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
                for (found, expected) in found.iter().zip(expected) {
                    assert!(
                        (f64::from(*found) - expected).abs() < 2e-5 * size,
                        "{tier}, {params:?}: {what} {found}, {expected}"
                    );
                }
            }
        }
    }
}
