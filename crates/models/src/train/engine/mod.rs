//! Whole networks, forward and backward, over flat parameters.
//!
//! A batch is split into groups of [`GROUP`] images whatever the number of threads; a group is one task, and sums over groups are taken in the order of
//! the groups, so that one thread and many give the same bits.

mod distilled;
mod layer;
mod resnet;

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Mutex;

use candle_core::{Device, Tensor};
use riptide_kernels::{Block, Shape, Simd, training};

use distilled::DistilledEngine;
pub(crate) use layer::sum_groups;
use resnet::ResNetEngine;

use crate::config::{NetworkConfig, Parameter, ParameterKind};
use crate::error::ModelError;
use crate::weights::Weights;

/// Images of a task.
pub(crate) const GROUP: usize = 16;

/// A network that can be trained: one forward pass, then one backward pass of the same batch.
pub(crate) trait Engine: Debug + Send {
    /// The images of the next batch.
    fn input(&mut self) -> &mut Images;
    /// Logits (n, n_classes) of the images in [`Self::input`]; keeps what the backward pass needs.
    fn forward(&mut self, parameters: &[f32], statistics: &mut [f32]) -> Result<Vec<f32>, ModelError>;
    /// The gradient of all parameters, for the gradient of the logits of the last forward pass.
    fn backward(&mut self, parameters: &[f32], d_logits: &[f32], gradient: &mut [f32]) -> Result<(), ModelError>;
}

/// The engine of a network.
pub(crate) fn new(config: &NetworkConfig, simd: Simd) -> Result<Box<dyn Engine>, ModelError> {
    Ok(match config {
        NetworkConfig::ResNet(config) => Box::new(ResNetEngine::new(config, config.bn_momentum, simd)?),
        NetworkConfig::DistilledCnn(config) => Box::new(DistilledEngine::new(config, simd)?),
        NetworkConfig::Onnx(_) => return Err(ModelError::Opaque { operation: "training" }),
    })
}

/// Which values of the flat vectors belong to which parameter.
#[derive(Debug, Clone)]
pub(crate) struct FlatLayout {
    /// Trained parameters, in the order of the layers.
    pub(crate) trained: Vec<(Parameter, Range<usize>)>,
    /// Running statistics, in the order of the layers.
    pub(crate) statistics: Vec<(Parameter, Range<usize>)>,
}

impl FlatLayout {
    pub(crate) fn new(config: &NetworkConfig) -> Self {
        let mut layout = Self {
            trained: Vec::new(),
            statistics: Vec::new(),
        };
        for parameter in config.parameters() {
            let list = match parameter.kind {
                ParameterKind::RunningMean | ParameterKind::RunningVariance => &mut layout.statistics,
                _ => &mut layout.trained,
            };
            let start = list.last().map_or(0, |(_, range)| range.end);
            let end = start + parameter.shape.elem_count();
            list.push((parameter, start..end));
        }
        layout
    }

    /// The values of a list of parameters, one after the other.
    pub(crate) fn flatten(
        &self,
        list: &[(Parameter, Range<usize>)],
        weights: &Weights,
    ) -> Result<Vec<f32>, ModelError> {
        let mut flat = Vec::with_capacity(list.last().map_or(0, |(_, range)| range.end));
        for (parameter, _) in list {
            flat.extend(weights.get(&parameter.name)?.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(flat)
    }

    /// Puts the values of a list of parameters back under their names.
    pub(crate) fn restore(
        &self,
        list: &[(Parameter, Range<usize>)],
        flat: &[f32],
        weights: &mut Weights,
    ) -> Result<(), ModelError> {
        for (parameter, range) in list {
            let values = flat[range.clone()].to_vec();
            let tensor = Tensor::from_vec(values, parameter.shape.clone(), &Device::Cpu)?;
            weights.insert(parameter.name.clone(), tensor);
        }
        Ok(())
    }

    /// Where a parameter is, in the vector that it belongs to.
    fn find(&self, name: &str) -> Result<Range<usize>, ModelError> {
        let mut all = self.trained.iter().chain(&self.statistics);
        let found = all.find(|(parameter, _)| parameter.name == name);
        found
            .map(|(_, range)| range.clone())
            .ok_or_else(|| ModelError::UnexpectedParameter { name: name.to_owned() })
    }
}

/// A batch of preprocessed images, channels of a pixel beside each other, in a halo of zeros.
#[derive(Debug, Clone)]
pub(crate) struct Images {
    n: usize,
    shape: Shape,
    floats: Vec<f32>,
}

impl Images {
    fn new(height: usize, width: usize, halo: usize) -> Self {
        Self {
            n: 0,
            shape: Shape::new(3, height, width).with_halo(halo),
            floats: Vec::new(),
        }
    }

    /// Makes room for `n` images; halos are zero.
    pub(crate) fn resize(&mut self, n: usize) {
        self.n = n;
        self.floats.resize(n * self.image_len(), 0.0);
    }

    fn image_len(&self) -> usize {
        self.shape.plane() * self.shape.channels
    }

    fn group(&self, group: usize) -> &[f32] {
        &self.floats[group * GROUP * self.image_len()..self.n.min((group + 1) * GROUP) * self.image_len()]
    }

    /// The images, one slice each; write them with [`write_image`].
    pub(crate) fn images_mut(&mut self) -> (Shape, impl rayon::iter::IndexedParallelIterator<Item = &mut [f32]>) {
        use rayon::slice::ParallelSliceMut;
        let len = self.image_len();
        (self.shape, self.floats[..self.n * len].par_chunks_exact_mut(len))
    }

    /// Takes f32 (N, 3, H, W), row-major.
    pub(crate) fn set_nchw(&mut self, n: usize, values: &[f32]) {
        use rayon::iter::{IndexedParallelIterator, ParallelIterator};
        use rayon::slice::ParallelSlice;
        self.resize(n);
        let (shape, images) = self.images_mut();
        let plane = shape.height * shape.width;
        images.zip(values.par_chunks_exact(3 * plane)).for_each(|(out, image)| {
            write_image(&shape, out, |y, x, c| image[c * plane + y * shape.width + x]);
        });
    }
}

/// Writes the pixels of one image, given as a function of row, column and channel.
pub(crate) fn write_image(shape: &Shape, out: &mut [f32], pixel: impl Fn(usize, usize, usize) -> f32) {
    for y in 0..shape.height {
        let start = shape.index(0, y, 0) * shape.channels;
        let row = &mut out[start..start + shape.width * shape.channels];
        for (x, channels) in row.chunks_exact_mut(shape.channels).enumerate() {
            for (c, value) in channels.iter_mut().enumerate() {
                *value = pixel(y, x, c);
            }
        }
    }
}

/// Memory of one task, reused from task to task.
#[derive(Debug, Default)]
struct Workspace {
    conv: training::Scratch,
    buffers: Vec<(usize, Shape, Vec<Block>)>,
    sums: Vec<Block>,
}

impl Workspace {
    /// A buffer of `images` images whose halos are zero. Give it back with [`Self::put`].
    fn take(&mut self, role: usize, shape: Shape, images: usize) -> Vec<Block> {
        let found = self.buffers.iter().position(|(r, s, _)| *r == role && *s == shape);
        let mut buffer = found.map(|i| self.buffers.swap_remove(i).2).unwrap_or_default();
        if buffer.len() < images * shape.len() {
            buffer.resize(images * shape.len(), Block::ZERO);
        }
        buffer
    }

    fn put(&mut self, role: usize, shape: Shape, buffer: Vec<Block>) {
        self.buffers.push((role, shape, buffer));
    }

    /// Zeros to sum the gradient of some weights in.
    fn zeros(&mut self, len: usize) -> Vec<Block> {
        let mut sums = std::mem::take(&mut self.sums);
        sums.clear();
        sums.resize(len, Block::ZERO);
        sums
    }
}

/// Workspaces that wait for a task.
#[derive(Debug, Default)]
struct Workspaces(Mutex<Vec<Workspace>>);

impl Workspaces {
    fn with<T>(&self, f: impl FnOnce(&mut Workspace) -> T) -> T {
        let taken = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        let mut workspace = taken.unwrap_or_default();
        let result = f(&mut workspace);
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(workspace);
        result
    }
}

/// Grows a buffer of images to `len` blocks; new blocks are zero.
fn grow(buffer: &mut Vec<Block>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, Block::ZERO);
    }
}

/// The part of a buffer that belongs to images `first..first + count`.
fn images(buffer: &[Block], shape: Shape, first: usize, count: usize) -> &[Block] {
    &buffer[first * shape.len()..(first + count) * shape.len()]
}

/// How many images go through a layer together, so that their buffers stay in the second-level cache.
fn images_at_once(shape: &Shape) -> usize {
    (512 / (shape.height * shape.width).max(1)).clamp(1, GROUP)
}

/// (first image, count) of the parts that `images` images are worked on in.
fn parts(images: usize, at_once: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..images)
        .step_by(at_once)
        .map(move |first| (first, at_once.min(images - first)))
}
