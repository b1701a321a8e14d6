//! Seats that never work take the slots of a small data set.

use cairn_primitives::Round;
use cairn_round::{machine::Transaction, View};

use super::{Attack, Scene};
use crate::{
    behaviour::Behaviour,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A13",
    name: "idle-seats",
    what: "sixteen bonded seats that never work draw the slots of a data set with room for five beside the exam",
    beside: Role::Miner,
    attackers: 16,
    stage,
    setting: |settings| settings.windows = WINDOWS,
};

/// The same seats, which commit.
pub const COMMITS: Attack = Attack {
    name: "idle-commits",
    what: "sixteen bonded seats on such a data set commit to something in each round, and never reveal it",
    stage: |scene| scene.recruits(Role::Miner, "idle-commits", |_| Mute),
    ..ATTACK
};

/// A slot takes 128 of them, the exam as many.
const WINDOWS: u64 = 6 * 128;

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Idle)
}

/// Does nothing.
struct Idle;

impl Behaviour for Idle {
    fn steps(&mut self, _: Round, _: u32) -> u32 {
        0
    }
}

/// Does one step of its work, so that there is something to commit to, and keeps its key to itself.
struct Mute;

impl Behaviour for Mute {
    fn steps(&mut self, _: Round, _: u32) -> u32 {
        1
    }

    fn sends(&mut self, transaction: Transaction, _: Option<&View>) -> Option<Transaction> {
        match transaction {
            Transaction::Reveal(..) => None,
            other => Some(other),
        }
    }
}
