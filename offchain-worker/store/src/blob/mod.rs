//! Blobs that are checked while they arrive: published with an outboard, fetched from several sources at once.

mod bitmap;
mod fault;
mod fetch;
mod partial;
mod plan;
mod publish;
mod roster;
mod source;
mod tree;

#[cfg(test)]
mod tests;

pub use fault::Fault;
pub use fetch::{fetch, fetch_metered, Blob, FetchError, Meter, Outcome, Patience};
pub use publish::Content;
pub use roster::Report;
pub use source::{Reply, Source};
pub use tree::{GROUP, MAX_LENGTH, SMALL};
