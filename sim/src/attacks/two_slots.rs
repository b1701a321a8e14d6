//! Two hotkeys on one GPU train on the data of both and send the result twice.

use super::{
    clones::{Copier, Gang},
    Attack, Scene,
};
use crate::settings::{Recruit, Role};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A12",
    name: "two-slots",
    what: "two hotkeys on one GPU train on the data of both in turn and send the result twice",
    beside: Role::Miner,
    attackers: 2,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    let gang = Gang::default();
    scene.sharing(Role::Miner, ATTACK.name, 1.0, |_| Copier {
        gang: gang.clone(),
        is_on_all: true,
    })
}
