//! Which taps of a kernel are inside an image, for each output position along one axis.

use std::ops::Range;

/// Groups the output positions 0..n along one axis by the value that `f` gives them, in the order of first appearance.
pub(super) fn variants<T: PartialEq>(n: usize, f: impl Fn(usize) -> T) -> Vec<(T, Vec<usize>)> {
    let mut groups: Vec<(T, Vec<usize>)> = Vec::new();
    for at in 0..n {
        let key = f(at);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(at),
            None => groups.push((key, vec![at])),
        }
    }
    groups
}

/// The taps of output position `at` that are inside an input of `size`, in one dimension.
pub(super) fn inside(at: usize, stride: usize, before: usize, taps: usize, size: usize) -> Range<usize> {
    let start = at * stride;
    before.saturating_sub(start).min(taps)..(size + before).saturating_sub(start).min(taps)
}
