//! The planned residual network.

use riptide_kernels::{
    Activation, Block, Dense, Epilogue, ImageConv, ImageShape, Padding, Scratch, Shape, Simd, global_mean_pool,
};

use super::images_per_group;
use super::input::Geometry;
use super::layers::{Conv, floats, folded, same};
use crate::config::ResNetConfig;
use crate::error::ModelError;
use crate::weights::Weights;

/// Images that go through the second stage together: buffers and weights fit the second-level cache.
const PART: usize = 4;

/// What most convolutions end with.
const RELU: Epilogue = Epilogue::new(Activation::Relu);

/// Layers of a residual network, batch normalisation folded in.
#[derive(Debug)]
pub(super) struct ResNetPlan {
    stem: ImageConv,
    stages: Vec<Stage>,
    fc: Dense,
}

/// Blocks with one number of filters.
#[derive(Debug)]
struct Stage {
    blocks: Vec<ResidualBlock>,
    /// The shape of each block's output.
    shape: Shape,
}

/// Two 3x3 convolutions beside a shortcut.
#[derive(Debug)]
struct ResidualBlock {
    branch2a: Conv,
    branch2b: Conv,
    branch1: Option<Conv>,
}

/// One thread's buffers.
#[derive(Debug)]
pub(super) struct ResNetScratch {
    /// The stem's output for one image.
    stem: Vec<Block>,
    stages: Vec<StageScratch>,
    conv: Scratch,
    means: Vec<f32>,
}

/// A stage's buffers, for as many images as go through it together.
#[derive(Debug)]
struct StageScratch {
    /// Input of a block, then its output, in the end that of the stage.
    x: Vec<Block>,
    /// Between a block's convolutions.
    inner: Vec<Block>,
}

impl ResNetPlan {
    /// Packs the weights, for input images with at least this halo.
    pub(super) fn new(config: &ResNetConfig, weights: &Weights, halo: usize) -> Result<(Self, Geometry), ModelError> {
        let (height, width, epsilon) = (config.height, config.width, config.bn_epsilon);
        let image = ImageShape {
            channels: 3,
            height,
            width,
            halo: halo.max(1),
        };
        let input = Shape::new(3, height, width);
        let (kernel, bias) = folded(weights, "conv1", "bn_conv1", epsilon)?;
        let params = same(input, config.n_filters1, 3, 1);
        let stem = ImageConv::new(params, image, &kernel, Some(&bias))?;
        let mut shape = stem.output();
        let mut stages = Vec::new();
        for stage in 0..3 {
            let mut blocks = Vec::new();
            for block in 0..config.n_blocks() {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let layer = |branch: &str, kernel: usize, stride: usize, input: Shape| {
                    let name = format!("{}_block{block}_branch{branch}", stage + 2);
                    let (w, b) = folded(weights, &format!("res{name}"), &format!("bn{name}"), epsilon)?;
                    Conv::new(same(input, config.n_filters(stage), kernel, stride), input, 1, &w, &b)
                };
                let branch2a = layer("2a", 3, stride, shape)?;
                let branch2b = layer("2b", 3, 1, branch2a.output)?;
                let branch1 = if block == 0 {
                    Some(layer("1", 1, stride, shape)?)
                } else {
                    None
                };
                shape = branch2b.output;
                blocks.push(ResidualBlock {
                    branch2a,
                    branch2b,
                    branch1,
                });
            }
            stages.push(Stage { blocks, shape });
        }
        let (w, b) = (floats(weights, "fc10.weight")?, floats(weights, "fc10.bias")?);
        let fc = Dense::new(shape.channels, config.n_classes, &w, Some(&b))?;
        let largest = stages.iter().skip(1).map(|stage| stage.shape.len()).max().unwrap_or(1);
        let geometry = Geometry {
            image,
            n_classes: config.n_classes,
            preprocessing: config.preprocessing,
            group: images_per_group(largest * size_of::<Block>()),
        };
        Ok((Self { stem, stages, fc }, geometry))
    }

    /// Memory for groups of so many images.
    pub(super) fn scratch(&self, group: usize) -> ResNetScratch {
        let stages = self
            .stages
            .iter()
            .zip([1, PART.min(group), group])
            .map(|(stage, images)| {
                let zeros = || vec![Block::ZERO; images * stage.shape.len()];
                StageScratch {
                    x: zeros(),
                    inner: zeros(),
                }
            });
        let channels = self.stages.last().map_or(0, |stage| stage.shape.channels);
        ResNetScratch {
            stem: vec![Block::ZERO; self.stem.output().len()],
            stages: stages.collect(),
            conv: Scratch::default(),
            means: vec![0.0; channels],
        }
    }

    /// Interleaved images to logits.
    pub(super) fn run(
        &self,
        simd: Simd,
        images: &[f32],
        logits: &mut [f32],
        scratch: &mut ResNetScratch,
    ) -> Result<(), ModelError> {
        let size = self.stem.input().len();
        let n = images.len() / size;
        let ResNetScratch {
            stem,
            stages,
            conv,
            means,
        } = scratch;
        let ([stage1, stage2, stage3], [first, second, third]) = (self.stages.as_slice(), stages.as_mut_slice()) else {
            return Ok(());
        };
        // The larger a stage's images, the fewer go through it together; the larger its weights, the more.
        for (part, images) in images.chunks(PART * size).enumerate() {
            let count = images.len() / size;
            for (i, image) in images.chunks_exact(size).enumerate() {
                self.stem.images(simd, image, Activation::Relu, stem)?;
                stage1.blocks[0].enter(simd, stem, (&mut first.inner, &mut first.x), 0, conv)?;
                stage1.finish(simd, 1, first, conv)?;
                stage2.blocks[0].enter(simd, &first.x, (&mut second.inner, &mut second.x), i, conv)?;
            }
            stage2.finish(simd, count, second, conv)?;
            for (i, image) in second.x.chunks_exact(stage2.shape.len()).take(count).enumerate() {
                let place = part * PART + i;
                stage3.blocks[0].enter(simd, image, (&mut third.inner, &mut third.x), place, conv)?;
            }
        }
        stage3.finish(simd, n, third, conv)?;
        let classes = logits.len() / n.max(1);
        let outputs = third.x.chunks_exact(stage3.shape.len());
        for (image, logits) in outputs.zip(logits.chunks_exact_mut(classes)) {
            global_mean_pool(simd, stage3.shape, image, means)?;
            self.fc.forward(simd, means, logits)?;
        }
        Ok(())
    }
}

impl ResidualBlock {
    /// The first convolution and the shortcut of one image, into place `i` of the buffers (inner, shortcut).
    fn enter(
        &self,
        simd: Simd,
        input: &[Block],
        (inner, shortcut): (&mut [Block], &mut [Block]),
        i: usize,
        scratch: &mut Scratch,
    ) -> Result<(), ModelError> {
        let len = self.branch2a.output.len();
        let place = i * len..(i + 1) * len;
        self.branch2a
            .run(simd, 1, input, RELU, &mut inner[place.clone()], scratch)?;
        if let Some(branch1) = &self.branch1 {
            branch1.run(simd, 1, input, Epilogue::default(), &mut shortcut[place], scratch)?;
        }
        Ok(())
    }
}

impl Stage {
    /// What follows [`ResidualBlock::enter`], for `n` images: from the first block's second convolution on. The result is in `x`.
    fn finish(
        &self,
        simd: Simd,
        n: usize,
        buffers: &mut StageScratch,
        scratch: &mut Scratch,
    ) -> Result<(), ModelError> {
        let StageScratch { x, inner } = buffers;
        for (i, block) in self.blocks.iter().enumerate() {
            if i > 0 {
                block.branch2a.run(simd, n, x, RELU, inner, scratch)?;
            }
            let sum = Epilogue::onto_output(Activation::Relu);
            block.branch2b.run(simd, n, inner, sum, x, scratch)?;
        }
        Ok(())
    }
}

/// The padding of the stem, which the smallest halo must cover.
const _: () = assert!(Padding::same([3, 3], 1, 32, 32).halo() == 1);
