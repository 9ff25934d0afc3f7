//! The header of a `.npy` file (numpy's format, versions 1.0 to 3.0).
//!
//! A header is the magic `\x93NUMPY`, two version bytes, a little-endian length (two bytes in version 1, four after) and a
//! Python dictionary literal with the keys `descr`, `fortran_order` and `shape`, padded with spaces to a line end. It is
//! parsed here, and not by a general reader of Python literals, because it comes from untrusted files: lengths
//! are bounded before anything is allocated, nothing recurses, and no arithmetic can overflow.

use std::io::Read;

use super::NpyError;

type Result<T> = std::result::Result<T, NpyError>;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The longest header that is read. Those of plain arrays are 118 bytes long; only records of many fields need more.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// The most dimensions that a shape may have (numpy's own bound).
const MAX_DIMENSIONS: usize = 64;

/// What a `.npy` header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The element type in numpy's notation, such as `|u1` or `<i8`; a structured type as it is written.
    pub dtype: String,
    /// Whether the first index varies fastest.
    pub fortran_order: bool,
    /// The length of each dimension.
    pub shape: Vec<u64>,
    /// Bytes before the data.
    pub data_offset: u64,
}

impl Header {
    /// Reads a header and leaves the reader at the first byte of the data.
    ///
    /// # Errors
    /// Returns an error if the reader ends early, if the magic or the version is another, or if the header is too long or not the
    /// dictionary expected.
    pub fn read(reader: &mut impl Read) -> Result<Self> {
        let mut start = [0u8; 8];
        read_exact(reader, &mut start, 0)?;
        let [magic @ .., major, _minor] = start;
        if magic != *MAGIC {
            return Err(NpyError::malformed(
                "not a .npy file: it does not start with \\x93NUMPY",
            ));
        }
        let (length, before) = match major {
            1 => {
                let mut bytes = [0u8; 2];
                read_exact(reader, &mut bytes, 8)?;
                (usize::from(u16::from_le_bytes(bytes)), 10)
            }
            2 | 3 => {
                let mut bytes = [0u8; 4];
                read_exact(reader, &mut bytes, 8)?;
                (usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX), 12)
            }
            other => {
                return Err(NpyError::malformed(format!(".npy version {other}, expected 1, 2 or 3")));
            }
        };
        if length > MAX_HEADER_BYTES {
            let reason = format!("a .npy header of {length} bytes, expected at most {MAX_HEADER_BYTES}");
            return Err(NpyError::malformed(reason));
        }
        let mut text = vec![0u8; length];
        read_exact(reader, &mut text, before)?;
        let wrong = |reason: &str| NpyError::malformed(format!("the .npy header {reason}"));
        let text = std::str::from_utf8(&text).map_err(|_| wrong("is not text"))?;
        let (dtype, fortran_order, shape) = parse(text).map_err(wrong)?;
        Ok(Self {
            dtype,
            fortran_order,
            shape,
            data_offset: before + length as u64,
        })
    }

    /// The number of elements; `None` if it overflows.
    pub fn elements(&self) -> Option<u64> {
        self.shape
            .iter()
            .try_fold(1u64, |product, &extent| product.checked_mul(extent))
    }
}

fn read_exact(reader: &mut impl Read, bytes: &mut [u8], before: u64) -> Result<()> {
    let wanted = bytes.len() as u64;
    reader.read_exact(bytes).map_err(|source| match source.kind() {
        std::io::ErrorKind::UnexpectedEof => NpyError::malformed(format!(
            "not a .npy file: it ends inside the header, before byte {}",
            before + wanted
        )),
        _ => NpyError::Io(source),
    })
}

type Parsed = (String, bool, Vec<u64>);

/// Parses the dictionary; an error is the end of a sentence that starts with "the .npy header".
fn parse(text: &str) -> std::result::Result<Parsed, &'static str> {
    let mut rest = text.trim();
    rest = eat(rest, '{').ok_or("is not a dictionary")?;
    let (mut dtype, mut fortran_order, mut shape) = (None, None, None);
    loop {
        rest = rest.trim_start();
        if let Some(after) = eat(rest, '}') {
            if !after.trim().is_empty() {
                return Err("goes on after the dictionary");
            }
            break;
        }
        let (key, after) = quoted(rest).ok_or("has a key that is not a string")?;
        rest = eat(after.trim_start(), ':')
            .ok_or("has a key without a value")?
            .trim_start();
        rest = match key {
            "descr" => {
                let (value, after) = match quoted(rest) {
                    Some((value, after)) => (value.to_owned(), after),
                    None => structured(rest).ok_or("has a descr that cannot be read")?,
                };
                dtype = Some(value);
                after
            }
            "fortran_order" => {
                let (value, after) = match (rest.strip_prefix("True"), rest.strip_prefix("False")) {
                    (Some(after), _) => (true, after),
                    (_, Some(after)) => (false, after),
                    _ => return Err("has a fortran_order that is neither True nor False"),
                };
                fortran_order = Some(value);
                after
            }
            "shape" => {
                let (value, after) = tuple(rest)?;
                shape = Some(value);
                after
            }
            _ => return Err("has a key other than descr, fortran_order and shape"),
        };
        rest = rest.trim_start();
        match eat(rest, ',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("lacks a comma between its entries"),
        }
    }
    match (dtype, fortran_order, shape) {
        (Some(dtype), Some(fortran_order), Some(shape)) => Ok((dtype, fortran_order, shape)),
        _ => Err("lacks one of descr, fortran_order and shape"),
    }
}

fn eat(text: &str, wanted: char) -> Option<&str> {
    text.strip_prefix(wanted)
}

/// A string in single or double quotes without escapes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (inside, after) = eat(text, quote)?.split_once(quote)?;
    (!inside.contains('\\')).then_some((inside, after))
}

/// The list of a structured type, kept as text: brackets are counted, their content is not looked at.
fn structured(text: &str) -> Option<(String, &str)> {
    text.starts_with('[').then_some(())?;
    let mut depth = 0usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'(' => depth += 1,
            b']' | b')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            let (inside, after) = text.split_at_checked(index + 1)?;
            return Some((inside.to_owned(), after));
        }
    }
    None
}

/// A tuple of non-negative integers, and what follows it.
fn tuple(text: &str) -> std::result::Result<(Vec<u64>, &str), &'static str> {
    let inside = eat(text, '(').ok_or("has a shape that is not a tuple")?;
    let (inside, after) = inside.split_once(')').ok_or("has a shape without an end")?;
    let mut extents = Vec::new();
    let mut parts = inside.split(',').map(str::trim).peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() && parts.peek().is_none() {
            break;
        }
        // Python 2 wrote long integers with an L.
        let digits = part.strip_suffix('L').unwrap_or(part);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("has a shape with something other than whole numbers");
        }
        extents.push(
            digits
                .parse()
                .map_err(|_| "has a dimension that does not fit into 64 bits")?,
        );
        if extents.len() > MAX_DIMENSIONS {
            return Err("has more than 64 dimensions");
        }
    }
    Ok((extents, after))
}

/// The bytes of a version 1.0 header in C order, padded so that the data starts at a multiple of 64. `dtype` is a name such as
/// `<f4`, or the list of a structured type.
pub fn encode_header(dtype: &str, shape: &[u64]) -> Vec<u8> {
    let extents: Vec<String> = shape.iter().map(u64::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let quote = if dtype.starts_with('[') { "" } else { "'" };
    let dictionary = format!(
        "{{'descr': {quote}{dtype}{quote}, 'fortran_order': False, 'shape': ({}{comma}), }}",
        extents.join(", ")
    );
    // At least 20 spaces, as numpy leaves, so that the count can grow in place.
    let total = (10 + dictionary.len() + 21).next_multiple_of(64);
    let length = u16::try_from(total - 10).unwrap_or(u16::MAX);
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(dictionary.as_bytes());
    bytes.resize(total - 1, b' ');
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Header> {
        Header::read(&mut &bytes[..])
    }

    fn v1(dictionary: &str) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(dictionary.len()).unwrap().to_le_bytes());
        bytes.extend(dictionary.as_bytes());
        bytes
    }

    #[test]
    fn what_numpy_writes_is_read() {
        // numpy.save(f, numpy.zeros((2, 3), "<i8")), numpy 2: 128 bytes before the data.
        let mut text = "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }".to_owned();
        text.push_str(&" ".repeat(117 - text.len()));
        text.push('\n');
        let header = read(&v1(&text)).unwrap();
        assert_eq!(
            (header.dtype.as_str(), header.fortran_order, header.data_offset),
            ("<i8", false, 128)
        );
        assert_eq!((header.shape.as_slice(), header.elements()), (&[2, 3][..], Some(6)));

        let one = read(&v1("{'shape': (7,), 'fortran_order': True, 'descr': \"|u1\"}")).unwrap();
        assert_eq!(
            (one.shape, one.fortran_order, one.dtype.as_str()),
            (vec![7], true, "|u1")
        );
        let scalar = read(&v1("{'descr': '|u1', 'fortran_order': False, 'shape': ()}\n")).unwrap();
        assert_eq!((scalar.elements(), scalar.shape.len()), (Some(1), 0));
        let record = read(&v1(
            "{'descr': [('a', '<f4'), ('b', '|u1', (2,))], 'fortran_order': False, 'shape': (1,)}",
        ));
        assert!(record.unwrap().dtype.starts_with("[('a'"));
        let mut v2 = b"\x93NUMPY\x02\x00".to_vec();
        v2.extend(53u32.to_le_bytes());
        v2.extend(b"{'descr': '|u1', 'fortran_order': False, 'shape': ()}");
        assert_eq!(read(&v2).unwrap().data_offset, 12 + 53);
    }

    #[test]
    fn broken_headers_say_what_is_wrong() {
        let long = [b"\x93NUMPY\x02\x00".as_slice(), &u32::MAX.to_le_bytes()].concat();
        let shape = |s: &str| v1(&format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {s}}}"));
        for (bytes, expected) in [
            (b"".to_vec(), "ends inside the header"),
            (b"\x93NUMPY\x01".to_vec(), "ends inside the header"),
            (b"PK\x03\x04........".to_vec(), "does not start with"),
            (b"\x93NUMPY\x09\x00\x00\x00".to_vec(), "version 9"),
            (long, "4294967295 bytes"),
            (v1("[1, 2]"), "not a dictionary"),
            (v1("{'descr': '|u1', 'fortran_order': False}"), "lacks one of"),
            (
                v1("{'descr': '|u1', 'fortran_order': 1, 'shape': (1,)}"),
                "neither True nor False",
            ),
            (shape("(-1,)"), "other than whole numbers"),
            (shape("(1,,2)"), "other than whole numbers"),
            (shape("(99999999999999999999,)"), "64 bits"),
            (shape("3"), "not a tuple"),
            (shape("(1"), "without an end"),
            (v1(&format!("{{'descr': {}", "[".repeat(9000))), "cannot be read"),
        ] {
            let message = read(&bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "{message} should contain {expected}");
        }
        let huge = read(&shape("(18446744073709551615, 18446744073709551615)")).unwrap();
        assert_eq!(huge.elements(), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }

        #[test]
        fn arbitrary_dictionaries_never_panic(text in "\\{?['descrfotan_hp:, ()\\[\\]TFalsu<|0-9é}]{0,120}") {
            let _ = read(&v1(&text));
        }

        #[test]
        fn an_encoded_header_comes_back(shape in proptest::collection::vec(any::<u64>(), 0..6)) {
            let bytes = encode_header("|u1", &shape);
            prop_assert_eq!(bytes.len() % 64, 0);
            let header = read(&bytes).unwrap();
            prop_assert_eq!(header.shape, shape);
            prop_assert_eq!(header.data_offset, bytes.len() as u64);
        }
    }
}
