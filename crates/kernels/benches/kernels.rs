//! The kernels with the sizes of both networks, one thread, on every tier: `cargo bench -p riptide-kernels`.
//!
//! Names are tier/kernel/layer; elements are the multiply-adds of the layer's definition, whatever the kernel saves, so
//! that Winograd's rate may lie above the machine's peak. `cargo bench -p riptide-kernels -- avx512/winograd` measures a
//! part.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use riptide_kernels::training::{self, Layout, PackedWeights, TrainableConv};
use riptide_kernels::{
    Activation, Block, Blocked, ConvParams, Dense, DirectConv, Epilogue, ImageConv, ImageShape, Padding, Result,
    Scratch, Shape, Simd, Tier, WinogradConv, global_mean_pool,
};

/// Images of a call: a group, as the planned networks take them.
const IMAGES: usize = 8;

/// (channels in, channels out, side, kernel, stride) of the layers of ResNet-32 and of the distilled network.
const LAYERS: [[usize; 5]; 8] = [
    [16, 16, 32, 3, 1],
    [32, 32, 16, 3, 1],
    [64, 64, 8, 3, 1],
    [16, 32, 32, 3, 2],
    [32, 64, 16, 3, 2],
    [16, 32, 32, 1, 2],
    [128, 64, 8, 4, 2],
    [256, 128, 16, 4, 2],
];

/// The first layers, over interleaved images: ResNet-32's and the distilled network's.
const FIRST_LAYERS: [[usize; 5]; 2] = [[3, 16, 32, 3, 1], [3, 256, 32, 4, 2]];

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .configure_from_args();
    for tier in Tier::available() {
        let simd = Simd::with_tier(tier)?;
        let group = |name: &str| format!("{tier}/{name}");
        convolutions(&mut criterion.benchmark_group(group("direct")), simd, direct)?;
        convolutions(&mut criterion.benchmark_group(group("winograd")), simd, winograd)?;
        first_layers(&mut criterion.benchmark_group(group("image")), simd)?;
        head(&mut criterion.benchmark_group(group("head")), simd)?;
        gradients(&mut criterion.benchmark_group(group("training")), simd)?;
    }
    criterion.final_summary();
    Ok(())
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn params([in_channels, out_channels, side, kernel, stride]: [usize; 5]) -> ConvParams {
    ConvParams {
        in_channels,
        out_channels,
        kernel: [kernel; 2],
        stride,
        padding: Padding::same([kernel; 2], stride, side, side),
    }
}

fn name([i, o, side, kernel, stride]: [usize; 5]) -> String {
    format!("{kernel}x{kernel} stride {stride}, {i} to {o} channels, {side}x{side}")
}

/// Floats from -0.5 to 0.5 without a pattern that matters.
fn floats(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5).collect()
}

/// A convolution to be timed: from an input and into an output.
type Convolution = Box<dyn FnMut(&Blocked, &mut Blocked) -> Result<()>>;

fn convolutions(
    group: &mut Group<'_>,
    simd: Simd,
    make: fn(Simd, ConvParams, &[f32]) -> Result<Option<Convolution>>,
) -> Result<()> {
    for layer in LAYERS {
        let params = params(layer);
        let Some(mut run) = make(simd, params, &floats(params.weights()))? else {
            continue;
        };
        let shape = Shape::new(layer[0], layer[2], layer[2]);
        let input = Blocked::from_nchw(&floats(IMAGES * shape.floats()), IMAGES, shape)?;
        let mut output = Blocked::zeros(params.output(input.shape(), 1)?, IMAGES);
        run(&input, &mut output)?;
        let pixels = output.shape().height * output.shape().width;
        group.throughput(Throughput::Elements((IMAGES * pixels * params.weights()) as u64));
        group.bench_function(name(layer), |bencher| bencher.iter(|| run(&input, &mut output)));
    }
    Ok(())
}

fn direct(simd: Simd, params: ConvParams, weights: &[f32]) -> Result<Option<Convolution>> {
    let conv = DirectConv::new(params, weights, None)?;
    Ok(Some(Box::new(move |input, output| {
        conv.forward_into(simd, input, Epilogue::new(Activation::Relu), output)
    })))
}

fn winograd(simd: Simd, params: ConvParams, weights: &[f32]) -> Result<Option<Convolution>> {
    if !WinogradConv::supports(&params) {
        return Ok(None);
    }
    let conv = WinogradConv::new(params, weights, None)?;
    let mut scratch = Scratch::default();
    Ok(Some(Box::new(move |input, output| {
        conv.forward_into(simd, input, Epilogue::new(Activation::Relu), output, &mut scratch)
    })))
}

/// Convolutions of interleaved images: the first layers, and the distilled network's first two composed into one.
fn first_layers(group: &mut Group<'_>, simd: Simd) -> Result<()> {
    let image = |halo| ImageShape {
        channels: 3,
        height: 32,
        width: 32,
        halo,
    };
    let [stem, distilled] = FIRST_LAYERS.map(params);
    let second = params(LAYERS[7]);
    let weights = [stem, distilled, second].map(|params| floats(params.weights()));
    let composed = ImageConv::composed(image(3), (distilled, &weights[1], None), (second, &weights[2], None))?;
    let convs = [
        (
            name(FIRST_LAYERS[0]),
            ImageConv::new(stem, image(1), &weights[0], None)?,
        ),
        ("the distilled network's first two composed".to_owned(), composed),
    ];
    for (name, conv) in convs {
        let input = floats(IMAGES * conv.input().len());
        let mut output = vec![Block::ZERO; IMAGES * conv.output().len()];
        conv.images(simd, &input, Activation::Relu, &mut output)?;
        group.throughput(Throughput::Elements((IMAGES * conv.multiply_adds()) as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| conv.images(simd, &input, Activation::Relu, &mut output));
        });
    }
    Ok(())
}

fn head(group: &mut Group<'_>, simd: Simd) -> Result<()> {
    let shape = Shape::new(64, 8, 8);
    let image = Blocked::from_nchw(&floats(shape.floats()), 1, shape)?;
    let mut means = vec![0.0; shape.channels];
    group.throughput(Throughput::Elements(shape.floats() as u64));
    group.bench_function("global mean pool, 64 channels, 8x8", |bencher| {
        bencher.iter(|| global_mean_pool(simd, shape, image.image(0), &mut means));
    });
    for [inputs, outputs] in [[64, 10], [1024, 40]] {
        let dense = Dense::new(inputs, outputs, &floats(inputs * outputs), None)?;
        let (x, mut y) = (floats(inputs), vec![0.0; outputs]);
        group.throughput(Throughput::Elements((inputs * outputs) as u64));
        group.bench_function(format!("dense, {inputs} to {outputs}"), |bencher| {
            bencher.iter(|| dense.forward(simd, &x, &mut y));
        });
    }
    Ok(())
}

/// Output, gradient of the input and gradient of the weights of the layers in training.
fn gradients(group: &mut Group<'_>, simd: Simd) -> Result<()> {
    let layers = FIRST_LAYERS.map(|layer| (layer, Layout::Interleaved));
    for (layer, layout) in layers.into_iter().chain(LAYERS.map(|layer| (layer, Layout::Blocked))) {
        let params = params(layer);
        let input = Shape::new(layer[0], layer[2], layer[2]).with_halo(params.padding.halo().max(1));
        let conv = TrainableConv::new(params, layout, input)?;
        let shape = conv.output();
        // Blocks, because the kernels want their alignment.
        let mut x = vec![Block([0.5; 16]); (IMAGES * conv.input_floats()).div_ceil(16)];
        let mut y = vec![Block([0.5; 16]); IMAGES * shape.len()];
        let mut dw = vec![Block::ZERO; conv.gradient_blocks()];
        let (mut weights, mut scratch) = (PackedWeights::default(), training::Scratch::default());
        conv.pack(simd, &floats(params.weights()), &mut weights)?;
        let multiply_adds = IMAGES * shape.height * shape.width * params.weights();
        group.throughput(Throughput::Elements(multiply_adds as u64));
        let named = |what: &str| format!("{what} of {}", name(layer));
        let image_floats = IMAGES * conv.input_floats();
        group.bench_function(named("output"), |bencher| {
            let x = &riptide_kernels::lanes::as_floats(&x)[..image_floats];
            bencher.iter(|| conv.forward(simd, &weights, x, IMAGES, &mut y, shape, &mut scratch));
        });
        group.bench_function(named("weights' gradient"), |bencher| {
            let x = &riptide_kernels::lanes::as_floats(&x)[..image_floats];
            bencher.iter(|| conv.backward_weights(simd, x, &y, shape, IMAGES, &mut dw, &mut scratch));
        });
        if layout == Layout::Blocked {
            group.bench_function(named("input's gradient"), |bencher| {
                bencher.iter(|| conv.backward_input(simd, &weights, &y, IMAGES, &mut x, input, false, &mut scratch));
            });
        }
    }
    Ok(())
}
