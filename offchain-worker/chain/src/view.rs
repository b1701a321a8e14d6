//! The state of one block.

use std::sync::Arc;

use cairn_primitives::{
    api::{
        self, EndedRun, EpochPage, Issuance, Limits, LineageEntry, MemberEpoch, Schedule, Scoring,
        SettledRound, SubnetEmission, SubnetEpoch,
    },
    AuditOutcome, Balance, EpochIndex, Netuid, Round, Uid, H256, PER_PAGE,
};
use codec::{Decode, DecodeAll, Encode};
use subxt::rpcs::{methods::legacy::Bytes, rpc_params};

use crate::{connection::Connection, AccountId, ChainError};

/// A subnet.
pub type SubnetInfo = api::SubnetInfo<AccountId>;
/// A member of a subnet.
pub type MemberInfo = api::MemberInfo<AccountId>;
/// A run and where it stands.
pub type RunInfo = api::RunInfo<AccountId>;
/// A round.
pub type RoundInfo = api::RoundInfo<AccountId>;
/// What a miner committed to.
pub type ContributionInfo = api::ContributionInfo<AccountId>;
/// Where a member's files can be had.
pub type MemberEndpoints = api::MemberEndpoints<AccountId>;
/// An audit that is not over.
pub type AuditInfo = api::AuditInfo<AccountId>;
/// A member and what it earned.
pub type MemberEmission = api::MemberEmission<AccountId>;
/// The scores of a validator that count now, and what it committed to as evidence of them.
pub type ValidatorScores = api::ValidatorScores<AccountId>;
/// What an account has in one subnet through one hotkey.
pub type AccountEarning = api::AccountEarning<AccountId>;

/// Whose a hotkey is, where it is a member, and what its owner takes.
pub type HotkeyInfo = api::HotkeyInfo<AccountId>;

/// What a coldkey has on one hotkey in one subnet.
pub type Position = api::Position<AccountId>;

/// The most pages of positions that are read: more than anybody has of them.
const MAX_PAGES: usize = 1_000;

/// twox_128("System") ++ twox_128("Account")
const SYSTEM_ACCOUNT: [u8; 32] = [
    0x26, 0xaa, 0x39, 0x4e, 0xea, 0x56, 0x30, 0xe0, 0x7c, 0x48, 0xae, 0x0c, 0x95, 0x58, 0xce, 0xf7,
    0xb9, 0x9d, 0x88, 0x0e, 0xc6, 0x81, 0x79, 0x9c, 0x0c, 0xf3, 0x0e, 0x88, 0x86, 0x37, 0x1d, 0xa9,
];
/// twox_128("System") ++ twox_128("Events")
pub(crate) const SYSTEM_EVENTS: [u8; 32] = [
    0x26, 0xaa, 0x39, 0x4e, 0xea, 0x56, 0x30, 0xe0, 0x7c, 0x48, 0xae, 0x0c, 0x95, 0x58, 0xce, 0xf7,
    0x80, 0xd4, 0x1e, 0x5e, 0x16, 0x05, 0x67, 0x65, 0xbc, 0x84, 0x61, 0x85, 0x10, 0x72, 0xc9, 0xd7,
];

/// What an account has, in pebble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountBalance {
    /// What it has, reserves aside.
    pub free: Balance,
    /// What is set aside for something.
    pub reserved: Balance,
    /// How much of `free` cannot be spent.
    pub frozen: Balance,
}

/// `frame_system::AccountInfo<u32, pallet_balances::AccountData<u64>>`.
#[derive(Decode, Default)]
struct AccountInfo {
    nonce: u32,
    _consumers: u32,
    _providers: u32,
    _sufficients: u32,
    free: Balance,
    reserved: Balance,
    frozen: Balance,
    _flags: u128,
}

/// The state of the chain after one block. What is read from it belongs together.
///
/// Every read ends by the deadlines of [`crate::Settings`]. Beside the connection's errors it may fail with
/// [`ChainError::UnknownBlock`] for a block that the node does not keep, [`ChainError::UnknownFunction`] and
/// [`ChainError::Malformed`] for a node of another release.
#[derive(Clone)]
pub struct View {
    connection: Arc<Connection>,
    hash: H256,
}

impl View {
    pub(crate) fn new(connection: Arc<Connection>, hash: H256) -> View {
        View { connection, hash }
    }

    /// The block's hash.
    pub fn block_hash(&self) -> H256 {
        self.hash
    }

    /// All subnets, ascending.
    pub async fn subnets(&self) -> Result<Vec<SubnetInfo>, ChainError> {
        self.pages("SubnetsApi_subnets", &(), |one: &SubnetInfo| {
            one.netuid.get()
        })
        .await
    }

    /// One subnet.
    pub async fn subnet(&self, netuid: Netuid) -> Result<Option<SubnetInfo>, ChainError> {
        self.call("SubnetsApi_subnet", netuid).await
    }

    /// A subnet's members, ascending by uid.
    pub async fn members(&self, netuid: Netuid) -> Result<Vec<MemberInfo>, ChainError> {
        self.pages("SubnetsApi_members", &netuid, |one: &MemberInfo| {
            one.uid.get()
        })
        .await
    }

    /// The member with this hotkey.
    pub async fn member(
        &self,
        netuid: Netuid,
        hotkey: &AccountId,
    ) -> Result<Option<MemberInfo>, ChainError> {
        self.call("SubnetsApi_member", (netuid, hotkey)).await
    }

    /// What creating a subnet costs now, in pebble.
    pub async fn creation_price(&self) -> Result<Balance, ChainError> {
        self.call("SubnetsApi_creation_price", ()).await
    }

    /// Whose a hotkey is, where it is a member, and what its owner takes.
    pub async fn hotkey(&self, hotkey: &AccountId) -> Result<HotkeyInfo, ChainError> {
        self.call("SubnetsApi_hotkey", hotkey).await
    }

    /// Limits that hold for everybody on the chain.
    pub async fn limits(&self) -> Result<Limits, ChainError> {
        self.call("SubnetsApi_limits", ()).await
    }

    /// What a coldkey stands behind: all its positions.
    pub async fn positions(&self, coldkey: &AccountId) -> Result<Vec<Position>, ChainError> {
        let mut all: Vec<Position> = Vec::new();
        // The chain answers in pages; as many as there are, but not for ever.
        for _ in 0..MAX_PAGES {
            let after = all.last().map(|last| (last.netuid, last.hotkey));
            let page: Vec<Position> = self.call("SubnetsApi_positions", (coldkey, after)).await?;
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        all.sort_by_key(|position| (position.netuid, position.hotkey));
        Ok(all)
    }

    /// What a coldkey has on one hotkey in one subnet.
    pub async fn position(
        &self,
        coldkey: &AccountId,
        netuid: Netuid,
        hotkey: &AccountId,
    ) -> Result<Option<Position>, ChainError> {
        self.call("SubnetsApi_position", (coldkey, netuid, hotkey))
            .await
    }

    /// The subnet's run.
    pub async fn run(&self, netuid: Netuid) -> Result<Option<RunInfo>, ChainError> {
        self.call("TrainingApi_run", netuid).await
    }

    /// The subnet's last stopped run.
    pub async fn ended_run(&self, netuid: Netuid) -> Result<Option<EndedRun>, ChainError> {
        self.call("TrainingApi_ended_run", netuid).await
    }

    /// A round that is still kept.
    pub async fn round(
        &self,
        netuid: Netuid,
        round: Round,
    ) -> Result<Option<RoundInfo>, ChainError> {
        self.call("TrainingApi_round", (netuid, round)).await
    }

    /// The commitments of a round, ascending by uid.
    pub async fn contributions(
        &self,
        netuid: Netuid,
        round: Round,
    ) -> Result<Vec<ContributionInfo>, ChainError> {
        let of = &(netuid, round);
        self.pages("TrainingApi_contributions", of, |one: &ContributionInfo| {
            one.uid.get()
        })
        .await
    }

    /// How a round ended; `None` while it has not, or if it is no longer kept.
    pub async fn settled(
        &self,
        netuid: Netuid,
        round: Round,
    ) -> Result<Option<SettledRound>, ChainError> {
        self.call("TrainingApi_settled", (netuid, round)).await
    }

    /// At most 256 entries of the lineage, from round `from` on.
    pub async fn lineage(
        &self,
        netuid: Netuid,
        from: Round,
    ) -> Result<Vec<LineageEntry>, ChainError> {
        self.call("TrainingApi_lineage", (netuid, from)).await
    }

    /// The open audits of a subnet, ascending by round and uid.
    pub async fn open_audits(&self, netuid: Netuid) -> Result<Vec<AuditInfo>, ChainError> {
        let full = usize::try_from(PER_PAGE).unwrap_or(usize::MAX);
        let mut all: Vec<AuditInfo> = Vec::new();
        // As many pages as there are, but not for ever.
        for _ in 0..MAX_PAGES {
            let after = all.last().map(|last| (last.round, last.uid));
            let of = (netuid, after, PER_PAGE);
            let page: Vec<AuditInfo> = self.call("AuditsApi_open", of).await?;
            let is_last = page.len() < full;
            all.extend(page);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// What the members of a subnet have named as their endpoints, ascending by uid; nothing of who named none.
    pub async fn endpoints(&self, netuid: Netuid) -> Result<Vec<MemberEndpoints>, ChainError> {
        self.pages(
            "EndpointsApi_endpoints",
            &netuid,
            |one: &MemberEndpoints| one.uid.get(),
        )
        .await
    }

    /// What those of these hotkeys that are members have named, in this order; of the first 16.
    pub async fn endpoints_of(
        &self,
        netuid: Netuid,
        hotkeys: &[AccountId],
    ) -> Result<Vec<MemberEndpoints>, ChainError> {
        self.call("EndpointsApi_endpoints_of", (netuid, hotkeys))
            .await
    }

    /// How the audit of a contribution ended; `None` if it was not audited, or if its round is no longer kept.
    pub async fn audit_outcome(
        &self,
        netuid: Netuid,
        round: Round,
        uid: Uid,
    ) -> Result<Option<AuditOutcome>, ChainError> {
        self.call("AuditsApi_outcome", (netuid, round, uid)).await
    }

    /// How the token comes into being.
    pub async fn schedule(&self) -> Result<Schedule, ChainError> {
        self.call("EmissionsApi_schedule", ()).await
    }

    /// Where everything that was issued is.
    pub async fn issuance(&self) -> Result<Issuance, ChainError> {
        self.call("EmissionsApi_issuance", ()).await
    }

    /// Whether the chain's books are right, and if not what is wrong: only the runtime of a debug build
    /// knows ([`ChainError::UnknownFunction`]).
    pub async fn audit(&self) -> Result<Result<(), String>, ChainError> {
        let answer: Result<(), Vec<u8>> = self.call("AuditApi_audit", ()).await?;
        Ok(answer.map_err(|what| String::from_utf8_lossy(&what).into_owned()))
    }

    /// A subnet's emission.
    pub async fn emission(&self, netuid: Netuid) -> Result<Option<SubnetEmission>, ChainError> {
        self.call("EmissionsApi_emission", netuid).await
    }

    /// A member and what it earned.
    pub async fn member_emission(
        &self,
        netuid: Netuid,
        uid: Uid,
    ) -> Result<Option<MemberEmission>, ChainError> {
        self.call("EmissionsApi_member_emission", (netuid, uid))
            .await
    }

    /// At most `limit` of the last epochs of a subnet, from number `from` on.
    pub async fn subnet_history(
        &self,
        netuid: Netuid,
        from: EpochIndex,
        limit: u32,
    ) -> Result<Option<EpochPage<SubnetEpoch>>, ChainError> {
        self.call("EmissionsApi_subnet_history", (netuid, from, limit))
            .await
    }

    /// At most `limit` of the last epochs of a member, from number `from` on.
    pub async fn member_history(
        &self,
        netuid: Netuid,
        uid: Uid,
        from: EpochIndex,
        limit: u32,
    ) -> Result<Option<EpochPage<MemberEpoch>>, ChainError> {
        self.call("EmissionsApi_member_history", (netuid, uid, from, limit))
            .await
    }

    /// What the validator with this hotkey has to know to set its scores; `None` if there is no such
    /// subnet.
    pub async fn voting(
        &self,
        netuid: Netuid,
        hotkey: &AccountId,
    ) -> Result<Option<Scoring>, ChainError> {
        self.call("EmissionsApi_voting", (netuid, hotkey)).await
    }

    /// The scores of each validator of a subnet that count now, ascending by uid.
    pub async fn scores(&self, netuid: Netuid) -> Result<Vec<ValidatorScores>, ChainError> {
        self.call("EmissionsApi_scores", netuid).await
    }

    /// What an account has and earned in each subnet through the hotkeys that it owns, stands behind, or is: at most 256
    /// of each.
    pub async fn account(&self, account: &AccountId) -> Result<Vec<AccountEarning>, ChainError> {
        self.call("EmissionsApi_account", account).await
    }

    /// What an account has; nothing, if the chain does not know it.
    pub async fn balance(&self, account: &AccountId) -> Result<AccountBalance, ChainError> {
        let AccountInfo {
            free,
            reserved,
            frozen,
            ..
        } = self.account_info(account).await?;
        Ok(AccountBalance {
            free,
            reserved,
            frozen,
        })
    }

    /// How many transactions of the account there have been.
    pub async fn nonce(&self, account: &AccountId) -> Result<u32, ChainError> {
        Ok(self.account_info(account).await?.nonce)
    }

    async fn account_info(&self, account: &AccountId) -> Result<AccountInfo, ChainError> {
        match self.storage(&account_key(account)).await? {
            Some(bytes) => self.read("System.Account", &bytes),
            None => Ok(AccountInfo::default()),
        }
    }

    /// What the state holds under a raw storage key.
    pub async fn storage(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ChainError> {
        let key = format!("0x{}", hex::encode(key));
        let params = rpc_params![key, self.hash];
        let value: Result<Option<Bytes>, _> =
            self.connection.request("state_getStorage", params).await;
        value
            .map(|value| value.map(|bytes| bytes.0))
            .map_err(|error| self.explain(error, ""))
    }

    /// Calls a function of a runtime API, `Trait_function`, with the SCALE of its arguments' tuple.
    pub async fn call<T: Decode>(
        &self,
        function: &'static str,
        arguments: impl Encode,
    ) -> Result<T, ChainError> {
        let answer = self.ask(function, &arguments.encode()).await?;
        self.read(function, &answer)
    }

    /// A whole list that ascends by number: page after page, as of one block. [`ChainError::Malformed`] if it does not
    /// ascend.
    async fn pages<T: Decode>(
        &self,
        function: &'static str,
        of: &impl Encode,
        number: fn(&T) -> u16,
    ) -> Result<Vec<T>, ChainError> {
        let full = usize::try_from(PER_PAGE).unwrap_or(usize::MAX);
        let mut all: Vec<T> = Vec::new();
        // The least number that may come next, while there is one.
        let mut next = Some(0u16);
        while let Some(from) = next {
            let page: Vec<T> = self.call(function, (of, from, PER_PAGE)).await?;
            let is_last = page.len() < full;
            for one in page {
                // No number is told twice, so no node goes on for ever.
                let told = number(&one);
                if next.is_none_or(|least| told < least) {
                    let why = "its list does not ascend";
                    return Err(self.connection.malformed(function, why));
                }
                next = told.checked_add(1);
                all.push(one);
            }
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// Calls a function of a runtime API with the SCALE of its arguments, and gives that of its answer.
    pub(crate) async fn ask(
        &self,
        function: &'static str,
        arguments: &[u8],
    ) -> Result<Vec<u8>, ChainError> {
        let arguments = format!("0x{}", hex::encode(arguments));
        let params = rpc_params![function, arguments, self.hash];
        let answer: Result<Bytes, _> = self.connection.request("state_call", params).await;
        answer
            .map(|bytes| bytes.0)
            .map_err(|error| self.explain(error, function))
    }

    /// Reads an answer; bytes that are left over mean that it is another type's.
    pub(crate) fn read<T: Decode>(&self, what: &str, bytes: &[u8]) -> Result<T, ChainError> {
        T::decode_all(&mut &*bytes).map_err(|error| self.connection.malformed(what, error))
    }

    /// Nodes say in words what they do not have.
    fn explain(&self, error: ChainError, function: &str) -> ChainError {
        let ChainError::Refused { url, message, .. } = &error else {
            return error;
        };
        let says = |words: &str| message.contains(words);
        if says("UnknownBlock") || says("State already discarded") || says("Header was not found") {
            ChainError::UnknownBlock {
                url: url.clone(),
                hash: self.hash,
            }
        } else if !function.is_empty() && says(function) && says("not found") {
            ChainError::UnknownFunction {
                url: url.clone(),
                function: function.to_string(),
            }
        } else {
            error
        }
    }
}

/// The storage key of an account: System.Account is a map with the hasher Blake2_128Concat.
fn account_key(account: &AccountId) -> Vec<u8> {
    let hash = blake2b_simd::Params::new().hash_length(16).hash(&account.0);
    [&SYSTEM_ACCOUNT, hash.as_bytes(), &account.0[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    fn view() -> View {
        let connection =
            Connection::new(&["ws://127.0.0.1:1".into()], None, Settings::default()).unwrap();
        View::new(connection, H256::repeat_byte(9))
    }

    fn refused(message: &str) -> ChainError {
        let (url, what) = ("ws://n".to_string(), "state_call".to_string());
        ChainError::Refused {
            url,
            what,
            code: 4003,
            message: message.to_string(),
        }
    }

    #[test]
    fn the_storage_key_of_alice_is_that_of_every_substrate_chain() {
        let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
            .parse()
            .unwrap();
        assert_eq!(
            hex::encode(account_key(&alice)),
            "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9\
             de1e86a9a8c739864cf3cc5ec2bea59f\
             d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"
        );
    }

    #[test]
    fn an_account_is_read_as_the_chain_writes_it() {
        let bytes = (3u32, 1u32, 1u32, 0u32, 50u64, 6u64, 7u64, 1u128 << 127).encode();
        let info: AccountInfo = view().read("System.Account", &bytes).unwrap();
        assert_eq!(
            (info.nonce, info.free, info.reserved, info.frozen),
            (3, 50, 6, 7)
        );
        // A chain with balances of 128 bits is another release.
        let other = (3u32, 1u32, 1u32, 0u32, 50u128, 6u128, 7u128, 0u128).encode();
        let error = view().read::<AccountInfo>("System.Account", &other).err();
        assert!(
            matches!(error, Some(ChainError::Malformed { .. })),
            "{error:?}"
        );
    }

    #[test]
    fn answers_that_are_too_short_or_too_long_are_malformed() {
        for bytes in [&[][..], &[1], &[1, 0, 0, 0, 0, 0, 0, 0, 0], &[0xff; 3]] {
            let error = view()
                .read::<u64>("SubnetsApi_creation_price", bytes)
                .unwrap_err();
            let text = error.to_string();
            assert!(text.contains("SubnetsApi_creation_price"), "{text}");
            assert!(text.contains("same release"), "{text}");
        }
    }

    #[test]
    fn a_list_that_claims_to_be_endless_is_malformed() {
        let error = view().read::<Vec<SubnetInfo>>("SubnetsApi_subnets", &[0xfe, 0xff, 0xff, 0xff]);
        assert!(
            matches!(error, Err(ChainError::Malformed { .. })),
            "{error:?}"
        );
    }

    #[test]
    fn what_a_node_does_not_have_is_named() {
        let function = "SubnetsApi_subnets";
        let text = "Execution failed: Other: Exported method SubnetsApi_subnets is not found";
        let error = view().explain(refused(text), function);
        assert!(
            matches!(error, ChainError::UnknownFunction { .. }),
            "{error:?}"
        );
        let text = "Client error: UnknownBlock: State already discarded for 0x01";
        let error = view().explain(refused(text), function);
        assert_eq!(
            error,
            ChainError::UnknownBlock {
                url: "ws://n".into(),
                hash: view().hash
            }
        );
        let error = view().explain(refused("Execution failed: trap"), function);
        assert!(matches!(error, ChainError::Refused { .. }), "{error:?}");
    }
}
