//! Who comes and goes: miners that are killed in a round and come back, and newcomers that buy a seat, bond, and join.

use cairn_primitives::{Balance, BlockNumber, Role as Chosen, Round};

use super::{Next, World};
use crate::{
    behaviour::Send,
    chain::{founding, keys::Key},
    checkers::Who,
    clock::Millis,
    member::Coming,
    settings::Role,
};

/// Blocks after which a newcomer that has no seat yet asks again.
const AGAIN: BlockNumber = 10;

/// Rounds as they come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pulse {
    /// The newest one.
    round: Option<Round>,
    /// When it began.
    at: Millis,
}

impl World {
    /// What a round brings that has just begun: who is killed in it and when, and whether the network is split. A round
    /// is taken to be as long as the last one was.
    pub(super) fn begin_round(&mut self, round: Round) {
        if self.pulse.round >= Some(round) {
            return;
        }
        let (now, before) = (self.clock.now(), self.pulse);
        let longest = u64::from(self.workshop.run().phases.round()) * self.settings.block_time;
        let took = before.round.map_or(longest, |_| now - before.at);
        self.pulse = Pulse {
            round: Some(round),
            at: now,
        };
        let churn = self.settings.churn;
        let mut draw = self.rng.fork_at("churn", u64::from(round));
        for who in 0..self.members.len() {
            let is_killed = draw.chance(churn.kills);
            let (after, away) = (draw.within(0, took), draw.within(1, took));
            if is_killed && self.may_be_killed(who) {
                self.clock.after(after, Next::Kill { who, away });
            }
        }
        let split = churn.split.filter(|(at, _)| *at == round);
        if let Some((_, slots)) = split.filter(|_| self.partition.is_none()) {
            self.split_for(slots);
        }
    }

    fn may_be_killed(&self, who: Who) -> bool {
        let member = &self.members[who];
        member.is_honest() && member.role == Role::Miner && member.is_up && !member.is_stopped
    }

    /// A newcomer whose round has come buys a seat and bonds, and begins when it sees both.
    pub(super) fn come(&mut self, who: Who) {
        let member = &self.members[who];
        let Some(coming) = member.coming else {
            return;
        };
        let (head, bonded, hotkey) = (member.head.0, member.bonded, member.hotkey.clone());
        let view = self.chain.current(head, self.netuid).flatten();
        if view.is_none_or(|view| view.round.round < coming.round) {
            return;
        }
        let members = self.chain.members(head, self.netuid).unwrap_or_default();
        let own = members.iter().find(|one| one.hotkey == *hotkey.account());
        let member = &mut self.members[who];
        match own {
            Some(own) if own.bond >= bonded => {
                (member.coming, member.is_up) = (None, true);
                self.start(who);
            }
            // Whoever has a seat bonds again by itself.
            Some(_) => {}
            None => {
                let asked = coming.asked;
                if asked.is_none_or(|asked| head.number >= asked.saturating_add(AGAIN)) {
                    member.coming = Some(Coming {
                        asked: Some(head.number),
                        ..coming
                    });
                    self.ask_for_seat(who, &hotkey, bonded);
                }
            }
        }
    }

    fn ask_for_seat(&mut self, who: Who, hotkey: &Key, bonded: Balance) {
        let coldkey = self.members[who].coldkey.clone();
        // Without a state to ask it tries again later.
        let Ok(seat) = self.seat(hotkey, (hotkey, Chosen::Miner), &coldkey) else {
            return;
        };
        let bond = founding::add_bond(self.netuid, hotkey, bonded);
        let sends = |call| Send {
            by: coldkey.clone(),
            tip: 0,
            call,
        };
        self.send_calls(who, vec![sends(seat), sends(bond)]);
    }
}
