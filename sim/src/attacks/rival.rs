//! A miner stakes on its rivals: with the stake of a validator they are assigned no data.

use cairn_primitives::CRN;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    chain::keys::Key,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "D2",
    name: "rival",
    what: "a miner that works stakes 100 CRN on each of two rivals, to make validators without data of them",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Rival::default())
}

/// Stakes on others once.
#[derive(Default)]
struct Rival {
    has_staked: bool,
}

impl Behaviour for Rival {
    fn acts(&mut self, turn: &mut Turn) {
        if std::mem::replace(&mut self.has_staked, true) {
            return;
        }
        let (netuid, coldkey) = (turn.netuid, turn.coldkey.clone());
        for victim in ["miner 0", "miner 1"] {
            let hotkey = Key::of(victim).account().clone();
            let amount = 101 * CRN;
            let stake = pallet_stake::Call::add_stake {
                netuid,
                hotkey,
                amount,
            };
            turn.send(&coldkey, stake);
        }
    }
}
