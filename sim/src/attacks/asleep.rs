//! More than half of the stake is on hotkeys that run nothing.

use super::{Attack, Scene};
use crate::{
    behaviour::honest::Honest,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "D4",
    name: "asleep",
    what: "51 % of the stake is on a hotkey that runs nothing",
    beside: Role::Validator,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    vec![Recruit {
        stake: scene.stake_of(51),
        is_up: false,
        ..Recruit::attacker(Role::Validator, "the sleeper", ATTACK.name, Honest)
    }]
}
