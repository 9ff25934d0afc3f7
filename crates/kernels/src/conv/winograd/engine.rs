//! Transform the input, multiply each plane by its weights, transform back, chunk of tiles by chunk of tiles.
//!
//! A chunk's planes are small enough for the caches close to the core, so neither V nor M goes to memory. The figures behind each choice here are in
//! docs/performance.md.

use std::marker::PhantomData;
use std::ops::Range;

use super::HALF;
use super::transform::{TILE, Transform};
use crate::blocked::Shape;
use crate::conv::{ConvParams, Epilogue};
use crate::lanes::{Block, Kernel, LANES, Lanes, as_floats};

/// How the tiles of all images are cut into chunks of whole rows of tiles.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) tiles_x: usize,
    pub(super) tiles_y: usize,
    /// Rows of tiles in a chunk.
    pub(super) chunk_rows: usize,
    /// Tiles for which a plane has room.
    pub(super) tiles: usize,
    /// Blocks from plane to plane of the transformed input: [in block][phase][tile].
    pub(super) v_plane: usize,
    /// Blocks from plane to plane of the products: [out block][tile].
    pub(super) m_plane: usize,
}

/// Images of a call, their lengths and shapes checked.
pub(super) struct Images<'a> {
    pub(super) count: usize,
    pub(super) in_shape: Shape,
    pub(super) input: &'a [Block],
    pub(super) epilogue: Epilogue,
    pub(super) out_shape: Shape,
    pub(super) output: &'a mut [Block],
}

/// A layer and its images, with buffers large enough for the grid.
pub(super) struct Run<'a, const P: usize, F> {
    pub(super) params: &'a ConvParams,
    pub(super) weights: &'a [Block],
    pub(super) bias: &'a [Block],
    pub(super) grid: Grid,
    pub(super) images: Images<'a>,
    /// Half of the planes of the transformed input.
    pub(super) v: &'a mut [Block],
    /// All planes of the products.
    pub(super) m: &'a mut [Block],
    pub(super) transform: PhantomData<F>,
}

impl<const P: usize, F: Transform<P>> Kernel for Run<'_, P, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        let grid = self.grid;
        let rows = self.images.count * grid.tiles_y;
        let mut start = 0;
        while start < rows {
            let end = rows.min(start + grid.chunk_rows);
            // SAFETY: the chunk's rows are those of the images, and its tiles fit into the planes.
            unsafe {
                // Two halves read the input twice, yet are faster than one pass: what is written to V is then still in the first-level cache when it is
                // multiplied.
                self.half::<L, 0, HALF>(l, start..end);
                if P == 6 {
                    self.half::<L, HALF, HALF>(l, start..end);
                } else {
                    self.half::<L, HALF, 2>(l, start..end);
                }
            }
            // Blocks outside, rows inside: the output is written plane by plane, as it lies in memory.
            for block in 0..self.images.out_shape.blocks() {
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
    /// Rows `FROM..FROM + COUNT` of the planes, of these rows of tiles: V, then M. A half of V stays in the first-level cache.
    ///
    /// # Safety
    /// FROM + COUNT is at most P; the rows are among those of all images, and no more than the planes have room for.
    #[inline(always)]
    unsafe fn half<L: Lanes, const FROM: usize, const COUNT: usize>(&mut self, l: L, rows: Range<usize>) {
        let phases = self.params.stride * self.params.stride;
        let (start, tiles_x) = (rows.start, self.grid.tiles_x);
        for block in 0..self.images.in_shape.blocks() {
            for phase in 0..phases {
                for row in rows.clone() {
                    // SAFETY: the row is one of the images'; block and phase are inside the shape.
                    unsafe { self.transform_input::<L, FROM, COUNT>(l, block, phase, row, (row - start) * tiles_x) };
                }
            }
        }
        // SAFETY: the tiles fit into the planes.
        unsafe { self.multiply(l, rows.len() * tiles_x, FROM * P, COUNT * P) };
    }

    /// Rows `FROM..FROM + COUNT` of B^T d B of one row of tiles of one phase of one block of channels, into the planes of V from `tile` on.
    ///
    /// # Safety
    /// FROM + COUNT is at most P; `row` counts the rows of tiles of all images; block, phase and tiles are inside the input and the planes.
    #[inline(always)]
    unsafe fn transform_input<L: Lanes, const FROM: usize, const COUNT: usize>(
        &mut self,
        l: L,
        block: usize,
        phase: usize,
        row: usize,
        tile: usize,
    ) {
        let (grid, shape, stride) = (self.grid, self.images.in_shape, self.params.stride);
        let (image, ty) = (row / grid.tiles_y, row % grid.tiles_y);
        // First row and column of the input that the tiles take, counted from the corner of the halo.
        let top = ty * TILE * stride + phase / stride + shape.halo - self.params.padding.top;
        let left = phase % stride + shape.halo - self.params.padding.left;
        let corner = image * shape.len() + block * shape.plane() + top * shape.row() + left;
        let rows = (shape.height + 2 * shape.halo).saturating_sub(top).div_ceil(stride);
        let columns = shape.row().saturating_sub(left).div_ceil(stride);
        let start = (block * stride * stride + phase) * grid.tiles + tile;
        // SAFETY: the pixels inside the plane are inside the input, plane and tiles inside V.
        unsafe {
            // Away from the border all pixels are there, and the copy of the code for whole tiles has no comparisons.
            if rows >= P && columns >= (grid.tiles_x - 1) * TILE + P {
                self.transform_line::<L, FROM, COUNT, true>(l, corner, (rows, columns), start);
            } else {
                self.transform_line::<L, FROM, COUNT, false>(l, corner, (rows, columns), start);
            }
        }
    }

    /// Rows `FROM..FROM + COUNT` of B^T d B of a row of tiles from the pixel `corner` on, with `rows` and `columns` left from there to the end of the
    /// plane, to `to` in V. What other rows need is not computed.
    ///
    /// # Safety
    /// FROM + COUNT is at most P. The pixels are inside the input as far as `rows` and `columns` say, all of the tiles if they are `WHOLE`, and
    /// the tiles are inside V.
    #[inline(always)]
    unsafe fn transform_line<L: Lanes, const FROM: usize, const COUNT: usize, const WHOLE: bool>(
        &mut self,
        l: L,
        corner: usize,
        (rows, columns): (usize, usize),
        to: usize,
    ) {
        let stride = self.params.stride;
        let step = stride * self.images.in_shape.row();
        // Neighbouring tiles share P - TILE columns, which are transformed once and stay in registers: with three taps, a third of all columns.
        let mut half = [[l.zero(); P]; COUNT];
        for tx in 0..self.grid.tiles_x {
            for j in 0..P {
                if tx > 0 && j < P - TILE {
                    continue;
                }
                let mut d = [l.zero(); P];
                for (i, d) in d.iter_mut().enumerate() {
                    if WHOLE || (i < rows && tx * TILE + j < columns) {
                        // SAFETY: this row and column are inside the plane.
                        *d = unsafe { l.at(self.images.input, corner + i * step + (tx * TILE + j) * stride) };
                    }
                }
                let column = F::input(l, d);
                for (i, half) in half.iter_mut().enumerate() {
                    half[j] = column[FROM + i];
                }
            }
            for (i, half) in half.iter_mut().enumerate() {
                let at = i * P * self.grid.v_plane + to + tx;
                for (j, v) in F::input(l, *half).into_iter().enumerate() {
                    // SAFETY: plane and tile are inside V.
                    unsafe { l.put(v, self.v, at + j * self.grid.v_plane) };
                }
                for j in 0..P - TILE {
                    half[j] = half[j + TILE];
                }
            }
        }
    }

    /// M = U V, and the bias, for `planes` planes from `first` on and the first `tiles` tiles. V begins with plane `first`.
    ///
    /// # Safety
    /// The planes have room for the tiles, rounded up to a multiple of every group below.
    #[inline(always)]
    unsafe fn multiply<L: Lanes>(&mut self, l: L, tiles: usize, first: usize, planes: usize) {
        let blocks = self.images.out_shape.blocks();
        // 16 sums in each tile for AVX-512, enough to hide the latency of a multiply-add; the more blocks, the more of them each splat feeds. Smaller
        // register files hold 4 tiles by one block, the smallest 2: beside the sums, the weights and a splat need registers. Planes are the outer loop: the weights of one plane serve all tiles of the chunk, and all planes'
        // weights together exceed the second-level cache in wide layers.
        for plane in first..first + planes {
            let mut ob = 0;
            if L::REGISTERS >= 32 {
                while ob + 4 <= blocks {
                    // SAFETY: four blocks from `ob` on are there.
                    unsafe { self.multiply_blocks::<L, 4, 4>(l, plane, plane - first, ob, tiles) };
                    ob += 4;
                }
                while ob + 2 <= blocks {
                    // SAFETY: two blocks from `ob` on are there.
                    unsafe { self.multiply_blocks::<L, 8, 2>(l, plane, plane - first, ob, tiles) };
                    ob += 2;
                }
            }
            while ob < blocks {
                // SAFETY: the block is there.
                unsafe {
                    if L::REGISTERS >= 32 {
                        self.multiply_blocks::<L, 16, 1>(l, plane, plane - first, ob, tiles);
                    } else if L::REGISTERS < 8 {
                        self.multiply_blocks::<L, 2, 1>(l, plane, plane - first, ob, tiles);
                    } else {
                        self.multiply_blocks::<L, 4, 1>(l, plane, plane - first, ob, tiles);
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
        v_plane: usize,
        ob: usize,
        tiles: usize,
    ) {
        let (grid, channels) = (self.grid, self.params.in_channels);
        let phases = self.params.stride * self.params.stride;
        let blocks = self.images.out_shape.blocks();
        let size = channels * phases * blocks;
        let u = &self.weights[plane * size..(plane + 1) * size];
        let mut tile = 0;
        while tile < tiles {
            // The last group may reach past the chunk's tiles into the rest of the planes: one size of loop, and nobody reads those products.
            let mut acc = [[l.zero(); OB]; T];
            // A^T (e1 e1^T) A is one everywhere: what is added to this plane is added to every output. So the bias costs nothing.
            if plane == P + 1 {
                for (o, bias) in self.bias[ob..ob + OB].iter().enumerate() {
                    for acc in &mut acc {
                        acc[o] = l.load(bias);
                    }
                }
            }
            let v = as_floats(&self.v[v_plane * grid.v_plane + tile..]);
            let (mut row, mut weight) = (0, ob);
            for block in 0..channels.div_ceil(LANES) {
                let lanes = (channels - block * LANES).min(LANES);
                for _ in 0..phases {
                    for lane in 0..lanes {
                        let mut w = [l.zero(); OB];
                        for (o, w) in w.iter_mut().enumerate() {
                            // SAFETY: channel and block are inside the plane's weights.
                            *w = unsafe { l.at(u, weight + o) };
                        }
                        for (t, acc) in acc.iter_mut().enumerate() {
                            // SAFETY: the tile is inside its plane and block of V.
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
                    // SAFETY: plane, block and tile are inside M.
                    unsafe { l.put(*sum, self.m, at) };
                }
            }
            tile += T;
        }
    }

    /// A^T M A of one row of tiles of one block of channels, from `tile` on, with its epilogue, into the output.
    ///
    /// # Safety
    /// `row` counts the rows of tiles of all images; block and tiles are inside the planes and the output.
    #[inline(always)]
    unsafe fn transform_output<L: Lanes>(&mut self, l: L, block: usize, row: usize, tile: usize) {
        let (grid, shape) = (self.grid, self.images.out_shape);
        let (image, y) = (row / grid.tiles_y, row % grid.tiles_y * TILE);
        let height = (shape.height - y).min(TILE);
        let from = block * grid.tiles + tile;
        for tx in 0..grid.tiles_x {
            let size = (height, (shape.width - tx * TILE).min(TILE));
            let corner = image * shape.len() + shape.index(block, y, tx * TILE);
            // SAFETY: block and tile are inside M, the tile's rows and columns inside the output.
            unsafe {
                // As for the input: whole tiles have code without comparisons.
                if size == (TILE, TILE) {
                    self.transform_tile::<L, true>(l, from + tx, corner, size);
                } else {
                    self.transform_tile::<L, false>(l, from + tx, corner, size);
                }
            }
        }
    }

    /// A^T M A of the tile at `from` in each plane of M, with its epilogue, to the output's pixels from `corner` on, `height` by `width` of them.
    ///
    /// # Safety
    /// The tile is inside M, the rows and columns inside the output, and [`TILE`] each if the tile is `WHOLE`.
    #[inline(always)]
    unsafe fn transform_tile<L: Lanes, const WHOLE: bool>(
        &mut self,
        l: L,
        from: usize,
        corner: usize,
        (height, width): (usize, usize),
    ) {
        // Columns first: each takes P values of M and leaves TILE, so that 4 x 6 values wait in registers, not 6 x 6.
        let mut half = [[l.zero(); P]; TILE];
        for j in 0..P {
            let mut m = [l.zero(); P];
            for (i, m) in m.iter_mut().enumerate() {
                // SAFETY: the tile is inside this plane of M.
                *m = unsafe { l.at(self.m, (i * P + j) * self.grid.m_plane + from) };
            }
            for (half, value) in half.iter_mut().zip(F::output(l, m)) {
                half[j] = value;
            }
        }
        for (i, half) in half.into_iter().enumerate() {
            if !WHOLE && i >= height {
                break;
            }
            for (j, value) in F::output(l, half).into_iter().enumerate() {
                if WHOLE || j < width {
                    let at = corner + i * self.images.out_shape.row() + j;
                    // SAFETY: the pixel is inside the output.
                    unsafe { self.images.epilogue.store(l, value, self.images.output, at) };
                }
            }
        }
    }
}
