//! What has to hold whatever happens, a file each. A checker looks at everything that happens and notes what is wrong.

pub mod at_most_once;
pub mod crash_safety;
pub mod lineage;
pub mod money;
pub mod nobody_starves;

use cairn_primitives::{BlockNumber, Hotkey, Round, SealedRoot};
use cairn_round::{
    machine::{Reason, Transaction},
    Held, Settlement,
};

/// A member, by its place in the cast.
pub type Who = usize;

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
    /// An honest member signs a transaction.
    Sent {
        /// Who.
        who: Who,
        /// What.
        transaction: &'a Transaction,
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
        /// Round and sealed root of the contribution on disk.
        open: Option<(Round, SealedRoot)>,
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
}

/// Faults that are kept for people.
const KEPT: usize = 64;

impl Default for Checkers {
    fn default() -> Checkers {
        Checkers {
            all: vec![
                Box::new(money::Money),
                Box::new(lineage::Lineage::default()),
                Box::new(at_most_once::AtMostOnce::default()),
                Box::new(nobody_starves::NobodyStarves::default()),
                Box::new(crash_safety::CrashSafety::default()),
            ],
            faults: Vec::new(),
        }
    }
}

impl Checkers {
    /// Shows all of them what happened.
    pub fn see(&mut self, happening: &Happening) {
        for checker in &mut self.all {
            if let Err(what) = checker.see(happening) {
                if self.faults.len() < KEPT {
                    self.faults.push(Fault {
                        checker: checker.name(),
                        what,
                    });
                }
            }
        }
    }

    /// What is wrong.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Names of all checkers, and whether each found nothing wrong.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static str, bool)> + '_ {
        self.all.iter().map(|checker| {
            let name = checker.name();
            (name, self.faults.iter().all(|fault| fault.checker != name))
        })
    }
}
