//! A miner sends random numbers as large as an honest contribution's.

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    rng::Rng,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A11",
    name: "noise",
    what: "a miner sends random numbers as large as an honest contribution's",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Noise)
}

/// Sends random numbers.
struct Noise;

/// The largest of them: about as far as honest steps move a parameter.
const SCALE: f64 = 5e-3;

impl Behaviour for Noise {
    fn brings(&mut self, _: &Lesson, found: Vec<f32>, rng: &mut Rng) -> Vec<f32> {
        let value = |_: &f32| ((rng.unit() * 2.0 - 1.0) * SCALE) as f32;
        found.iter().map(value).collect()
    }
}
