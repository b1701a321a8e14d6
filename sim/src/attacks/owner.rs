//! The subnet's owner changes the rules against everybody else.

use cairn_primitives::{limits::longest_unbonding, Hyperparameters, Round, CRN};
use cairn_protocol::limits::RAISE;
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
    what: "from round 3 on the owner announces the longest lock that there can be, and to ask of validators a stake that nobody has; where the chain refuses that, as much more as it lets him, as often as it lets him",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Outsider, ATTACK.name, |_| Owner::default())
}

const WHEN: Round = 3;
/// A stake that nobody has.
const ABSURD: u64 = 20_000_000 * CRN;

/// Waits for its round.
#[derive(Default)]
struct Owner {
    /// What was asked of validators when it last announced something.
    asked: Option<u64>,
}

impl Behaviour for Owner {
    fn acts(&mut self, turn: &mut Turn) {
        let is_time = turn
            .view
            .as_ref()
            .is_some_and(|view| view.round.round >= WHEN);
        let told = turn.chain.ask(turn.head, || {
            (readers::subnet(turn.netuid), readers::limits())
        });
        let Some((Some(subnet), limits)) = told.filter(|_| is_time) else {
            return;
        };
        let present = subnet.hyperparameters.min_validator_stake;
        // Whatever holds now, it asks for more, once.
        if self.asked == Some(present) {
            return;
        }
        let is_first = self.asked.replace(present).is_none();
        let gradual = present.saturating_mul(RAISE).min(ABSURD);
        let asks = if is_first {
            vec![ABSURD, gradual]
        } else {
            vec![gradual]
        };
        for min_validator_stake in asks {
            let hyperparameters = Hyperparameters {
                min_validator_stake,
                unbonding_period: longest_unbonding(limits.audit_window),
                ..subnet.hyperparameters.clone()
            };
            let set = pallet_subnets::Call::set_hyperparameters {
                netuid: turn.netuid,
                hyperparameters,
            };
            turn.send(&turn.owner.clone(), set);
        }
    }
}
