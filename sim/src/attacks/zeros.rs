//! Half of the miners send files that are all zeros.

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    rng::Rng,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "B2",
    name: "zeros",
    what: "half of the miners send files that are all zeros",
    beside: Role::Miner,
    attackers: 4,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Zeros)
}

/// Sends something else than it found.
struct Zeros;

impl Behaviour for Zeros {
    fn brings(&mut self, _: &Lesson, found: Vec<f32>, _: &mut Rng) -> Vec<f32> {
        vec![0.0; found.len()]
    }
}
