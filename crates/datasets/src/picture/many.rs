//! Several pictures at a time, in parallel, in order, in bounded memory.

use std::path::PathBuf;

use rayon::prelude::*;

use super::error::PictureError;
use super::options::PictureOptions;
use super::{Framing, Header, Picture, Result, decode_as, file, header};

/// Bytes that pictures which are decoded at the same time may take, unless one takes more by itself.
const DECODED_BYTES: u64 = 160 << 20;

/// A picture that is not yet decoded.
#[derive(Debug, Clone)]
pub(crate) enum Encoded {
    /// The bytes of its file.
    Bytes(Vec<u8>),
    /// A file that holds them.
    File(PathBuf),
}

/// A picture that is in memory, with what its header says.
struct Loaded {
    bytes: Vec<u8>,
    header: Header,
}

/// Decodes pictures. If they are kept as they are, all must have the same size, which their headers say: the first one's if
/// `size` (rows and columns) is `None`, and that is then set. A picture of another size is not decoded, nor is any after it, and
/// its error is [`PictureError::WrongSize`].
///
/// Whoever calls bounds the bytes of the files by the number of pictures that it asks for.
pub(crate) fn decode_many(
    pictures: Vec<Encoded>,
    options: &PictureOptions,
    size: &mut Option<(u32, u32)>,
) -> Vec<Result<Picture>> {
    let mut loaded: Vec<Result<Loaded>> = pictures.into_par_iter().map(|picture| load(picture, options)).collect();
    let mut is_wrong = false;
    if options.framing == Framing::Keep {
        for picture in &mut loaded {
            let Ok(Loaded { header, .. }) = picture else { continue };
            let (found, expected) = (header.size, *size.get_or_insert(header.size));
            if found != expected {
                *picture = Err(PictureError::WrongSize { found, expected });
                is_wrong = true;
                break;
            }
        }
    }
    if is_wrong {
        let until = |picture: &Result<Loaded>| matches!(picture, Err(PictureError::WrongSize { .. }));
        let end = loaded.iter().position(until).map_or(loaded.len(), |at| at + 1);
        loaded.truncate(end);
    }
    let mut decoded = Vec::with_capacity(loaded.len());
    let mut waiting = loaded.into_iter().peekable();
    while waiting.peek().is_some() {
        let mut group = Vec::new();
        let mut cost = 0_u64;
        while let Some(next) = waiting.next_if(|next| group.is_empty() || cost + cost_of(next) <= DECODED_BYTES) {
            cost += cost_of(&next);
            group.push(next);
        }
        decoded.par_extend(group.into_par_iter().map(|picture| {
            let picture = picture?;
            decode_as(&picture.bytes, &picture.header, options)
        }));
    }
    decoded
}

fn load(picture: Encoded, options: &PictureOptions) -> Result<Loaded> {
    let bytes = match picture {
        Encoded::Bytes(bytes) => bytes,
        Encoded::File(path) => file::read(&path, options)?,
    };
    let header = header(&bytes, options)?;
    Ok(Loaded { bytes, header })
}

fn cost_of(picture: &Result<Loaded>) -> u64 {
    picture.as_ref().map_or(0, |picture| picture.header.cost)
}
