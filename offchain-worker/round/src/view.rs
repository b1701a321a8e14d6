//! What the chain says of one moment, as far as a worker's decisions depend on it. The same for every role.

use cairn_primitives::{
    BlockNumber, Commitment, ContributionKey, Hotkey, ModelRoot, Round, SealedRoot, Standing, Text,
    Uid, H256,
};
use cairn_protocol::phase::Timetable;

use crate::{audit::Audit, hidden_row::Scoring, plan::Plan};

/// The chain at one moment: the current round at the best block, and how the round whose parameters the worker holds
/// was settled at the finalised one.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// When the current round is.
    pub round: RoundView,
    /// Who trains on what in it.
    pub plan: Plan,
    /// Its miners in the order of their slots, by uid and hotkey.
    pub miners: Vec<(Uid, Hotkey)>,
    /// The root of the parameters that contributions to it are made from, if those are not what it began with: where
    /// rounds overlap, and the round before has a final root.
    pub base: Option<ModelRoot>,
    /// What is drawn of the next round already; nothing where rounds do not overlap.
    pub next: Option<Next>,
    /// Its validators.
    pub validators: Vec<Attester>,
    /// Hotkeys of members that are not expected before they say that they are back.
    pub absent: Vec<Hotkey>,
    /// Hotkeys of members for which rounds do not wait.
    pub unawaited: Vec<Hotkey>,
    /// What was committed to in it, ascending by uid.
    pub contributions: Vec<Seen>,
    /// The subnet's audits that are not over.
    pub audits: Vec<Audit>,
    /// How the round that was asked for ended.
    pub settled: Option<Settlement>,
    /// Where this worker's files can be had by what the chain says, if it is a member.
    pub named: Option<Named>,
    /// The subnet's next epoch and this worker's commitments to scores, if that was asked.
    pub voting: Option<Scoring>,
}

impl View {
    /// The uid and the slot of a hotkey, if it has data in this round.
    pub fn seat_of(&self, hotkey: Hotkey) -> Option<(Uid, u64)> {
        seat(&self.miners, hotkey)
    }

    /// The slot of a hotkey, if it has data in this round.
    pub fn slot_of(&self, hotkey: Hotkey) -> Option<u64> {
        self.seat_of(hotkey).map(|(_, slot)| slot)
    }

    /// What this hotkey committed to.
    pub fn contribution_of(&self, hotkey: Hotkey) -> Option<&Seen> {
        self.contributions.iter().find(|seen| seen.hotkey == hotkey)
    }

    /// Whether nobody expects this hotkey.
    pub fn is_absent(&self, hotkey: Hotkey) -> bool {
        self.absent.contains(&hotkey)
    }

    /// Whether the round waits for this hotkey, if that has a part in it.
    pub fn is_awaited(&self, hotkey: Hotkey) -> bool {
        !self.unawaited.contains(&hotkey)
    }

    /// This hotkey among the validators.
    pub fn validator(&self, hotkey: Hotkey) -> Option<&Attester> {
        self.validators.iter().find(|one| one.hotkey == hotkey)
    }
}

/// Who it is that trains on the data of which slot.
fn seat(miners: &[(Uid, Hotkey)], hotkey: Hotkey) -> Option<(Uid, u64)> {
    let mut slots = (0..).zip(miners);
    let (slot, (uid, _)) = slots.find(|(_, (_, miner))| *miner == hotkey)?;
    Some((*uid, slot))
}

/// A round that has not begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// Its number.
    pub round: Round,
    /// Who trains on what in it.
    pub plan: Plan,
    /// Its miners in the order of their slots, by uid and hotkey.
    pub miners: Vec<(Uid, Hotkey)>,
}

impl Next {
    /// The uid and the slot of a hotkey, if it has data in this round.
    pub fn seat_of(&self, hotkey: Hotkey) -> Option<(Uid, u64)> {
        seat(&self.miners, hotkey)
    }

    /// The slot of a hotkey, if it has data in this round.
    pub fn slot_of(&self, hotkey: Hotkey) -> Option<u64> {
        self.seat_of(hotkey).map(|(_, slot)| slot)
    }
}

/// What a member has named as its endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// All of them.
    pub endpoints: Vec<Text>,
    /// The block in which it named them; `None` if it never named any.
    pub set_at: Option<BlockNumber>,
}

/// A validator of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attester {
    /// Its number.
    pub uid: Uid,
    /// Its key.
    pub hotkey: Hotkey,
    /// The hash of what it will attest, from when it has committed until it attests.
    pub committed: Option<H256>,
    /// Whether it has attested.
    pub attested: bool,
}

/// A contribution as the chain has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The miner.
    pub uid: Uid,
    /// Its key.
    pub hotkey: Hotkey,
    /// What it committed to.
    pub commitment: Commitment,
    /// The key that opens it, once revealed.
    pub key: Option<ContributionKey>,
}

/// A contribution that a round included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// It.
    pub seen: Seen,
    /// What the settlement says of it.
    pub standing: Standing,
}

/// How a round ended, read at the finalised block.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// Its number.
    pub round: Round,
    /// The included contributions, ascending by uid. Empty in a null round.
    pub included: Vec<Included>,
    /// Its miners in the order of their slots, by uid and hotkey.
    pub miners: Vec<(Uid, Hotkey)>,
    /// Who had to train on what.
    pub plan: Plan,
    /// What its contributions are measured on follows from this.
    pub exam: H256,
    /// The root of the parameters that contributions to it were made from, if those are not what it began with.
    pub base: Option<ModelRoot>,
    /// The root with which it began, if that is final.
    pub before: Option<ModelRoot>,
    /// The root with which the next one began, if that is final.
    pub after: Option<ModelRoot>,
}

impl Settlement {
    /// The sealed root of what this hotkey contributed, if that was included.
    pub fn own(&self, hotkey: Hotkey) -> Option<SealedRoot> {
        let mut seen = self.included.iter().map(|one| &one.seen);
        let own = seen.find(|seen| seen.hotkey == hotkey)?;
        Some(own.commitment.sealed_root)
    }

    /// The sealed roots of what was included, by ascending uid.
    pub fn sealed_roots(&self) -> Vec<SealedRoot> {
        let roots = self.included.iter();
        roots.map(|one| one.seen.commitment.sealed_root).collect()
    }

    /// The uids of what was included, ascending.
    pub fn uids(&self) -> Vec<Uid> {
        self.included.iter().map(|one| one.seen.uid).collect()
    }

    /// The trust of each of them, in the same order.
    pub fn trusts(&self) -> Vec<u16> {
        let included = self.included.iter();
        included.map(|one| one.standing.trust).collect()
    }
}

/// When the current round of a run is, read at the best block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundView {
    /// Its number.
    pub round: Round,
    /// When its parts are.
    pub times: Timetable,
    /// The same as of the finalised block: at the longest, if the round had not begun by then.
    pub certain: Timetable,
    /// The round that is the current one at the finalised block; `None` if the run was not there yet.
    pub at_final: Option<Round>,
    /// The oldest round whose contributions the chain still has.
    pub oldest: Round,
}

impl RoundView {
    /// When its phases are.
    pub fn timetable(&self) -> Timetable {
        self.times
    }
}
