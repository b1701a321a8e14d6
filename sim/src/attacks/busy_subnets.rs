//! Subnets of one's own with rounds of four blocks: hooks for the chain, and free calls in every block.

use cairn_primitives::{
    api::SubnetInfo, key_hash, BlockNumber, Commitment, ContributionKey, Hyperparameters,
    ModelRoot, Nano, Netuid, Phase, Phases, Role as Chosen, Round, SealedRoot, CRN, H256,
};
use cairn_runtime::{readers, AccountId};

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    chain::keys::Key,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "D10, D11",
    name: "busy-subnets",
    what: "an outsider founds four subnets with rounds of four blocks, where twelve miners without bond send free \
           commitments and keys in every round",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

const SUBNETS: usize = 4;
const MINERS: usize = 12;
const KEY: ContributionKey = [3; 32];

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Outsider, ATTACK.name, |_| Busy::default())
}

/// Founds, then keeps the chain busy.
#[derive(Default)]
struct Busy {
    asked: Option<BlockNumber>,
    own: Vec<Own>,
    free: u32,
}

/// A subnet of its own.
struct Own {
    netuid: Netuid,
    committed: Option<Round>,
    revealed: Option<Round>,
}

/// Blocks in which a subnet is waited for.
const PATIENCE: BlockNumber = 4;

impl Busy {
    /// One subnet after the other.
    fn found(&mut self, turn: &mut Turn) {
        let owner = turn.coldkey.account().clone();
        let subnets = turn.chain.ask(turn.head, readers::subnets);
        let known: Vec<Netuid> = self.own.iter().map(|one| one.netuid).collect();
        let is_new =
            |one: &SubnetInfo<AccountId>| one.owner == owner && !known.contains(&one.netuid);
        let subnets = subnets.unwrap_or_default().into_iter();
        if let Some(new) = subnets.filter(is_new).map(|one| one.netuid).next() {
            self.asked = None;
            self.settle_in(turn, new);
        } else if self
            .asked
            .is_none_or(|asked| turn.head.number >= asked.saturating_add(PATIENCE))
        {
            self.asked = Some(turn.head.number);
            let max_price = 10_000 * CRN;
            let create = pallet_subnets::Call::create_subnet { max_price };
            turn.send(&turn.coldkey.clone(), create);
        }
    }

    fn settle_in(&mut self, turn: &mut Turn, netuid: Netuid) {
        let coldkey = turn.coldkey.clone();
        let model = turn.netuid;
        let run = turn.chain.ask(turn.head, || readers::run(model)).flatten();
        let hyperparameters = Hyperparameters {
            min_miner_bond: 0,
            min_validator_stake: CRN,
            unbonding_period: 360,
            registration_price_factor: Nano::ONE,
            ..Hyperparameters::default()
        };
        let set = pallet_subnets::Call::set_hyperparameters {
            netuid,
            hyperparameters,
        };
        turn.send(&coldkey, set);
        if let Some(run) = run {
            let mut config = run.config;
            config.phases = Phases {
                train: 2,
                reveal: 1,
                attest: 1,
                floor: 25,
            };
            let start = pallet_training::Call::start_run { netuid, config };
            turn.send(&coldkey, start);
        }
        // No round begins without a validator.
        let validator = Key::of(&format!("busy validator of {netuid}"));
        let miners = miners(netuid).map(|miner| (miner, Chosen::Miner));
        for (member, role) in miners.chain([(validator.clone(), Chosen::Validator)]) {
            let hotkey = member.account().clone();
            let pocket = pallet_balances::Call::transfer_allow_death {
                dest: hotkey.into(),
                value: CRN / 10,
            };
            turn.send(&coldkey, pocket);
            let seat = turn.chain.ask(turn.head, || {
                member.registers(netuid, (&member, role), &coldkey)
            });
            if let Some(seat) = seat {
                turn.send(&coldkey, seat);
            }
        }
        let stake = pallet_stake::Call::add_stake {
            netuid,
            hotkey: validator.account().clone(),
            amount: 10 * CRN,
        };
        turn.send(&coldkey, stake);
        self.own.push(Own {
            netuid,
            committed: None,
            revealed: None,
        });
    }
}

fn miners(netuid: Netuid) -> impl Iterator<Item = Key> {
    (0..MINERS).map(move |number| Key::of(&format!("busy miner {number} of {netuid}")))
}

impl Own {
    /// Free calls of all its miners. Gives how many were sent.
    fn work(&mut self, turn: &mut Turn) -> u32 {
        let netuid = self.netuid;
        let Some(view) = turn.chain.current(turn.head, netuid).flatten() else {
            return 0;
        };
        let (round, mut sent) = (view.round.round, 0);
        let phase = view.round.timetable().next_phase(turn.head.number);
        let is_due = match phase {
            Phase::Train => self.committed.replace(round) != Some(round),
            Phase::Reveal => self.revealed.replace(round) != Some(round),
            _ => false,
        };
        if !is_due {
            return 0;
        }
        for miner in miners(netuid).filter(|miner| view.slot_of(miner.id()).is_some()) {
            let root = H256::repeat_byte(1);
            let commitment = Commitment {
                parent_root: ModelRoot(root),
                sealed_root: SealedRoot(root),
                length: 1,
                key_hash: key_hash(netuid, round, &miner.id(), &KEY),
            };
            let call = match phase {
                Phase::Train => pallet_training::Call::commit {
                    netuid,
                    round,
                    commitment,
                },
                _ => pallet_training::Call::reveal {
                    netuid,
                    round,
                    key: KEY,
                },
            };
            turn.send(&miner, call);
            sent += 1;
        }
        sent
    }
}

impl Behaviour for Busy {
    fn acts(&mut self, turn: &mut Turn) {
        if self.own.len() < SUBNETS {
            return self.found(turn);
        }
        for own in &mut self.own {
            self.free += own.work(turn);
        }
    }

    fn tells(&self) -> Option<String> {
        let (subnets, free) = (self.own.len(), self.free);
        Some(format!(
            "{subnets} subnets were founded, {free} free calls sent"
        ))
    }
}
