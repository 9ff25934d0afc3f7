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

/// Two layers of an image one after the other, with their gradients for the gradient `g` (N, K, H, W) of the output:
/// (y, dw1, db1, dw2).
fn one_after_the_other(simd: Simd, [first, second]: [&Case; 2], [x, w1, b1, w2, b2, g]: [&[f32]; 6]) -> [Vec<f32>; 4] {
    let a = TrainableConv::new(first.params, first.layout, first.input).unwrap();
    let middle = second.input;
    let b = TrainableConv::new(second.params, second.layout, middle).unwrap();
    let (mut packed, mut scratch) = ([PackedWeights::default(), PackedWeights::default()], Scratch::default());
    a.pack(simd, w1, &mut packed[0]).unwrap();
    b.pack(simd, w2, &mut packed[1]).unwrap();
    let biased = |blocks: Vec<Block>, shape: Shape, bias: &[f32]| {
        let mut y = to_nchw(&blocks, shape);
        for (channel, y) in y.chunks_exact_mut(shape.height * shape.width).enumerate() {
            y.iter_mut().for_each(|y| *y += bias[channel % bias.len()]);
        }
        y
    };
    let arranged = arrange(first, &a, x);
    let x = &as_floats(&arranged)[..IMAGES * a.input_floats()];
    let plain = a.output();
    let mut z = vec![Block::ZERO; IMAGES * plain.len()];
    a.forward(simd, &packed[0], x, IMAGES, &mut z, plain, &mut scratch)
        .unwrap();
    let z = Blocked::from_nchw(&biased(z, plain, b1), IMAGES, middle).unwrap();
    let out = b.output();
    let mut y = vec![Block::ZERO; IMAGES * out.len()];
    b.forward(simd, &packed[1], as_floats(z.data()), IMAGES, &mut y, out, &mut scratch)
        .unwrap();
    let dy = Blocked::from_nchw(g, IMAGES, out).unwrap();
    let unpacked = |conv: &TrainableConv, sums: &[Block]| {
        let mut plain = vec![Block::ZERO; conv.plain_blocks()];
        conv.plain_gradient(simd, sums, &mut plain).unwrap();
        let mut dw = vec![0.0; conv.params().weights()];
        conv.unpack_gradient(&plain, &mut dw).unwrap();
        dw
    };
    let mut sums = vec![Block::ZERO; b.gradient_blocks()];
    b.backward_weights(
        simd,
        as_floats(z.data()),
        dy.data(),
        out,
        IMAGES,
        &mut sums,
        &mut scratch,
    )
    .unwrap();
    let dw2 = unpacked(&b, &sums);
    let mut dz = vec![Block::ZERO; IMAGES * plain.len()];
    b.backward_input(simd, &packed[1], dy.data(), IMAGES, &mut dz, plain, false, &mut scratch)
        .unwrap();
    let mut sums = vec![Block::ZERO; a.gradient_blocks()];
    a.backward_weights(simd, x, &dz, plain, IMAGES, &mut sums, &mut scratch)
        .unwrap();
    let pixels = plain.height * plain.width;
    let db1 = (0..plain.channels).map(|c| {
        let of_channel = to_nchw(&dz, plain);
        let planes = of_channel.chunks_exact(pixels).skip(c).step_by(plain.channels);
        planes.flatten().sum()
    });
    [biased(y, out, b2), unpacked(&a, &sums), db1.collect(), dw2]
}

#[test]
fn two_layers_as_one_give_the_output_and_gradients_of_two_on_every_tier() {
    use Layout::{Blocked as Planes, Interleaved};
    let pairs = [
        // The distilled network's own two layers.
        [
            case("first", [3, 48], 4, 2, [1, 1], [32, 32], Interleaved),
            case("second", [48, 32], 4, 2, [1, 1], [16, 16], Planes),
        ],
        [
            case("odd sides", [3, 20], 4, 2, [1, 2], [7, 13], Interleaved),
            case("odd sides", [20, 10], 3, 2, [1, 1], [4, 7], Planes),
        ],
        [
            case("stride 1, grey", [1, 5], 3, 1, [1, 1], [3, 4], Interleaved),
            case("stride 1, grey", [5, 17], 5, 1, [2, 2], [3, 4], Planes),
        ],
    ];
    for [first, second] in pairs {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let conv = ComposedConv::new(first.params, second.params, first.input).unwrap();
        let output = conv.output();
        let sizes = [
            IMAGES * first.input.floats(),
            first.params.weights(),
            first.params.out_channels,
            second.params.weights(),
            second.params.out_channels,
            IMAGES * output.floats(),
        ];
        let values = sizes.map(|size| random(&mut rng, size));
        let [x, w1, b1, w2, b2, g] = values.each_ref().map(Vec::as_slice);
        let interleaved = TrainableConv::new(first.params, first.layout, first.input).unwrap();
        let arranged = arrange(&first, &interleaved, x);
        let x_floats = &as_floats(&arranged)[..IMAGES * conv.input_floats()];
        let dy = Blocked::from_nchw(g, IMAGES, output).unwrap();
        for tier in Tier::available() {
            let simd = Simd::with_tier(tier).unwrap();
            let expected = one_after_the_other(simd, [&first, &second], [x, w1, b1, w2, b2, g]);
            let mut packed = ComposedWeights::default();
            conv.pack(simd, (w1, b1), (w2, b2), &mut packed).unwrap();
            let y_shape = output.with_halo(1);
            let mut y = vec![Block::ZERO; IMAGES * y_shape.len()];
            conv.forward(simd, &packed, x_floats, IMAGES, &mut y, y_shape).unwrap();
            let mut sums = vec![Block::ZERO; conv.gradient_blocks()];
            conv.backward_weights(simd, x_floats, dy.data(), output, IMAGES, &mut sums)
                .unwrap();
            let (mut dw1, mut db1, mut dw2) = (vec![0.0; w1.len()], vec![0.0; b1.len()], vec![0.0; w2.len()]);
            conv.gradient(simd, &packed, &sums, (&mut dw1, &mut db1), &mut dw2)
                .unwrap();
            let found = [to_nchw(&y, y_shape), dw1, db1, dw2];
            for (what, (found, expected)) in ["y", "dw1", "db1", "dw2"].iter().zip(found.iter().zip(&expected)) {
                let expected: Vec<f64> = expected.iter().map(|x| f64::from(*x)).collect();
                let off = error(found, &expected);
                assert!(off < 1e-5, "{} on {tier}: {what} off by {off:e}", first.name);
            }
        }
    }
    let three = case("three channels", [3, 8], 3, 1, [1, 1], [8, 8], Interleaved);
    let wrong = case("seven channels", [7, 8], 3, 1, [1, 1], [8, 8], Planes);
    assert!(ComposedConv::new(three.params, wrong.params, three.input).is_err());
}
