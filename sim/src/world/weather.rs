//! What goes wrong: crashes, members that are cut off, blocks that are undone.

use super::{Next, World, BLOCK_TIME};
use crate::{
    chain::{Made, Part, MAIN},
    checkers::{Happening, Who},
    settings::{Role, Weather},
};

/// Blocks that are undone at most.
const DEEPEST: u64 = 3;

impl World {
    /// What goes wrong now.
    pub(crate) fn weather(&self) -> Weather {
        if self.round < self.settings.calm_from {
            self.settings.weather
        } else {
            Weather::default()
        }
    }

    /// The next block, or another branch, and where.
    pub(super) fn next_blocks(&mut self) -> (Part, Vec<Made>) {
        let weather = self.weather();
        if self.partition.is_none() && self.weather_rng.chance(weather.reorganisation) {
            let depth = self.weather_rng.within(1, DEEPEST) as u32;
            let mut late = self.weather_rng.fork_at("late", self.slot);
            if let Some(made) = self.chain.fork(depth, self.slot, || late.chance(0.3)) {
                self.undone += depth as usize;
                self.see(&Happening::Reorganised);
                return (MAIN, made);
            }
        }
        let part = self.author_of(self.slot);
        (part, vec![self.chain.make(part, self.slot)])
    }

    /// What goes wrong with members after a block.
    pub(super) fn bad_weather(&mut self) {
        let weather = self.weather();
        if self.partition.is_none() && self.weather_rng.chance(weather.partition) {
            self.split();
        }
        for who in 0..self.members.len() {
            let member = &self.members[who];
            let is_spared = !member.is_honest() || member.role == Role::Outsider;
            if is_spared || member.is_stopped || !member.is_up {
                continue;
            }
            // At any instant before the next block.
            if self.weather_rng.chance(weather.crash) && self.members[who].machine.is_some() {
                self.fall(who);
            }
            if self.weather_rng.chance(weather.cut) && !self.network.is_cut(who) {
                self.cut(who);
            }
        }
    }

    fn fall(&mut self, who: Who) {
        self.note(b"fall", who, &[]);
        self.crash(who);
        self.see(&Happening::Crashed { who });
        let away = self.weather_rng.within(100, 12 * BLOCK_TIME);
        self.clock.after(away, Next::Restart(who));
    }

    /// A process is back.
    pub(super) fn restart(&mut self, who: Who) {
        let content = self.members[who].disk.content();
        let held = content.held();
        let open = content
            .open
            .as_ref()
            .map(|open| (open.intent.round, open.intent.commitment.sealed_root));
        self.note(b"back", who, &[]);
        self.see(&Happening::Restarted { who, held, open });
        self.start(who);
    }

    fn cut(&mut self, who: Who) {
        self.network.set_cut(who, true);
        self.see(&Happening::Disturbed {
            who,
            is_over: false,
        });
        let away = self.weather_rng.within(BLOCK_TIME, 20 * BLOCK_TIME);
        self.clock.after(away, Next::Connect(who));
    }

    /// A member is connected again.
    pub(super) fn connect(&mut self, who: Who) {
        self.network.set_cut(who, false);
        if self.members[who].machine.is_some() {
            self.see(&Happening::Disturbed { who, is_over: true });
        }
        self.tell_news(who, self.chain.head(self.part_of(who)));
    }
}
