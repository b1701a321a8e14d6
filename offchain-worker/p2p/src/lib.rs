//! Peers that serve and fetch blobs of each other.
//!
//! A store ([`cairn_store`]) needs somebody who runs it. Here whoever has a blob serves it himself, over QUIC by iroh:
//! no port has to be open, since two machines behind routers find each other's way by a relay or speak through it.
//!
//! - A [`Peer`] is an endpoint with a key of its own ([`PeerKey`]); its [`PeerId`] is the public half, 32 bytes.
//! - [`Peer::serve`] answers "bytes `from` to `to` of the file at a path" out of a [`Shelf`], to whom a [`Policy`]
//!   admits, within [`Limits`].
//! - [`Peer::source`] is a [`cairn_store::Source`], so [`cairn_store::fetch`] takes from peers as it takes from any
//!   store: checked in groups of 16 KiB, resumed, from several at once by their speed.
//! - [`Peer::probe`] says how fast this machine sends to a peer, which throws away what it is sent.
//!
//! Nothing is looked up anywhere: a peer is reached at the addresses that the caller gives ([`Address`]), and relays
//! are those that the caller names ([`Settings::relays`]) or none.
//!
//! All of it is behind the feature `iroh`, which the worker turns on by its own, `p2p`.
//!
//! The frames, what each limit is for, and what a hostile peer can and cannot do: `docs/peers.md`.

// Without the feature there is nothing to link to.
#![cfg_attr(not(feature = "iroh"), allow(rustdoc::broken_intra_doc_links))]
#![cfg(feature = "iroh")]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod address;
mod code;
mod error;
pub mod frame;
mod key;
mod limits;
mod names;
mod peer;
mod policy;
mod probe;
mod serve;
mod shelf;
mod source;

#[cfg(all(test, feature = "testing"))]
mod tests;

pub use address::{Address, MAX_DIRECT};
pub use code::Code;
pub use error::PeerError;
pub use key::{PeerId, PeerKey};
pub use limits::{Limits, PIECE};
pub use peer::{Peer, Settings};
pub use policy::{is_blob, Policy};
pub use probe::{ProbeError, Uplink};
pub use serve::{Counts, Serving};
pub use shelf::{Directory, File, Shelf};
pub use source::PeerSource;
