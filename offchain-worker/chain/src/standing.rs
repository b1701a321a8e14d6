//! Acting for another account: as its proxy, or as one of those who share it.

use cairn_primitives::{blake2_256, Balance, BlockNumber, H256};
use codec::{Compact, Decode, Encode};

use crate::{
    stored::{blake2_128_concat, twox_64_concat},
    AccountId, Call, ChainError, Client, View,
};

/// What the address of a shared account is a hash of, before its members.
const SHARED: &[u8; 16] = b"modlpy/utilisuba";

/// What a proxy may do for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ProxyKind {
    /// Everything.
    Any,
    /// Add, move and remove stake and bonds that stay the account's own.
    Staking,
    /// Register hotkeys and let them leave.
    Registration,
    /// Set a subnet's rules, start and stop its runs.
    Ownership,
    /// Vote in referenda.
    Voting,
}

/// Who may act for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Decode)]
pub struct Proxy {
    /// Who.
    pub delegate: AccountId,
    /// In what.
    pub kind: ProxyKind,
    /// Blocks between announcing a call and making it.
    pub delay: BlockNumber,
}

/// A transaction in a block: the block and its number there.
pub type Timepoint = (BlockNumber, u32);

/// A call that some of those who share an account have approved.
#[derive(Clone, Debug, PartialEq, Eq, Decode)]
pub struct Approved {
    /// Where the first approval is.
    pub since: Timepoint,
    /// What the first holds for it, in pebble.
    pub deposit: Balance,
    /// Who was first.
    pub depositor: AccountId,
    /// All so far.
    pub by: Vec<AccountId>,
}

/// An account that several share: so many of them act for it together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    threshold: u16,
    /// Ascending.
    members: Vec<AccountId>,
}

impl Shared {
    /// The most that can share an account.
    pub const MOST: usize = 100;

    /// The account of which `threshold` of `members` dispose; `None` if there is none: it takes two, and no more than
    /// there are, and nobody is there twice.
    pub fn new(threshold: u16, mut members: Vec<AccountId>) -> Option<Shared> {
        let count = members.len();
        members.sort();
        members.dedup();
        let is_right = members.len() == count
            && count <= Shared::MOST
            && threshold >= 2
            && usize::from(threshold) <= count;
        is_right.then_some(Shared { threshold, members })
    }

    /// Its address.
    pub fn account(&self) -> AccountId {
        let bytes = (SHARED, &self.members, self.threshold).encode();
        AccountId(blake2_256(&bytes).0)
    }

    /// How many have to approve.
    pub fn threshold(&self) -> u16 {
        self.threshold
    }

    /// The others beside `one`; `None` if that is none of them.
    pub fn others(&self, one: &AccountId) -> Option<Vec<AccountId>> {
        let others: Vec<_> = self
            .members
            .iter()
            .filter(|other| *other != one)
            .copied()
            .collect();
        (others.len() < self.members.len()).then_some(others)
    }
}

impl Call {
    /// Lets `delegate` act for the account that signs.
    pub fn add_proxy(delegate: &AccountId, kind: ProxyKind) -> Call {
        Call::new("Proxy", "add_proxy")
            .with((0u8, delegate))
            .with(kind)
            .with(BlockNumber::from(0u8))
    }

    /// Takes back what [`Call::add_proxy`] allowed, or what was allowed with this delay.
    pub fn remove_proxy(delegate: &AccountId, kind: ProxyKind, delay: BlockNumber) -> Call {
        Call::new("Proxy", "remove_proxy")
            .with((0u8, delegate))
            .with(kind)
            .with(delay)
    }

    /// A call that a proxy signs for an account.
    pub fn for_account(account: &AccountId, call: Call) -> Call {
        // The narrowest kind that the signer has and that allows it.
        Call::new("Proxy", "proxy")
            .with((0u8, account))
            .with(None::<ProxyKind>)
            .with_call(call)
    }

    /// Approves a call of a shared account, of which `others` are the members that do not sign: at first, or after
    /// others did `since`. The last approval makes it, within `weight`: time and bytes of proof.
    pub fn as_shared(
        threshold: u16,
        others: &[AccountId],
        since: Option<Timepoint>,
        call: Call,
        (time, proof): (u64, u64),
    ) -> Call {
        Call::new("Multisig", "as_multi")
            .with(threshold)
            .with(others)
            .with(since)
            .with_call(call)
            .with((Compact(time), Compact(proof)))
    }

    /// Gives up a call of a shared account that has not been made, by its hash. Signed by who approved it first.
    pub fn cancel_shared(
        threshold: u16,
        others: &[AccountId],
        since: Timepoint,
        hash: H256,
    ) -> Call {
        Call::new("Multisig", "cancel_as_multi")
            .with(threshold)
            .with(others)
            .with(since)
            .with(hash)
    }
}

impl Client {
    /// The hash by which a call of a shared account is known.
    ///
    /// # Errors
    /// [`ChainError::UnknownCall`] if the runtime cannot take it, and those of the connection.
    pub async fn call_hash(&self, call: &Call) -> Result<H256, ChainError> {
        let best = self.best().await?;
        let runtime = self.runtimes.at(&self.connection, best.hash).await?;
        Ok(blake2_256(&runtime.encoded(call)?))
    }
}

impl View {
    /// Who may act for an account.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn proxies(&self, account: &AccountId) -> Result<Vec<Proxy>, ChainError> {
        let keys = [twox_64_concat(account)];
        let found: Option<(Vec<Proxy>, Balance)> = self.stored("Proxy", "Proxies", &keys).await?;
        Ok(found.unwrap_or_default().0)
    }

    /// Who has approved a call of a shared account, if anybody has and it has not been made.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn approved(
        &self,
        shared: &AccountId,
        call: H256,
    ) -> Result<Option<Approved>, ChainError> {
        let keys = [twox_64_concat(shared), blake2_128_concat(call)];
        self.stored("Multisig", "Multisigs", &keys).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keypair;

    fn account(suri: &str) -> AccountId {
        AccountId::of(&keypair(suri).unwrap())
    }

    #[test]
    fn a_shared_account_has_the_address_that_stock_wallets_give_it() {
        let all = ["//Charlie", "//Alice", "//Bob"].map(account).to_vec();
        let shared = Shared::new(2, all).unwrap();
        // @polkadot/util-crypto: createKeyMulti of the three and 2.
        let known = "5DjYJStmdZ2rcqXbXGX7TW85JsrW6uG4y9MUcLq2BoPMpRA7";
        assert_eq!(shared.account(), known.parse().unwrap());
        assert_eq!(shared.others(&account("//Alice")).unwrap().len(), 2);
        assert_eq!(shared.others(&account("//Dave")), None);
    }

    #[test]
    fn what_nobody_can_share_is_none() {
        let (alice, bob) = (account("//Alice"), account("//Bob"));
        assert_eq!(Shared::new(1, vec![alice, bob]), None);
        assert_eq!(Shared::new(3, vec![alice, bob]), None);
        assert_eq!(Shared::new(2, vec![alice, alice]), None);
        assert_eq!(Shared::new(2, vec![alice]), None);
        let many = (0..101u8).map(|number| AccountId([number; 32])).collect();
        assert_eq!(Shared::new(2, many), None);
    }
}
