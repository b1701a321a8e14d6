//! A miner commits and never reveals.

use cairn_round::{machine::Transaction, View};

use super::{Attack, Scene};
use crate::{
    behaviour::Behaviour,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A10",
    name: "no-reveal",
    what: "a miner commits and never reveals",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| NoReveal)
}

/// Keeps its key to itself.
struct NoReveal;

impl Behaviour for NoReveal {
    fn sends(&mut self, transaction: Transaction, _: Option<&View>) -> Option<Transaction> {
        match transaction {
            Transaction::Reveal(..) => None,
            other => Some(other),
        }
    }
}
