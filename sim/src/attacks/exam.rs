//! A miner trains on nothing but the windows on which it will be measured.

use cairn_round::measure::SEQUENCES;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A1",
    name: "exam",
    what: "a miner trains on nothing but the windows on which it will be measured",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Exam)
}

/// Trains on the exam.
struct Exam;

/// The windows of step `step` of a training on `exam`, over and over.
pub(super) fn of_step(exam: &[u64], lesson: &Lesson, step: u32) -> Vec<u64> {
    let first = u64::from(step) * lesson.sequences;
    let windows = exam.iter().copied().cycle().skip(first as usize);
    windows.take(lesson.sequences as usize).collect()
}

impl Behaviour for Exam {
    fn windows(&mut self, lesson: &Lesson, step: u32) -> Vec<u64> {
        let own = lesson
            .plan
            .sample_assigned(lesson.slot, lesson.steps, SEQUENCES);
        let exam = [lesson.plan.sample_unassigned(SEQUENCES), own].concat();
        of_step(&exam, lesson, step)
    }
}
