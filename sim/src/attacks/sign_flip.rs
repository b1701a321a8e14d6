//! A third of the miners send the opposite of what they found.

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    rng::Rng,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "B1",
    name: "sign-flip",
    what: "a third of the miners send the opposite of what they found",
    beside: Role::Miner,
    attackers: 2,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| SignFlip)
}

/// Sends something else than it found.
struct SignFlip;

impl Behaviour for SignFlip {
    fn brings(&mut self, _: &Lesson, found: Vec<f32>, _: &mut Rng) -> Vec<f32> {
        found.iter().map(|value| -value).collect()
    }
}
