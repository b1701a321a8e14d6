//! Blobs against sources of every kind.

mod bits;
mod disk;
mod https;
mod plan;
mod proxy;
mod s3;
mod server;
mod several;
mod shelf;
mod slow;

use bytes::Bytes;

use super::*;

/// Bytes that repeat nowhere.
pub(super) fn content(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new()
        .update(b"content")
        .finalize_xof()
        .fill(&mut bytes);
    bytes.into()
}

/// Groups as bytes.
pub(super) const fn groups(count: usize) -> usize {
    count * GROUP as usize
}
