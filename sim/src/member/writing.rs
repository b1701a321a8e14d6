//! What a miner writes to its disk beside all else, where rounds overlap: in order, as the worker's state directory
//! does. What was not written is gone with the process.

use std::{collections::VecDeque, rc::Rc};

use cairn_protocol::verdict::Ends;
use cairn_round::Held;

use super::{Job, Machine, Made, Told};
use crate::{
    checkers::{Happening, Who},
    clock::Millis,
    disk::{Audited, Content, Open},
    meter::Part,
    workshop::{Memory, Theta},
    world::World,
};

/// So many changes are under way at most while another is asked for.
const MOST: usize = 1;

/// A change of what is on the disk.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A contribution was made.
    Sealed(Box<Made>),
    /// A settled round was applied.
    Kept(Box<Kept>),
}

/// What is on the disk once a settled round was applied.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub held: (Held, Rc<Theta>),
    pub norm: Option<f64>,
    pub ends: Ends,
    /// The contribution to the round held from then on.
    pub open: Option<Open>,
    /// What is to be served of the round, if anything is.
    pub audited: Option<Audited>,
    /// What its own contribution left, if that was included.
    pub left: Option<Rc<Memory>>,
}

impl Kept {
    /// Makes the change.
    pub fn write(self, content: &mut Content) {
        content.held = Some(self.held);
        content.norm = self.norm;
        content.ends = self.ends;
        (content.open, content.ahead) = (self.open, None);
        if self.audited.is_some() {
            content.audited = self.audited;
        }
        if self.left.is_some() {
            content.memory = self.left;
        }
    }
}

/// A change that is not on the disk yet.
#[derive(Debug)]
pub(crate) struct Write {
    ticket: u64,
    /// When it is.
    until: Millis,
    change: Change,
}

/// What waits for the disk, and how many changes ever did.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    waiting: VecDeque<Write>,
    asked: u64,
}

impl Writes {
    /// How long it takes from now until no more than `most` changes are left.
    fn until(&self, most: usize, now: Millis) -> Millis {
        let last = self.waiting.iter().rev().nth(most);
        last.map_or(0, |write| write.until.saturating_sub(now))
    }
}

impl World {
    /// Whether what a member makes and applies is written beside all else.
    pub(super) fn writes_beside(&self, who: Who) -> bool {
        let is_miner = matches!(self.members[who].machine, Some(Machine::Miner(_)));
        is_miner && self.workshop.run().overlaps()
    }

    /// How long a member waits until all that it asked for is on the disk.
    pub(super) fn until_written(&self, who: Who) -> Millis {
        let writes = &self.members[who].process.writes;
        writes.until(0, self.clock.now())
    }

    /// How long it waits until it may ask for another change.
    pub(super) fn until_room(&self, who: Who) -> Millis {
        let writes = &self.members[who].process.writes;
        writes.until(MOST, self.clock.now())
    }

    /// Has a change written that takes the disk this long, after all that was asked for.
    pub(super) fn write_beside(&mut self, who: Who, time: Millis, change: Change) {
        let wait = self.until_written(who);
        self.moves(who, Part::Beside, wait, time);
        let after = wait.saturating_add(time);
        let until = self.clock.now().saturating_add(after);
        let writes = &mut self.members[who].process.writes;
        writes.asked += 1;
        let ticket = writes.asked;
        writes.waiting.push_back(Write {
            ticket,
            until,
            change,
        });
        self.begin(who, after, Job::Write(ticket));
    }

    /// A change is on the disk, unless it was hurried there before.
    pub(super) fn written(&mut self, who: Who, ticket: u64) {
        let waiting = &mut self.members[who].process.writes.waiting;
        if waiting.front().map(|write| write.ticket) != Some(ticket) {
            return;
        }
        if let Some(write) = waiting.pop_front() {
            let told = self.put(who, write.change);
            self.tell_soon(who, told);
        }
    }

    /// All that a member asked for is on the disk, so that it can be read and changed at once. The worker waits for the
    /// disk there; it comes to that where nothing is trained, or what was made is void.
    pub(super) fn write_at_once(&mut self, who: Who) {
        let waiting = std::mem::take(&mut self.members[who].process.writes.waiting);
        for write in waiting {
            let told = self.put(who, write.change);
            self.members[who].disk.sync();
            self.told_written(who, &told);
        }
    }

    fn put(&mut self, who: Who, change: Change) -> Told {
        match change {
            Change::Sealed(made) => {
                self.put_sealed(who, &made);
                let intent = &made.open.intent;
                Told::SealedBeside(intent.round, intent.commitment.sealed_root)
            }
            Change::Kept(kept) => {
                let held = kept.held.0;
                self.members[who].disk.write(|content| kept.write(content));
                Told::KeptBeside(held)
            }
        }
    }

    /// A contribution is on the disk.
    pub(super) fn put_sealed(&mut self, who: Who, made: &Made) {
        let intent = &made.open.intent;
        let (round, root) = (intent.round, intent.commitment.sealed_root);
        let steps = made.open.traced.windows.len() as u64;
        self.meter.makes(root, steps);
        self.members[who].disk.write(|content| {
            let is_ahead = content.held().is_some_and(|held| held.round < round);
            let place = match is_ahead {
                true => &mut content.ahead,
                false => &mut content.open,
            };
            *place = Some(made.open.clone());
        });
    }

    /// What was written beside all else is on the disk, and survives a crash.
    pub(super) fn told_written(&mut self, who: Who, told: &Told) {
        match *told {
            Told::KeptBeside(held) => self.see(&Happening::Kept { who, held }),
            Told::SealedBeside(round, root) => self.see(&Happening::Sealed { who, round, root }),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(ticket: u64, until: Millis) -> Write {
        let root = cairn_primitives::ModelRoot::zero();
        let theta = Theta {
            root,
            values: Vec::new(),
        };
        let kept = Kept {
            held: (Held { round: 1, root }, Rc::new(theta)),
            norm: None,
            ends: Ends::default(),
            open: None,
            audited: None,
            left: None,
        };
        Write {
            ticket,
            until,
            change: Change::Kept(Box::new(kept)),
        }
    }

    #[test]
    fn who_asks_waits_for_those_before_it_and_for_no_more_of_them_than_it_has_to() {
        let mut writes = Writes::default();
        assert_eq!((writes.until(0, 5), writes.until(1, 5)), (0, 0));
        writes.waiting.push_back(write(1, 20));
        assert_eq!((writes.until(0, 5), writes.until(1, 5)), (15, 0));
        writes.waiting.push_back(write(2, 50));
        assert_eq!((writes.until(0, 5), writes.until(1, 5)), (45, 15));
        assert_eq!((writes.until(0, 60), writes.until(1, 60)), (0, 0));
    }
}
