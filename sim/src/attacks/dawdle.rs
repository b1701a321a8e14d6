//! A miner commits in the last block in which it can.

use std::collections::BTreeMap;

use cairn_primitives::{BlockNumber, Commitment, Phase, Round};
use cairn_round::{machine::Transaction, View};

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "D17",
    name: "dawdle",
    what: "a miner works, and commits in the last block in which it can, so that each round takes its longest",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Dawdler::default())
}

/// Holds its commitment back, and counts how long rounds trained.
#[derive(Default)]
struct Dawdler {
    held_back: Option<(Round, Commitment)>,
    trained: BTreeMap<Round, BlockNumber>,
    limit: BlockNumber,
}

impl Behaviour for Dawdler {
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
        let Some(view) = turn.view.clone() else {
            return;
        };
        let (times, now) = (view.round.timetable(), turn.head.number);
        let trains = times.commit_deadline().saturating_sub(times.start());
        // The longest that was ever to come is the limit: nobody had committed yet.
        self.limit = self.limit.max(trains);
        if times.phase(now) != Phase::Train {
            self.trained.insert(view.round.round, trains);
        }
        let Some((round, commitment)) = &self.held_back else {
            return;
        };
        let next = now.saturating_add(1);
        let is_last = times.phase(next) == Phase::Train && times.next_phase(next) != Phase::Train;
        if view.round.round == *round && is_last {
            let call = pallet_training::Call::commit {
                netuid: turn.netuid,
                round: *round,
                commitment: commitment.clone(),
            };
            turn.send(&turn.hotkey.clone(), call);
        }
    }

    fn tells(&self) -> Option<String> {
        let held_up = self.trained.values().filter(|one| **one >= self.limit);
        let (held_up, all) = (held_up.count(), self.trained.len());
        Some(format!("{held_up} of {all} rounds trained for the longest"))
    }
}
