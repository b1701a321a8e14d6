//! A miner guesses the unassigned half of the exam, trains on that, and declares one inner step.

use super::{
    exam::{guessed, of_step},
    Attack, Scene,
};
use crate::{
    behaviour::{Behaviour, Lesson},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A5",
    name: "few-declared",
    what: "a miner guesses the unassigned half of the exam, trains on that, and declares one inner step",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| FewDeclared)
}

/// Trains on the unassigned windows of the exam, and has done one step if asked.
struct FewDeclared;

impl Behaviour for FewDeclared {
    fn claims(&self, _: u32) -> u32 {
        1
    }

    fn windows(&mut self, lesson: &Lesson, step: u32) -> Vec<u64> {
        of_step(&guessed(lesson), lesson, step)
    }
}
