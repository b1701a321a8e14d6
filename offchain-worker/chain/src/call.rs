//! What can be asked of the chain, signed and paid for.

use cairn_primitives::{
    blake2_256, Balance, Commitment, ContributionKey, EpochIndex, Finding, Hyperparameters,
    Judgement, ModelRoot, Netuid, Role, Round, RunConfig, Salt, Served, Text, Uid, Witness, H256,
};
use codec::{Compact, Encode};
use subxt::metadata::Metadata;

use crate::{governance::Track, AccountId, ChainError, HotkeySignature};

/// A call of a pallet, with its arguments.
///
/// Arguments are SCALE of the very types that the pallet takes; the numbers of pallet and call are looked
/// up in the metadata of the node's runtime when the call is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pallet: &'static str,
    name: &'static str,
    arguments: Vec<Argument>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Argument {
    /// SCALE.
    Value(Vec<u8>),
    /// Calls as an argument of a call: one as it is, or a list.
    Call(Box<Call>),
    Calls(Vec<Call>),
    /// A call that a referendum would make, within it.
    Proposal(Box<Call>),
    /// The same, by its hash.
    Noted(Box<Call>),
    /// SCALE of a call, as bytes.
    Bytes(Box<Call>),
    /// As whom a pallet's referendum would make it: the origin of a track.
    Origin(&'static str, Track),
}

/// Calls nested deeper than this are not built; the runtime's own limit is 256.
const MAX_DEPTH: u8 = 8;
/// The longest call that a referendum holds itself; a longer one is a preimage.
const MOST_INLINE: usize = 128;

impl Call {
    pub(crate) fn new(pallet: &'static str, name: &'static str) -> Call {
        Call {
            pallet,
            name,
            arguments: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, argument: impl Encode) -> Call {
        self.arguments.push(Argument::Value(argument.encode()));
        self
    }

    pub(crate) fn with_call(mut self, call: Call) -> Call {
        self.arguments.push(Argument::Call(Box::new(call)));
        self
    }

    pub(crate) fn with_proposal(mut self, call: Call) -> Call {
        self.arguments.push(Argument::Proposal(Box::new(call)));
        self
    }

    pub(crate) fn with_noted(mut self, call: Call) -> Call {
        self.arguments.push(Argument::Noted(Box::new(call)));
        self
    }

    pub(crate) fn with_bytes(mut self, call: Call) -> Call {
        self.arguments.push(Argument::Bytes(Box::new(call)));
        self
    }

    pub(crate) fn with_origin(mut self, pallet: &'static str, track: Track) -> Call {
        self.arguments.push(Argument::Origin(pallet, track));
        self
    }

    /// Creates a subnet for at most `max_price` pebble. Signed by the coldkey that will own it.
    pub fn create_subnet(max_price: Balance) -> Call {
        Call::new("Subnets", "create_subnet").with(max_price)
    }

    /// Sets a subnet's hyperparameters. Signed by its owner.
    pub fn set_hyperparameters(netuid: Netuid, hyperparameters: &Hyperparameters) -> Call {
        Call::new("Subnets", "set_hyperparameters")
            .with(netuid)
            .with(hyperparameters)
    }

    /// Takes announced hyperparameters back before they hold. Signed by the subnet's owner.
    pub fn withdraw_hyperparameters(netuid: Netuid) -> Call {
        Call::new("Subnets", "withdraw_hyperparameters").with(netuid)
    }

    /// Ends a subnet. Signed by its owner.
    pub fn dissolve_subnet(netuid: Netuid) -> Call {
        Call::new("Subnets", "dissolve_subnet").with(netuid)
    }

    /// Makes `hotkey` a member for at most `max_price` pebble. Signed by the coldkey that will own what it
    /// earns; `signature` is the hotkey's, over `cairn_protocol::registration::payload`.
    pub fn register(
        netuid: Netuid,
        hotkey: &AccountId,
        role: Role,
        max_price: Balance,
        signature: &HotkeySignature,
    ) -> Call {
        Call::new("Subnets", "register")
            .with(netuid)
            .with(hotkey)
            .with(role)
            .with(max_price)
            .with(signature)
    }

    /// Makes a member a miner or a validator. Signed by its coldkey.
    pub fn set_role(netuid: Netuid, hotkey: &AccountId, role: Role) -> Call {
        Call::new("Subnets", "set_role")
            .with(netuid)
            .with(hotkey)
            .with(role)
    }

    /// Announces that a member is to sign as the hotkey `to`. Signed by its coldkey; `signature` is that of `to`, as in
    /// [`Call::register`].
    pub fn announce_swap(
        netuid: Netuid,
        hotkey: &AccountId,
        to: &AccountId,
        signature: &HotkeySignature,
    ) -> Call {
        Call::new("Subnets", "announce_swap")
            .with(netuid)
            .with(hotkey)
            .with(to)
            .with(signature)
    }

    /// Takes an announced hotkey back. Signed by the member's coldkey.
    pub fn cancel_swap(netuid: Netuid, hotkey: &AccountId) -> Call {
        Call::new("Subnets", "cancel_swap")
            .with(netuid)
            .with(hotkey)
    }

    /// Gives a member the hotkey that was announced. Signed by its coldkey.
    pub fn finish_swap(netuid: Netuid, hotkey: &AccountId) -> Call {
        Call::new("Subnets", "finish_swap")
            .with(netuid)
            .with(hotkey)
    }

    /// Takes `hotkey` out of a subnet. Signed by its coldkey.
    pub fn leave(netuid: Netuid, hotkey: &AccountId) -> Call {
        Call::new("Subnets", "leave").with(netuid).with(hotkey)
    }

    /// Stakes `amount` pebble on a hotkey. Signed by the coldkey that pays.
    pub fn add_stake(netuid: Netuid, hotkey: &AccountId, amount: Balance) -> Call {
        Call::new("Stake", "add_stake")
            .with(netuid)
            .with(hotkey)
            .with(amount)
    }

    /// Asks for `amount` pebble of stake on a hotkey back, or for all of it. Signed by the coldkey that staked.
    pub fn remove_stake(netuid: Netuid, hotkey: &AccountId, amount: Option<Balance>) -> Call {
        Call::new("Stake", "remove_stake")
            .with(netuid)
            .with(hotkey)
            .with(amount)
    }

    /// Takes back, or lets arrive where it was to move, stake whose unbonding period is over. Signed by the
    /// coldkey that asked for it.
    pub fn withdraw_stake(netuid: Netuid, hotkey: &AccountId) -> Call {
        Call::new("Stake", "withdraw_stake")
            .with(netuid)
            .with(hotkey)
    }

    /// Lets `amount` pebble of stake on a hotkey, or all of it, move to another place: netuid and hotkey. Signed by
    /// the coldkey that staked.
    pub fn move_stake(
        netuid: Netuid,
        hotkey: &AccountId,
        (to_netuid, to_hotkey): (Netuid, &AccountId),
        amount: Option<Balance>,
    ) -> Call {
        Call::new("Stake", "move_stake")
            .with(netuid)
            .with(hotkey)
            .with(to_netuid)
            .with(to_hotkey)
            .with(amount)
    }

    /// Gives `amount` pebble of stake on a hotkey, or all of it, to another coldkey. Signed by the coldkey that
    /// staked.
    pub fn transfer_stake(
        to: &AccountId,
        netuid: Netuid,
        hotkey: &AccountId,
        amount: Option<Balance>,
    ) -> Call {
        Call::new("Stake", "transfer_stake")
            .with(to)
            .with(netuid)
            .with(hotkey)
            .with(amount)
    }

    /// Sets the share of a hotkey's dividends, of 65,535, that its coldkey takes. Signed by that coldkey.
    pub fn set_take(hotkey: &AccountId, take: u16) -> Call {
        Call::new("Stake", "set_take").with(hotkey).with(take)
    }

    /// Says whether others may stake on a hotkey. Signed by its coldkey.
    pub fn set_foreign_stake(hotkey: &AccountId, allowed: bool) -> Call {
        Call::new("Stake", "set_foreign_stake")
            .with(hotkey)
            .with(allowed)
    }

    /// Adds `amount` pebble to a miner's bond. Signed by the coldkey that pays.
    pub fn add_bond(netuid: Netuid, hotkey: &AccountId, amount: Balance) -> Call {
        Call::new("Stake", "add_bond")
            .with(netuid)
            .with(hotkey)
            .with(amount)
    }

    /// Asks for a miner's bond back. Signed by its coldkey.
    pub fn unbond(netuid: Netuid, hotkey: &AccountId) -> Call {
        Call::new("Stake", "unbond").with(netuid).with(hotkey)
    }

    /// Takes back a bond whose unbonding period is over. Signed by its coldkey.
    pub fn withdraw_bond(netuid: Netuid, hotkey: &AccountId) -> Call {
        Call::new("Stake", "withdraw_bond")
            .with(netuid)
            .with(hotkey)
    }

    /// Starts a run. Signed by the subnet's owner.
    pub fn start_run(netuid: Netuid, config: &RunConfig) -> Call {
        Call::new("Training", "start_run").with(netuid).with(config)
    }

    /// Stops a subnet's run. Signed by its owner.
    pub fn stop_run(netuid: Netuid) -> Call {
        Call::new("Training", "stop_run").with(netuid)
    }

    /// Commits to a sealed contribution. Signed by the miner's hotkey; free once a round.
    pub fn commit(netuid: Netuid, round: Round, commitment: &Commitment) -> Call {
        Call::new("Training", "commit")
            .with(netuid)
            .with(round)
            .with(commitment)
    }

    /// Reveals the key of the round's contribution. Signed by the miner's hotkey; free once a round.
    pub fn reveal(netuid: Netuid, round: Round, key: &ContributionKey) -> Call {
        Call::new("Training", "reveal")
            .with(netuid)
            .with(round)
            .with(key)
    }

    /// Commits to an attestation. Signed by the validator's hotkey; free once a round.
    pub fn commit_attestation(netuid: Netuid, round: Round, hash: H256) -> Call {
        Call::new("Training", "commit_attestation")
            .with(netuid)
            .with(round)
            .with(hash)
    }

    /// Says which root the parameters have that the round began with, which contributions are good and which broken,
    /// and what shows that the round before was measured, as it was committed to. Signed by the validator's hotkey;
    /// free once a round.
    pub fn attest(
        netuid: Netuid,
        round: Round,
        model_root: ModelRoot,
        verdicts: &Judgement,
        witness: Witness,
        salt: &Salt,
    ) -> Call {
        Call::new("Training", "attest")
            .with(netuid)
            .with(round)
            .with(model_root)
            .with(verdicts)
            .with(witness)
            .with(salt)
    }

    /// Says that a member is back which nobody expects any more. Signed by its hotkey; free once a round.
    pub fn here(netuid: Netuid) -> Call {
        Call::new("Training", "here").with(netuid)
    }

    /// Says where a member's files can be had: at most 4 endpoints. Signed by its hotkey; free every 100 blocks.
    pub fn set_endpoints(netuid: Netuid, endpoints: &[Text]) -> Call {
        Call::new("Endpoints", "set_endpoints")
            .with(netuid)
            .with(endpoints.to_vec())
    }

    /// Says what a miner serves for the audit of its contribution to a round. Signed by its hotkey; free once.
    pub fn open_audit(netuid: Netuid, round: Round, uid: Uid, served: Served) -> Call {
        Call::new("Audits", "open")
            .with(netuid)
            .with(round)
            .with(uid)
            .with(served)
    }

    /// Commits to what an audit of the contribution of `uid` found, by `cairn_primitives::finding_hash`. Signed by the
    /// auditor's hotkey; free once.
    pub fn commit_verdict(netuid: Netuid, round: Round, uid: Uid, hash: H256) -> Call {
        Call::new("Audits", "commit_verdict")
            .with(netuid)
            .with(round)
            .with(uid)
            .with(hash)
    }

    /// Reveals what an audit of the contribution of `uid` found, as it was committed to. Signed by the auditor's
    /// hotkey; free once.
    pub fn reveal_verdict(
        netuid: Netuid,
        round: Round,
        uid: Uid,
        finding: Finding,
        salt: &Salt,
    ) -> Call {
        Call::new("Audits", "reveal_verdict")
            .with(netuid)
            .with(round)
            .with(uid)
            .with(finding)
            .with(salt)
    }

    /// Sets a validator's scores on miners, on a subnet that does not hide them. Signed by its hotkey; free.
    pub fn set_scores(netuid: Netuid, scores: &[(Uid, u16)]) -> Call {
        Call::new("Emissions", "set_scores")
            .with(netuid)
            .with(scores)
    }

    /// Commits to scores before the subnet's epoch `epoch`. Signed by the validator's hotkey; free.
    pub fn commit_scores(netuid: Netuid, epoch: EpochIndex, hash: H256) -> Call {
        Call::new("Emissions", "commit_scores")
            .with(netuid)
            .with(epoch)
            .with(hash)
    }

    /// Reveals scores that were committed before the subnet's epoch `epoch`, and says which file of evidence was
    /// committed to with them. Signed by the validator's hotkey; free.
    pub fn reveal_scores(
        netuid: Netuid,
        epoch: EpochIndex,
        scores: &[(Uid, u16)],
        evidence: Served,
        salt: &Salt,
    ) -> Call {
        Call::new("Emissions", "reveal_scores")
            .with(netuid)
            .with(epoch)
            .with(scores)
            .with(evidence)
            .with(salt)
    }

    /// Sends `amount` pebble to an account, unless that would end the sender's.
    pub fn transfer(to: &AccountId, amount: Balance) -> Call {
        // MultiAddress::Id is its variant 0.
        Call::new("Balances", "transfer_keep_alive")
            .with((0u8, to))
            .with(Compact(amount))
    }

    /// All of these calls or, if one fails, none.
    pub fn batch_all(calls: Vec<Call>) -> Call {
        let mut call = Call::new("Utility", "batch_all");
        call.arguments.push(Argument::Calls(calls));
        call
    }

    /// A call with the powers of root. Signed by the sudo key, on chains that have one.
    pub fn sudo(inner: Call) -> Call {
        Call::new("Sudo", "sudo").with_call(inner)
    }

    /// Pallet and call, as in `Training.commit`.
    pub fn title(&self) -> String {
        format!("{}.{}", self.pallet, self.name)
    }

    /// Whether it costs nothing, for a member in the right role, in its phase, once a round or an epoch.
    pub fn is_free_for_members(&self) -> bool {
        matches!(
            (self.pallet, self.name),
            (
                "Training",
                "commit" | "reveal" | "commit_attestation" | "attest" | "here"
            ) | ("Audits", "open" | "commit_verdict" | "reveal_verdict")
                | (
                    "Emissions",
                    "set_scores" | "commit_scores" | "reveal_scores"
                )
        )
    }

    pub(crate) fn pallet(&self) -> &'static str {
        self.pallet
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// SCALE of all of it.
    pub(crate) fn encoded(&self, metadata: &Metadata) -> Result<Vec<u8>, ChainError> {
        self.bytes(metadata, MAX_DEPTH)
    }

    /// Whether it is too long for a referendum to hold it itself, as far as its arguments are SCALE already.
    pub(crate) fn is_long(&self) -> bool {
        let values = self.arguments.iter().map(|argument| match argument {
            Argument::Value(bytes) => bytes.len(),
            _ => 0,
        });
        // Before them are the numbers of pallet and call.
        values.fold(2, usize::saturating_add) > MOST_INLINE
    }

    fn bytes(&self, metadata: &Metadata, depth: u8) -> Result<Vec<u8>, ChainError> {
        let mut out = Vec::new();
        self.encode_to(metadata, depth, &mut out)?;
        Ok(out)
    }

    /// SCALE of the arguments alone. That the runtime takes as many is checked here: a call that has
    /// changed is not sent.
    pub(crate) fn arguments(&self, metadata: &Metadata) -> Result<Vec<u8>, ChainError> {
        self.arguments_at(metadata, MAX_DEPTH)
    }

    fn arguments_at(&self, metadata: &Metadata, depth: u8) -> Result<Vec<u8>, ChainError> {
        let depth = depth
            .checked_sub(1)
            .ok_or_else(|| self.unknown("it is nested too deep"))?;
        let (_, _, takes) = self.numbers(metadata)?;
        if takes != self.arguments.len() {
            let given = self.arguments.len();
            return Err(self.unknown(&format!("it takes {takes} arguments, not {given}")));
        }
        let mut out = Vec::new();
        for argument in &self.arguments {
            match argument {
                Argument::Value(bytes) => out.extend_from_slice(bytes),
                Argument::Call(call) => call.encode_to(metadata, depth, &mut out)?,
                Argument::Proposal(call) => call.encode_within(metadata, depth, &mut out)?,
                Argument::Noted(call) => {
                    let bytes = call.bytes(metadata, depth)?;
                    let length = u32::try_from(bytes.len())
                        .map_err(|_| self.unknown("it is too long to be noted"))?;
                    // `Bounded::Lookup`.
                    (2u8, blake2_256(&bytes), length).encode_to(&mut out);
                }
                Argument::Bytes(call) => {
                    let bytes = call.bytes(metadata, depth)?;
                    bytes.encode_to(&mut out);
                }
                Argument::Origin(pallet, track) => {
                    let found = metadata.pallet_by_name(pallet);
                    let found = found.ok_or_else(|| self.unknown("it has no such track"))?;
                    (found.call_index(), track).encode_to(&mut out);
                }
                Argument::Calls(calls) => {
                    let length = u32::try_from(calls.len())
                        .map_err(|_| self.unknown("it has too many calls"))?;
                    Compact(length).encode_to(&mut out);
                    for call in calls {
                        call.encode_to(metadata, depth, &mut out)?;
                    }
                }
            }
        }
        Ok(out)
    }

    fn encode_to(
        &self,
        metadata: &Metadata,
        depth: u8,
        out: &mut Vec<u8>,
    ) -> Result<(), ChainError> {
        let (pallet, call, _) = self.numbers(metadata)?;
        out.extend([pallet, call]);
        out.extend(self.arguments_at(metadata, depth)?);
        Ok(())
    }

    /// As a referendum holds it: `Bounded::Inline`, which is variant 1.
    fn encode_within(
        &self,
        metadata: &Metadata,
        depth: u8,
        out: &mut Vec<u8>,
    ) -> Result<(), ChainError> {
        let call = self.bytes(metadata, depth)?;
        if call.len() > MOST_INLINE {
            return Err(self.unknown("it is too long for a referendum"));
        }
        (1u8, call).encode_to(out);
        Ok(())
    }

    /// The numbers of pallet and call, and how many arguments it takes.
    fn numbers(&self, metadata: &Metadata) -> Result<(u8, u8, usize), ChainError> {
        let pallet = metadata
            .pallet_by_name(self.pallet)
            .ok_or_else(|| self.unknown("it has no such pallet"))?;
        let call = pallet
            .call_variant_by_name(self.name)
            .ok_or_else(|| self.unknown("it has no such call"))?;
        Ok((pallet.call_index(), call.index, call.fields.len()))
    }

    fn unknown(&self, why: &str) -> ChainError {
        ChainError::UnknownCall {
            call: self.title(),
            why: why.to_string(),
        }
    }
}
