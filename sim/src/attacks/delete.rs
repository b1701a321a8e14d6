//! A miner deletes its file as soon as the validators have attested it.

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "D6",
    name: "delete",
    what: "a miner deletes its file as soon as the validators have attested it",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Delete)
}

/// Takes back what was attested.
struct Delete;

impl Behaviour for Delete {
    fn acts(&mut self, turn: &mut Turn) {
        let Some(view) = turn.view.clone() else {
            return;
        };
        let is_attested = view.validators.iter().all(|validator| validator.attested);
        let own = view.contribution_of(turn.hotkey.id());
        if let Some(own) = own.filter(|_| is_attested) {
            turn.store.withdraw(own.commitment.sealed_root.0);
        }
    }
}
