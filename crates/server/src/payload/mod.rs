//! Taking requests apart: bytes in, images or class probabilities out. Nothing here trusts a length, a shape or a type.

mod document;
mod event;
mod gzip;
mod images;
mod numbers;
mod rejection;

pub(crate) use document::Document;
pub(crate) use event::{Event, Half, header};
pub(crate) use gzip::inflate;
pub(crate) use images::{Expected, Images};
pub(crate) use numbers::Numbers;
pub(crate) use rejection::{Rejection, Taken};
