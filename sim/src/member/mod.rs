//! A member: its keys, its disk, its machine, and what is in its memory while the process lives.
//!
//! The driver is synchronous. An action of the machine begins a [`Job`] that ends later in virtual time; what it
//! finds is found when it ends. A crash is another incarnation: jobs of the last one end unheard.

pub mod auditing;
pub mod driver;
pub mod miner;
pub mod parameters;
pub mod sending;
pub mod validator;
pub mod writing;

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    rc::Rc,
};

use cairn_primitives::{
    Balance, BlockNumber, Commitment, Judgement, ModelRoot, Round, SealedRoot, Served, Uid,
    Witness, H256,
};
use cairn_protocol::verdict::Ends;
use cairn_round::{
    ahead::Sealed,
    audit::{Audit, Demand, Verdict},
    heard::Heard,
    machine::{Kind, Question, Transaction},
    measure::Measuring,
    miner::Miner,
    pace::Pace,
    plan::Plan,
    validator::{Claim, Id as File, Validator},
    Event, Held, Settlement,
};

use crate::{
    behaviour::Behaviour,
    chain::{keys::Key, Id},
    checkers::{sight::Sight, Who},
    disk::{Disk, Open},
    settings::Role,
    workshop::{Memory, Opened, Settled, Theta},
};

/// A member's decisions.
#[derive(Debug)]
pub enum Machine {
    /// A miner's.
    Miner(Box<Miner>),
    /// A validator's.
    Validator(Box<Validator>),
}

/// Something that a member does, and that ends.
#[derive(Clone, Debug)]
pub enum Job {
    /// The chain is asked.
    Look(Question),
    /// It answers late, as of a block.
    Answer(Box<Event<Infallible>>, BlockNumber),
    /// A transaction cannot be sent.
    NotSent(Kind),
    /// Newer parameters are fetched.
    Join,
    /// An outer step is computed.
    Apply(Box<Settlement>, bool),
    /// Parameters are written to disk.
    Keep(Held, Option<Demand>),
    /// Fetched parameters are written to disk.
    KeepJoined(Held, Rc<Theta>),
    /// What is on disk is told to the machine.
    Tell(Told),
    /// An inner step.
    Step,
    /// A contribution is compressed, sealed and stored.
    Store(Made),
    /// It is compressed and sealed.
    Seal(Made),
    /// The copy of a contribution is sent to the store.
    Upload(SealedRoot),
    /// The intent to commit is written to disk.
    KeepSealed(Made),
    /// What has this number is written to disk beside all else.
    Write(u64),
    /// A sealed file is fetched.
    Fetch(Round, Uid, Box<Commitment>),
    /// The same by a miner, before it needs it.
    FetchAhead(Box<Sealed>),
    /// A file is opened.
    Open(Box<Claim>),
    /// What is to be attested is written to disk.
    Pledge(Round, ModelRoot, Box<Judgement>, Witness),
    /// Losses are computed.
    Measure,
    /// Evidence becomes scores.
    Weigh(Round, Option<u32>),
    /// A checkpoint is stored.
    Checkpoint(Held),
    /// States that are audited are made again.
    Serve(Demand),
    /// Steps are replayed.
    Audit(Box<Audit>),
}

/// What a machine is told once it is on disk.
#[derive(Clone, Debug)]
pub enum Told {
    /// The outer step is in force.
    Kept(Held),
    /// Fetched parameters are in force.
    Joined(Held),
    /// The intent to commit is there.
    Sealed(Made),
    /// An outer step that is in force is there, too.
    KeptBeside(Held),
    /// The same of a contribution with this sealed root to a round.
    SealedBeside(Round, SealedRoot),
    /// What is to be attested is there.
    Pledged(Box<cairn_round::pledge::Pledge>),
    /// Scores are there.
    Weighed(Box<cairn_round::hidden_row::HiddenRow>),
    /// What is served of a round is there, or that came to nothing.
    Served(Round, Option<Served>),
    /// What an audit found is there, or nothing was found.
    Audited((Round, Uid), Option<Box<Verdict>>),
}

/// A contribution that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// What is committed to, and what it leaves.
    pub open: Open,
    /// The sealed file.
    pub sealed: Rc<[u8]>,
}

/// Inner steps that a miner does.
#[derive(Debug)]
pub struct Training {
    pub(crate) round: Round,
    pub(crate) uid: Uid,
    pub(crate) slot: u64,
    pub(crate) plan: Plan,
    pub(crate) deadline: BlockNumber,
    pub(crate) most: u32,
    /// The windows of each step that was done.
    pub(crate) windows: Vec<Vec<u64>>,
    /// Whether it is to end after the present step.
    pub(crate) is_last: bool,
    /// Whether the steps are over and the contribution is being made.
    pub(crate) is_making: bool,
    /// Whether nothing is to be made of it: it ends after the present step.
    pub(crate) is_abandoned: bool,
}

/// Contributions that a validator measures, on the parameters with which their round began.
#[derive(Debug)]
pub struct Trials {
    pub(crate) round: Round,
    pub(crate) theta: Rc<Theta>,
    /// The parameters with which the round ended.
    pub(crate) settled: Rc<Theta>,
    pub(crate) measuring: Measuring,
}

/// A transaction under way.
#[derive(Debug)]
pub struct Flight {
    pub(crate) kind: Kind,
    pub(crate) id: H256,
    pub(crate) sent_at: BlockNumber,
}

/// An outer step that was computed and is not in force.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The round after it.
    pub round: Round,
    /// What it led to.
    pub next: Settled,
    /// Where makers ended then.
    pub ends: Ends,
    /// Whether the member's own contribution was included.
    pub is_included: bool,
}

/// What is in the memory of a running process.
#[derive(Debug, Default)]
pub struct Process {
    pub(crate) held: Option<(Held, Rc<Theta>)>,
    pub(crate) before: Option<(Held, Rc<Theta>)>,
    /// What it was last told of the chain.
    pub(crate) seen: Rc<Sight>,
    /// Since when the present round can have been under way.
    pub(crate) heard: Heard,
    /// The median norm of the last round applied here that included anything.
    pub(crate) norm: Option<f64>,
    pub(crate) memory: Option<Rc<Memory>>,
    pub(crate) open: Option<Open>,
    /// The contribution made for the round after the one held, where rounds overlap.
    pub(crate) ahead: Option<Open>,
    /// Where makers ended, as far as the rounds were seen here.
    pub(crate) ends: Ends,
    /// An outer step that was computed.
    pub(crate) pending: Option<Pending>,
    pub(crate) training: Option<Training>,
    pub(crate) trials: Option<Trials>,
    pub(crate) files: BTreeMap<File, Rc<[u8]>>,
    pub(crate) good: BTreeMap<SealedRoot, Rc<Opened>>,
    /// The same of the round that was measured before.
    pub(crate) good_before: BTreeMap<SealedRoot, Rc<Opened>>,
    pub(crate) outbox: VecDeque<Transaction>,
    pub(crate) flight: Option<Flight>,
    pub(crate) pace: Pace,
    /// What is written to disk beside all else.
    pub(crate) writes: writing::Writes,
}

/// A newcomer that has not begun yet.
#[derive(Clone, Copy, Debug)]
pub struct Coming {
    pub(crate) round: Round,
    /// The block at which it asked for a seat last.
    pub(crate) asked: Option<BlockNumber>,
}

impl Coming {
    /// One that comes when this round has begun.
    pub fn in_round(round: Round) -> Coming {
        let asked = None;
        Coming { round, asked }
    }
}

/// Somebody who takes part.
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it is there for.
    pub role: Role,
    /// Signs its work.
    pub hotkey: Key,
    /// Owns what it earns.
    pub coldkey: Key,
    /// GPUs that it works with.
    pub gpus: f64,
    /// The attack that it is part of.
    pub attack: Option<&'static str>,
    /// Stake on it when the network was set up, in pebble.
    pub staked: Balance,
    /// Its bond when the network was set up, in pebble.
    pub bonded: Balance,
    /// The last round in which its owner bonded again.
    pub(crate) bonded_in: Option<Round>,
    /// Whether its process is ever started.
    pub is_up: bool,
    /// Until it has a seat of its own and begins.
    pub(crate) coming: Option<Coming>,
    pub(crate) machine: Option<Machine>,
    pub(crate) incarnation: u32,
    pub(crate) disk: Disk,
    /// The best and the finalised block that its node knows of.
    pub(crate) head: (Id, Id),
    /// Its latest news of blocks.
    pub(crate) news: u64,
    /// Who runs the node that it relies on, if that is an attacker.
    pub(crate) node: Option<Who>,
    pub(crate) process: Process,
    pub(crate) behaviour: Box<dyn Behaviour>,
    /// Whether it has ended by itself.
    pub(crate) is_stopped: bool,
}

impl Member {
    /// Whether what it does is what its machine says.
    pub fn is_honest(&self) -> bool {
        self.attack.is_none()
    }
}
