//! The planned residual network.

use riptide_kernels::{
    Activation, Block, Dense, Epilogue, ImageConv, ImageShape, Scratch, Shape, Simd, global_mean_pool,
};

use super::groups::images_per_group;
use super::layers::{Conv, dense, folded};
use crate::architecture;
use crate::error::ModelError;
use crate::weights::Weights;

/// Images that go through the second stage together. With four of them its buffers and its weights fit the second-level cache together;
/// with eight they do not, and the whole network takes 2 % longer.
const PART: usize = 4;

/// Zeros around every layer's output: all 3x3 convolutions need one, and a shortcut is added to an output of the same shape.
const HALO: usize = 1;

/// What most convolutions end with.
const RELU: Epilogue = Epilogue::new(Activation::Relu);

/// Layers of a residual network, batch normalisation folded in.
#[derive(Debug)]
pub(super) struct ResidualPlan {
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
pub(super) struct ResidualScratch {
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

impl ResidualPlan {
    /// Packs the weights, for input images with at least this halo.
    pub(super) fn new(network: &architecture::Residual, weights: &Weights, halo: usize) -> Result<Self, ModelError> {
        let params = network.stem.params();
        let [height, width] = network.stem.size;
        let image = ImageShape {
            channels: params.in_channels,
            height,
            width,
            halo: halo.max(params.padding.halo()),
        };
        let (kernel, bias) = folded(weights, &network.stem)?;
        let stem = ImageConv::new(params, image, &kernel, Some(&bias))?.with_output_halo(HALO);
        let mut shape = stem.output();
        let mut stages = Vec::new();
        for stage in &network.stages {
            let mut blocks = Vec::new();
            for block in stage {
                let layer = |conv, input| Conv::new(conv, weights, input, HALO);
                let branch2a = layer(&block.branch2a, shape)?;
                let branch2b = layer(&block.branch2b, branch2a.output)?;
                let branch1 = match &block.branch1 {
                    Some(branch1) => Some(layer(branch1, shape)?),
                    None => None,
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
        let fc = dense(weights, &network.fc)?;
        Ok(Self { stem, stages, fc })
    }

    /// The images that it takes.
    pub(super) fn image(&self) -> ImageShape {
        self.stem.input()
    }

    /// Images of a group. The first stage's buffers do not count, because a single image goes through it at a time.
    pub(super) fn group(&self) -> usize {
        let lengths = self.stages.iter().skip(1).map(|stage| stage.shape.len());
        images_per_group(lengths.max().unwrap_or(1) * size_of::<Block>())
    }

    /// Memory for groups of so many images.
    pub(super) fn scratch(&self, group: usize) -> ResidualScratch {
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
        ResidualScratch {
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
        scratch: &mut ResidualScratch,
    ) -> Result<(), ModelError> {
        let size = self.stem.input().len();
        let n = images.len() / size;
        let ResidualScratch {
            stem,
            stages,
            conv,
            means,
        } = scratch;
        let ([stage1, stage2, stage3], [first, second, third]) = (self.stages.as_slice(), stages.as_mut_slice()) else {
            return Ok(());
        };
        // The larger a stage's images, the fewer go through it together, so that its buffers stay in the cache; the larger its weights,
        // the more, so that each load of the weights serves several images. So the first stage takes one image, the second PART, the
        // third the whole group. Each stage's first convolutions write straight to where the next stage reads.
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
        // Image by image: the dense layer is tiny.
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
        // The shortcut is in `x` already, as the block's input or as the projection of it; the second convolution adds to what is there.
        // So a stage needs two buffers, not three, and the lines are in the cache when they are written.
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
