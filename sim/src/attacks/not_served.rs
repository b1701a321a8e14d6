//! A miner commits to a file and reveals its key, but lets nobody fetch it.

use super::{Attack, Scene};
use crate::{
    behaviour::Behaviour,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "D6",
    name: "not-served",
    what: "a miner commits to a file and reveals its key, but lets nobody fetch it",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| NotServed)
}

/// Stores nothing.
struct NotServed;

impl Behaviour for NotServed {
    fn uploads(&self) -> bool {
        false
    }
}
