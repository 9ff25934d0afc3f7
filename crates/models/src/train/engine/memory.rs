//! The parts that a batch is worked on in, and the memory for them.

use std::sync::{Mutex, PoisonError};

use riptide_kernels::{Block, Shape, training};

/// Images of a task. It is a constant, not a share of the threads, because sums over a batch are taken group by group: another number of
/// images would give other bits. With sixteen, a batch of 128 still keeps eight threads busy, and the gradients that each group sums by
/// itself stay few.
pub(super) const GROUP: usize = 16;

/// Memory of one task, reused from task to task, so that a step allocates next to nothing.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) conv: training::Scratch,
    buffers: Vec<(usize, Shape, Vec<Block>)>,
    pub(super) sums: Vec<Block>,
}

impl Workspace {
    /// A buffer of `images` images whose halos are zero. Give it back with [`Self::put`]. A buffer only ever serves its role and shape,
    /// because whoever uses it writes the pixels and never the halo: under another shape, pixels of the last user would be in the halo.
    pub(super) fn take(&mut self, role: usize, shape: Shape, images: usize) -> Vec<Block> {
        let found = self.buffers.iter().position(|(r, s, _)| *r == role && *s == shape);
        let mut buffer = found.map(|i| self.buffers.swap_remove(i).2).unwrap_or_default();
        if buffer.len() < images * shape.len() {
            buffer.resize(images * shape.len(), Block::ZERO);
        }
        buffer
    }

    /// Takes a buffer back for the next task.
    pub(super) fn put(&mut self, role: usize, shape: Shape, buffer: Vec<Block>) {
        self.buffers.push((role, shape, buffer));
    }

    /// Zeros to sum the gradient of some weights in.
    pub(super) fn zeros(&mut self, len: usize) -> Vec<Block> {
        let mut sums = std::mem::take(&mut self.sums);
        sums.clear();
        sums.resize(len, Block::ZERO);
        sums
    }
}

/// Workspaces that wait for a task. There are never more than threads.
#[derive(Debug, Default)]
pub(super) struct Workspaces(Mutex<Vec<Workspace>>);

impl Workspaces {
    /// Runs a task with a workspace of its own.
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Workspace) -> T) -> T {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut workspace = taken.unwrap_or_default();
        let result = f(&mut workspace);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        result
    }
}

/// Grows a buffer of images to `len` blocks; new blocks are zero.
pub(super) fn grow(buffer: &mut Vec<Block>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, Block::ZERO);
    }
}

/// The part of a buffer that belongs to images `first..first + count`.
pub(super) fn images(buffer: &[Block], shape: Shape, first: usize, count: usize) -> &[Block] {
    &buffer[first * shape.len()..(first + count) * shape.len()]
}

/// How many images go through a layer together, so that their buffers stay in the second-level cache: 512 pixels of 16 to 64 channels are
/// 32 to 128 KiB.
pub(super) fn images_at_once(shape: &Shape) -> usize {
    (512 / (shape.height * shape.width).max(1)).clamp(1, GROUP)
}

/// (first image, count) of the parts that `images` images are worked on in.
pub(super) fn parts(images: usize, at_once: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..images)
        .step_by(at_once)
        .map(move |first| (first, at_once.min(images - first)))
}
