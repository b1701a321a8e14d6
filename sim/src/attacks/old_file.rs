//! A miner trains in its first round and sends the same in every later one.

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
    name: "old-file",
    what: "a miner trains in its first round and sends the same in every later one",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| OldFile::default())
}

/// Sends what it found in its first round.
#[derive(Default)]
struct OldFile {
    first: Option<Vec<f32>>,
}

impl Behaviour for OldFile {
    fn steps(&mut self, _: Round, most: u32) -> u32 {
        if self.first.is_some() {
            1
        } else {
            most
        }
    }

    fn claims(&self, _: u32) -> u32 {
        u32::MAX
    }

    fn brings(&mut self, _: &Lesson, found: Vec<f32>, _: &mut Rng) -> Vec<f32> {
        self.first.get_or_insert(found).clone()
    }
}
