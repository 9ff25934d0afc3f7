//! How images lie in an array: the element type, the order of the axes, and the size.

use std::path::Path;

use riptide_files::npy::Header;
use serde::{Deserialize, Serialize};

use crate::error::{DatasetError, Result};
use crate::image_set::image_bytes;

/// The order of the axes of an array of images. N counts images, H rows, W columns; C is 1 (grey) or 3 (red, green, blue).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// (N, H, W, C), as Pillow, OpenCV and TensorFlow have it.
    Nhwc,
    /// (N, C, H, W), as PyTorch has it.
    Nchw,
    /// (N, H, W): grey.
    Nhw,
}

/// What the floating-point numbers of an image mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueRange {
    /// 0 is black and 255 full intensity.
    Bytes,
    /// 0 is black and 1 full intensity.
    Unit,
    /// -1 is black and 1 full intensity.
    Symmetric,
}

/// How an array is read if it does not say so by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ArrayOptions {
    /// The order of the axes; by default what the shape says: 3 or 1 stands where the channels are.
    pub layout: Option<Layout>,
    /// The range of floating-point numbers; by default what the numbers say.
    pub range: Option<ValueRange>,
}

impl ArrayOptions {
    /// Sets the order of the axes.
    #[must_use]
    pub fn layout(mut self, layout: Option<Layout>) -> Self {
        self.layout = layout;
        self
    }

    /// Sets the range of floating-point numbers.
    #[must_use]
    pub fn range(mut self, range: Option<ValueRange>) -> Self {
        self.range = range;
        self
    }
}

/// The most bytes of one image in an array; it bounds what a header can make a reader wait for.
const MAX_IMAGE_BYTES: usize = 1 << 30;

/// The most bytes that are read for one chunk, unless one image has more.
const MAX_CHUNK_BYTES: usize = 256 << 20;

/// The type of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    U8,
    F16 { big_endian: bool },
    F32 { big_endian: bool },
    F64 { big_endian: bool },
}

impl Kind {
    pub(crate) fn of(dtype: &str) -> Option<Self> {
        let big_endian = dtype.starts_with('>');
        match dtype {
            "|u1" | "<u1" | ">u1" | "u1" | "uint8" => Some(Self::U8),
            "<f2" | ">f2" => Some(Self::F16 { big_endian }),
            "<f4" | ">f4" => Some(Self::F32 { big_endian }),
            "<f8" | ">f8" => Some(Self::F64 { big_endian }),
            _ => None,
        }
    }

    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 { .. } => 2,
            Self::F32 { .. } => 4,
            Self::F64 { .. } => 8,
        }
    }
}

/// The shape of an array of images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageShape {
    pub(crate) len: u64,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) layout: Layout,
    pub(crate) kind: Kind,
    /// Bytes of an image in the array.
    pub(crate) stored_bytes: usize,
}

impl ImageShape {
    /// Checks that a header is of images: an element type that is read, three or four dimensions of which it is clear what they
    /// are, C order, a size that can be held.
    pub(crate) fn of(header: &Header, path: &Path, options: ArrayOptions) -> Result<Self> {
        let kind = Kind::of(&header.dtype).ok_or_else(|| DatasetError::WrongDtype {
            path: path.to_path_buf(),
            expected: "|u1 (uint8), <f2, <f4 or <f8".to_owned(),
            found: header.dtype.clone(),
        })?;
        let wrong = |expected: &str| DatasetError::WrongShape {
            path: path.to_path_buf(),
            expected: expected.to_owned(),
            found: header.shape.clone(),
        };
        let (layout, [len, height, width, channels]) =
            axes(&header.shape, options.layout).map_err(|fault| match fault {
                Fault::Wrong(expected) => wrong(expected),
                Fault::Ambiguous(first, second) => DatasetError::AmbiguousLayout {
                    path: path.to_path_buf(),
                    shape: header.shape.clone(),
                    first,
                    second,
                },
            })?;
        if header.fortran_order {
            let reason = "the array is in Fortran order, expected C order; write it with numpy.ascontiguousarray";
            return Err(DatasetError::malformed(path, reason));
        }
        let (Ok(height), Ok(width)) = (usize::try_from(height), usize::try_from(width)) else {
            return Err(wrong(EXPECTED));
        };
        // The set's own bound; an image with a side of 0 is none.
        image_bytes(height, width).map_err(|_| wrong(EXPECTED))?;
        let channels = if channels == 1 { 1 } else { 3 };
        let stored = [width, channels, kind.bytes()]
            .into_iter()
            .try_fold(height, usize::checked_mul);
        let Some(stored_bytes) = stored.filter(|&bytes| bytes <= MAX_IMAGE_BYTES) else {
            let reason = format!(
                "images of {height} x {width} pixels, more than the {MAX_IMAGE_BYTES} bytes that an image may have"
            );
            return Err(DatasetError::malformed(path, reason));
        };
        Ok(Self {
            len,
            height,
            width,
            channels,
            layout,
            kind,
            stored_bytes,
        })
    }

    /// The most images of one chunk, whatever is asked for: it bounds memory if images are larger than expected.
    pub(crate) fn together(&self) -> usize {
        (MAX_CHUNK_BYTES / self.stored_bytes).max(1)
    }

    /// Whether an image in the array is an image of a set, byte for byte.
    pub(crate) fn is_plain(&self) -> bool {
        self.kind == Kind::U8 && self.layout == Layout::Nhwc && self.channels == 3
    }
}

const EXPECTED: &str = "(N, H, W, 3), (N, 3, H, W), (N, H, W, 1), (N, 1, H, W) or (N, H, W)";

enum Fault {
    Wrong(&'static str),
    Ambiguous(&'static str, &'static str),
}

/// The layout of a shape, and N, H, W and C.
fn axes(shape: &[u64], layout: Option<Layout>) -> std::result::Result<(Layout, [u64; 4]), Fault> {
    let is_channels = |extent: u64| matches!(extent, 1 | 3);
    match (shape, layout) {
        (&[n, h, w, c], Some(Layout::Nhwc)) if is_channels(c) => Ok((Layout::Nhwc, [n, h, w, c])),
        (&[n, c, h, w], Some(Layout::Nchw)) if is_channels(c) => Ok((Layout::Nchw, [n, h, w, c])),
        (&[n, h, w], Some(Layout::Nhw)) => Ok((Layout::Nhw, [n, h, w, 1])),
        (_, Some(Layout::Nhwc)) => Err(Fault::Wrong("(N, H, W, 3) or (N, H, W, 1)")),
        (_, Some(Layout::Nchw)) => Err(Fault::Wrong("(N, 3, H, W) or (N, 1, H, W)")),
        (_, Some(Layout::Nhw)) => Err(Fault::Wrong("(N, H, W)")),
        // Three channels last are an image even if it is one pixel high; any other meeting of two candidates is refused.
        (&[n, h, w, 3], None) if h != 3 => Ok((Layout::Nhwc, [n, h, w, 3])),
        (&[_, a, _, c], None) if is_channels(a) && is_channels(c) => Err(Fault::Ambiguous(
            if c == 3 { "(N, H, W, 3)" } else { "(N, H, W, 1)" },
            if a == 3 { "(N, 3, H, W)" } else { "(N, 1, H, W)" },
        )),
        (&[n, h, w, 1], None) => Ok((Layout::Nhwc, [n, h, w, 1])),
        (&[n, c, h, w], None) if is_channels(c) => Ok((Layout::Nchw, [n, h, w, c])),
        (&[_, _, c], None) if is_channels(c) => Err(Fault::Ambiguous(
            "(N, H, W) in grey",
            "one image (H, W, C), which has to be (1, H, W, C)",
        )),
        (&[3, _, _], None) => Err(Fault::Ambiguous(
            "(N, H, W) in grey",
            "one image (3, H, W), which has to be (1, 3, H, W)",
        )),
        (&[n, h, w], None) => Ok((Layout::Nhw, [n, h, w, 1])),
        _ => Err(Fault::Wrong(EXPECTED)),
    }
}

#[cfg(test)]
mod tests {
    use riptide_files::npy::{Header, encode_header};

    use super::*;

    fn of(dtype: &str, shape: &[u64], layout: Option<Layout>) -> Result<ImageShape> {
        let header = Header::read(&mut &encode_header(dtype, shape)[..]).unwrap();
        ImageShape::of(&header, Path::new("x.npy"), ArrayOptions::default().layout(layout))
    }

    #[test]
    fn axes_are_told_apart_by_their_channels() {
        use Layout::{Nchw, Nhw, Nhwc};
        for (shape, given, layout, size) in [
            (&[9, 5, 4, 3][..], None, Nhwc, (5, 4, 3)),
            (&[9, 1, 4, 3], None, Nhwc, (1, 4, 3)),
            (&[9, 5, 4, 1], None, Nhwc, (5, 4, 1)),
            (&[9, 3, 5, 4], None, Nchw, (5, 4, 3)),
            (&[9, 1, 5, 4], None, Nchw, (5, 4, 1)),
            (&[9, 5, 4], None, Nhw, (5, 4, 1)),
            (&[1, 5, 4], None, Nhw, (5, 4, 1)),
            (&[9, 3, 4, 3], Some(Nhwc), Nhwc, (3, 4, 3)),
            (&[9, 3, 4, 3], Some(Nchw), Nchw, (4, 3, 3)),
            (&[9, 5, 3], Some(Nhw), Nhw, (5, 3, 1)),
        ] {
            let found = of("|u1", shape, given).unwrap();
            assert_eq!((found.layout, found.len), (layout, shape[0]), "{shape:?}");
            assert_eq!((found.height, found.width, found.channels), size, "{shape:?}");
        }
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        for shape in [
            &[9, 3, 4, 3][..],
            &[9, 1, 4, 1],
            &[9, 3, 4, 1],
            &[32, 32, 3],
            &[3, 32, 32],
            &[9, 9, 1],
        ] {
            let error = of("|u1", shape, None).unwrap_err();
            assert!(
                matches!(error, DatasetError::AmbiguousLayout { .. }),
                "{shape:?}: {error}"
            );
        }
        for (shape, layout) in [
            (&[9, 5, 4, 4][..], None),
            (&[9], None),
            (&[], None),
            (&[9, 0, 4, 3], None),
            (&[9, 5, 4, 3], Some(Layout::Nchw)),
            (&[9, 3, 5, 4], Some(Layout::Nhwc)),
            (&[9, 5, 4, 3], Some(Layout::Nhw)),
        ] {
            let error = of("|u1", shape, layout).unwrap_err();
            assert!(matches!(error, DatasetError::WrongShape { .. }), "{shape:?}: {error}");
        }
        let error = of("|u1", &[1, 40_000, 40_000, 3], None).unwrap_err().to_string();
        assert!(error.contains("40000 x 40000"), "{error}");
        assert!(matches!(
            of("<i8", &[9, 5, 4, 3], None),
            Err(DatasetError::WrongDtype { .. })
        ));
    }
}
