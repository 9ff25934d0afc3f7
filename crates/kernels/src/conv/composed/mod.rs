//! Two convolutions without an activation between them as one: for inference (`inference`) and in training (`trainable`, `weights`).
//!
//! With z = w1 * x + b1 and y = w2 * z + b2, the kernel of y over x is the product of both, with a stride that is the product of both strides. The second
//! layer's padding puts zeros around z, not what the first layer would give there, so an output pixel whose window overlaps it has a kernel of its own:
//! the product over the taps of w2 that are inside z.

mod inference;
mod trainable;
mod weights;

use std::ops::Range;

pub use trainable::{ComposedConv, ComposedWeights};

use super::ConvParams;
use super::taps::inside;

/// One dimension of both layers.
pub(super) struct Axis {
    /// Taps, stride and padding before, of the first layer.
    first: (usize, usize, usize),
    /// The same of the second.
    second: (usize, usize, usize),
    /// Size of the image.
    input: usize,
    /// Size between the layers.
    middle: usize,
}

/// The taps of the second layer that are inside its input, and the taps of the product that they and the image leave.
pub(super) type Taps = (Range<usize>, Range<usize>);

impl Axis {
    /// Rows and columns of two layers, for an image and what is between the layers, each (height, width).
    pub(super) fn both(first: &ConvParams, second: &ConvParams, input: [usize; 2], middle: [usize; 2]) -> [Self; 2] {
        let before = |params: &ConvParams| [params.padding.top, params.padding.left];
        [0, 1].map(|d| Self {
            first: (first.kernel[d], first.stride, before(first)[d]),
            second: (second.kernel[d], second.stride, before(second)[d]),
            input: input[d],
            middle: middle[d],
        })
    }

    fn taps(&self) -> usize {
        (self.second.0 - 1) * self.first.1 + self.first.0
    }

    /// Zeros before the image that the first window takes.
    pub(super) fn padding(&self) -> usize {
        self.second.2 * self.first.1 + self.first.2
    }

    /// What the window of an output position leaves.
    pub(super) fn variant(&self, at: usize) -> Taps {
        let (k2, s2, p2) = self.second;
        let valid = inside(at, s2, p2, k2, self.middle);
        let image = inside(at, s2 * self.first.1, self.padding(), self.taps(), self.input);
        let reached = valid.start * self.first.1..(valid.end.max(1) - 1) * self.first.1 + self.first.0;
        let start = image.start.max(reached.start);
        (valid, start..image.end.min(reached.end).max(start))
    }
}
