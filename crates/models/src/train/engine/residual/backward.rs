//! The backward passes of the residual network's parts.

use rayon::prelude::*;
use riptide_kernels::Block;
use riptide_kernels::lanes::as_floats;
use riptide_kernels::training::{Gate, Moments, Planes, Shortcut, normalise, normalise_backward, relu_backward};

use super::super::memory::{GROUP, Workspace, images, images_at_once, parts};
use super::super::norm::ConvNorm;
use super::{ACTIVATION, GRADIENT, ResBlock, ResidualEngine, Source};
use crate::error::ModelError;

impl ResidualEngine {
    /// Gradient of the dense layer, and of the last output into the first of [`Self::gradients`].
    pub(super) fn head_backward(
        &mut self,
        n: usize,
        parameters: &[f32],
        d_logits: &[f32],
        gradient: &mut [f32],
    ) -> Result<Vec<(Moments, Moments)>, ModelError> {
        let (simd, shape, classes) = (self.simd, self.last_shape(), self.fc_bias.len());
        let channels = shape.channels;
        // By one thread and image by image: the layer is tiny, and a fixed order gives the same bits.
        for (d, pooled) in d_logits.chunks_exact(classes).zip(self.pooled.chunks_exact(channels)) {
            for (o, d) in d.iter().enumerate() {
                let start = self.fc_weight.start + o * channels;
                for (g, x) in gradient[start..start + channels].iter_mut().zip(pooled) {
                    *g += d * x;
                }
                gradient[self.fc_bias.start + o] += d;
            }
        }
        let weight = &parameters[self.fc_weight.clone()];
        let source = self.blocks.last().map_or(Source::Stem(&self.stem), Source::Block);
        let pixels = (shape.height * shape.width) as f32;
        let output = &self.output;
        let groups: Vec<_> = ConvNorm::groups_mut(&mut self.gradients[0], &shape, n)
            .enumerate()
            .collect();
        groups
            .into_par_iter()
            .map(|(group, g)| {
                let mut moments = source.moments();
                for (i, g) in g.chunks_exact_mut(shape.len()).enumerate() {
                    let image = group * GROUP + i;
                    let d = &d_logits[image * classes..(image + 1) * classes];
                    let mut mean = vec![Block::ZERO; shape.blocks()];
                    for (c, m) in mean
                        .iter_mut()
                        .flat_map(|block| &mut block.0)
                        .take(channels)
                        .enumerate()
                    {
                        *m = d
                            .iter()
                            .enumerate()
                            .map(|(o, d)| d * weight[o * channels + c])
                            .sum::<f32>()
                            / pixels;
                    }
                    // The pool was a mean, so every pixel of a plane gets the same share of the gradient.
                    for (plane, mean) in g.chunks_exact_mut(shape.plane()).zip(&mean) {
                        plane.fill(*mean);
                    }
                    // The last ReLU is closed here, while this image's gradient is in the cache. Its sums are what the last normalisations
                    // wait for.
                    let out = Planes::new(images(output, shape, image, 1), shape);
                    source.relu_backward(simd, image, 1, g, shape, None, out, &mut moments)?;
                }
                Ok(moments)
            })
            .collect()
    }

    /// From the gradient of block `i`'s output (the first of [`Self::gradients`]) to that of its inner activation (the second).
    pub(super) fn block_backward_b(&mut self, i: usize, n: usize) -> Result<Vec<Moments>, ModelError> {
        let (simd, workspaces) = (self.simd, &self.workspaces);
        let ResBlock { a, b, .. } = &mut self.blocks[i];
        let (shape, inner, wide) = (b.shape(), b.conv.input(), b.conv.output());
        let at_once = images_at_once(&shape);
        // Taken out so that tasks can write it while they read the rest of the block.
        let mut plain = std::mem::take(&mut b.plain);
        let (a, b): (&ConvNorm, &ConvNorm) = (a, b);
        let [dz, inner_dz, _] = &mut self.gradients;
        let tasks: Vec<_> = ConvNorm::groups_mut(inner_dz, &a.shape(), n)
            .zip(plain.chunks_mut(b.conv.plain_blocks()))
            .enumerate()
            .collect();
        let task = |(group, (dz_a, plain)): (usize, (&mut [Block], &mut [Block])), workspace: &mut Workspace| {
            let mut moments = Moments::zeros(&a.shape());
            let mut dy = workspace.take(GRADIENT, wide, at_once);
            let mut x = workspace.take(ACTIVATION, inner, at_once);
            let mut sums = workspace.zeros(b.conv.gradient_blocks());
            // A few images at a time go through all five steps, so that what one step writes is in the second-level cache for the next.
            for (first, count) in parts(dz_a.len() / a.shape().len(), at_once) {
                let image = group * GROUP + first;
                let (dy, x) = (&mut dy[..count * wide.len()], &mut x[..count * inner.len()]);
                let dz = Planes::new(images(dz, shape, image, count), shape);
                normalise_backward(simd, dz, b.planes(image, count), &b.gradient, count, dy, wide)?;
                // The convolution's input was not kept: it is made again from `a`'s output, which `relu_backward` below reads as well.
                normalise(
                    simd,
                    a.planes(image, count),
                    &a.affine,
                    Shortcut::None,
                    true,
                    count,
                    x,
                    inner,
                )?;
                b.conv
                    .backward_weights(simd, as_floats(x), dy, wide, count, &mut sums, &mut workspace.conv)?;
                let out = a.shape();
                let dz_a = &mut dz_a[first * out.len()..(first + count) * out.len()];
                b.conv
                    .backward_input(simd, b.packed(), dy, count, dz_a, out, false, &mut workspace.conv)?;
                let values = (a.planes(image, count), a.mean_blocks.as_slice(), &mut moments);
                relu_backward(simd, dz_a, out, None, Gate::Affine(&a.affine), count, &mut [values])?;
            }
            // Winograd's sums turn into those of plain weights once a group, not once a part.
            b.conv.plain_gradient(simd, &sums, plain)?;
            workspace.sums = sums;
            workspace.put(GRADIENT, wide, dy);
            workspace.put(ACTIVATION, inner, x);
            Ok(moments)
        };
        let result: Result<Vec<Moments>, ModelError> = tasks
            .into_par_iter()
            .map(|parts| workspaces.with(|workspace| task(parts, workspace)))
            .collect();
        self.blocks[i].b.plain = plain;
        result
    }

    /// From the gradients of block `i`'s inner activation and output to that of its input (the third of [`Self::gradients`]).
    pub(super) fn block_backward_a(&mut self, i: usize, n: usize) -> Result<Vec<(Moments, Moments)>, ModelError> {
        let (simd, workspaces) = (self.simd, &self.workspaces);
        let (before, rest) = self.blocks.split_at_mut(i);
        let source = before.last().map_or(Source::Stem(&self.stem), Source::Block);
        let block = &mut rest[0];
        let mut plain = std::mem::take(&mut block.a.plain);
        let mut side_plain = block
            .shortcut
            .as_mut()
            .map(|shortcut| std::mem::take(&mut shortcut.plain));
        let (block, shape, in_shape) = (&*block, block.a.shape(), block.in_shape);
        let (a, wide, out) = (&block.a, block.a.conv.output(), in_shape.with_halo(0));
        let at_once = images_at_once(&in_shape);
        let [dz, inner_dz, input_dz] = &mut self.gradients;
        let side_len = block
            .shortcut
            .as_ref()
            .map_or(1, |shortcut| shortcut.conv.plain_blocks());
        // One piece for each group, or none at all for a block without a projection.
        let mut side_plains = side_plain.iter_mut().flat_map(|plain| plain.chunks_mut(side_len));
        let tasks: Vec<_> = ConvNorm::groups_mut(input_dz, &out, n)
            .zip(plain.chunks_mut(a.conv.plain_blocks()))
            .enumerate()
            .map(|(group, (g, plain))| (group, g, plain, side_plains.next()))
            .collect();
        type Task<'a> = (usize, &'a mut [Block], &'a mut [Block], Option<&'a mut [Block]>);
        let task = |(group, g, plain, side_plain): Task<'_>, workspace: &mut Workspace| {
            let mut moments = source.moments();
            let mut dy = workspace.take(GRADIENT, wide, at_once);
            let mut sums = workspace.zeros(a.conv.gradient_blocks());
            let side_blocks = block
                .shortcut
                .as_ref()
                .map_or(0, |shortcut| shortcut.conv.gradient_blocks());
            let mut side_sums = vec![Block::ZERO; side_blocks];
            for (first, count) in parts(g.len() / out.len(), at_once) {
                let image = group * GROUP + first;
                let x = images(&block.input, in_shape, image, count);
                let g = &mut g[first * out.len()..(first + count) * out.len()];
                let dz = Planes::new(images(dz, shape, image, count), shape);
                let inner_dz = Planes::new(images(inner_dz, shape, image, count), shape);
                let dy_a = &mut dy[..count * wide.len()];
                normalise_backward(simd, inner_dz, a.planes(image, count), &a.gradient, count, dy_a, wide)?;
                a.conv
                    .backward_weights(simd, as_floats(x), dy_a, wide, count, &mut sums, &mut workspace.conv)?;
                a.conv
                    .backward_input(simd, a.packed(), dy_a, count, g, out, false, &mut workspace.conv)?;
                // The input's gradient has two parts. A projection adds its own to `g` as it convolves; without one, the output's
                // gradient flows back as it is, and `relu_backward` adds it while it reads `g` anyway.
                let mut extra = Some(dz);
                if let Some(side) = &block.shortcut {
                    let side_wide = side.conv.output();
                    let mut dy = workspace.take(GRADIENT, side_wide, count);
                    let dy_side = &mut dy[..count * side_wide.len()];
                    normalise_backward(
                        simd,
                        dz,
                        side.planes(image, count),
                        &side.gradient,
                        count,
                        dy_side,
                        side_wide,
                    )?;
                    let (x, scratch) = (as_floats(x), &mut workspace.conv);
                    side.conv
                        .backward_weights(simd, x, dy_side, side_wide, count, &mut side_sums, scratch)?;
                    side.conv
                        .backward_input(simd, side.packed(), dy_side, count, g, out, true, scratch)?;
                    workspace.put(GRADIENT, side_wide, dy);
                    extra = None;
                }
                // This block's input is the output of what came before, so that ReLU is closed here too, and the sums for the normalisation
                // before it are taken in the same pass.
                let output = Planes::new(x, in_shape);
                source.relu_backward(simd, image, count, g, out, extra, output, &mut moments)?;
            }
            a.conv.plain_gradient(simd, &sums, plain)?;
            if let (Some(side), Some(plain)) = (&block.shortcut, side_plain) {
                side.conv.plain_gradient(simd, &side_sums, plain)?;
            }
            workspace.sums = sums;
            workspace.put(GRADIENT, wide, dy);
            Ok(moments)
        };
        let result: Result<Vec<_>, ModelError> = tasks
            .into_par_iter()
            .map(|parts| workspaces.with(|workspace| task(parts, workspace)))
            .collect();
        let block = &mut self.blocks[i];
        block.a.plain = plain;
        if let (Some(shortcut), Some(plain)) = (&mut block.shortcut, side_plain) {
            shortcut.plain = plain;
        }
        result
    }

    /// The gradient of the first convolution's weights. None flows into the images.
    pub(super) fn stem_backward(&mut self, n: usize) -> Result<(), ModelError> {
        let (simd, workspaces, all) = (self.simd, &self.workspaces, &self.images);
        let mut plain = std::mem::take(&mut self.stem.plain);
        let stem = &self.stem;
        let (shape, image) = (stem.shape(), stem.conv.input_floats());
        let at_once = images_at_once(&shape);
        let dz = &self.gradients[0];
        let tasks: Vec<_> = plain[..n.div_ceil(GROUP) * stem.conv.plain_blocks()]
            .chunks_mut(stem.conv.plain_blocks())
            .enumerate()
            .collect();
        let result = tasks.into_par_iter().try_for_each(|(group, plain)| {
            workspaces.with(|workspace| {
                let mut dy = workspace.take(GRADIENT, shape, at_once);
                let mut sums = workspace.zeros(stem.conv.gradient_blocks());
                let x = all.group(group);
                for (first, count) in parts(x.len() / image, at_once) {
                    let at = group * GROUP + first;
                    let dy = &mut dy[..count * shape.len()];
                    let dz = Planes::new(images(dz, shape, at, count), shape);
                    normalise_backward(simd, dz, stem.planes(at, count), &stem.gradient, count, dy, shape)?;
                    let x = &x[first * image..(first + count) * image];
                    stem.conv
                        .backward_weights(simd, x, dy, shape, count, &mut sums, &mut workspace.conv)?;
                }
                stem.conv.plain_gradient(simd, &sums, plain)?;
                workspace.sums = sums;
                workspace.put(GRADIENT, shape, dy);
                Ok(())
            })
        });
        self.stem.plain = plain;
        result
    }

    /// Hands the sums of a unit's output to its normalisations.
    pub(super) fn settle_gradients(
        norms: (&mut ConvNorm, Option<&mut ConvNorm>),
        sums: Vec<(Moments, Moments)>,
        n: usize,
        p: &[f32],
    ) {
        let (main, side): (Vec<_>, Vec<_>) = sums.into_iter().unzip();
        norms.0.settle_gradient(main.into_iter(), n, p);
        if let Some(shortcut) = norms.1 {
            shortcut.settle_gradient(side.into_iter(), n, p);
        }
    }
}
