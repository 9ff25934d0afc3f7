//! How many images go through the layers together.

/// Images of a group, if they are small. A thread takes a whole group through all layers before it begins the next, so that what a layer
/// writes is still in the cache when the following one reads it; eight images are enough to share each load of the packed weights.
const GROUP: usize = 8;
/// Bytes that a buffer of a whole group should not exceed, so that large images do not push each other out of the cache; their groups
/// are smaller.
const GROUP_BYTES: usize = 4 << 20;

/// Images of a group: as many as fit, and no more than give every thread a group. The sums of an image do not depend on its group.
pub(super) fn group_size(most: usize, images: usize) -> usize {
    images.div_ceil(rayon::current_num_threads()).clamp(1, most)
}

/// How many images fit a group if an image's largest buffer has so many bytes.
pub(super) fn images_per_group(bytes: usize) -> usize {
    (GROUP_BYTES / bytes.max(1)).clamp(1, GROUP)
}
