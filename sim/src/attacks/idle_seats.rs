//! Seats that never work take the slots of a small data set.

use cairn_primitives::Round;

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
    setting: |settings| settings.windows = 6 * 128,
};

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
