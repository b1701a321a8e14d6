//! A miner trains on other text than it was assigned.

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A4",
    name: "private-data",
    what: "a miner trains on other text than it was assigned",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| PrivateData)
}

/// Trains on the last windows of the data set, the same ones in every round.
struct PrivateData;

impl Behaviour for PrivateData {
    fn windows(&mut self, lesson: &Lesson, step: u32) -> Vec<u64> {
        let first = u64::from(step) * lesson.sequences;
        let last = lesson.windows.saturating_sub(1);
        (first..first + lesson.sequences)
            .map(|number| last.saturating_sub(number))
            .collect()
    }
}
