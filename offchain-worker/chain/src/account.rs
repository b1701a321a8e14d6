//! Accounts and their addresses.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU16, Ordering},
};

use cairn_keys::{ss58, Keypair};
use cairn_primitives::{Hotkey, GENERIC_SS58_PREFIX, SS58_PREFIX};
use codec::{Decode, Encode};
use serde::{de::Error as _, Deserialize, Deserializer, Serialize, Serializer};

use crate::ChainError;

/// The prefix with which addresses are written: that of the chain that this process talks to.
static PREFIX: AtomicU16 = AtomicU16::new(GENERIC_SS58_PREFIX);

/// Writes addresses as a chain with this prefix has them, from now on.
pub(crate) fn write_with(prefix: u16) {
    PREFIX.store(prefix, Ordering::Relaxed);
}

/// An account: an sr25519 public key.
///
/// People and JSON see it as an SS58 address: with Cairn's prefix once a chain is known that has it, before that with
/// the one of no particular network. Both are read, and so is hexadecimal. On chain it is its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct AccountId(pub [u8; 32]);

impl AccountId {
    /// The account that a key pair signs for.
    pub fn of(keypair: &Keypair) -> AccountId {
        AccountId(keypair.public_key())
    }

    /// It as a member's working key.
    pub const fn hotkey(self) -> Hotkey {
        Hotkey(cairn_primitives::H256(self.0))
    }

    /// The account with this public key.
    pub const fn from_bytes(bytes: [u8; 32]) -> AccountId {
        AccountId(bytes)
    }

    /// Its public key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for AccountId {
    fn from(bytes: [u8; 32]) -> Self {
        AccountId(bytes)
    }
}

impl From<AccountId> for [u8; 32] {
    fn from(account: AccountId) -> Self {
        account.0
    }
}

impl AsRef<[u8]> for AccountId {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&ss58::address(PREFIX.load(Ordering::Relaxed), &self.0))
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl FromStr for AccountId {
    type Err = ChainError;

    fn from_str(text: &str) -> Result<Self, ChainError> {
        let invalid = |why: String| ChainError::InvalidAddress {
            address: text.to_string(),
            why,
        };
        let (prefix, key) = ss58::read(text).ok_or_else(|| {
            let why = "it is no SS58 address, or its checksum is wrong, and not 0x with 64 hexadecimal digits";
            invalid(why.into())
        })?;
        let account = AccountId(key);
        match prefix {
            None | Some(SS58_PREFIX | GENERIC_SS58_PREFIX) => Ok(account),
            // An address on another network may be meant for that network.
            _ => Err(invalid(format!(
                "its prefix is another network's; on this chain it is {account}"
            ))),
        }
    }
}

impl Serialize for AccountId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    #[test]
    fn an_address_is_read_and_written_as_it_was() {
        let alice: AccountId = ALICE.parse().unwrap();
        assert_eq!(alice.to_string(), ALICE);
        assert_eq!(
            hex::encode(alice.0),
            "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"
        );
        assert_eq!(serde_json::to_value(alice).unwrap(), ALICE);
        assert_eq!(
            serde_json::from_value::<AccountId>(ALICE.into()).unwrap(),
            alice
        );
    }

    #[test]
    fn an_address_with_cairn_s_prefix_is_the_same_account() {
        let alice: AccountId = ALICE.parse().unwrap();
        let ours = ss58::address(SS58_PREFIX, &alice.0);
        assert!(ours.starts_with("cr"), "{ours}");
        assert_eq!(ours.parse::<AccountId>().unwrap(), alice);
        let hexadecimal = format!("0x{}", hex::encode(alice.0));
        assert_eq!(hexadecimal.parse::<AccountId>().unwrap(), alice);
    }

    #[test]
    fn on_chain_an_account_is_its_32_bytes() {
        assert_eq!(AccountId([7; 32]).encode(), [7; 32]);
        assert_eq!(
            AccountId::decode(&mut &[7u8; 32][..]).unwrap(),
            AccountId([7; 32])
        );
    }

    #[test]
    fn an_address_of_another_network_is_refused_with_the_right_one() {
        let error = "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5".parse::<AccountId>();
        let text = error.unwrap_err().to_string();
        assert!(text.contains("prefix") && text.contains(ALICE), "{text}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let mut mistyped = ALICE.to_string();
        mistyped.replace_range(10..11, "1");
        for text in [
            "",
            "5",
            "Alice",
            &ALICE[1..],
            &mistyped,
            "0OIl",
            &ALICE.repeat(9),
        ] {
            let error = text.parse::<AccountId>().unwrap_err().to_string();
            assert!(error.contains("no SS58 address"), "{text:?}: {error}");
        }
    }
}
