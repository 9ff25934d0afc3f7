//! Gradients against naive sums in f64 and against the laws that they obey, on every tier.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::conv::{ConvParams, Padding};
use crate::lanes::{Block, as_floats};
use crate::{Blocked, Shape, Simd, Tier};

const IMAGES: usize = 3;

struct Case {
    name: &'static str,
    params: ConvParams,
    layout: Layout,
    input: Shape,
}

fn case(
    name: &'static str,
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: [usize; 2],
    size: [usize; 2],
    layout: Layout,
) -> Case {
    let padding = Padding {
        top: padding[0],
        bottom: padding[1],
        left: padding[0],
        right: padding[1],
    };
    let params = ConvParams {
        in_channels: channels[0],
        out_channels: channels[1],
        kernel: [kernel; 2],
        stride,
        padding,
    };
    let input = Shape::new(channels[0], size[0], size[1]).with_halo(padding.halo().max(1));
    Case {
        name,
        params,
        layout,
        input,
    }
}

fn cases() -> Vec<Case> {
    use Layout::{Blocked, Interleaved};
    vec![
        case("3x3 of 16", [16, 16], 3, 1, [1, 1], [8, 12], Blocked),
        case("3x3 of 32", [32, 32], 3, 1, [1, 1], [16, 16], Blocked),
        case("3x3 of 64", [64, 64], 3, 1, [1, 1], [8, 8], Blocked),
        case("3x3, odd channels", [5, 19], 3, 1, [1, 1], [4, 8], Blocked),
        case(
            "3x3, sides that are no multiples of 4",
            [16, 48],
            3,
            1,
            [1, 1],
            [5, 7],
            Blocked,
        ),
        case("3x3 with stride 2", [16, 32], 3, 2, [0, 1], [32, 32], Blocked),
        case("3x3 with stride 2, wider", [32, 64], 3, 2, [0, 1], [16, 16], Blocked),
        case(
            "3x3 with stride 2 and symmetric padding",
            [16, 16],
            3,
            2,
            [1, 1],
            [9, 8],
            Blocked,
        ),
        case("1x1", [16, 16], 1, 1, [0, 0], [8, 8], Blocked),
        case("1x1 with stride 2", [32, 64], 1, 2, [0, 0], [16, 16], Blocked),
        case("4x4 with stride 2", [128, 64], 4, 2, [1, 1], [8, 8], Blocked),
        case("5x5 with stride 2", [20, 10], 5, 2, [1, 2], [8, 8], Blocked),
        case("2x2 with stride 3", [16, 16], 2, 3, [0, 0], [8, 8], Blocked),
        case("3x3 of RGB", [3, 16], 3, 1, [1, 1], [32, 32], Interleaved),
        case(
            "4x4 of RGB with stride 2",
            [3, 128],
            4,
            2,
            [1, 1],
            [16, 16],
            Interleaved,
        ),
    ]
}

fn random(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// (N, C, H, W) in the layout of the case.
fn arrange(case: &Case, conv: &TrainableConv, x: &[f32]) -> Vec<Block> {
    if case.layout == Layout::Blocked {
        return Blocked::from_nchw(x, IMAGES, case.input).unwrap().data().to_vec();
    }
    let Shape {
        channels,
        height,
        width,
        halo,
    } = case.input;
    let mut out = vec![Block::ZERO; (IMAGES * conv.input_floats()).div_ceil(16)];
    let floats = crate::lanes::as_floats_mut(&mut out);
    for (i, v) in x.iter().enumerate() {
        let (n, c) = (i / (channels * height * width), i / (height * width) % channels);
        let (row, column) = (i / width % height, i % width);
        floats[n * conv.input_floats() + ((row + halo) * case.input.row() + column + halo) * channels + c] = *v;
    }
    out
}

/// Calls `f` with the indices (output, input, weight) of every product of a convolution over (N, C, H, W).
fn for_each_product(case: &Case, output: Shape, mut f: impl FnMut(usize, usize, usize)) {
    let (p, input) = (&case.params, &case.input);
    for n in 0..IMAGES {
        for o in 0..p.out_channels {
            for y in 0..output.height {
                for x in 0..output.width {
                    for i in 0..p.in_channels {
                        for ky in 0..p.kernel[0] {
                            for kx in 0..p.kernel[1] {
                                let row = (y * p.stride + ky).wrapping_sub(p.padding.top);
                                let column = (x * p.stride + kx).wrapping_sub(p.padding.left);
                                if row < input.height && column < input.width {
                                    f(
                                        ((n * p.out_channels + o) * output.height + y) * output.width + x,
                                        ((n * p.in_channels + i) * input.height + row) * input.width + column,
                                        ((o * p.in_channels + i) * p.kernel[0] + ky) * p.kernel[1] + kx,
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// max |a - b| / max |b|
fn error(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    a.iter()
        .zip(b)
        .fold(0.0f64, |m, (a, b)| m.max((f64::from(*a) - b).abs()))
        / scale
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Blocked images as (N, C, H, W).
fn to_nchw(data: &[Block], shape: Shape) -> Vec<f32> {
    let mut blocked = Blocked::zeros(shape, IMAGES);
    blocked.data_mut().copy_from_slice(data);
    blocked.to_nchw()
}

#[test]
fn convolutions_and_their_gradients_match_naive_sums_and_are_adjoint_on_every_tier() {
    for case in cases() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let conv = TrainableConv::new(case.params, case.layout, case.input).unwrap();
        let output = conv.output();
        let x = random(&mut rng, IMAGES * case.input.floats());
        let w = random(&mut rng, case.params.weights());
        let g = random(&mut rng, IMAGES * output.floats());
        let (mut y_ref, mut dx_ref, mut dw_ref) = (vec![0.0; g.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
        for_each_product(&case, output, |o, i, k| {
            let (xi, wk, go) = (f64::from(x[i]), f64::from(w[k]), f64::from(g[o]));
            y_ref[o] += xi * wk;
            dx_ref[i] += wk * go;
            dw_ref[k] += xi * go;
        });
        let x_packed = arrange(&case, &conv, &x);
        let x_floats = &as_floats(&x_packed)[..IMAGES * conv.input_floats()];
        let dy = Blocked::from_nchw(&g, IMAGES, output).unwrap();
        for tier in Tier::available() {
            let simd = Simd::with_tier(tier).unwrap();
            let (mut packed, mut scratch) = (PackedWeights::default(), Scratch::default());
            conv.pack(simd, &w, &mut packed).unwrap();

            let y_shape = output.with_halo(0);
            let mut y = vec![Block::ZERO; IMAGES * y_shape.len()];
            conv.forward(simd, &packed, x_floats, IMAGES, &mut y, y_shape, &mut scratch)
                .unwrap();
            let y = to_nchw(&y, y_shape);
            let tolerance = if conv.is_winograd() { 2e-5 } else { 5e-6 };
            assert!(
                error(&y, &y_ref) < tolerance,
                "{} on {tier}: y off by {:e}",
                case.name,
                error(&y, &y_ref)
            );

            let mut sums = vec![Block::ZERO; conv.gradient_blocks()];
            conv.backward_weights(simd, x_floats, dy.data(), output, IMAGES, &mut sums, &mut scratch)
                .unwrap();
            let mut dw = vec![0.0; w.len()];
            let mut plain = vec![Block::ZERO; conv.plain_blocks()];
            conv.plain_gradient(simd, &sums, &mut plain).unwrap();
            conv.unpack_gradient(&plain, &mut dw).unwrap();
            assert!(
                error(&dw, &dw_ref) < 1e-5,
                "{} on {tier}: dW off by {:e}",
                case.name,
                error(&dw, &dw_ref)
            );
            let (left, right) = (dot(&y, &g), dot(&w, &dw));
            let scale = (dot(&y, &y) * dot(&g, &g)).sqrt();
            assert!(
                (left - right).abs() < 1e-5 * scale,
                "{} on {tier}: <y, g> {left}, <w, dW> {right}",
                case.name
            );

            if case.layout == Layout::Interleaved {
                continue;
            }
            let dx_shape = case.input.with_halo(2);
            let mut dx = vec![Block::ZERO; IMAGES * dx_shape.len()];
            conv.backward_input(simd, &packed, dy.data(), IMAGES, &mut dx, dx_shape, false, &mut scratch)
                .unwrap();
            let once = to_nchw(&dx, dx_shape);
            assert!(
                error(&once, &dx_ref) < tolerance,
                "{} on {tier}: dX off by {:e}",
                case.name,
                error(&once, &dx_ref)
            );
            let right = dot(&x, &once);
            assert!(
                (left - right).abs() < 1e-5 * scale,
                "{} on {tier}: <y, g> {left}, <x, dX> {right}",
                case.name
            );
            conv.backward_input(simd, &packed, dy.data(), IMAGES, &mut dx, dx_shape, true, &mut scratch)
                .unwrap();
            let twice: Vec<f64> = dx_ref.iter().map(|x| 2.0 * x).collect();
            assert!(
                error(&to_nchw(&dx, dx_shape), &twice) < tolerance,
                "{} on {tier}: dX summed",
                case.name
            );
        }
    }
}

#[test]
fn one_image_and_many_give_the_same_output() {
    let case = case("3x3", [32, 32], 3, 1, [1, 1], [8, 8], Layout::Blocked);
    let conv = TrainableConv::new(case.params, case.layout, case.input).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let x = Blocked::from_nchw(&random(&mut rng, IMAGES * case.input.floats()), IMAGES, case.input).unwrap();
    let simd = Simd::best();
    let (mut packed, mut scratch) = (PackedWeights::default(), Scratch::default());
    conv.pack(simd, &random(&mut rng, case.params.weights()), &mut packed)
        .unwrap();
    let shape = conv.output();
    let mut all = vec![Block::ZERO; IMAGES * shape.len()];
    conv.forward(
        simd,
        &packed,
        as_floats(x.data()),
        IMAGES,
        &mut all,
        shape,
        &mut scratch,
    )
    .unwrap();
    for (n, expected) in all.chunks_exact(shape.len()).enumerate() {
        let mut one = vec![Block::ZERO; shape.len()];
        conv.forward(simd, &packed, as_floats(x.image(n)), 1, &mut one, shape, &mut scratch)
            .unwrap();
        assert_eq!(one, expected);
    }
}

#[test]
fn wrong_lengths_and_shapes_are_errors() {
    let case = case("3x3", [16, 16], 3, 1, [1, 1], [8, 8], Layout::Blocked);
    let conv = TrainableConv::new(case.params, case.layout, case.input).unwrap();
    let simd = Simd::best();
    let (mut packed, mut scratch) = (PackedWeights::default(), Scratch::default());
    assert!(conv.pack(simd, &[0.0; 5], &mut packed).is_err());
    conv.pack(simd, &vec![0.0; case.params.weights()], &mut packed).unwrap();
    let x = vec![0.0; conv.input_floats()];
    let mut y = vec![Block::ZERO; conv.output().len()];
    assert!(
        conv.forward(simd, &packed, &x, 2, &mut y, conv.output(), &mut scratch)
            .is_err()
    );
    assert!(
        conv.forward(simd, &packed, &x, 1, &mut y, conv.output().with_halo(4), &mut scratch)
            .is_err()
    );
    let narrow = Shape { halo: 0, ..case.input };
    assert!(TrainableConv::new(case.params, case.layout, narrow).is_err());
    assert!(
        TrainableConv::new(
            ConvParams {
                stride: 0,
                ..case.params
            },
            case.layout,
            case.input
        )
        .is_err()
    );
}
