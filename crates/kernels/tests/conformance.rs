//! Every kernel against sums in f64, on every tier that the machine has.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riptide_kernels::{
    Activation, Block, Blocked, ConvParams, Dense, DirectConv, Epilogue, ImageConv, ImageShape, Padding, Scratch,
    Shape, Simd, Tier, WinogradConv, flatten_nhwc, global_mean_pool, softmax,
};

/// Largest error of direct sums, relative to the largest value.
const DIRECT: f64 = 5e-6;
/// Largest error through Winograd's transforms, relative to the largest value.
const WINOGRAD: f64 = 2e-5;

/// A layer, its images and what is fused into it.
#[derive(Debug, Clone)]
struct Layer {
    params: ConvParams,
    images: usize,
    size: [usize; 2],
    residual: bool,
    relu: bool,
    seed: u64,
}

impl Layer {
    fn floats(&self, stream: u64, count: usize) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    fn weights(&self) -> Vec<f32> {
        self.floats(0, self.params.weights())
    }

    fn bias(&self) -> Vec<f32> {
        self.floats(1, self.params.out_channels)
    }

    fn input(&self) -> Vec<f32> {
        self.floats(2, self.images * self.params.in_channels * self.size[0] * self.size[1])
    }

    fn shape(&self, halo: usize) -> Shape {
        Shape::new(self.params.in_channels, self.size[0], self.size[1]).with_halo(halo)
    }

    fn output(&self, halo: usize) -> Shape {
        let shape = self.shape(self.params.padding.halo());
        self.params.output(shape, halo).unwrap()
    }

    fn residual(&self) -> Option<Vec<f32>> {
        self.residual
            .then(|| self.floats(3, self.images * self.output(0).floats()))
    }

    fn activation(&self) -> Activation {
        if self.relu {
            Activation::Relu
        } else {
            Activation::Linear
        }
    }

    fn epilogue(&self) -> Epilogue {
        Epilogue {
            accumulate: self.residual,
            activation: self.activation(),
        }
    }

    /// The layer in f64, (N, out, H, W).
    fn expected(&self) -> Vec<f64> {
        let mut out = convolve(
            &self.params,
            self.size,
            &as_f64(&self.input()),
            &self.weights(),
            &self.bias(),
        );
        for (value, residual) in out.iter_mut().zip(self.residual().unwrap_or_default()) {
            *value += f64::from(residual);
        }
        if self.relu {
            out.iter_mut().for_each(|value| *value = value.max(0.0));
        }
        out
    }
}

fn as_f64(floats: &[f32]) -> Vec<f64> {
    floats.iter().map(|&x| f64::from(x)).collect()
}

/// A convolution of (N, in, H, W) by its definition.
fn convolve(params: &ConvParams, [height, width]: [usize; 2], x: &[f64], weights: &[f32], bias: &[f32]) -> Vec<f64> {
    let ConvParams {
        in_channels,
        out_channels,
        kernel: [rows, columns],
        stride,
        padding,
    } = *params;
    let out_height = (height + padding.top + padding.bottom - rows) / stride + 1;
    let out_width = (width + padding.left + padding.right - columns) / stride + 1;
    let plane = height * width;
    let mut out = Vec::new();
    for image in x.chunks_exact(in_channels * plane) {
        for o in 0..out_channels {
            for (oy, ox) in (0..out_height).flat_map(|y| (0..out_width).map(move |x| (y, x))) {
                let mut sum = f64::from(bias[o]);
                for (i, ky, kx) in
                    (0..in_channels).flat_map(|i| (0..rows).flat_map(move |ky| (0..columns).map(move |kx| (i, ky, kx))))
                {
                    let y = (oy * stride + ky).wrapping_sub(padding.top);
                    let x = (ox * stride + kx).wrapping_sub(padding.left);
                    if y < height && x < width {
                        let w = weights[((o * in_channels + i) * rows + ky) * columns + kx];
                        sum += f64::from(w) * image[i * plane + y * width + x];
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

/// The root of the sum of squares: the size that a sum of these terms has when their signs are random.
fn norm(terms: impl Iterator<Item = f64>) -> f64 {
    terms.map(|term| term * term).sum::<f64>().sqrt()
}

/// Like [`assert_close`], where the few sums may happen to be much smaller than `size`, that of their terms together.
fn assert_close_to(found: &[f32], expected: &[f64], size: f64, tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(size, |max, &x| max.max(x.abs()));
    for (found, expected) in found.iter().zip(expected) {
        let error = (f64::from(*found) - expected).abs();
        assert!(error <= tolerance * largest, "{what}: {error:e} of {largest:e}");
    }
}

fn assert_close(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f64, |max, x| max.max(x.abs()));
    let error = found
        .iter()
        .zip(expected)
        .fold(0f64, |max, (a, b)| max.max((f64::from(*a) - b).abs()));
    assert!(
        error <= tolerance * largest.max(1e-3),
        "{what}: {error:e} of {largest:e}"
    );
}

fn simds() -> Vec<(Tier, Simd)> {
    let tiers = Tier::available();
    assert!(tiers.contains(&Tier::Generic));
    tiers
        .into_iter()
        .map(|tier| (tier, Simd::with_tier(tier).unwrap()))
        .collect()
}

fn side() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..=14, Just(16), Just(17)]
}

fn channels() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..=20, Just(32), Just(33), Just(48)]
}

/// Layers with this kernel and stride; sizes in which no window fits are passed over.
fn layers(kernel: impl Strategy<Value = ([usize; 2], usize)>) -> impl Strategy<Value = Layer> {
    let padding = [0usize..=2, 0..=2, 0..=2, 0..=2].prop_map(|[top, bottom, left, right]| Padding {
        top,
        bottom,
        left,
        right,
    });
    let sizes = (channels(), channels(), kernel, padding, [side(), side()]);
    let rest = (1usize..=3, any::<bool>(), any::<bool>(), any::<u64>());
    (sizes, rest)
        .prop_map(
            |((in_channels, out_channels, (kernel, stride), padding, size), (images, residual, relu, seed))| Layer {
                params: ConvParams {
                    in_channels,
                    out_channels,
                    kernel,
                    stride,
                    padding,
                },
                images,
                size,
                residual,
                relu,
                seed,
            },
        )
        .prop_filter("a window fits", |layer| {
            let Layer { params, size, .. } = layer;
            let padding = params.padding;
            size[0] + padding.top + padding.bottom >= params.kernel[0]
                && size[1] + padding.left + padding.right >= params.kernel[1]
        })
}

/// The input, and the output as it is before: the residual, or zeros.
fn blocked(layer: &Layer, halo: usize) -> (Blocked, Blocked) {
    let input = layer.shape(layer.params.padding.halo() + halo);
    let input = Blocked::from_nchw(&layer.input(), layer.images, input).unwrap();
    let shape = layer.output(halo);
    let output = match layer.residual() {
        Some(floats) => Blocked::from_nchw(&floats, layer.images, shape).unwrap(),
        None => Blocked::zeros(shape, layer.images),
    };
    (input, output)
}

/// 48 cases of each test, or as many as `PROPTEST_CASES` says: few, where every instruction is checked by another program.
fn config() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(48),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn direct_convolutions(
        layer in layers((1usize..=5, 1usize..=5, 1usize..=3).prop_map(|(rows, columns, stride)| ([rows, columns], stride))),
        halo in 0usize..=2,
    ) {
        let expected = layer.expected();
        let conv = DirectConv::new(layer.params, &layer.weights(), Some(&layer.bias())).unwrap();
        for (tier, simd) in simds() {
            let (input, mut output) = blocked(&layer, halo);
            conv.forward_into(simd, &input, layer.epilogue(), &mut output).unwrap();
            assert_close(&output.to_nchw(), &expected, DIRECT, tier.name());
            // The halo and the channels beyond the last stay zero, as the next layer needs.
            let again = Blocked::from_nchw(&output.to_nchw(), layer.images, output.shape()).unwrap();
            prop_assert_eq!(again.data(), output.data());
        }
    }

    #[test]
    fn winograd_convolutions(
        layer in layers(prop_oneof![Just(([3, 3], 1)), Just(([4, 4], 2))]),
        halo in 0usize..=2,
    ) {
        let expected = layer.expected();
        let conv = WinogradConv::new(layer.params, &layer.weights(), Some(&layer.bias())).unwrap();
        let mut scratch = Scratch::default();
        for (tier, simd) in simds() {
            let (input, mut output) = blocked(&layer, halo);
            conv.forward_into(simd, &input, layer.epilogue(), &mut output, &mut scratch).unwrap();
            assert_close(&output.to_nchw(), &expected, WINOGRAD, tier.name());
            let again = Blocked::from_nchw(&output.to_nchw(), layer.images, output.shape()).unwrap();
            prop_assert_eq!(again.data(), output.data());
        }
    }

    #[test]
    fn convolutions_of_interleaved_images(
        layer in layers((1usize..=4, 1usize..=4, 1usize..=2).prop_map(|(rows, columns, stride)| ([rows, columns], stride))),
        halo in 0usize..=1,
    ) {
        let layer = Layer { residual: false, ..layer };
        let expected = layer.expected();
        let shape = image_shape(&layer, layer.params.padding.halo() + halo);
        let conv = ImageConv::new(layer.params, shape, &layer.weights(), Some(&layer.bias())).unwrap();
        let input = interleave(&layer, shape);
        for (tier, simd) in simds() {
            let mut output = Blocked::zeros(conv.output(), layer.images);
            conv.images(simd, &input, layer.activation(), output.data_mut()).unwrap();
            assert_close(&output.to_nchw(), &expected, DIRECT, tier.name());
        }
    }

    #[test]
    fn two_convolutions_composed_into_one(
        first in layers((1usize..=4, 1usize..=2).prop_map(|(kernel, stride)| ([kernel; 2], stride))),
        out_channels in 1usize..=18,
        kernel in 1usize..=4,
        stride in 1usize..=2,
    ) {
        let in_channels = first.params.in_channels.min(4);
        let first = Layer {
            params: ConvParams { in_channels, ..first.params },
            residual: false,
            relu: false,
            ..first
        };
        let inner = first.output(0);
        let second = ConvParams {
            in_channels: inner.channels,
            out_channels,
            kernel: [kernel; 2],
            stride,
            padding: Padding::same([kernel; 2], stride, inner.height, inner.width),
        };
        let other = Layer { params: second, size: [inner.height, inner.width], seed: first.seed ^ 1, ..first.clone() };
        let (weights, bias) = (other.weights(), other.bias());
        let expected = convolve(&second, other.size, &first.expected(), &weights, &bias);
        let halo = first.params.padding.halo() + first.params.stride * second.padding.halo();
        let shape = image_shape(&first, halo);
        let conv = ImageConv::composed(
            shape,
            (first.params, &first.weights(), Some(&first.bias())),
            (second, &weights, Some(&bias)),
        ).unwrap();
        let input = interleave(&first, shape);
        for (tier, simd) in simds() {
            let mut output = Blocked::zeros(conv.output(), first.images);
            conv.images(simd, &input, Activation::Linear, output.data_mut()).unwrap();
            assert_close(&output.to_nchw(), &expected, WINOGRAD, tier.name());
        }
    }

    #[test]
    fn pool_flatten_and_dense(
        c in channels(), height in side(), width in side(), outputs in 1usize..=40, seed in any::<u64>(),
    ) {
        let params = ConvParams {
            in_channels: c, out_channels: outputs, kernel: [height, width], stride: 1, padding: Padding::default(),
        };
        let layer = Layer { params, images: 1, size: [height, width], residual: false, relu: false, seed };
        let (floats, bias) = (layer.input(), layer.bias());
        let image = Blocked::from_nchw(&floats, 1, layer.shape(1)).unwrap();
        let plane = height * width;
        // A dense layer's weights are (out, H * W * C).
        let inputs = plane * c;
        let weights = layer.weights();
        let dense = Dense::new(inputs, outputs, &weights, Some(&bias)).unwrap();
        let at = |j: usize| floats[j % c * plane + j / c];
        let expected_dense: Vec<f64> = (0..outputs)
            .map(|o| {
                let terms = (0..inputs).map(|j| f64::from(weights[o * inputs + j]) * f64::from(at(j)));
                terms.sum::<f64>() + f64::from(bias[o])
            })
            .collect();
        let expected_means: Vec<f64> = floats
            .chunks_exact(plane)
            .map(|values| values.iter().map(|&x| f64::from(x)).sum::<f64>() / plane as f64)
            .collect();
        for (tier, simd) in simds() {
            let mut means = vec![0.0; c];
            global_mean_pool(simd, image.shape(), image.image(0), &mut means).unwrap();
            let noise = norm(floats.iter().map(|&x| f64::from(x))) / (plane as f64 * (c as f64).sqrt());
            assert_close_to(&means, &expected_means, noise, DIRECT, tier.name());
            let mut flat = vec![0.0; inputs];
            flatten_nhwc(image.shape(), image.image(0), &mut flat).unwrap();
            prop_assert!((0..inputs).all(|j| flat[j] == at(j)));
            let mut found = vec![0.0; outputs];
            dense.forward(simd, &flat, &mut found).unwrap();
            let noise = norm((0..inputs).map(|j| f64::from(weights[j]) * f64::from(at(j))));
            assert_close_to(&found, &expected_dense, noise, DIRECT, tier.name());
        }
    }

    #[test]
    fn softmax_in_f64(logits in prop::collection::vec(-90f32..90.0, 1..40)) {
        let largest = logits.iter().fold(f64::NEG_INFINITY, |max, &x| max.max(f64::from(x)));
        let powers: Vec<f64> = logits.iter().map(|&x| (f64::from(x) - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let expected: Vec<f64> = powers.iter().map(|power| power / sum).collect();
        let mut found = logits.clone();
        softmax(&mut found);
        assert_close(&found, &expected, 1e-6, "softmax");
    }
}

fn image_shape(layer: &Layer, halo: usize) -> ImageShape {
    ImageShape {
        channels: layer.params.in_channels,
        height: layer.size[0],
        width: layer.size[1],
        halo,
    }
}

/// The layer's images with the channels of a pixel beside each other, zeros around them.
fn interleave(layer: &Layer, shape: ImageShape) -> Vec<f32> {
    let mut out = vec![0.0; layer.images * shape.len()];
    let (c, plane) = (shape.channels, shape.height * shape.width);
    for (image, values) in out
        .chunks_exact_mut(shape.len())
        .zip(layer.input().chunks_exact(c * plane))
    {
        for (at, value) in values.iter().enumerate() {
            let (channel, y, x) = (at / plane, at % plane / shape.width, at % shape.width);
            image[shape.index(y, x) + channel] = *value;
        }
    }
    out
}

#[test]
fn wrong_sizes_are_errors() {
    let params = ConvParams {
        in_channels: 2,
        out_channels: 3,
        kernel: [3, 3],
        stride: 1,
        padding: Padding::all(1),
    };
    let weights = vec![0.5; params.weights()];
    assert!(DirectConv::new(params, &weights[1..], None).is_err());
    assert!(WinogradConv::new(params, &weights, Some(&[0.0; 2])).is_err());
    assert!(WinogradConv::new(ConvParams { stride: 2, ..params }, &weights, None).is_err());
    assert!(DirectConv::new(ConvParams { stride: 0, ..params }, &weights, None).is_err());
    let conv = DirectConv::new(params, &weights, None).unwrap();
    let simd = Simd::best();
    // Too small a halo, other channels, and an output of another size.
    for (input, output) in [
        (Shape::new(2, 5, 5).with_halo(0), Shape::new(3, 5, 5)),
        (Shape::new(4, 5, 5), Shape::new(3, 5, 5)),
        (Shape::new(2, 5, 5), Shape::new(3, 5, 6)),
    ] {
        let (input, mut output) = (Blocked::zeros(input, 1), Blocked::zeros(output, 1));
        assert!(
            conv.forward_into(simd, &input, Epilogue::new(Activation::Linear), &mut output)
                .is_err()
        );
    }
    assert!(Blocked::from_nchw(&[0.0; 5], 1, Shape::new(1, 2, 3)).is_err());
    assert!(Dense::new(2, 2, &[0.0; 3], None).is_err());
    assert!(global_mean_pool(simd, Shape::new(1, 2, 2), &[Block::ZERO; 3], &mut [0.0]).is_err());
}

#[test]
fn tiers_go_by_name() {
    for tier in Tier::available() {
        assert_eq!(tier.name().parse::<Tier>().unwrap(), tier);
        assert_eq!(Simd::with_tier(tier).unwrap().tier(), tier);
    }
    let error = "sse9".parse::<Tier>().unwrap_err().to_string();
    assert!(error.contains("sse9") && error.contains("avx512"), "{error}");
}
