//! A validator leaves in the last block of the attest phase, and its attestation with it.

use cairn_primitives::Round;
use cairn_protocol::phase::Attesting;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "D15",
    name: "leave-late",
    what: "a validator with 40 % of the stake attests, and gives up its seat in the last block of round 3's attest phase",
    beside: Role::Validator,
    attackers: 1,
    stage,
    setting: |_| (),
};

const WHEN: Round = 3;

fn stage(scene: &Scene) -> Vec<Recruit> {
    let stake = scene.stake_of(40);
    let mut recruits = scene.recruits(Role::Validator, ATTACK.name, |_| LeaveLate::default());
    for recruit in &mut recruits {
        recruit.stake = stake;
    }
    recruits
}

/// Leaves once.
#[derive(Default)]
struct LeaveLate {
    has_left: bool,
}

impl Behaviour for LeaveLate {
    fn acts(&mut self, turn: &mut Turn) {
        let Some(view) = turn.view.clone() else {
            return;
        };
        let (timetable, now) = (view.round.timetable(), turn.head.number);
        // A round may be over in any block of its last stage.
        let is_last = timetable.next_attesting(now) == Attesting::Open;
        if self.has_left || view.round.round < WHEN || !is_last {
            return;
        }
        self.has_left = true;
        let (netuid, hotkey) = (turn.netuid, turn.hotkey.account().clone());
        let leave = pallet_subnets::Call::leave { netuid, hotkey };
        turn.send(&turn.coldkey.clone(), leave);
    }
}
