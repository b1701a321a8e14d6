//! A miner works in one round of eight and takes its bond away in the others.

use cairn_primitives::{Phase, Round, CRN};

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A7",
    name: "one-in-eight",
    what: "a miner works in one round of eight; in the others it has no bond and so owes nothing",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.sharing(Role::Miner, ATTACK.name, 1.0 / EIGHT as f64, |_| {
        OneInEight::default()
    })
}

const EIGHT: Round = 8;

/// Works in the first round of each eight.
#[derive(Default)]
struct OneInEight {
    unbonded: Option<Round>,
    bonded: Option<Round>,
}

impl Behaviour for OneInEight {
    fn steps(&mut self, round: Round, most: u32) -> u32 {
        if round.is_multiple_of(EIGHT) {
            most
        } else {
            0
        }
    }

    fn acts(&mut self, turn: &mut Turn) {
        let Some(view) = turn.view.clone() else {
            return;
        };
        let (round, netuid) = (view.round.round, turn.netuid);
        let hotkey = turn.hotkey.account().clone();
        let coldkey = turn.coldkey.clone();
        let phase = view.round.timetable().phase(turn.head.number);
        if round.is_multiple_of(EIGHT) && phase == Phase::Attest && self.unbonded != Some(round) {
            self.unbonded = Some(round);
            turn.send(&coldkey, pallet_stake::Call::unbond { netuid, hotkey });
        } else if round % EIGHT == EIGHT - 1 && self.bonded != Some(round) {
            self.bonded = Some(round);
            let amount = 10 * CRN;
            let bond = pallet_stake::Call::add_bond {
                netuid,
                hotkey,
                amount,
            };
            turn.send(&coldkey, bond);
        }
    }
}
