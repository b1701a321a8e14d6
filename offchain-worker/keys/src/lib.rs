//! Key pairs, and the key files of stock wallets.
//!
//! [`Keypair`] is what signs on chain: sr25519, made of a phrase, a secret URI, or a [`KeyFile`]. A key file is
//! one of two formats, each in plain text or under a passphrase:
//!
//! - [`Format::PolkadotJs`]: the JSON that polkadot.js and the wallets around it export, version 3;
//! - [`Format::Bittensor`]: the key files of `bittensor-wallet`, JSON or `$NACL`.
//!
//! Reading is safe against files from anybody: their size is bounded, a cost that they name has to be one of a
//! short list, and the key has to be that of every address and public key that the file states. There is no
//! input or output here but random numbers; who asks for passphrases and keeps files is the caller.
//!
//! No secret is ever in an error or in `Debug`, and secrets are wiped when they are dropped.

mod bittensor;
mod error;
mod file;
mod keypair;
mod passphrase;
mod polkadot_js;
mod seal;
mod secret;
pub mod ss58;
mod text;

pub use error::KeyError;
pub use file::{write, Format, KeyFile, MAX_FILE};
pub use keypair::{is_development, verify, Keypair};
pub use passphrase::Passphrase;
pub use secret::Secret;
