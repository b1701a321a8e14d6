//! What the pallet keeps.

use cairn_primitives::{
    BlockNumber, Commitment, ContributionKey, Netuid, Phases, Round, RunConfig, Uid, Verdicts,
    H256, MAX_MEMBERS, MAX_VALIDATORS,
};
use codec::{Decode, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedBTreeMap, BoundedVec};
use scale_info::TypeInfo;

use cairn_primitives::Balance;

/// Where a run stands. Its configuration is kept apart, since that never changes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Run {
    /// The block at which its owner started it.
    pub started_at: BlockNumber,
    /// The current round; `None` while the run waits for its first miner and validator.
    pub round: Option<Round>,
    /// The block from which the current round can be settled.
    pub due: BlockNumber,
    /// The pass over the data in which the next round's data lies.
    pub pass: u32,
    /// The position in that pass from which the next round's data begins, if it fits.
    pub cursor: u64,
    /// The root that the current round's weights must have, where the chain knows it: the configured
    /// one before anything was included, and the last final one after null rounds.
    pub expected_root: Option<H256>,
    /// The oldest round of which contributions and settlement are kept.
    pub oldest_round: Round,
    /// The oldest round of which the lineage is kept.
    pub oldest_root: Round,
}

/// A validator in a round's snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Validator<AccountId> {
    /// Its number.
    pub uid: Uid,
    /// Its key.
    pub hotkey: AccountId,
    /// The stake on it at the round's first block, in pebble: what its vote counts.
    pub stake: Balance,
}

/// The part of a round that is fixed at its first block: written once, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Snapshot<AccountId> {
    /// The round's first block.
    pub start: BlockNumber,
    /// The lengths of its phases.
    pub phases: Phases,
    /// What its slots were drawn from.
    pub seed: H256,
    /// Which pass over the data its data is in.
    pub pass: u32,
    /// Where in that pass its data begins.
    pub cursor: u64,
    /// The miners, in the order of their slots.
    pub miners: BoundedVec<(Uid, AccountId), ConstU32<MAX_MEMBERS>>,
    /// The validators, the one with the most stake first.
    pub validators: BoundedVec<Validator<AccountId>, ConstU32<MAX_VALIDATORS>>,
}

/// The part of a round that grows while it runs: what was revealed, and what the validators said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Tally {
    /// Stake of the validators in the snapshot, less those that left.
    pub total_stake: Balance,
    /// Stake of those that attested.
    pub attesting_stake: Balance,
    /// For each revealed contribution the stake of those whose verdict on it was good.
    pub support: BoundedBTreeMap<Uid, Balance, ConstU32<MAX_MEMBERS>>,
    /// For each state root that somebody attested the stake behind it.
    pub roots: BoundedBTreeMap<H256, Balance, ConstU32<MAX_VALIDATORS>>,
    /// Members of the snapshot that left the subnet since.
    pub departed: Verdicts,
}

/// A miner's commitment and, once revealed, its key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Contribution<AccountId> {
    /// Who committed.
    pub hotkey: AccountId,
    /// To what.
    pub commitment: Commitment,
    /// The key that opens it.
    pub key: Option<ContributionKey>,
}

/// What a validator attested: kept so that its vote can be taken back if it leaves.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Attestation {
    /// The root of the weights with which the round began.
    pub state_root: H256,
    /// The contributions that it found good.
    pub verdicts: Verdicts,
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Settlement<AccountId> {
    /// The block that settled it.
    pub settled_at: BlockNumber,
    /// Whose contributions were included, ascending by uid. Empty in a null round.
    pub included: BoundedVec<(Uid, AccountId), ConstU32<MAX_MEMBERS>>,
    /// Stake that attested.
    pub attesting_stake: Balance,
    /// Stake that could have attested.
    pub total_stake: Balance,
}

/// An entry of the lineage: the root of the weights with which a round began.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Ancestor {
    /// The root with the most stake behind it; of equals the smallest; zero if nobody attested.
    pub state_root: H256,
    /// Stake that attested this root.
    pub attested_stake: Balance,
    /// Stake that attested any root.
    pub attesting_stake: Balance,
    /// Stake that could have attested.
    pub total_stake: Balance,
    /// Whether the chain takes it for the weights' root.
    pub is_final: bool,
}

impl Ancestor {
    /// The root, if the chain takes it for the weights'.
    pub fn final_root(&self) -> Option<H256> {
        self.is_final.then_some(self.state_root)
    }
}

/// What is left of a stopped run: the rounds `next..end`, to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Remains {
    /// The next round to remove.
    pub next: Round,
    /// The round after the last one.
    pub end: Round,
}

/// Rounds before its end of which a run's final roots are kept: checkpoints are further apart than one round.
pub const ENDED_ROUNDS: u32 = 8;

/// What stays of a subnet's last stopped run, so that its weights can still be found and checked.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Ended {
    /// Its configuration.
    pub config: RunConfig,
    /// The block at which it was started.
    pub started_at: BlockNumber,
    /// The block at which it was stopped.
    pub stopped_at: BlockNumber,
    /// The round in which it was stopped; `None` if it never had one.
    pub round: Option<Round>,
    /// The last rounds whose first weights were final, and their roots, the newest first.
    pub roots: BoundedVec<(Round, H256), ConstU32<ENDED_ROUNDS>>,
}

/// The key of a contribution or an attestation.
pub type MemberOfRound = (Netuid, Round, Uid);

impl Tally {
    /// Whether at least half of the stake that could attest did, and any did.
    pub fn has_quorum(&self) -> bool {
        let twice = u128::from(self.attesting_stake).saturating_mul(2);
        self.attesting_stake > 0 && twice >= u128::from(self.total_stake)
    }

    /// Whether `stake` is at least two thirds of the attesting stake, and not nothing.
    pub fn is_two_thirds(&self, stake: Balance) -> bool {
        let (stake, attesting) = (u128::from(stake), u128::from(self.attesting_stake));
        stake > 0 && stake.saturating_mul(3) >= attesting.saturating_mul(2)
    }

    /// The root with the most stake behind it and that stake; of equals the smallest root.
    pub fn leading_root(&self) -> Option<(H256, Balance)> {
        let mut leading: Option<(H256, Balance)> = None;
        for (root, stake) in self.roots.iter() {
            if leading.is_none_or(|(_, most)| *stake > most) {
                leading = Some((*root, *stake));
            }
        }
        leading
    }

    /// Notes that a member of the snapshot left.
    pub fn depart(&mut self, uid: Uid) {
        self.departed = Verdicts::from_uids(self.departed.uids().chain(Some(uid)));
    }
}
