//! A miner sends a thousand times what it found.

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    rng::Rng,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A8",
    name: "scale",
    what: "a miner sends a thousand times what it found",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Scale)
}

/// Sends something else than it found.
struct Scale;

impl Behaviour for Scale {
    fn brings(&mut self, _: &Lesson, found: Vec<f32>, _: &mut Rng) -> Vec<f32> {
        found.iter().map(|value| value * 1e3).collect()
    }
}
