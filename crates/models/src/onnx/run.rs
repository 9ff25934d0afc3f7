//! What both engines do: images in, rows of numbers out.

/// Images in the order of axes that the file wants.
pub(super) enum Pixels {
    /// Preprocessed.
    Floats(Vec<f32>),
    /// As they are, for a network that takes uint8.
    Bytes(Vec<u8>),
}

/// A file that is ready to run.
pub(super) trait Run: Send + Sync {
    /// The file's output for `n` images, a row of [`columns`](Run::columns) numbers each.
    ///
    /// # Errors
    /// What the engine said, in one line.
    fn run(&self, images: &Pixels, n: usize) -> Result<Vec<f32>, String>;

    /// Numbers that the file gives for an image.
    fn columns(&self) -> usize;
}

/// Numbers an image of an output of shape `dims` for `batch` images: axes of one value do not count, as in (N, classes, 1, 1).
pub(super) fn columns(dims: &[usize], batch: usize) -> Result<usize, String> {
    let refuse = || {
        Err(format!(
            "gives an output of shape {dims:?} for {batch} images; (images, classes) is needed"
        ))
    };
    let Some((&n, rest)) = dims.split_first() else {
        return refuse();
    };
    let mut wide = rest.iter().filter(|&&dim| dim != 1);
    match (wide.next(), wide.next()) {
        _ if n != batch => refuse(),
        (None, _) => Ok(1),
        (Some(&columns), None) if columns > 0 => Ok(columns),
        _ => refuse(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn axes_of_one_value_do_not_count() {
        assert_eq!(super::columns(&[4, 10], 4), Ok(10));
        assert_eq!(super::columns(&[4, 10, 1, 1], 4), Ok(10));
        assert_eq!(super::columns(&[4, 1, 1, 10], 4), Ok(10));
        assert_eq!(super::columns(&[4], 4), Ok(1));
        assert_eq!(super::columns(&[1, 1], 1), Ok(1));
        for dims in [&[][..], &[10], &[3, 10], &[4, 10, 7], &[4, 0]] {
            assert!(super::columns(dims, 4).is_err(), "{dims:?}");
        }
    }
}
