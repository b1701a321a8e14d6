//! Whoever has the sudo key tries to take what others have.

use cairn_primitives::CRN;
use cairn_runtime::RuntimeCall;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    chain::keys::Key,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "E12",
    name: "sudo",
    what: "whoever has the sudo key of a development chain tries to take 1,000 CRN from the account of each of two miners",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Outsider, ATTACK.name, |_| Sudo::default())
}

/// Tries once.
#[derive(Default)]
struct Sudo {
    is_done: bool,
}

impl Behaviour for Sudo {
    fn acts(&mut self, turn: &mut Turn) {
        if std::mem::replace(&mut self.is_done, true) {
            return;
        }
        for victim in ["miner 0's coldkey", "miner 1's coldkey"] {
            let take = pallet_balances::Call::force_transfer {
                source: Key::of(victim).account().clone().into(),
                dest: turn.coldkey.account().clone().into(),
                value: 1_000 * CRN,
            };
            let call = Box::new(RuntimeCall::Balances(take));
            turn.send(&turn.owner.clone(), pallet_sudo::Call::sudo { call });
        }
    }
}
