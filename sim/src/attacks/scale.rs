//! A miner sends a multiple of what it found.

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    rng::Rng,
    settings::{Recruit, Role},
};

const fn attack(name: &'static str, what: &'static str, stage: super::Stage) -> Attack {
    Attack {
        id: "A8",
        name,
        what,
        beside: Role::Miner,
        attackers: 1,
        stage,
        setting: |_| (),
    }
}

/// A thousand times as much.
pub const ATTACK: Attack = attack(
    "scale",
    "a miner sends a thousand times what it found",
    |scene| stage(scene, "scale", 1e3),
);

/// Twice as much.
pub const DOUBLE: Attack = attack("double", "a miner sends twice what it found", |scene| {
    stage(scene, "double", 2.0)
});

fn stage(scene: &Scene, name: &'static str, times: f32) -> Vec<Recruit> {
    scene.recruits(Role::Miner, name, |_| Scale { times })
}

/// Sends a multiple.
struct Scale {
    times: f32,
}

impl Behaviour for Scale {
    fn brings(&mut self, _: &Lesson, found: Vec<f32>, _: &mut Rng) -> Vec<f32> {
        found.iter().map(|value| value * self.times).collect()
    }
}
