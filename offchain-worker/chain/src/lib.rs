//! A typed client of a Cairn chain.
//!
//! A worker talks to one node over a WebSocket. This crate makes that safe to build on: every call has a
//! deadline, reads are tried again while a node restarts, a node of another chain is refused rather than
//! believed, and whatever goes wrong is a [`ChainError`] that says in one line what and what to do.
//!
//! There are three things to do with a [`Client`]:
//!
//! - **Follow** the chain: [`Client::best_blocks`] and [`Client::finalized_blocks`] are streams that
//!   outlive the connection they began on.
//! - **Read** it: [`Client::at`] gives a view of the state of one block, with a method for each function
//!   of the runtime APIs of `cairn_primitives::api`. Everything that is read from one view belongs
//!   together, however long reading takes.
//! - **Change** it: [`Client::submit`] signs a [`Call`], sees it into a block, and gives the events or the
//!   pallet's error by name. [`Client::unsigned`] and [`Client::submit_signed`] do so in two steps, between which the
//!   key signs where there is no network.
//!
//! ```no_run
//! # async fn example() -> Result<(), cairn_chain::ChainError> {
//! use cairn_chain::{keypair, AccountId, Call, Client};
//!
//! let client = Client::connect("ws://127.0.0.1:9944").await?;
//! let alice = keypair("//Alice")?;
//! let head = client.best().await?;
//! let balance = client.at(head.hash).balance(&AccountId::of(&alice)).await?;
//! println!("{} pebble at block {}", balance.free, head.number);
//! let included = client.submit(&Call::create_subnet(balance.free), &alice).await?;
//! let netuid: Option<u16> =
//!     included.event("Subnets", "SubnetCreated").and_then(|event| event.first());
//! # Ok(())
//! # }
//! ```
//!
//! Calls and answers are exact SCALE of the types that the chain itself uses, so there is no generated
//! code: only the indices of pallets and calls and the names of errors come from the node's metadata.

mod account;
mod blocks;
mod call;
mod client;
mod connection;
mod dispatch;
mod endpoints;
mod error;
mod fees;
mod governance;
mod keys;
mod offline;
mod patience;
mod recovery;
mod refusal;
mod runtime;
mod standing;
mod stored;
mod submit;
mod turn;
mod validity;
mod view;

pub use account::AccountId;
pub use blocks::{Block, BlockStream};
pub use cairn_keys::Keypair;
pub use call::Call;
pub use client::Client;
pub use connection::Settings;
pub use dispatch::{DispatchError, Event};
pub use endpoints::{BEHIND, MAX_NODES};
pub use error::ChainError;
pub use governance::{Motion, Referendum, Rule, Stage, Track};
pub use keys::{keypair, mnemonic, HotkeySignature};
pub use offline::{Signed, Unsigned};
pub use patience::Patience;
pub use recovery::{FriendGroup, RecoveryAttempt};
pub use standing::{Approved, Proxy, ProxyKind, Shared, Timepoint};
pub use stored::{Bond, Take};
pub use submit::Included;
pub use turn::Urgency;
pub use view::{
    AccountBalance, AccountEarning, AuditInfo, ContributionInfo, HotkeyInfo, MemberEmission,
    MemberEndpoints, MemberInfo, Position, RoundInfo, RunInfo, SubnetInfo, ValidatorScores, View,
};
