//! A subnet of one's own in which nothing is ever trained.

use cairn_primitives::{Hyperparameters, Netuid, Role as Chosen, CRN};
use cairn_runtime::readers;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    chain::keys::Key,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A3",
    name: "self-dealing",
    what: "somebody with 1,000 CRN has a subnet of its own, where its validator weighs its second hotkey and nothing is trained",
    beside: Role::Validator,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Outsider, ATTACK.name, |_| SelfDealing::default())
}

/// Founds a subnet, then votes for itself.
#[derive(Default)]
struct SelfDealing {
    done: u32,
    netuid: Option<Netuid>,
    voted: Option<u32>,
}

impl SelfDealing {
    fn found(&mut self, turn: &mut Turn) {
        let (coldkey, max_price) = (turn.coldkey.clone(), 1_000 * CRN);
        match self.done {
            0 => turn.send(&coldkey, pallet_subnets::Call::create_subnet { max_price }),
            1 => {
                let owner = coldkey.account().clone();
                let own = turn
                    .chain
                    .ask(turn.head, readers::subnets)
                    .unwrap_or_default();
                let own = own.iter().find(|subnet| subnet.owner == owner);
                let Some(netuid) = own.map(|subnet| subnet.netuid) else {
                    return;
                };
                self.netuid = Some(netuid);
                self.settle_in(turn, netuid);
            }
            _ => return,
        }
        self.done += 1;
    }

    fn settle_in(&self, turn: &mut Turn, netuid: Netuid) {
        let coldkey = turn.coldkey.clone();
        let run = turn
            .chain
            .ask(turn.head, || readers::run(turn.netuid))
            .flatten();
        let hyperparameters = Hyperparameters {
            tempo: 12,
            activity_cutoff: 24,
            commit_reveal: false,
            unbonding_period: 24,
            ..Hyperparameters::default()
        };
        turn.send(
            &coldkey,
            pallet_subnets::Call::set_hyperparameters {
                netuid,
                hyperparameters,
            },
        );
        if let Some(run) = run {
            let config = run.config;
            turn.send(
                &coldkey,
                pallet_training::Call::start_run { netuid, config },
            );
        }
        for (name, role) in [(VOTER, Chosen::Validator), (PAID, Chosen::Miner)] {
            let hotkey = Key::of(name).account().clone();
            let pocket = pallet_balances::Call::transfer_allow_death {
                dest: hotkey.clone().into(),
                value: CRN,
            };
            turn.send(&coldkey, pocket);
            let own = Key::of(name);
            let seat = turn
                .chain
                .ask(turn.head, || own.registers(netuid, (&own, role), &coldkey));
            let Some(seat) = seat else {
                continue;
            };
            turn.send(&coldkey, seat);
        }
        let stake = pallet_stake::Call::add_stake {
            netuid,
            hotkey: Key::of(VOTER).account().clone(),
            amount: 1_000 * CRN,
        };
        turn.send(&coldkey, stake);
    }
}

const VOTER: &str = "the self-dealer's validator";
const PAID: &str = "the self-dealer's second hotkey";

impl Behaviour for SelfDealing {
    fn acts(&mut self, turn: &mut Turn) {
        self.found(turn);
        let Some(netuid) = self.netuid else {
            return;
        };
        let head = turn.head.number;
        if self.voted.is_some_and(|voted| head < voted + 12) {
            return;
        }
        let paid = Key::of(PAID).account().clone();
        let uid = turn.chain.ask(turn.head, || readers::member(netuid, &paid));
        if let Some(paid) = uid.flatten() {
            self.voted = Some(head);
            let scores = pallet_emissions::Row::truncate_from(vec![(paid.uid, u16::MAX)]);
            turn.send(
                &Key::of(VOTER),
                pallet_emissions::Call::set_scores { netuid, scores },
            );
        }
    }
}
