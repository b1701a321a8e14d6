//! What can go wrong before a byte travels. What a peer does wrong later is a [`cairn_store::Fault`].

use std::{net::SocketAddr, path::PathBuf};

use crate::{address::MAX_DIRECT, PeerId};

/// Why a peer cannot be, or cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// These 32 bytes are no point of the curve.
    #[error("{id} is nobody's id: ask the peer's owner for the right one")]
    NotAnId {
        /// What was given.
        id: PeerId,
    },
    /// A text that is no peer's address.
    #[error(
        "{text} is no peer's address: write iroh://ID?at=IP:PORT or iroh://ID?relay=https://HOST"
    )]
    NotAnAddress {
        /// The text.
        text: String,
    },
    /// There is no way to it.
    #[error("peer {id} has no address: name a direct address or a relay")]
    NoAddress {
        /// Which peer.
        id: PeerId,
    },
    /// More addresses than are tried.
    #[error("peer {id} has {found} direct addresses: name at most {MAX_DIRECT}")]
    TooManyAddresses {
        /// Which peer.
        id: PeerId,
        /// How many were given.
        found: usize,
    },
    /// An address that a chain may not send us to.
    #[error(
        "peer {id} may not be reached at {address}: only public addresses may be named on a chain"
    )]
    Forbidden {
        /// Which peer.
        id: PeerId,
        /// Its address.
        address: SocketAddr,
    },
    /// A relay that this endpoint was not given.
    #[error("peer {id} is behind the relay {relay}, which is none of ours: add it to the relays")]
    UnknownRelay {
        /// Which peer.
        id: PeerId,
        /// Its relay.
        relay: String,
    },
    /// A text that is no relay's URL, or one that a chain may not send us to.
    #[error("{url} is no relay: {why}; write https://host")]
    InvalidRelay {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The endpoint does not come up.
    #[error("cannot bind UDP at {at}: {why}; name other addresses, or stop who has them")]
    CannotBind {
        /// The addresses.
        at: String,
        /// What was said.
        why: String,
    },
    /// The file of a key.
    #[error("the key in {}: {why}", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The directory to serve from.
    #[error("cannot serve from {}: {why}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What was said.
        why: String,
    },
    /// An endpoint serves one shelf.
    #[error("this peer serves already: stop that first")]
    Serving,
}
