//! What the pallet keeps, beside what the rules keep.

use cairn_primitives::{
    Balance, BlockNumber, ModelRoot, Netuid, Phases, Round, RoundTimes, RunConfig, Uid, H256,
    MAX_MEMBERS, MAX_VALIDATORS,
};
use cairn_protocol::phase::Timetable;
pub use cairn_protocol::{
    attendance::Absence,
    attestation::{Attestation, Statement, Tally},
    commitment::Contribution,
    eligibility::Validator,
    emission::{Attendances, Record},
    limits::ENDED_ROUNDS,
    lineage::Ancestor,
    settlement::Included,
    turnout::Turnout,
};
use codec::{Decode, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedBTreeMap, BoundedVec};
use scale_info::TypeInfo;

/// Where a run stands. Its configuration is kept apart, since that never changes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Run {
    /// The block at which its owner started it.
    pub started_at: BlockNumber,
    /// The current round; `None` while the run waits for its first miner and validator.
    pub round: Option<Round>,
    /// When the parts of the current round are, by what has been done in it.
    pub times: RoundTimes,
    /// The pass over the data in which the data lies of the next round to be drawn.
    pub pass: u32,
    /// The position in that pass from which that round's data begins, if it fits.
    pub cursor: u64,
    /// The root that the current round's parameters must have, where the chain knows it: the configured
    /// one before anything was included, and the last final one after null rounds.
    pub expected_root: Option<ModelRoot>,
    /// How many of the last settled rounds, in a row, have no final root.
    pub undecided: Round,
    /// The oldest round of which contributions and settlement are kept.
    pub oldest_round: Round,
    /// The oldest round of which the lineage is kept.
    pub oldest_root: Round,
}

/// The part of a round that is fixed at its first block: written once, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Snapshot<AccountId> {
    /// The round's first block.
    pub start: BlockNumber,
    /// The longest that its phases take.
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

/// Who has to train on what in a round that has not begun, of a run whose rounds overlap: drawn when the round before
/// began.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Assignment<AccountId> {
    /// The round.
    pub round: Round,
    /// What its slots were drawn from.
    pub seed: H256,
    /// Which pass over the data its data is in.
    pub pass: u32,
    /// Where in that pass its data begins.
    pub cursor: u64,
    /// The miners, in the order of their slots.
    pub miners: BoundedVec<(Uid, AccountId), ConstU32<MAX_MEMBERS>>,
}

impl<AccountId> Snapshot<AccountId> {
    /// When the round is if every part of it takes its longest.
    pub fn limits(&self) -> Timetable {
        Timetable::new(self.start, &self.phases)
    }
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Settlement<AccountId> {
    /// The block that settled it.
    pub settled_at: BlockNumber,
    /// Whose contributions were included, ascending by uid. Empty in a null round.
    pub included: BoundedVec<Included<AccountId>, ConstU32<MAX_MEMBERS>>,
    /// What its contributions are measured on follows from this.
    pub exam: H256,
    /// Stake that attested.
    pub attesting_stake: Balance,
    /// Stake that could have attested.
    pub total_stake: Balance,
}

/// What is left of a stopped run: the rounds `next..end`, to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Remains {
    /// The next round to remove.
    pub next: Round,
    /// The round after the last one.
    pub end: Round,
}

/// What stays of a subnet's last stopped run, so that its parameters can still be found and checked.
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
    /// The last rounds whose first parameters were final, and their roots, the newest first.
    pub roots: BoundedVec<(Round, ModelRoot), ConstU32<ENDED_ROUNDS>>,
}

/// By uid, what members missed; nothing of those that missed nothing.
pub type Absences = BoundedBTreeMap<Uid, Absence, ConstU32<MAX_MEMBERS>>;

/// The key of a contribution or an attestation.
pub type MemberOfRound = (Netuid, Round, Uid);
