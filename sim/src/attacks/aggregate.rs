//! A miner trains nothing and sends the step of the last round again.

use cairn_primitives::Round;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    rng::Rng,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A6",
    name: "aggregate",
    what: "a miner trains nothing and sends the step of the last round again",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Aggregate)
}

/// Sends what the last round changed.
struct Aggregate;

impl Behaviour for Aggregate {
    fn steps(&mut self, _: Round, _: u32) -> u32 {
        1
    }

    fn claims(&self, _: u32) -> u32 {
        u32::MAX
    }

    fn brings(&mut self, lesson: &Lesson, found: Vec<f32>, _: &mut Rng) -> Vec<f32> {
        let Some(before) = lesson.before else {
            return found;
        };
        let pairs = before.values.iter().zip(&lesson.theta.values);
        pairs.map(|(before, now)| before - now).collect()
    }
}
