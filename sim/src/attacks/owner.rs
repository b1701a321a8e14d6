//! The subnet's owner changes the rules against everybody else.

use cairn_primitives::{limits::longest_unbonding, Hyperparameters, Round, CRN};
use cairn_runtime::readers;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "D13",
    name: "owner",
    what: "in round 3 the owner announces the longest lock that there can be, and to ask of validators a stake that nobody has",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Outsider, ATTACK.name, |_| Owner::default())
}

const WHEN: Round = 3;

/// Waits for its round.
#[derive(Default)]
struct Owner {
    is_done: bool,
}

impl Behaviour for Owner {
    fn acts(&mut self, turn: &mut Turn) {
        let is_time = turn
            .view
            .as_ref()
            .is_some_and(|view| view.round.round >= WHEN);
        if self.is_done || !is_time {
            return;
        }
        self.is_done = true;
        let netuid = turn.netuid;
        let told = turn
            .chain
            .ask(turn.head, || (readers::subnet(netuid), readers::limits()));
        let Some((Some(subnet), limits)) = told else {
            return;
        };
        let hyperparameters = Hyperparameters {
            min_validator_stake: 20_000_000 * CRN,
            unbonding_period: longest_unbonding(limits.audit_window),
            ..subnet.hyperparameters
        };
        let set = pallet_subnets::Call::set_hyperparameters {
            netuid,
            hyperparameters,
        };
        turn.send(&turn.owner.clone(), set);
    }
}
