//! What has to hold whatever happens, a file each. A checker looks at everything that happens and notes what is wrong.

pub mod at_most_once;
pub mod crash_safety;
pub mod in_turn;
pub mod lineage;
pub mod losses;
pub mod money;
pub mod nobody_starves;
pub mod one_at_a_time;
pub mod secrets;
pub mod sight;
pub mod tally;
pub mod verdicts;

use cairn_primitives::{BlockNumber, Hotkey, MicroNats, Round, SealedRoot, Uid, Witness};
use cairn_round::{
    machine::{Kind, Reason, Transaction},
    validator::{Measurement, Opened},
    Held, Settlement,
};

use crate::clock::Millis;
use sight::Sight;
use tally::Tally;
use verdicts::Vow;

/// A member, by its place in the cast.
pub type Who = usize;

/// Of what a machine has one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum One {
    /// A look at the chain.
    Look,
    /// Something that takes its processor.
    Computation,
    /// A transaction of this kind.
    Transaction(Kind),
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Happening<'a> {
    /// A block was made.
    Block {
        /// Its number.
        number: BlockNumber,
        /// What is wrong with the books after it.
        audit: &'a Result<(), String>,
        /// What exists after it, in pebble.
        issued: u64,
        /// What existed after its parent, in pebble.
        before: u64,
    },
    /// The chain began this round at its best block.
    Round(Round),
    /// A round is settled and final.
    Settled {
        /// How it ended.
        settlement: &'a Settlement,
        /// Hotkeys of its validators that attested.
        attested: &'a [Hotkey],
        /// Hotkeys of all its validators.
        validators: &'a [Hotkey],
        /// The loss that the chain keeps of the parameters with which the round before began.
        loss: Option<MicroNats>,
    },
    /// A member is there: its hotkey, and whether its work is that of its machine alone.
    Member {
        /// Which.
        who: Who,
        /// Its hotkey.
        hotkey: Hotkey,
        /// Whether it is honest.
        is_honest: bool,
    },
    /// A member's machine has something begun.
    Begun {
        /// Whose.
        who: Who,
        /// What.
        one: One,
    },
    /// It is over, and the machine is told so.
    Over {
        /// Whose.
        who: Who,
        /// What.
        one: One,
    },
    /// An honest member signs a transaction.
    Sent {
        /// Who.
        who: Who,
        /// What.
        transaction: &'a Transaction,
        /// What it has seen of the chain.
        seen: &'a Sight,
        /// Whether what that binds it to, or opens, is on its disk and survives a crash.
        is_on_disk: bool,
    },
    /// An honest member begins an outer step.
    Applies {
        /// Who.
        who: Who,
        /// Of which round.
        round: Round,
        /// The parameters that it holds.
        held: Option<Held>,
        /// Whether its machine takes its own contribution for included.
        is_included: bool,
        /// The sealed root of the contribution that it made.
        made: Option<SealedRoot>,
        /// The sealed root of what the round included of it.
        included: Option<SealedRoot>,
    },
    /// An honest validator opened a contribution, if it was still there.
    Opened {
        /// Who.
        who: Who,
        /// The round.
        round: Round,
        /// Whose contribution.
        uid: Uid,
        /// Its sealed root.
        root: SealedRoot,
        /// What it was found to be.
        found: Opened,
    },
    /// An honest validator is about to put on its disk what it will attest.
    Vouches {
        /// Who.
        who: Who,
        /// What.
        vow: Vow<'a>,
        /// The parameters on its disk.
        held: Option<Held>,
        /// Whether there is something to attest in that round on its disk already.
        is_bound: bool,
    },
    /// An honest validator begins to measure.
    Measures {
        /// Who.
        who: Who,
        /// What.
        measurement: &'a Measurement,
        /// The parameters on its disk.
        held: Option<Held>,
    },
    /// A validator measured all that a round included.
    Measured {
        /// Who.
        who: Who,
        /// The round.
        round: Round,
        /// What shows it.
        witness: Witness,
    },
    /// The outer step of a round is in force and on disk.
    Kept {
        /// Where.
        who: Who,
        /// What is held.
        held: Held,
    },
    /// A member has fetched parameters.
    Joined {
        /// Who.
        who: Who,
        /// What is held.
        held: Held,
    },
    /// A member's contribution is on disk.
    Sealed {
        /// Who.
        who: Who,
        /// For which round.
        round: Round,
        /// Its sealed root.
        root: SealedRoot,
    },
    /// A member's process is gone.
    Crashed {
        /// Whose.
        who: Who,
    },
    /// It is back with what is on its disk.
    Restarted {
        /// Who.
        who: Who,
        /// The parameters on disk.
        held: Option<Held>,
        /// Rounds and sealed roots of the contributions on disk.
        made: &'a [(Round, SealedRoot)],
    },
    /// A member is cut off, or connected again; or something is wrong with its file.
    Disturbed {
        /// Who.
        who: Who,
        /// Whether that has an end of its own: `false` while it is cut off.
        is_over: bool,
    },
    /// Blocks were undone.
    Reorganised,
    /// A member has ended by itself.
    Stopped {
        /// Who.
        who: Who,
        /// Why.
        reason: Reason,
    },
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Who says so.
    pub checker: &'static str,
    /// What is wrong, for people.
    pub what: String,
}

/// Looks at everything that happens.
pub trait Checker {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Takes what happened; gives what is wrong.
    fn see(&mut self, happening: &Happening) -> Result<(), String>;
}

/// All checkers, and what they found.
pub struct Checkers {
    all: Vec<Box<dyn Checker>>,
    faults: Vec<Fault>,
    tally: Tally,
}

/// Faults of a checker that are kept for people.
const KEPT: usize = 64;

impl Checkers {
    /// Of a chain that makes a block each so many milliseconds.
    pub fn new(block_time: Millis) -> Checkers {
        Checkers {
            all: vec![
                Box::new(money::Money::new(block_time)),
                Box::new(lineage::Lineage::default()),
                Box::new(losses::Losses::default()),
                Box::new(at_most_once::AtMostOnce::default()),
                Box::new(nobody_starves::NobodyStarves::default()),
                Box::new(crash_safety::CrashSafety::default()),
                Box::new(one_at_a_time::OneAtATime::default()),
                Box::new(in_turn::InTurn),
                Box::new(secrets::Secrets::default()),
                Box::new(verdicts::Verdicts::default()),
            ],
            faults: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Shows all of them what happened.
    pub fn see(&mut self, happening: &Happening) {
        self.tally.note(happening);
        for checker in &mut self.all {
            if let Err(what) = checker.see(happening) {
                let checker = checker.name();
                let kept = self.faults.iter().filter(|fault| fault.checker == checker);
                // What one finds again and again hides nothing that another finds.
                if kept.count() < KEPT {
                    self.faults.push(Fault { checker, what });
                }
            }
        }
    }

    /// What is wrong.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How often they were shown each kind.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Names of all checkers, and whether each found nothing wrong.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static str, bool)> + '_ {
        self.all.iter().map(|checker| {
            let name = checker.name();
            (name, self.faults.iter().all(|fault| fault.checker != name))
        })
    }
}
