//! Bodies: read within a bound, decompressed, taken apart beside the threads that answer.

use std::pin::Pin;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};

use crate::payload::{Rejection, Taken};
use crate::shared::{Share, Shared};

/// Reads a body. The share keeps its bytes counted until the request is answered.
pub(super) async fn read<'a>(shared: &'a Shared, headers: &HeaderMap, mut body: Body) -> Taken<(Vec<u8>, Share<'a>)> {
    let most = shared.config.limits.body_bytes;
    let too_large = || Rejection::too_large(format!("a request may have {most} bytes at most"));
    let mut share = shared.bodies.share();
    // What a client claims is refused if it is too much, and believed only as it comes.
    let claimed = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if claimed.is_some_and(|claimed| claimed > most) {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(claimed.unwrap_or(0).min(1 << 16));
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Rejection::malformed("the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > most {
            return Err(too_large());
        }
        share.grow(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, share))
}

/// Bytes that are worth a thread of their own.
const SMALL: usize = 1 << 14;

/// Takes a body apart: small ones at once, large ones beside the threads that answer, a few at a time.
pub(super) async fn parse<T: Send + 'static>(
    shared: &Shared,
    size: usize,
    work: impl FnOnce() -> Taken<T> + Send + 'static,
) -> Taken<T> {
    let fault = || Rejection::new(500, "fault", "the body could not be taken apart");
    let _slot = shared.parsing.acquire().await.map_err(|_| fault())?;
    if size <= SMALL {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(fault()))
}

/// How much work a body is: what is compressed may be as much as is allowed.
pub(super) fn cost(bytes: &[u8]) -> usize {
    match bytes.starts_with(&[0x1f, 0x8b]) {
        true => usize::MAX,
        false => bytes.len(),
    }
}
