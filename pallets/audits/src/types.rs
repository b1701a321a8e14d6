//! What the pallet keeps, beside what the rules keep.

use cairn_primitives::{
    AuditOutcome, AuditRules, Balance, BlockNumber, Finding, Netuid, Round, Served, Uid, Verdicts,
    MAX_MEMBERS, MAX_VALIDATORS,
};
pub use cairn_protocol::audit::{Said, Stage, Times};
use cairn_protocol::wages::Judged;
use codec::{Decode, Encode, MaxEncodedLen};
use frame_support::{defensive, traits::ConstU32, BoundedBTreeMap, BoundedVec};
use scale_info::TypeInfo;

/// As many audits of a subnet are open at most as so many of its rounds include contributions: fewer by one than rounds
/// of which audits can be open.
pub const OPEN_ROUNDS: u32 = AuditRules::OPEN_ROUNDS - 1;

/// The most rounds of which audits are open.
pub const MOST_ROUNDS: u32 = AuditRules::OPEN_ROUNDS;

/// How many audits of a subnet are open, by round.
pub type Counted = BoundedBTreeMap<Round, u32, ConstU32<MOST_ROUNDS>>;

/// What is known of a subnet whose run audits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Passed {
    /// The newest round of which audits were drawn.
    pub newest: Round,
    /// Members of whom an audit has ended without finding their work false.
    pub proven: Verdicts,
    /// Of members that are proven, the oldest round of which an audit was left undecided since one was decided.
    pub undecided: BoundedBTreeMap<Uid, Round, ConstU32<MAX_MEMBERS>>,
}

impl Passed {
    /// What audits made of a member.
    pub fn judged(&self, uid: Uid) -> Judged {
        Judged {
            is_proven: self.proven.contains(uid),
            undecided: self.undecided.get(&uid).copied(),
        }
    }

    /// Writes down what audits made of a member.
    pub fn note(&mut self, uid: Uid, judged: Judged) {
        let others = self.proven.uids().filter(|one| *one != uid);
        self.proven = Verdicts::from_uids(others.chain(judged.is_proven.then_some(uid)));
        self.undecided.remove(&uid);
        if let Some(round) = judged.undecided {
            if self.undecided.try_insert(uid, round).is_err() {
                defensive!("more members than there can be");
            }
        }
    }
}

/// The key of an audit: the contribution's subnet, round and uid.
pub type AuditId = (Netuid, Round, Uid);

/// How the audits of a round ended, by the uid of the miner.
pub type RoundOutcomes = BoundedBTreeMap<Uid, AuditOutcome, ConstU32<MAX_MEMBERS>>;

/// A validator of a round of which audits are open.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Validator<AccountId> {
    /// Its number in the round.
    pub uid: Uid,
    /// Its key.
    pub hotkey: AccountId,
    /// Whose it was when the round was settled.
    pub coldkey: Option<AccountId>,
    /// Its stake in the round, in pebble.
    pub stake: Balance,
}

/// The validators of a round of which audits are open.
pub type Validators<AccountId> = BoundedVec<Validator<AccountId>, ConstU32<MAX_VALIDATORS>>;

/// An audit that is open.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Audit<AccountId> {
    /// The hotkey that made the contribution.
    pub hotkey: AccountId,
    /// Whose that was when the round was settled: none of its validators is asked.
    pub coldkey: Option<AccountId>,
    /// The block that settled the round.
    pub settled: BlockNumber,
    /// When it is; in a dispute, when that is.
    pub times: Times,
    /// The interval follows from this.
    pub drawn: u32,
    /// Whether its maker was not proven when it was drawn: auditors come to it after the others of its round.
    pub is_new: bool,
    /// The most bytes that can be served.
    pub longest: u64,
    /// Whether the hotkey's account is held, so that it can be heard although its member left.
    pub is_held: bool,
    /// What the miner serves, once it has said so.
    pub served: Option<Served>,
    /// In a dispute, how many of the auditors were drawn and had revealed something by then: they come first.
    pub drawn_auditors: Option<u8>,
    /// Who replays it: those that were drawn, and in a dispute all others.
    pub auditors: BoundedVec<Auditor<AccountId>, ConstU32<MAX_VALIDATORS>>,
}

/// An auditor.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Auditor<AccountId> {
    /// Its number in the round.
    pub uid: Uid,
    /// Its key.
    pub hotkey: AccountId,
    /// What it has said.
    pub said: Option<Said>,
}

impl<AccountId> Auditor<AccountId> {
    /// What it found, if it has revealed that.
    pub fn finding(&self) -> Option<Finding> {
        self.said.as_ref().and_then(Said::finding)
    }
}

impl<AccountId: PartialEq> Audit<AccountId> {
    /// The block at which it ends.
    pub fn due(&self) -> BlockNumber {
        self.times.end_of(match self.served {
            Some(_) => Stage::Reveal,
            None => Stage::Open,
        })
    }

    /// The auditors that were drawn; in a dispute those of them that had revealed something before.
    pub fn drawn(&self) -> impl Iterator<Item = &Auditor<AccountId>> {
        let drawn = self.drawn_auditors.map_or(usize::MAX, usize::from);
        self.auditors.iter().take(drawn)
    }

    /// The auditor with this hotkey.
    pub fn auditor(&self, hotkey: &AccountId) -> Option<&Auditor<AccountId>> {
        self.auditors.iter().find(|one| one.hotkey == *hotkey)
    }
}
