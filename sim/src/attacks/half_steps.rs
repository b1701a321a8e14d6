//! Two hotkeys on one GPU do half of the steps each and declare all.

use cairn_primitives::Round;

use super::{Attack, Scene};
use crate::{
    behaviour::Behaviour,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A4",
    name: "half-steps",
    what: "two hotkeys on one GPU do half of the steps each and declare all",
    beside: Role::Miner,
    attackers: 2,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.sharing(Role::Miner, ATTACK.name, 1.0, |_| HalfSteps)
}

/// Does half of the steps.
struct HalfSteps;

impl Behaviour for HalfSteps {
    fn steps(&mut self, _: Round, most: u32) -> u32 {
        most / 2
    }

    fn claims(&self, _: u32) -> u32 {
        u32::MAX
    }
}
