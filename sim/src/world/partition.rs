//! A network that is split: two parts that hear nothing of each other, each with authors of its own.
//!
//! There are four authors with the same right to make blocks. Finality goes on where three of them are, and nowhere
//! if it is two and two. The store is not part of it: who can reach it still does.

use std::collections::BTreeSet;

use super::{Next, World};
use crate::{
    chain::{Part, MAIN, OTHER},
    checkers::{Happening, Who},
};

/// Authors, of which each makes a block in turn.
const AUTHORS: u64 = 4;
/// The longest that a network is split, in slots.
const LONGEST: u64 = 20;

/// A split.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    /// Members in the other part.
    others: BTreeSet<Who>,
    /// Authors in the other part: one or two.
    authors: u64,
}

impl World {
    /// The part in which a member is.
    pub(crate) fn part_of(&self, who: Who) -> Part {
        match &self.partition {
            Some(partition) if partition.others.contains(&who) => OTHER,
            _ => MAIN,
        }
    }

    /// The part whose author has this slot.
    pub(super) fn author_of(&self, slot: u64) -> Part {
        let author = self.rng.fork_at("author", slot).below(AUTHORS);
        match &self.partition {
            Some(partition) if author < partition.authors => OTHER,
            _ => MAIN,
        }
    }

    /// Whether a part has enough authors for blocks to become final.
    pub(super) fn finalises(&self, part: Part) -> bool {
        let missing = self.partition.as_ref().map_or(0, |one| one.authors);
        part == MAIN && (AUTHORS - missing) * 3 > AUTHORS * 2
    }

    /// Splits the network by lot, for as long as the lot says.
    pub(super) fn split(&mut self) {
        self.part();
        let slots = self.weather_rng.within(2, LONGEST);
        self.heal_after(slots);
    }

    /// Splits the network by lot, for so many slots.
    pub(super) fn split_for(&mut self, slots: u64) {
        self.part();
        self.heal_after(slots);
    }

    fn part(&mut self) {
        let authors = self.weather_rng.within(1, 2);
        let others = (0..self.members.len()).filter(|_| self.weather_rng.chance(0.4));
        let others: BTreeSet<Who> = others.collect();
        self.partition = Some(Partition { others, authors });
        self.chain.split();
        self.note(b"part", authors as Who, &[]);
        for who in 0..self.members.len() {
            if !self.finalises(self.part_of(who)) {
                let is_over = false;
                self.see(&Happening::Disturbed { who, is_over });
            }
        }
    }

    fn heal_after(&mut self, slots: u64) {
        // Of those slots few are the main part's.
        self.last_slot += slots;
        let after = slots * self.settings.block_time;
        self.clock.after(after, Next::Heal);
    }

    /// The parts hear of each other again.
    pub(super) fn heal(&mut self) {
        let undone = self.chain.heal();
        self.undone += undone;
        if undone > 0 {
            self.see(&Happening::Reorganised);
        }
        self.note(b"heal", undone, &[]);
        let disturbed = |world: &World, who| !world.finalises(world.part_of(who));
        let all = 0..self.members.len();
        let disturbed: Vec<Who> = all.filter(|who| disturbed(self, *who)).collect();
        self.partition = None;
        for who in disturbed {
            if self.members[who].machine.is_some() && !self.network.is_cut(who) {
                self.see(&Happening::Disturbed { who, is_over: true });
            }
        }
        self.announce(|_, _| true);
    }
}
