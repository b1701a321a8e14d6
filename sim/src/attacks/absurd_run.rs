//! A run that no machine can hold.

use cairn_primitives::{Netuid, CRN};
use cairn_runtime::readers;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "E4",
    name: "absurd-run",
    what: "an outsider founds a subnet and starts a run on it of 65,535 layers, each 2,147,483,648 wide",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Outsider, ATTACK.name, |_| Absurd::default())
}

/// Founds, starts, and looks whether the chain took it.
#[derive(Default)]
struct Absurd {
    has_founded: bool,
    started: Option<Netuid>,
    is_taken: bool,
}

impl Behaviour for Absurd {
    fn acts(&mut self, turn: &mut Turn) {
        let coldkey = turn.coldkey.clone();
        if !std::mem::replace(&mut self.has_founded, true) {
            let max_price = 1_000 * CRN;
            return turn.send(&coldkey, pallet_subnets::Call::create_subnet { max_price });
        }
        if let Some(netuid) = self.started {
            let run = turn.chain.ask(turn.head, || readers::run(netuid));
            self.is_taken |= run.flatten().is_some();
            return;
        }
        let owner = coldkey.account();
        let subnets = turn.chain.ask(turn.head, readers::subnets);
        let subnets = subnets.unwrap_or_default();
        let own = subnets.iter().find(|subnet| subnet.owner == *owner);
        let model = turn.netuid;
        let run = turn.chain.ask(turn.head, || readers::run(model)).flatten();
        let (Some(netuid), Some(run)) = (own.map(|subnet| subnet.netuid), run) else {
            return;
        };
        self.started = Some(netuid);
        let mut config = run.config;
        config.model.layers = u16::MAX;
        config.model.d_model = 1 << 31;
        let start = pallet_training::Call::start_run { netuid, config };
        turn.send(&coldkey, start);
    }

    fn tells(&self) -> Option<String> {
        let said = if self.is_taken { "took" } else { "refused" };
        Some(format!("the chain {said} the run"))
    }
}
