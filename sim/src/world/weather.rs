//! What goes wrong: crashes, members that are cut off, blocks that are undone.

use super::{Next, World};
use crate::{
    chain::{Made, Part, MAIN},
    checkers::{Happening, Who},
    clock::Millis,
    rng::Rng,
    settings::{Role, Weather},
};

/// Blocks that are undone at most.
const DEEPEST: u64 = 6;
/// Slots in which no block becomes final at most.
const LONGEST_STALL: u64 = 8;
/// Blocks that a node lies behind, at least and at most: so few that the states of all of them are still kept.
const BEHIND: [u64; 2] = [2, 4];
/// Blocks for which it does, at most.
const LONGEST_BEHIND: u64 = 20;
/// What an author has heard of that hears badly.
const HEARD: f64 = 0.2;
/// Blocks that a process is away at most, usually and now and then.
const AWAY: [u64; 2] = [12, 40];
/// How often that is now and then.
const LONG: f64 = 0.2;

impl World {
    /// What goes wrong now.
    pub(crate) fn weather(&self) -> Weather {
        if self.round < self.settings.calm_from {
            self.settings.weather
        } else {
            Weather::default()
        }
    }

    /// The next block, or another branch, and where; or none, if its author is asleep.
    pub(super) fn next_blocks(&mut self) -> (Part, Vec<Made>) {
        let weather = self.weather();
        if self.weather_rng.chance(weather.missed) {
            self.last_slot += 1;
            return (MAIN, Vec::new());
        }
        if self.partition.is_none() && self.weather_rng.chance(weather.reorganisation) {
            let (best, finalised) = self.chain.head(MAIN);
            let open = u64::from(best.number.saturating_sub(finalised.number));
            let depth = self.weather_rng.within(1, open.clamp(1, DEEPEST)) as u32;
            let mut late = self.weather_rng.fork_at("late", self.slot);
            if let Some(made) = self.chain.fork(depth, self.slot, || late.chance(0.3)) {
                self.undone += depth as usize;
                self.see(&Happening::Reorganised);
                return (MAIN, made);
            }
        }
        let part = self.author_of(self.slot);
        let is_deaf = self.weather_rng.chance(weather.deaf);
        let mut ears = self.weather_rng.fork_at("ears", self.slot);
        let has_heard = || !is_deaf || ears.chance(HEARD);
        (part, vec![self.chain.make_of(part, self.slot, has_heard)])
    }

    /// Whether finality stands still in this slot.
    pub(super) fn stands_still(&mut self) -> bool {
        let stall = self.weather().stall;
        if self.slot >= self.still_until && self.weather_rng.chance(stall) {
            self.still_until = self.slot + self.weather_rng.within(2, LONGEST_STALL);
        }
        self.slot < self.still_until
    }

    /// What goes wrong with members after a block.
    pub(super) fn bad_weather(&mut self) {
        let weather = self.weather();
        if self.partition.is_none() && self.weather_rng.chance(weather.partition) {
            self.split();
        }
        for who in 0..self.members.len() {
            if !self.is_exposed(who) {
                continue;
            }
            if self.weather_rng.chance(weather.crash) && self.members[who].machine.is_some() {
                self.fall(who);
            }
            if self.weather_rng.chance(weather.cut) && !self.network.is_cut(who) {
                self.cut(who);
            }
            // Of its own, so that nothing else in a run changes by it.
            let lots = self.weather_rng.fork_at("behind", self.slot);
            let mut lot = lots.fork_at("member", who as u64);
            if lot.chance(weather.behind) && self.network.behind(who) == 0 {
                self.fall_behind(who, &mut lot);
            }
        }
    }

    /// Whether bad weather reaches a member.
    fn is_exposed(&self, who: Who) -> bool {
        let member = &self.members[who];
        let is_spared = !member.is_honest() || member.role == Role::Outsider;
        !is_spared && !member.is_stopped && member.is_up
    }

    /// Whether everybody whom bad weather reaches runs, is connected, and has a node that has all blocks.
    pub(super) fn are_all_here(&self) -> bool {
        let mut exposed = (0..self.members.len()).filter(|who| self.is_exposed(*who));
        exposed.all(|who| {
            let is_connected = !self.network.is_cut(who) && self.network.behind(who) == 0;
            self.members[who].machine.is_some() && is_connected
        })
    }

    /// Whether a member's process dies here: between two actions of its machine, or between its disk and its machine.
    pub(crate) fn breaks(&mut self, who: Who) -> bool {
        let between = self.weather().between;
        let breaks = self.is_exposed(who) && self.weather_rng.chance(between);
        if breaks {
            self.fall(who);
        }
        breaks
    }

    fn fall(&mut self, who: Who) {
        self.goes_down(who);
        let [usual, long] = AWAY;
        let most = match self.weather_rng.chance(LONG) {
            true => long,
            false => usual,
        };
        let longest = most * self.settings.block_time;
        let away = self.weather_rng.within(100, longest);
        self.clock.after(away, Next::Restart(who));
    }

    /// A member is killed, if its process runs.
    pub(super) fn kill(&mut self, who: Who, away: Millis) {
        if self.members[who].machine.is_some() {
            self.meter.kills();
            self.goes_down(who);
            self.clock.after(away, Next::Restart(who));
        }
    }

    /// A member's process is gone, perhaps with what is not on the disk yet.
    fn goes_down(&mut self, who: Who) {
        self.note(b"fall", who, &[]);
        let unsynced = self.weather().unsynced;
        if self.weather_rng.chance(unsynced) {
            self.members[who].disk.lose();
        } else {
            self.members[who].disk.sync();
        }
        self.crash(who);
        self.see(&Happening::Crashed { who });
    }

    /// A process is back.
    pub(super) fn restart(&mut self, who: Who) {
        let content = self.members[who].disk.content();
        let held = content.held();
        let made = content.made().map(|open| &open.intent);
        let made = made.map(|intent| (intent.round, intent.commitment.sealed_root));
        let made: Vec<_> = made.collect();
        self.note(b"back", who, &[]);
        self.see(&Happening::Restarted {
            who,
            held,
            made: &made,
        });
        self.start(who);
    }

    fn cut(&mut self, who: Who) {
        self.network.set_cut(who, true);
        self.see(&Happening::Disturbed {
            who,
            is_over: false,
        });
        let block = self.settings.block_time;
        let away = self.weather_rng.within(block, 20 * block);
        self.clock.after(away, Next::Connect(who));
    }

    /// A member's node answers all the while, but first hears of no block, as one that stalls, and then of each one late,
    /// as one that lies behind; also of those that were undone meanwhile. What it is sent goes on to the others.
    fn fall_behind(&mut self, who: Who, lot: &mut Rng) {
        let block = self.settings.block_time;
        let [least, most] = BEHIND;
        let by = lot.within(least, most) * block;
        self.network.set_behind(who, by);
        self.note(b"late", who, &[]);
        self.see(&Happening::Disturbed {
            who,
            is_over: false,
        });
        let lasts = lot.within(block, LONGEST_BEHIND * block);
        self.clock.after(by + lasts, Next::CaughtUp(who));
    }

    /// A member's node has all blocks again.
    pub(super) fn catch_up(&mut self, who: Who) {
        self.network.set_behind(who, 0);
        if self.members[who].machine.is_some() && !self.network.is_cut(who) {
            self.see(&Happening::Disturbed { who, is_over: true });
        }
        self.tell_news(who, self.chain.head(self.part_of(who)));
    }

    /// A member is connected again.
    pub(super) fn connect(&mut self, who: Who) {
        self.network.set_cut(who, false);
        if self.members[who].machine.is_some() && self.network.behind(who) == 0 {
            self.see(&Happening::Disturbed { who, is_over: true });
        }
        self.tell_news(who, self.chain.head(self.part_of(who)));
    }
}
