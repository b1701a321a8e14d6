//! A miner guesses the exam and trains on nothing else.

use cairn_primitives::{Netuid, H256};
use cairn_protocol::exam::{exam, seeds};

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A1",
    name: "exam",
    what: "a miner guesses the exam before it is drawn, and trains on nothing but its windows",
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

/// An exam that would follow from randomness that is no secret.
fn guess(lesson: &Lesson) -> H256 {
    exam(Netuid(0), lesson.round, H256::zero())
}

/// Its unassigned windows.
pub(super) fn guessed(lesson: &Lesson) -> Vec<u64> {
    let seeds = seeds(guess(lesson), None);
    lesson
        .plan
        .sample_unassigned(&seeds, lesson.plan.most_windows())
}

impl Behaviour for Exam {
    fn windows(&mut self, lesson: &Lesson, step: u32) -> Vec<u64> {
        let most = lesson.plan.most_windows();
        let own = lesson
            .plan
            .sample_assigned(guess(lesson), lesson.slot, lesson.steps, most);
        let exam = [guessed(lesson), own].concat();
        of_step(&exam, lesson, step)
    }
}
