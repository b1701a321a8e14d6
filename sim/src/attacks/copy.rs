//! A miner commits to a file that another one made, and reveals that one's key.

use cairn_primitives::{Phase, Round};

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A9",
    name: "copy",
    what: "a miner commits to a file that another one made, and reveals that one's key",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Copycat)
}

/// Copies the first commitment that it sees, and its key.
struct Copycat;

impl Behaviour for Copycat {
    fn steps(&mut self, _: Round, _: u32) -> u32 {
        0
    }

    fn acts(&mut self, turn: &mut Turn) {
        let Some(view) = turn.view.clone() else {
            return;
        };
        let (netuid, round) = (turn.netuid, view.round.round);
        let own = turn.hotkey.id();
        let Some(other) = view.contributions.iter().find(|seen| seen.hotkey != own) else {
            return;
        };
        let has_committed = view.contribution_of(own).is_some();
        let call = match (
            view.round.timetable().next_phase(turn.head.number),
            other.key,
        ) {
            (Phase::Train, _) if !has_committed => pallet_training::Call::commit {
                netuid,
                round,
                commitment: other.commitment.clone(),
            },
            (Phase::Reveal, Some(key)) => pallet_training::Call::reveal { netuid, round, key },
            _ => return,
        };
        turn.send(&turn.hotkey.clone(), call);
    }
}
