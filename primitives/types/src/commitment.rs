//! How a miner binds itself to a contribution before anybody can see it.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{blake2_256, Netuid, Round, H256};

/// The secret that opens a sealed contribution: ChaCha20's key and nonce are derived from it.
pub type ContributionKey = [u8; 32];

/// What a miner says of its contribution while it is still sealed.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Commitment {
    /// State root of the weights that the miner started from.
    pub parent_root: H256,
    /// BLAKE3 of the sealed file, by which it is found in the store.
    pub sealed_root: H256,
    /// Length of the sealed file in bytes.
    pub length: u64,
    /// [`key_hash`] of the key that opens it.
    pub key_hash: H256,
}

/// `blake2_256(SCALE(netuid, round, hotkey, key))`: binds a key to one miner and one round, so that a
/// commitment copied from somebody else can never be opened by the copier.
pub fn key_hash(netuid: Netuid, round: Round, hotkey: &[u8; 32], key: &ContributionKey) -> H256 {
    blake2_256(&(netuid, round, hotkey, key).encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_bound_to_subnet_round_and_hotkey() {
        let of = key_hash(1, 2, &[3; 32], &[4; 32]);
        assert_ne!(of, key_hash(2, 2, &[3; 32], &[4; 32]));
        assert_ne!(of, key_hash(1, 3, &[3; 32], &[4; 32]));
        assert_ne!(of, key_hash(1, 2, &[4; 32], &[4; 32]));
        assert_ne!(of, key_hash(1, 2, &[3; 32], &[5; 32]));
    }
}
