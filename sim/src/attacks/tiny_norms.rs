//! Half of the miners send a thousandth of what they found.

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    rng::Rng,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "B3",
    name: "tiny-norms",
    what: "half of the miners send a thousandth of what they found",
    beside: Role::Miner,
    attackers: 4,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| TinyNorms)
}

/// Sends something else than it found.
struct TinyNorms;

impl Behaviour for TinyNorms {
    fn brings(&mut self, _: &Lesson, found: Vec<f32>, _: &mut Rng) -> Vec<f32> {
        found.iter().map(|value| value * 1e-3).collect()
    }
}
