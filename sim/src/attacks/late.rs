//! A miner commits in the reveal phase.

use cairn_primitives::{Commitment, Phase, Round};
use cairn_round::{machine::Transaction, View};

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A10",
    name: "late",
    what: "a miner commits in the reveal phase",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Late::default())
}

/// Holds its commitment back.
#[derive(Default)]
struct Late {
    held_back: Option<(Round, Commitment)>,
}

impl Behaviour for Late {
    fn sends(&mut self, transaction: Transaction, _: Option<&View>) -> Option<Transaction> {
        match transaction {
            Transaction::Commit(round, commitment) => {
                self.held_back = Some((round, commitment));
                None
            }
            other => Some(other),
        }
    }

    fn acts(&mut self, turn: &mut Turn) {
        let (Some(view), Some((round, commitment))) = (turn.view.clone(), &self.held_back) else {
            return;
        };
        let is_late = view.round.round == *round
            && view.round.timetable().next_phase(turn.head.number) == Phase::Reveal;
        if is_late {
            let call = pallet_training::Call::commit {
                netuid: turn.netuid,
                round: *round,
                commitment: commitment.clone(),
            };
            turn.send(&turn.hotkey.clone(), call);
        }
    }
}
