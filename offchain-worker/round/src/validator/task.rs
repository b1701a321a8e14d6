//! What a validator's machine gives to be done, and how that ends.

use cairn_primitives::{
    Commitment, ContributionKey, Hotkey, Judgement, ModelRoot, Round, SealedRoot, Uid, Witness,
    H256,
};

use crate::{
    audit::{Audit, Verdict},
    hidden_row::HiddenRow,
    machine::Held,
    plan::Plan,
    pledge::Pledge,
};

/// How far a contribution has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The sealed file is being fetched.
    Fetching,
    /// It is not to be had now; the next look asks for it again.
    Missing,
    /// The sealed file is here and matches its root.
    Fetched,
    /// It is being opened and decoded.
    Opening,
    /// It can be vouched for.
    Good,
    /// It is not what its maker owes, whoever looks.
    Broken,
    /// It cannot be vouched for, which may look otherwise to others.
    Bad,
}

/// What a file was found to be that was to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// What its maker owes: it can be vouched for.
    Good,
    /// Not that, whoever looks.
    Broken,
    /// Not that as far as this validator knows; or it was not there any more.
    Bad,
}

impl From<Opened> for Check {
    fn from(found: Opened) -> Check {
        match found {
            Opened::Good => Check::Good,
            Opened::Broken => Check::Broken,
            Opened::Bad => Check::Bad,
        }
    }
}

/// A contribution's name: a uid may, after a re-organisation, have committed to something else.
pub type Id = (Uid, SealedRoot);

/// A contribution that is to be opened, and what it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The round it was made for.
    pub round: Round,
    /// Who committed.
    pub uid: Uid,
    /// With which hotkey.
    pub hotkey: Hotkey,
    /// To what.
    pub commitment: Commitment,
    /// The revealed key.
    pub key: ContributionKey,
    /// Root of the parameters with which the round began.
    pub parent_root: ModelRoot,
}

/// A round whose contributions are to be measured: each alone, on the parameters with which the round began. Slots are
/// drawn by the round's seed, so whoever is left out when time runs out is left out by chance.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The round.
    pub round: Round,
    /// Root of the parameters with which it began.
    pub root: ModelRoot,
    /// Who had to train on what.
    pub plan: Plan,
    /// What its contributions are measured on follows from this.
    pub exam: H256,
    /// The salt of what this validator attested in it.
    pub salt: H256,
    /// Its miners in the order of their slots.
    pub subjects: Vec<Subject>,
    /// Whose contributions it included, ascending.
    pub included: Vec<Uid>,
    /// What each of them counted by its maker's trust, in the same order. Nothing, if contributions are not to be held
    /// against what these made together: where work is not audited.
    pub trusts: Vec<u16>,
    /// The sealed roots of what the round before included, if that was followed.
    pub before: Vec<SealedRoot>,
}

/// A miner of a round and what it contributed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its slot.
    pub slot: u64,
    /// Its number.
    pub uid: Uid,
    /// Its key.
    pub hotkey: Hotkey,
    /// What there is of it.
    pub found: Found,
}

/// What there is of a miner in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A good contribution, of this sealed root.
    Good(SealedRoot),
    /// Nothing good was to be had: it missed the round.
    Missed,
}

/// A validator's own work.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Fetch a sealed file and compare its root.
    Fetch {
        /// The round.
        round: Round,
        /// Who committed.
        uid: Uid,
        /// Its key.
        hotkey: Hotkey,
        /// To what.
        commitment: Commitment,
    },
    /// Open and check a file that is here.
    Open(Claim),
    /// Draw a salt, and put what is to be attested on disk with it.
    Pledge {
        /// The round.
        round: Round,
        /// The root of the parameters that it begins with.
        root: ModelRoot,
        /// What was found good, and what broken.
        verdicts: Judgement,
        /// What shows that the round before was measured; nothing if it was not.
        witness: Witness,
    },
    /// Measure contributions.
    Measure(Measurement),
    /// Stop measuring and keep what has been measured.
    StopMeasuring,
    /// Replay what is audited, and put what was found on disk with a salt.
    Audit(Box<Audit>),
    /// Turn evidence up to this round into scores: for a commitment before this epoch, to be put on disk with a salt,
    /// or, if the subnet hides none, to be set at once.
    Weigh {
        /// The round.
        round: Round,
        /// The epoch.
        epoch: Option<u32>,
    },
    /// Write a checkpoint of these parameters, which are held or were held before.
    WriteCheckpoint(Held),
}

/// How that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A sealed file is here and matches its root, or is not to be had now.
    Fetched {
        /// The round.
        round: Round,
        /// Which.
        id: Id,
        /// Whether it is here.
        is_here: bool,
    },
    /// A file was opened, or could not be.
    Opened {
        /// The round.
        round: Round,
        /// Which.
        id: Id,
        /// What it is.
        found: Opened,
    },
    /// What is to be attested is on disk.
    Pledged(Pledge),
    /// Measuring of this round ended, with evidence for what was measured; with what shows that all that it included
    /// was ([`cairn_protocol::exam::witness`]), if it was and the run asks for it; and with the makers of what helped too
    /// little ([`cairn_protocol::value::fruitless`]).
    Measured(Round, Option<Witness>, Vec<Hotkey>),
    /// What an audit found is on disk; or nothing was found, which may be otherwise in a moment.
    Audited((Round, Uid), Option<Verdict>),
    /// Evidence became scores, or did not.
    Weighed(Weighed),
    /// A checkpoint is written, or could not be.
    Checkpoint(Held, bool),
}

/// What evidence became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weighed {
    /// The chain did not say who the members are.
    Unanswered,
    /// Nothing has shown its worth: scores stay as they are.
    Nothing,
    /// Scores up to this round, to be set in the open.
    Open(Round, Vec<(Uid, u16)>),
    /// Scores to commit to, which are on disk.
    Hidden(HiddenRow),
}
