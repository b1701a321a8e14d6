//! What every role's machine takes and gives.
//!
//! A machine is told what happened, and is then asked for actions until it has none left: no action can be
//! overlooked, whichever event it came from. The one who asks is the *driver*: it carries actions out and reports back.

use cairn_primitives::{BlockNumber, Commitment, ModelRoot, Round, Secret, Text, Uid};

use crate::{
    audit::{Demand, Shown, Verdict},
    drain::Owed,
    hidden_row::HiddenRow,
    pledge::Pledge,
    Settlement, View,
};

/// A role's decisions.
pub trait Machine {
    /// How the role's own work ends.
    type Done;
    /// The role's own work.
    type Work;

    /// Takes what happened, as of the best block `now`.
    fn handle(&mut self, event: Event<Self::Done>, now: BlockNumber);

    /// The next thing to do. To be asked after each [`Machine::handle`] until there is none.
    #[must_use = "an action that is dropped is never asked for again"]
    fn poll_action(&mut self) -> Option<Action<Self::Work>>;
}

/// The parameters that a worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The round that begins with them.
    pub round: Round,
    /// Their root.
    pub root: ModelRoot,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<D> {
    /// The best or the finalised block moved.
    Moved,
    /// What the chain says, as of the best block `now` and the finalised one.
    Looked(Box<View>),
    /// The chain says that the worker's run is there no longer.
    Gone(Gone),
    /// The chain did not answer.
    NotLooked,
    /// A transaction is in a block, or was not seen into one: the chain's next view tells.
    Sent {
        /// Which.
        kind: Kind,
        /// In which block.
        block: Option<BlockNumber>,
    },
    /// The outer step of this round was computed, and is not in force yet.
    Applied {
        /// The round.
        round: Round,
        /// The root of the parameters after it.
        root: ModelRoot,
    },
    /// The outer step of this round could not be computed now.
    NotApplied(Round),
    /// These parameters are in force and on disk; what was open for earlier ones is void.
    Kept(Held),
    /// Parameters were fetched, are vouched for by the chain, and are on disk.
    Joined(Held),
    /// There were none to be had.
    NotJoined,
    /// The role's own work ended.
    Done(D),
}

/// How a run went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It was stopped, or its subnet is gone.
    Stopped,
    /// Another one, started at this block, has its place.
    Replaced(BlockNumber),
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<W> {
    /// Ask the chain for a view; one at a time.
    Look(Question),
    /// Sign and send.
    Send(Transaction),
    /// Compute the outer step of a settled round from the parameters held. After a null round they stay as they are.
    Apply {
        /// How the round ended.
        settlement: Settlement,
        /// Whether it includes the worker's own contribution, so that what that left is carried on.
        is_included: bool,
    },
    /// Put what was computed in force, and on disk.
    Keep {
        /// How the round ended.
        settlement: Settlement,
        /// What is held from now on.
        held: Held,
        /// What of the worker's own contribution to it is audited: what the round began with is kept for that.
        audited: Option<Demand>,
    },
    /// Fetch the newest parameters to be had that the chain vouches for.
    Join,
    /// Find out, and tell people, why there is nothing to do.
    Explain(Lack),
    /// Tell people what a worker that drains still owes.
    Tell(Owed),
    /// End, for this reason.
    Stop(Reason),
    /// The role's own work.
    Do(W),
}

/// What a view has to answer beside the current round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// How this round was settled, if it was.
    pub settled: Option<Round>,
    /// Whether the next epoch and this worker's commitments to scores are of interest.
    pub voting: bool,
}

/// Why there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The worker has no part in the current round.
    Part,
    /// The subnet has no run.
    Run,
}

/// Why a worker has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its parameters are not the chain's.
    Diverged {
        /// The round that begins with them.
        round: Round,
        /// Their root here.
        here: ModelRoot,
        /// The root that is final on chain.
        chain: ModelRoot,
    },
    /// Another run, started at this block, has its run's place.
    Replaced(BlockNumber),
    /// It was told to drain, and owes nothing any more.
    Drained,
}

/// What a worker signs. All of it is free of fees for members, once a round, an epoch or an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// Binds a miner to a sealed contribution.
    Commit(Round, Commitment),
    /// Opens it.
    Reveal(Round, Secret),
    /// Binds a validator to its verdicts and the root of the parameters that it holds.
    CommitAttestation(Pledge),
    /// Says what they are.
    Attest(Pledge),
    /// Says in this round that a member is back which nobody expects.
    Here(Round),
    /// Says where a member's files can be had.
    SetEndpoints(Vec<Text>),
    /// Says what the miner with this uid serves of its contribution that is audited.
    OpenAudit(Uid, Shown),
    /// Binds a validator to what an audit found.
    CommitVerdict(Verdict),
    /// Says what that is.
    RevealVerdict(Verdict),
    /// A validator's scores up to this round, on a subnet that does not hide them.
    SetScores(Round, Vec<(Uid, u16)>),
    /// Binds a validator to scores.
    CommitScores(HiddenRow),
    /// Reveals them.
    RevealScores(HiddenRow),
}

/// Kinds of transactions, the most urgent first: of those of an account that wait, that one is sent first, since a chain
/// takes one after the other. Of each kind a machine has one under way at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A commitment or a key.
    Contribution,
    /// A commitment to verdicts and a root, or these.
    Attestation,
    /// That a member is back.
    Presence,
    /// Scores. Before audits, of which there may be many.
    Scores,
    /// What is served for an audit, or what one found.
    Audit,
    /// Where its files can be had.
    Endpoints,
}

impl Transaction {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Transaction::Commit(..) | Transaction::Reveal(..) => Kind::Contribution,
            Transaction::CommitAttestation(_) | Transaction::Attest(_) => Kind::Attestation,
            Transaction::Here(_) => Kind::Presence,
            Transaction::SetEndpoints(_) => Kind::Endpoints,
            Transaction::OpenAudit(..)
            | Transaction::CommitVerdict(_)
            | Transaction::RevealVerdict(_) => Kind::Audit,
            Transaction::SetScores(..)
            | Transaction::CommitScores(_)
            | Transaction::RevealScores(_) => Kind::Scores,
        }
    }
}
