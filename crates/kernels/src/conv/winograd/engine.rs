//! Transform the input, multiply each plane by its weights, transform back, chunk of tiles by chunk of tiles.

use std::marker::PhantomData;

use super::Scratch;
use super::transform::{TILE, Transform};
use crate::blocked::Shape;
use crate::conv::{ConvParams, Epilogue};
use crate::lanes::{Block, Kernel, LANES, Lanes, as_floats};

/// How the tiles of all images are cut into chunks of whole rows of tiles.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) tiles_x: usize,
    pub(super) tiles_y: usize,
    pub(super) images: usize,
    /// Rows of tiles in a chunk.
    pub(super) chunk_rows: usize,
    /// Tiles for which a plane has room.
    pub(super) tiles: usize,
    /// Blocks from plane to plane of the transformed input: [in block][phase][tile].
    pub(super) v_plane: usize,
    /// Blocks from plane to plane of the products: [out block][tile].
    pub(super) m_plane: usize,
    /// Pixels of a row of half-transformed input.
    pub(super) line: usize,
}

/// Images whose lengths and shapes are checked and whose scratch is large enough for the grid.
pub(super) struct Run<'a, const P: usize, F> {
    params: &'a ConvParams,
    weights: &'a [Block],
    bias: &'a [Block],
    grid: Grid,
    in_shape: Shape,
    input: &'a [Block],
    epilogue: Epilogue<'a>,
    out_shape: Shape,
    output: &'a mut [Block],
    scratch: &'a mut Scratch,
    transform: PhantomData<F>,
}

impl<'a, const P: usize, F: Transform<P>> Run<'a, P, F> {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        params: &'a ConvParams,
        weights: &'a [Block],
        bias: &'a [Block],
        grid: Grid,
        in_shape: Shape,
        input: &'a [Block],
        epilogue: Epilogue<'a>,
        out_shape: Shape,
        output: &'a mut [Block],
        scratch: &'a mut Scratch,
    ) -> Self {
        let transform = PhantomData;
        Self {
            params,
            weights,
            bias,
            grid,
            in_shape,
            input,
            epilogue,
            out_shape,
            output,
            scratch,
            transform,
        }
    }
}

impl<const P: usize, F: Transform<P>> Kernel for Run<'_, P, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        let grid = self.grid;
        let phases = self.params.stride * self.params.stride;
        let rows = grid.images * grid.tiles_y;
        let mut start = 0;
        while start < rows {
            let end = rows.min(start + grid.chunk_rows);
            for block in 0..self.in_shape.blocks() {
                for phase in 0..phases {
                    for row in start..end {
                        // SAFETY: the row is one of the images' rows of tiles; block and phase are inside of the shape.
                        unsafe { self.transform_input(l, block, phase, row, (row - start) * grid.tiles_x) };
                    }
                }
            }
            // SAFETY: the chunk's tiles fit into the planes.
            unsafe { self.multiply(l, (end - start) * grid.tiles_x) };
            for block in 0..self.out_shape.blocks() {
                for row in start..end {
                    // SAFETY: as above.
                    unsafe { self.transform_output(l, block, row, (row - start) * grid.tiles_x) };
                }
            }
            start = end;
        }
    }
}

impl<const P: usize, F: Transform<P>> Run<'_, P, F> {
    /// B^T d B of one row of tiles of one phase of one block of channels, into the planes of V from `tile` on.
    ///
    /// # Safety
    /// `row` counts the rows of tiles of all images; block, phase and tiles are inside of the input and the planes.
    #[inline(always)]
    unsafe fn transform_input<L: Lanes>(&mut self, l: L, block: usize, phase: usize, row: usize, tile: usize) {
        let (grid, shape, stride) = (self.grid, self.in_shape, self.params.stride);
        let (image, ty) = (row / grid.tiles_y, row % grid.tiles_y);
        // First row and column of the input that the tiles take, counted from the corner of the halo.
        let top = ty * TILE * stride + phase / stride + shape.halo - self.params.padding.top;
        let left = phase % stride + shape.halo - self.params.padding.left;
        let corner = image * shape.len() + block * shape.plane() + top * shape.row() + left;
        let rows_inside = (shape.height + 2 * shape.halo)
            .saturating_sub(top)
            .div_ceil(stride)
            .min(P);
        let columns_inside = shape.row().saturating_sub(left).div_ceil(stride).min(grid.line);
        let step = stride * shape.row();
        for x in 0..columns_inside {
            let at = corner + x * stride;
            let mut d = [l.zero(); P];
            if rows_inside == P {
                for (i, d) in d.iter_mut().enumerate() {
                    // SAFETY: all rows and this column are inside of the plane.
                    *d = unsafe { l.at(self.input, at + i * step) };
                }
            } else {
                for (i, d) in d.iter_mut().enumerate() {
                    if i < rows_inside {
                        // SAFETY: this row and column are inside of the plane.
                        *d = unsafe { l.at(self.input, at + i * step) };
                    }
                }
            }
            for (i, t) in F::input(l, d).into_iter().enumerate() {
                // SAFETY: the scratch has `P` lines.
                unsafe { l.put(t, &mut self.scratch.rows, i * grid.line + x) };
            }
        }
        for x in columns_inside..grid.line {
            for i in 0..P {
                // SAFETY: as above.
                unsafe { l.put(l.zero(), &mut self.scratch.rows, i * grid.line + x) };
            }
        }
        let start = (block * stride * stride + phase) * grid.tiles + tile;
        for tx in 0..grid.tiles_x {
            for i in 0..P {
                let mut d = [l.zero(); P];
                for (j, d) in d.iter_mut().enumerate() {
                    // SAFETY: a line has `P - TILE` pixels more than its tiles.
                    *d = unsafe { l.at(&self.scratch.rows, i * grid.line + tx * TILE + j) };
                }
                let at = i * P * grid.v_plane + start + tx;
                for (j, v) in F::input(l, d).into_iter().enumerate() {
                    // SAFETY: plane, block and tile are inside of V.
                    unsafe { l.put(v, &mut self.scratch.v, at + j * grid.v_plane) };
                }
            }
        }
    }

    /// M = U V for every plane, for the first `tiles` tiles.
    ///
    /// # Safety
    /// The planes have room for the tiles, rounded up to a multiple of every group below.
    #[inline(always)]
    unsafe fn multiply<L: Lanes>(&mut self, l: L, tiles: usize) {
        let blocks = self.out_shape.blocks();
        for plane in 0..P * P {
            let mut ob = 0;
            if L::REGISTERS >= 32 {
                while ob + 4 <= blocks {
                    // SAFETY: four blocks from `ob` on are there.
                    unsafe { self.multiply_blocks::<L, 4, 4>(l, plane, ob, tiles) };
                    ob += 4;
                }
                while ob + 2 <= blocks {
                    // SAFETY: two blocks from `ob` on are there.
                    unsafe { self.multiply_blocks::<L, 8, 2>(l, plane, ob, tiles) };
                    ob += 2;
                }
            }
            while ob < blocks {
                // SAFETY: the block is there.
                unsafe {
                    if L::REGISTERS >= 32 {
                        self.multiply_blocks::<L, 16, 1>(l, plane, ob, tiles);
                    } else {
                        self.multiply_blocks::<L, 4, 1>(l, plane, ob, tiles);
                    }
                }
                ob += 1;
            }
        }
    }

    /// One plane of `OB` output blocks, in groups of `T` tiles.
    ///
    /// # Safety
    /// As `multiply`; plane and blocks are there, and the planes have room for a multiple of `T` tiles.
    #[inline(always)]
    unsafe fn multiply_blocks<L: Lanes, const T: usize, const OB: usize>(
        &mut self,
        l: L,
        plane: usize,
        ob: usize,
        tiles: usize,
    ) {
        let (grid, channels) = (self.grid, self.params.in_channels);
        let phases = self.params.stride * self.params.stride;
        let blocks = self.out_shape.blocks();
        let size = channels * phases * blocks;
        let u = &self.weights[plane * size..(plane + 1) * size];
        let mut tile = 0;
        while tile < tiles {
            let mut acc = [[l.zero(); OB]; T];
            let v = as_floats(&self.scratch.v[plane * grid.v_plane + tile..]);
            let (mut row, mut weight) = (0, ob);
            for block in 0..channels.div_ceil(LANES) {
                let lanes = (channels - block * LANES).min(LANES);
                for _ in 0..phases {
                    for lane in 0..lanes {
                        let mut w = [l.zero(); OB];
                        for (o, w) in w.iter_mut().enumerate() {
                            // SAFETY: channel and block are inside of the plane's weights.
                            *w = unsafe { l.at(u, weight + o) };
                        }
                        for (t, acc) in acc.iter_mut().enumerate() {
                            // SAFETY: the tile is inside of its plane and block of V.
                            let x = unsafe { l.splat_at(v, row + t * LANES + lane) };
                            for (sum, w) in acc.iter_mut().zip(w) {
                                *sum = l.mul_add(x, w, *sum);
                            }
                        }
                        weight += blocks;
                    }
                    row += grid.tiles * LANES;
                }
            }
            for (t, acc) in acc.iter().enumerate() {
                for (o, sum) in acc.iter().enumerate() {
                    let at = plane * grid.m_plane + (ob + o) * grid.tiles + tile + t;
                    // SAFETY: plane, block and tile are inside of M.
                    unsafe { l.put(*sum, &mut self.scratch.m, at) };
                }
            }
            tile += T;
        }
    }

    /// A^T M A of one row of tiles of one block of channels, from `tile` on, with bias, residual and activation, into the output.
    ///
    /// # Safety
    /// `row` counts the rows of tiles of all images; block and tiles are inside of the planes and the output.
    #[inline(always)]
    unsafe fn transform_output<L: Lanes>(&mut self, l: L, block: usize, row: usize, tile: usize) {
        let (grid, shape) = (self.grid, self.out_shape);
        let (image, y) = (row / grid.tiles_y, row % grid.tiles_y * TILE);
        let bias = l.load(&self.bias[block]);
        let height = (shape.height - y).min(TILE);
        for tx in 0..grid.tiles_x {
            let width = (shape.width - tx * TILE).min(TILE);
            let mut half = [[l.zero(); P]; TILE];
            for j in 0..P {
                let mut m = [l.zero(); P];
                for (i, m) in m.iter_mut().enumerate() {
                    let at = (i * P + j) * grid.m_plane + block * grid.tiles + tile + tx;
                    // SAFETY: plane, block and tile are inside of M.
                    *m = unsafe { l.at(&self.scratch.m, at) };
                }
                for (half, value) in half.iter_mut().zip(F::output(l, m)) {
                    half[j] = value;
                }
            }
            let corner = image * shape.len() + shape.index(block, y, tx * TILE);
            for (i, half) in half.into_iter().enumerate() {
                if i >= height {
                    break;
                }
                for (j, value) in F::output(l, half).into_iter().enumerate() {
                    if j < width {
                        let at = corner + i * shape.row() + j;
                        // SAFETY: the pixel is inside of the output.
                        unsafe { self.epilogue.store(l, l.add(value, bias), self.output, at) };
                    }
                }
            }
        }
    }
}
