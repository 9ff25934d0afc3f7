//! An ONNX file's bytes as protocol buffers, for the one change that is made to a file: weights kept beside it are put into it.
//!
//! Everything else is copied byte by byte, also fields that no version of the format has had so far.

use std::ops::Range;

/// Messages of the format that can hold tensors, and tensors themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Training,
    Node,
    Attribute,
    SparseTensor,
    Function,
    Tensor,
}

impl Message {
    /// The message in a field; `None` if no tensor can be in it.
    fn child(self, field: u64) -> Option<Self> {
        match (self, field) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Some(Self::Graph),
            (Self::Model, 20) => Some(Self::Training),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Some(Self::SparseTensor),
            (Self::Node, 5) => Some(Self::Attribute),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => Some(Self::Tensor),
            _ => None,
        }
    }
}

/// Where a tensor's values are, and how many bytes they should be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct External {
    pub(super) location: String,
    pub(super) offset: Option<String>,
    pub(super) length: Option<String>,
    pub(super) dims: Vec<i64>,
    pub(super) data_type: i64,
}

const DAMAGED: &str = "is not a whole ONNX file";
/// Messages in messages; prost reads no more than 100 either.
const MAX_DEPTH: usize = 100;

/// Appends the values that are outside of the file.
type Read<'a> = dyn FnMut(&External, &mut Vec<u8>) -> Result<(), String> + 'a;

/// The file with the values of each tensor that are outside of it, which `read` appends to what it is given. `None` if all are inside.
pub(super) fn inline(file: &[u8], read: &mut Read<'_>) -> Result<Option<Vec<u8>>, String> {
    if !has_external(Message::Model, file, 0)? {
        return Ok(None);
    }
    let mut whole = Vec::with_capacity(file.len());
    copy(Message::Model, file, &mut whole, read, 0)?;
    Ok(Some(whole))
}

fn has_external(message: Message, bytes: &[u8], depth: usize) -> Result<bool, String> {
    if depth > MAX_DEPTH {
        return Err(DAMAGED.into());
    }
    for field in Fields::of(bytes) {
        let field = field?;
        if message == Message::Tensor && field.is_external() {
            return Ok(true);
        }
        if let (Some(child), Some(content)) = (message.child(field.number), field.content)
            && has_external(child, content, depth + 1)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn copy(message: Message, bytes: &[u8], out: &mut Vec<u8>, read: &mut Read<'_>, depth: usize) -> Result<(), String> {
    for field in Fields::of(bytes) {
        let field = field?;
        match (message.child(field.number), field.content) {
            (Some(child), Some(content)) if has_external(child, content, depth)? => {
                let mut inside = Vec::with_capacity(content.len());
                match child {
                    Message::Tensor => fill(content, &mut inside, read)?,
                    _ => copy(child, content, &mut inside, read, depth + 1)?,
                }
                put_bytes(field.number, &inside, out);
            }
            _ => out.extend_from_slice(bytes.get(field.range).unwrap_or_default()),
        }
    }
    Ok(())
}

/// A tensor with its values inside.
fn fill(bytes: &[u8], out: &mut Vec<u8>, read: &mut Read<'_>) -> Result<(), String> {
    const RAW_DATA: u64 = 9;
    let mut external = External::default();
    for field in Fields::of(bytes) {
        let field = field?;
        match (field.number, field.content) {
            (1, None) => external.dims.push(field.value as i64),
            (1, Some(packed)) => {
                let mut at = 0;
                while at < packed.len() {
                    external.dims.push(varint(packed, &mut at).ok_or(DAMAGED)? as i64);
                }
            }
            (2, None) => external.data_type = field.value as i64,
            (13, Some(entry)) => {
                let (key, value) = entry_of(entry)?;
                match key.as_str() {
                    "location" => external.location = value,
                    "offset" => external.offset = Some(value),
                    "length" => external.length = Some(value),
                    _ => {}
                }
                continue;
            }
            (RAW_DATA | 13 | 14, _) => continue,
            _ => {}
        }
        out.extend_from_slice(bytes.get(field.range).unwrap_or_default());
    }
    let mut values = Vec::new();
    read(&external, &mut values)?;
    put_bytes(RAW_DATA, &values, out);
    Ok(())
}

/// A pair of strings.
fn entry_of(bytes: &[u8]) -> Result<(String, String), String> {
    let (mut key, mut value) = (String::new(), String::new());
    for field in Fields::of(bytes) {
        let field = field?;
        let text = String::from_utf8(field.content.unwrap_or_default().to_vec()).map_err(|_| DAMAGED)?;
        match field.number {
            1 => key = text,
            2 => value = text,
            _ => {}
        }
    }
    Ok((key, value))
}

fn put_bytes(field: u64, content: &[u8], out: &mut Vec<u8>) {
    put_varint(field << 3 | 2, out);
    put_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// One field of a message.
struct Field<'a> {
    number: u64,
    /// The value of a number.
    value: u64,
    /// The bytes of a string or message.
    content: Option<&'a [u8]>,
    /// The whole field, with its number.
    range: Range<usize>,
}

impl Field<'_> {
    /// Of a tensor's field: whether it says that the values are in another file.
    fn is_external(&self) -> bool {
        const DATA_LOCATION: u64 = 14;
        self.number == DATA_LOCATION && self.content.is_none() && self.value == 1
    }
}

/// The fields of a message, in order; ends after an error.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn field(&mut self) -> Option<Field<'a>> {
        let start = self.at;
        let tag = varint(self.bytes, &mut self.at)?;
        let (mut value, mut content) = (0, None);
        match tag & 7 {
            0 => value = varint(self.bytes, &mut self.at)?,
            1 => self.skip(8)?,
            2 => {
                let length = usize::try_from(varint(self.bytes, &mut self.at)?).ok()?;
                let begin = self.at;
                self.skip(length)?;
                content = Some(self.bytes.get(begin..self.at)?);
            }
            5 => self.skip(4)?,
            _ => return None,
        }
        Some(Field {
            number: tag >> 3,
            value,
            content,
            range: start..self.at,
        })
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.at = self.at.checked_add(length).filter(|&end| end <= self.bytes.len())?;
        Some(())
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.at = self.bytes.len();
        }
        Some(field.ok_or_else(|| DAMAGED.to_owned()))
    }
}

/// The number of 7 bits a byte at `at`, which is moved behind it.
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model with one initializer of two floats, kept in "weights" at offset 4.
    fn model() -> Vec<u8> {
        let mut entries = Vec::new();
        for (key, value) in [("location", "weights"), ("offset", "4"), ("length", "8")] {
            let mut entry = Vec::new();
            put_bytes(1, key.as_bytes(), &mut entry);
            put_bytes(2, value.as_bytes(), &mut entry);
            put_bytes(13, &entry, &mut entries);
        }
        let mut tensor = vec![1 << 3, 2, 2 << 3, 1];
        put_bytes(8, b"w", &mut tensor);
        tensor.extend(entries);
        tensor.extend([14 << 3, 1]);
        let mut graph = Vec::new();
        put_bytes(5, &tensor, &mut graph);
        put_bytes(99, b"a field of the future", &mut graph);
        let mut model = vec![1 << 3, 8];
        put_bytes(7, &graph, &mut model);
        model
    }

    #[test]
    fn values_move_in_and_all_else_stays() {
        let mut asked = Vec::new();
        let whole = inline(&model(), &mut |external, out| {
            asked.push((
                external.location.clone(),
                external.offset.clone(),
                external.dims.clone(),
            ));
            out.extend([1, 2, 3, 4, 5, 6, 7, 8]);
            Ok(())
        });
        let whole = whole.unwrap().unwrap();
        assert_eq!(asked, [("weights".to_owned(), Some("4".to_owned()), vec![2])]);
        let text = String::from_utf8_lossy(&whole);
        assert!(text.contains("a field of the future") && !text.contains("weights"));
        assert!(whole.windows(8).any(|window| window == [1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(inline(&whole, &mut |_, _| Err("asked again".into())), Ok(None));
    }

    #[test]
    fn cut_and_changed_bytes_are_errors_or_readable() {
        let model = model();
        let mut read = |_: &External, out: &mut Vec<u8>| {
            out.extend([0; 8]);
            Ok(())
        };
        for length in 0..model.len() {
            let _ = inline(&model[..length], &mut read);
        }
        for place in 0..model.len() {
            for bit in 0..8 {
                let mut model = model.clone();
                model[place] ^= 1 << bit;
                let _ = inline(&model, &mut read);
            }
        }
        assert_eq!(inline(&[0x0b], &mut read), Err(DAMAGED.into()));
    }
}
