//! Bodies that are compressed, told by their first bytes: brokers drop the header that would say so.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::rejection::{Rejection, Taken};

/// A body as it was before compression, at most `limit` bytes.
pub(crate) fn inflate(body: &[u8], limit: usize) -> Taken<Cow<'_, [u8]>> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(body));
    }
    let mut inflated = Vec::new();
    // One byte more than allowed tells a body that is too large from one that just fits.
    let limit = limit as u64;
    let mut reader = MultiGzDecoder::new(body).take(limit + 1);
    reader
        .read_to_end(&mut inflated)
        .map_err(|error| Rejection::malformed(format!("the body looks like gzip, but is damaged: {error}")))?;
    if inflated.len() as u64 > limit {
        return Err(Rejection::too_large(format!(
            "the body has more than {limit} bytes after decompression"
        )));
    }
    Ok(Cow::Owned(inflated))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn bombs_and_damage_are_refused() {
        assert_eq!(&*inflate(b"plain", 10).unwrap(), b"plain");
        assert_eq!(&*inflate(&gzip(b"packed"), 6).unwrap(), b"packed");
        assert_eq!(inflate(&gzip(b"packed"), 5).unwrap_err().status, 413);
        assert_eq!(inflate(&gzip(&vec![0; 50 << 20]), 1 << 20).unwrap_err().status, 413);
        let whole = gzip(b"some text that is long enough");
        for cut in [2, 5, 12, whole.len() - 1] {
            assert_eq!(inflate(&whole[..cut], 100).unwrap_err().status, 400, "{cut}");
        }
    }
}
