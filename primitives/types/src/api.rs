//! The answers of the runtime APIs and of the RPC namespaces `subnets_`, `training_`, `audits_`, `endpoints_` and
//! `emissions_`.
//!
//! In JSON, amounts are strings of pebble, since JavaScript's numbers end at 2⁵³.

use alloc::vec::Vec;
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{
    Balance, BlockNumber, Commitment, ContributionKey, EpochIndex, Finding, Hyperparameters,
    MicroNats, ModelRoot, Netuid, Phase, Pots, Role, Round, RoundTimes, RunConfig, Served,
    Standing, Text, Uid, H256,
};

mod limits;
mod next;
mod scores;

pub use limits::{HotkeyInfo, Limits, Seat};
pub use next::NextRound;
pub use scores::{EvidenceCommit, ScoresCommit, Scoring, ValidatorScores};

/// Amounts as decimal strings.
pub mod pebble {
    use alloc::string::ToString;
    use core::fmt;
    use serde::{
        de::{Error, Visitor},
        Deserializer, Serializer,
    };

    /// Writes an amount as a decimal string.
    pub fn serialize<S: Serializer>(amount: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&amount.to_string())
    }

    /// Reads an amount from a decimal string, or from a whole number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(Amount)
    }

    struct Amount;

    impl Visitor<'_> for Amount {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an amount in pebble, as a decimal string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_u64<E: Error>(self, amount: u64) -> Result<u64, E> {
            Ok(amount)
        }

        fn visit_i64<E: Error>(self, amount: i64) -> Result<u64, E> {
            u64::try_from(amount).map_err(E::custom)
        }
    }
}

/// A 32-byte key as `0x…`, or null.
mod maybe_key {
    use super::ContributionKey;
    use crate::H256;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(
        key: &Option<ContributionKey>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        key.map(H256).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ContributionKey>, D::Error> {
        Ok(Option::<H256>::deserialize(deserializer)?.map(|hash| hash.0))
    }
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct SubnetInfo<AccountId> {
    /// Its number.
    pub netuid: Netuid,
    /// The coldkey that owns it.
    pub owner: AccountId,
    /// The block at which it was created.
    pub created_at: BlockNumber,
    /// Number of members.
    pub members: u16,
    /// What a uid costs now.
    #[serde(with = "pebble")]
    pub registration_price: Balance,
    /// The block from which on everything on it is given back; null if it is not being dissolved.
    pub dissolves_from: Option<BlockNumber>,
    /// The block from which on its owner can set hyperparameters again; null if he can now.
    pub can_be_set_from: Option<BlockNumber>,
    /// Stake on all its hotkeys.
    #[serde(with = "pebble")]
    pub stake: Balance,
    /// Bonds of all its miners.
    #[serde(with = "pebble")]
    pub bonds: Balance,
    /// Whether a run has been started.
    pub has_run: bool,
    /// Whether what its last run left is still being removed: no other can be started until it is.
    pub is_clearing_run: bool,
    /// The rules that hold.
    pub hyperparameters: Hyperparameters,
    /// Rules that its owner announced and that do not hold yet; null if there are none.
    pub announced: Option<AnnouncedRules>,
}

/// A subnet's rules that will hold.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct AnnouncedRules {
    /// The block from which on they hold. Whoever asks for stake or bond back before leaves under the present ones.
    pub from: BlockNumber,
    /// All of them, those that stay included.
    pub hyperparameters: Hyperparameters,
}

/// What a member can do in the next round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duty {
    /// Validate: it chose to, and has the stake and a seat.
    Validator,
    /// Mine: it chose to, and has the bond to be assigned data.
    Miner,
    /// Nothing: it lacks the bond or the stake that its role asks for, or all seats are taken by more stake.
    Idle,
}

/// A member of a subnet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct MemberInfo<AccountId> {
    /// Its number.
    pub uid: Uid,
    /// The key that it signs its work with.
    pub hotkey: AccountId,
    /// The key that owns what it earns.
    pub coldkey: AccountId,
    /// What it can do in the next round.
    pub role: Duty,
    /// What its coldkey chose that it is there for.
    pub chosen_role: Role,
    /// The block from which on its coldkey can choose another role; null if it can now.
    pub role_can_be_set_from: Option<BlockNumber>,
    /// Whether others than its coldkey may stake on it.
    pub takes_foreign_stake: bool,
    /// The hotkey that its coldkey announced in the place of this one, and the block from which on it can be; null if
    /// none.
    pub swap: Option<(AccountId, BlockNumber)>,
    /// The block at which it came.
    pub registered_at: BlockNumber,
    /// Stake on it.
    #[serde(with = "pebble")]
    pub stake: Balance,
    /// Its bond.
    #[serde(with = "pebble")]
    pub bond: Balance,
    /// Share of its dividends that its coldkey takes before those who stake on it, of 65,535.
    pub take: u16,
    /// Incentive of the last epoch, of 65,535.
    pub incentive: u16,
    /// Dividends of the last epoch, of 65,535.
    pub dividends: u16,
    /// What the last epoch paid it.
    #[serde(with = "pebble")]
    pub last_paid: Balance,
    /// What it was paid since it came.
    #[serde(with = "pebble")]
    pub earned: Balance,
}

/// Stake that is being withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct UnbondingStake<AccountId> {
    /// How much.
    #[serde(with = "pebble")]
    pub amount: Balance,
    /// The block from which on it can be withdrawn.
    pub release_at: BlockNumber,
    /// The subnet and hotkey on which it is staked then; null if it goes to the account.
    pub moves_to: Option<(Netuid, AccountId)>,
}

/// What a coldkey has on one hotkey in one subnet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct Position<AccountId> {
    /// The subnet.
    pub netuid: Netuid,
    /// The hotkey.
    pub hotkey: AccountId,
    /// Stake that counts, with all dividends so far.
    #[serde(with = "pebble")]
    pub staked: Balance,
    /// Stake that is being withdrawn, those first that were asked for first.
    pub unbonding: Vec<UnbondingStake<AccountId>>,
    /// Share of its dividends that the hotkey's coldkey takes, of 65,535.
    pub take: u16,
}

impl<AccountId> Position<AccountId> {
    /// All stake that is being withdrawn, in pebble.
    pub fn total_unbonding(&self) -> Balance {
        self.unbonding
            .iter()
            .fold(0, |sum: Balance, part| sum.saturating_add(part.amount))
    }
}

/// A run and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct RunInfo<AccountId> {
    /// Its configuration.
    pub config: RunConfig,
    /// The block at which it was started.
    pub started_at: BlockNumber,
    /// The current round.
    pub round: RoundInfo<AccountId>,
    /// The oldest round of which contributions and settlement are still kept.
    pub oldest_round: Round,
    /// Members that missed so many rounds that they are not expected until they say that they are back, ascending by
    /// uid.
    pub absent: Vec<(Uid, AccountId)>,
    /// Members for which the current round does not wait, since they held one up of late or earned nothing in the last
    /// epoch, ascending by uid.
    pub unawaited: Vec<(Uid, AccountId)>,
    /// What is drawn of the next round already; null in a run whose rounds do not overlap, and while it waits for its
    /// first round.
    pub next: Option<NextRound<AccountId>>,
}

/// A run that was stopped, and which of its parameters the chain vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct EndedRun {
    /// Its configuration.
    pub config: RunConfig,
    /// The block at which it was started.
    pub started_at: BlockNumber,
    /// The block at which it was stopped.
    pub stopped_at: BlockNumber,
    /// The round in which it was stopped; `None` if it never had one.
    pub round: Option<Round>,
    /// The roots of the last parameters that were final, the newest first.
    pub final_roots: Vec<FinalRoot>,
}

/// The root of the parameters with which a round began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct FinalRoot {
    /// The round.
    pub round: Round,
    /// The root.
    pub model_root: ModelRoot,
}

/// A round: when it is, who takes part, where its data begins.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct RoundInfo<AccountId> {
    /// Its number.
    pub round: Round,
    /// When the parts of it are: of the current round by what has been done in it, of an earlier one at the longest.
    pub times: RoundTimes,
    /// The phase of the block at which this was asked.
    pub phase: Phase,
    /// Drawn from the chain's randomness at `start`.
    pub seed: H256,
    /// Which pass over the data.
    pub pass: u32,
    /// Position in that pass at which the round's data begins.
    pub cursor: u64,
    /// The miners in the order of their slots.
    pub miners: Vec<(Uid, AccountId)>,
    /// The validators and the stake with which each counts in this round.
    pub validators: Vec<Attester<AccountId>>,
    /// In a run whose rounds overlap, the root of the parameters with which the round before began, if that is final:
    /// what contributions to this round are made from. Null where they are made from those that this round began with.
    pub base: Option<ModelRoot>,
}

/// A validator of a round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct Attester<AccountId> {
    /// Its number.
    pub uid: Uid,
    /// Its key.
    pub hotkey: AccountId,
    /// What its attestation counts: the stake on it at the round's first block, less what has leaked.
    #[serde(with = "pebble")]
    pub stake: Balance,
    /// The hash of what it will attest, from when it has committed until it attests.
    pub committed: Option<H256>,
    /// Whether it has attested in this round.
    pub attested: bool,
}

/// What a miner committed to in a round, and the key if it has revealed it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct ContributionInfo<AccountId> {
    /// The miner's number.
    pub uid: Uid,
    /// The miner's key.
    pub hotkey: AccountId,
    /// What it committed to.
    pub commitment: Commitment,
    /// The key that opens the file, once revealed.
    #[serde(with = "maybe_key")]
    pub key: Option<ContributionKey>,
    /// Stake of the validators whose verdict on it was good.
    #[serde(with = "pebble")]
    pub support: Balance,
}

/// Where a member's files can be had.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct MemberEndpoints<AccountId> {
    /// The member's number.
    pub uid: Uid,
    /// The key with which it named them.
    pub hotkey: AccountId,
    /// Its endpoints, at most [`crate::MAX_ENDPOINTS`].
    pub endpoints: Vec<Text>,
    /// The block in which it named them; `None` if it never named any.
    pub set_at: Option<BlockNumber>,
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct SettledRound {
    /// Its number.
    pub round: Round,
    /// The block that settled it.
    pub settled_at: BlockNumber,
    /// Uids of the included contributions, ascending. Empty in a null round: θ stays as it is.
    pub included: Vec<Uid>,
    /// How far each of them is trusted beside the others, in the same order; never 0.
    pub trust: Vec<u16>,
    /// Those of them whose makers' work an audit had found to be what it claimed, ascending.
    pub proven: Vec<Uid>,
    /// What the contributions are measured on follows from this, which nobody knew before the round was settled.
    pub exam: H256,
    /// Stake that attested.
    #[serde(with = "pebble")]
    pub attesting_stake: Balance,
    /// Stake that could have attested.
    #[serde(with = "pebble")]
    pub total_stake: Balance,
}

impl SettledRound {
    /// What the settlement says of each included contribution, ascending by uid.
    pub fn standings(&self) -> impl Iterator<Item = (Uid, Standing)> + '_ {
        let trusted = self.included.iter().zip(&self.trust);
        trusted.map(move |(uid, trust)| {
            let is_proven = self.proven.contains(uid);
            let trust = *trust;
            (*uid, Standing { trust, is_proven })
        })
    }
}

/// The model root with which a round began.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct LineageEntry {
    /// The round that began with these parameters.
    pub round: Round,
    /// Their model root: the one with the most stake behind it.
    pub model_root: ModelRoot,
    /// Stake that attested this root.
    #[serde(with = "pebble")]
    pub attested_stake: Balance,
    /// Stake that attested any root.
    #[serde(with = "pebble")]
    pub attesting_stake: Balance,
    /// Stake that could have attested.
    #[serde(with = "pebble")]
    pub total_stake: Balance,
    /// Whether at least two thirds of the attesting stake agree.
    pub is_final: bool,
    /// Their mean loss on windows that the round's included miners had to train on, in micro-nats per token. `None`
    /// until the next round is settled, and where no more than half of its attesting stake stated the same.
    pub loss: Option<MicroNats>,
}

/// An audit of a contribution that is not over.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct AuditInfo<AccountId> {
    /// The round of the contribution.
    pub round: Round,
    /// Whose it is.
    pub uid: Uid,
    /// With which hotkey.
    pub hotkey: AccountId,
    /// The first block in which it is too late for the miner to say what it serves.
    pub opens_until: BlockNumber,
    /// The same for auditors to commit to what they found; they can from `opens_until` on.
    pub commits_until: BlockNumber,
    /// The same for them to reveal it; they can from `commits_until` on.
    pub reveals_until: BlockNumber,
    /// The interval follows from this and from the inner steps in the contribution's header.
    pub drawn: u32,
    /// Whether none of its maker's work had passed an audit when this one was drawn: auditors come to it after the
    /// others of its round.
    pub is_new: bool,
    /// Whether all validators are asked, since an auditor found that the work is false. Then `commits_until` and
    /// `reveals_until` are theirs.
    pub is_disputed: bool,
    /// The most bytes that can be served.
    pub longest: u64,
    /// What the miner serves, once it has said so.
    pub served: Option<Served>,
    /// Who replays it, in the order in which they were drawn; in a dispute the other validators behind them.
    pub auditors: Vec<AuditorInfo<AccountId>>,
}

impl<AccountId> AuditInfo<AccountId> {
    /// The same, with accounts told in another way.
    pub fn map<To>(self, to: impl Fn(AccountId) -> To) -> AuditInfo<To> {
        let auditors = self.auditors.into_iter().map(|one| AuditorInfo {
            uid: one.uid,
            hotkey: to(one.hotkey),
            committed: one.committed,
            found: one.found,
        });
        AuditInfo {
            auditors: auditors.collect(),
            round: self.round,
            uid: self.uid,
            hotkey: to(self.hotkey),
            opens_until: self.opens_until,
            commits_until: self.commits_until,
            reveals_until: self.reveals_until,
            drawn: self.drawn,
            is_new: self.is_new,
            is_disputed: self.is_disputed,
            longest: self.longest,
            served: self.served,
        }
    }
}

/// An auditor of a contribution.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct AuditorInfo<AccountId> {
    /// Its number.
    pub uid: Uid,
    /// Its key.
    pub hotkey: AccountId,
    /// The hash of what it found, from when it has committed until it reveals.
    pub committed: Option<H256>,
    /// What it found, once revealed.
    pub found: Option<Finding>,
}

/// How the token comes into being.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct Schedule {
    /// There will never be more.
    #[serde(with = "pebble")]
    pub cap: Balance,
    /// What exists now.
    #[serde(with = "pebble")]
    pub issued: Balance,
    /// What a block issues now.
    #[serde(with = "pebble")]
    pub per_block: Balance,
    /// Halvings so far.
    pub halvings: u32,
    /// Issuance at which the next halving comes.
    #[serde(with = "pebble")]
    pub next_halving: Balance,
    /// Shares of owner, miners and validators, of 100.
    pub split: (u8, u8, u8),
}

/// Where everything that was issued is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct Issuance {
    /// What exists.
    #[serde(with = "pebble")]
    pub issued: Balance,
    /// Of it, in accounts.
    #[serde(with = "pebble")]
    pub balances: Balance,
    /// Of it, staked and counting.
    #[serde(with = "pebble")]
    pub stakes: Balance,
    /// Of it, stake that is being withdrawn.
    #[serde(with = "pebble")]
    pub unbonding: Balance,
    /// Of it, in miners' bonds, those being withdrawn included.
    #[serde(with = "pebble")]
    pub bonds: Balance,
    /// Of it, in pots that the next epochs pay out.
    #[serde(with = "pebble")]
    pub pots: Balance,
}

/// A subnet's emission.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct SubnetEmission {
    /// Its number.
    pub netuid: Netuid,
    /// Its share of each block's emission, of 10⁹.
    pub share: u64,
    /// Whether its run is one of those that emit.
    pub emits: bool,
    /// Whether it worked of late: whether a round became final and was not null, with contributors and attesters of
    /// two coldkeys each.
    pub works: bool,
    /// Waiting for the owner.
    #[serde(with = "pebble")]
    pub owner_pot: Balance,
    /// Waiting for the miners.
    #[serde(with = "pebble")]
    pub miners_pot: Balance,
    /// Waiting for the validators.
    #[serde(with = "pebble")]
    pub validators_pot: Balance,
    /// What of the three waited for scores.
    #[serde(with = "pebble")]
    pub late: Balance,
    /// Epochs over which that is paid.
    pub late_epochs: u32,
    /// What miners earned and do not have yet, beside the pots: their work is in question.
    #[serde(with = "pebble")]
    pub withheld: Balance,
    /// Epochs so far: the number of the next one.
    pub epochs: EpochIndex,
    /// Block of the last epoch.
    pub last_epoch: BlockNumber,
    /// Block at which the next epoch is due. A block runs one epoch, so it may come a few blocks later.
    pub next_epoch: BlockNumber,
    /// Paid out since the subnet was created.
    #[serde(with = "pebble")]
    pub paid: Balance,
    /// To whom it was paid.
    pub paid_to: Pots,
}

/// What an epoch of a subnet had and did.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
pub struct SubnetEpoch {
    /// Its number, from 0.
    pub epoch: EpochIndex,
    /// The block that it was part of.
    pub block: BlockNumber,
    /// What the pots held when it began, with what was withheld in that of the miners.
    pub pots: Pots,
    /// What it paid out of them.
    pub paid: Pots,
    /// Members.
    pub members: u16,
    /// Validators among them whose stake counted.
    pub validators: u16,
    /// Validators among them whose scores counted.
    pub voters: u16,
}

/// What an epoch made of a member.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
pub struct MemberEpoch {
    /// Its number, from 0.
    pub epoch: EpochIndex,
    /// The block that it was part of.
    pub block: BlockNumber,
    /// Share as a miner, of 65,535.
    pub incentive: u16,
    /// Share as a validator, of 65,535.
    pub dividends: u16,
    /// Paid into its coldkey's balance.
    #[serde(with = "pebble")]
    pub as_miner: Balance,
    /// Added to the stake on it.
    #[serde(with = "pebble")]
    pub as_validator: Balance,
}

/// A part of a list, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct EpochPage<Epoch> {
    /// The epochs of the page, ascending.
    pub epochs: Vec<Epoch>,
    /// The number from which the next page goes on; none if this is the last.
    pub next: Option<EpochIndex>,
}

/// A member and what it earned.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct MemberEmission<AccountId> {
    /// The subnet.
    pub netuid: Netuid,
    /// Its number there.
    pub uid: Uid,
    /// The key that it signs its work with.
    pub hotkey: AccountId,
    /// The key that owns what it earns.
    pub coldkey: AccountId,
    /// The block at which it came.
    pub registered_at: BlockNumber,
    /// Stake on it, its coldkey's and others'.
    #[serde(with = "pebble")]
    pub stake: Balance,
    /// Share as a miner in the last epoch, of 65,535.
    pub incentive: u16,
    /// Share as a validator in the last epoch, of 65,535.
    pub dividends: u16,
    /// What the last epoch gave it as a miner, whether it has it or not yet.
    #[serde(with = "pebble")]
    pub last_as_miner: Balance,
    /// What the last epoch added to the stake on it.
    #[serde(with = "pebble")]
    pub last_as_validator: Balance,
    /// What it earned as a miner and does not have yet, since its work is in question.
    #[serde(with = "pebble")]
    pub withheld: Balance,
    /// Paid into its coldkey's balance since it came.
    #[serde(with = "pebble")]
    pub earned_as_miner: Balance,
    /// Added to the stake on it since it came.
    #[serde(with = "pebble")]
    pub earned_as_validator: Balance,
    /// Paid to its hotkey in this subnet over all registrations.
    #[serde(with = "pebble")]
    pub earned_ever: Balance,
    /// The block at which it chose the scores that count for it now; none if it has set none.
    pub scores_set_at: Option<BlockNumber>,
}

/// What an account has in one subnet through one hotkey that it owns, stands behind, or is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct AccountEarning<AccountId> {
    /// The subnet.
    pub netuid: Netuid,
    /// The hotkey.
    pub hotkey: AccountId,
    /// The hotkey's number there, if it is still a member.
    pub uid: Option<Uid>,
    /// Whether the account is the coldkey that owns the hotkey.
    pub owned: bool,
    /// The account's own stake on it, with all dividends so far.
    #[serde(with = "pebble")]
    pub staked: Balance,
    /// The account's own stake on it that is being withdrawn.
    #[serde(with = "pebble")]
    pub unbonding: Balance,
    /// Share of its dividends that the hotkey's owner takes before those who stake on it, of 65,535.
    pub take: u16,
    /// Stake on it, the account's and others'.
    #[serde(with = "pebble")]
    pub stake: Balance,
    /// Its bond, what is being withdrawn of it included.
    #[serde(with = "pebble")]
    pub bond: Balance,
    /// What is being withdrawn of its bond.
    #[serde(with = "pebble")]
    pub unbonding_bond: Balance,
    /// The block from which on that can be withdrawn; null if there is none.
    pub bond_release_at: Option<BlockNumber>,
    /// Paid to it since it first came, over all registrations.
    #[serde(with = "pebble")]
    pub earned: Balance,
}
