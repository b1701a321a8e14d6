//! Ten hotkeys on one GPU send copies that differ in a few numbers.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use cairn_primitives::Round;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    rng::Rng,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A2",
    name: "clones",
    what: "ten hotkeys on one GPU train once and send copies that differ in a few numbers",
    beside: Role::Miner,
    attackers: 10,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    let gang = Gang::default();
    scene.sharing(Role::Miner, ATTACK.name, 1.0, |_| Copier {
        gang: gang.clone(),
        is_on_all: false,
    })
}

/// Slots of a gang in each round, the one on whose data all train first.
pub(super) type Gang = Rc<RefCell<BTreeMap<Round, Vec<u64>>>>;

/// One of several that train together once.
pub(super) struct Copier {
    /// The gang.
    pub gang: Gang,
    /// Whether they train on all their data in turn, instead of on the first one's.
    pub is_on_all: bool,
}

/// Numbers in which a copy differs.
const CHANGED: usize = 8;

impl Behaviour for Copier {
    fn windows(&mut self, lesson: &Lesson, step: u32) -> Vec<u64> {
        let mut gang = self.gang.borrow_mut();
        let slots = gang.entry(lesson.round).or_default();
        if !slots.contains(&lesson.slot) {
            slots.push(lesson.slot);
        }
        let turn = if self.is_on_all { step as usize % 2 } else { 0 };
        let mut sorted = slots.clone();
        if self.is_on_all {
            sorted.sort_unstable();
        }
        let slot = sorted.get(turn).copied().unwrap_or(lesson.slot);
        lesson.plan.of_step(slot, step)
    }

    fn brings(&mut self, _: &Lesson, mut found: Vec<f32>, rng: &mut Rng) -> Vec<f32> {
        let largest = found.iter().fold(0f32, |most, value| most.max(value.abs()));
        for _ in 0..CHANGED {
            let at = rng.below(found.len() as u64) as usize;
            if let Some(value) = found.get_mut(at) {
                *value = if *value < 0.0 { largest } else { -largest };
            }
        }
        found
    }
}
