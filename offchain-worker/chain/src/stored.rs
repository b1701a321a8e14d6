//! What no runtime API answers and the storage says: from when on something is allowed, and whose a key is.
//!
//! It is read to explain a refusal, so it is named and laid out as in this release's pallets.

use cairn_primitives::{Balance, BlockNumber, Netuid};
use codec::{Decode, Encode, Input};
use sp_crypto_hashing::{blake2_128, twox_128, twox_64};

use crate::{AccountId, ChainError, View};

/// A bond as the chain keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Decode)]
pub struct Bond {
    /// What counts, in pebble.
    pub active: Balance,
    /// What was asked back, in pebble.
    pub unbonding: Balance,
    /// The block from which on that can be withdrawn; 0 while there is none.
    pub release_at: BlockNumber,
}

/// A take as the chain keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Decode)]
pub struct Take {
    /// The share, of 65,535.
    pub share: u16,
    /// The block at which it was set.
    pub set_at: BlockNumber,
}

/// How long a slot is, in milliseconds: the first field of BABE's configuration.
struct SlotDuration(u64);

impl Decode for SlotDuration {
    fn decode<I: Input>(input: &mut I) -> Result<SlotDuration, codec::Error> {
        let duration = u64::decode(input)?;
        // The rest is about lotteries.
        while input.read_byte().is_ok() {}
        Ok(SlotDuration(duration))
    }
}

impl View {
    /// The block at which the owner of a subnet last set its hyperparameters; `None` if never.
    pub async fn hyperparameters_set_at(
        &self,
        netuid: Netuid,
    ) -> Result<Option<BlockNumber>, ChainError> {
        let keys = [twox_64_concat(netuid)];
        self.stored("Subnets", "HyperparametersSetAt", &keys).await
    }

    /// Blocks for which work can be checked after it was done, where the chain says other than its default.
    pub async fn audit_window(&self) -> Result<Option<BlockNumber>, ChainError> {
        self.stored("Subnets", "AuditWindow", &[]).await
    }

    /// The coldkey that a hotkey belongs to; `None` if nobody ever registered it.
    pub async fn coldkey(&self, hotkey: &AccountId) -> Result<Option<AccountId>, ChainError> {
        let keys = [blake2_128_concat(hotkey)];
        self.stored("Subnets", "Coldkeys", &keys).await
    }

    /// The take of a hotkey, if its coldkey ever set one.
    pub async fn take(&self, hotkey: &AccountId) -> Result<Option<Take>, ChainError> {
        let keys = [blake2_128_concat(hotkey)];
        self.stored("Stake", "Takes", &keys).await
    }

    /// The bond of a hotkey on a subnet.
    pub async fn bond(&self, netuid: Netuid, hotkey: &AccountId) -> Result<Bond, ChainError> {
        let keys = [twox_64_concat(netuid), blake2_128_concat(hotkey)];
        Ok(self
            .stored("Stake", "Bonds", &keys)
            .await?
            .unwrap_or_default())
    }

    /// Milliseconds from one block to the next, if all goes well.
    pub async fn block_time(&self) -> Result<u64, ChainError> {
        let slot: SlotDuration = self.call("BabeApi_configuration", ()).await?;
        Ok(slot.0)
    }

    /// Milliseconds since 1970 at which this block's author made it, by its own clock; 0 in the first block.
    pub async fn made_at(&self) -> Result<u64, ChainError> {
        let now = self.stored("Timestamp", "Now", &[]).await?;
        Ok(now.unwrap_or_default())
    }

    /// What the state holds under an item of a pallet and its keys.
    pub(crate) async fn stored<T: Decode>(
        &self,
        pallet: &str,
        item: &str,
        keys: &[Vec<u8>],
    ) -> Result<Option<T>, ChainError> {
        let bytes = self.storage(&storage_key(pallet, item, keys)).await?;
        let read = |bytes: Vec<u8>| self.read(&format!("{pallet}.{item}"), &bytes);
        bytes.map(read).transpose()
    }
}

/// Where a pallet's item is in the state.
fn storage_key(pallet: &str, item: &str, keys: &[Vec<u8>]) -> Vec<u8> {
    let mut key = [twox_128(pallet.as_bytes()), twox_128(item.as_bytes())].concat();
    keys.iter().for_each(|part| key.extend_from_slice(part));
    key
}

pub(crate) fn twox_64_concat(key: impl Encode) -> Vec<u8> {
    let key = key.encode();
    [&twox_64(&key)[..], &key].concat()
}

pub(crate) fn blake2_128_concat(key: impl Encode) -> Vec<u8> {
    let key = key.encode();
    [&blake2_128(&key)[..], &key].concat()
}

/// A key that is a hash already.
pub(crate) fn identity(key: impl Encode) -> Vec<u8> {
    key.encode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{connection::Connection, Settings};
    use cairn_primitives::H256;

    #[test]
    fn keys_are_those_of_every_substrate_chain() {
        let alice: AccountId = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
            .parse()
            .unwrap();
        let key = storage_key("System", "Account", &[blake2_128_concat(alice)]);
        assert_eq!(
            hex::encode(key),
            "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9\
             de1e86a9a8c739864cf3cc5ec2bea59f\
             d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"
        );
        let one = twox_64_concat(1u16);
        assert_eq!((one.len(), &one[8..]), (10, &[1u8, 0][..]));
    }

    #[test]
    fn the_slot_is_the_first_field_of_babes_configuration() {
        let bytes = (6_000u64, 100u64, (1u64, 4u64), vec![7u8; 40]).encode();
        let connection =
            Connection::new(&["ws://127.0.0.1:1".into()], None, Settings::default()).unwrap();
        let view = View::new(connection, H256::zero());
        let slot: SlotDuration = view.read("BabeApi_configuration", &bytes).unwrap();
        assert_eq!(slot.0, 6_000);
        assert!(view
            .read::<SlotDuration>("BabeApi_configuration", &[1, 2])
            .is_err());
    }
}
