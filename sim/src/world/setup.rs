//! Setting a network up by the calls that people make: a subnet, its rules, its run, seats, stakes and bonds.

use cairn_primitives::{Balance, BlockNumber, Hyperparameters, Nano, Netuid, Role as Chosen, CRN};
use cairn_runtime::{readers, RuntimeCall};
use serde_json::json;
use sp_core::crypto::Ss58Codec;
use sp_runtime::MultiSigner;

use super::{World, WorldError};
use crate::{
    chain::{keys::Key, Chain, MAIN},
    checkers::{Checkers, Who},
    clock::Clock,
    disk::Disk,
    member::{Member, Process},
    network::Network,
    rng::Rng,
    settings::{usual_costs, Recruit, Role, Settings},
    store::Store,
    workshop::Workshop,
};

/// What each coldkey has at genesis.
pub(super) const ENDOWMENT: Balance = 50_000 * CRN;
/// What each hotkey has: it exists.
const POCKET: Balance = CRN;
/// Blocks between two epochs: one a round.
const TEMPO: BlockNumber = 12;
/// Transactions of the set-up in one block.
const AT_ONCE: usize = 24;

/// The rules of the subnet: those of the development network, with seats at a fixed price.
fn rules() -> Hyperparameters {
    Hyperparameters {
        tempo: TEMPO,
        activity_cutoff: 2 * TEMPO,
        unbonding_period: 24,
        immunity_period: 5_000,
        registration_price_factor: Nano::ONE,
        ..Hyperparameters::default()
    }
}

fn genesis(owner: &Key, cast: &[Recruit]) -> serde_json::Value {
    let mut balances = vec![
        (owner.account().clone(), ENDOWMENT),
        (authority(), ENDOWMENT),
    ];
    let mut coldkeys: Vec<&str> = cast.iter().map(|one| one.coldkey.as_str()).collect();
    coldkeys.sort_unstable();
    coldkeys.dedup();
    balances.extend(
        coldkeys
            .iter()
            .map(|name| (Key::of(name).account().clone(), ENDOWMENT)),
    );
    let hotkeys = cast.iter().map(|one| Key::of(&one.name));
    balances.extend(hotkeys.map(|key| (key.account().clone(), POCKET)));
    json!({
        "balances": { "balances": balances },
        "sudo": { "key": owner.account() },
        "emissions": { "open": true },
    })
}

/// The account that makes the blocks.
fn authority() -> cairn_runtime::AccountId {
    use sp_runtime::traits::IdentifyAccount;
    let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    let public = sp_core::sr25519::Public::from_ss58check(alice).unwrap_or_default();
    MultiSigner::from(public).into_account()
}

impl World {
    /// A world with its network set up, before its first round.
    ///
    /// # Errors
    /// [`WorldError`].
    pub fn new(mut settings: Settings) -> Result<World, WorldError> {
        let rng = Rng::new(settings.seed);
        let owner = Key::of("the subnet's owner");
        let chain = Chain::new(
            genesis(&owner, &settings.cast),
            rng.fork_at("authors", settings.twin),
        )?;
        let network = Network::new(settings.links, rng.fork_at("network", settings.twin));
        let costs = settings.costs.unwrap_or(usual_costs(settings.engine));
        let (kind, windows) = (settings.engine, settings.windows);
        let workshop = Workshop::new(kind, &rng.fork("engine"), windows, costs)?;
        let recruits = std::mem::take(&mut settings.cast);
        let mut world = World {
            settings,
            clock: Clock::default(),
            chain,
            store: Store::default(),
            network,
            workshop,
            members: Vec::new(),
            checkers: Checkers::default(),
            netuid: Netuid(0),
            owner,
            weather_rng: rng.fork("weather"),
            rng,
            partition: None,
            still_until: 0,
            news: 0,
            undone: 0,
            calm_at: None,
            epoch: 0,
            scores: Default::default(),
            held_bytes: 0,
            halfway: Vec::new(),
            slot: 1,
            last_slot: 0,
            round: 0,
            log: blake3::Hasher::new(),
            settled: Vec::new(),
            kept: Default::default(),
            began: 0,
            finals: 0,
        };
        world.found()?;
        world.recruit(recruits)?;
        Ok(world)
    }

    /// The subnet, its rules and its run.
    fn found(&mut self) -> Result<(), WorldError> {
        let owner = self.owner.clone();
        let max_price = Balance::MAX;
        let create = pallet_subnets::Call::create_subnet { max_price };
        self.do_all(vec![(owner.clone(), create.into())])?;
        let subnets = self.chain.ask_best(readers::subnets);
        let netuid: Netuid = subnets
            .first()
            .map(|subnet| subnet.netuid)
            .ok_or_else(|| WorldError::Setup("there is no subnet".into()))?;
        self.netuid = netuid;
        let hyperparameters = rules();
        let set = RuntimeCall::Subnets(pallet_subnets::Call::set_hyperparameters {
            netuid,
            hyperparameters,
        });
        // By root: the owner's first change is still to come.
        let set = pallet_sudo::Call::sudo {
            call: Box::new(set),
        };
        let config = self.workshop.run().clone();
        let start = pallet_training::Call::start_run { netuid, config };
        self.do_all(vec![(owner.clone(), set.into())])?;
        self.do_all(vec![(owner, start.into())])
    }

    /// Seats, stakes and bonds of everybody.
    fn recruit(&mut self, recruits: Vec<Recruit>) -> Result<(), WorldError> {
        let netuid = self.netuid;
        self.squat(&recruits)?;
        let (mut seats, mut deposits) = (Vec::new(), Vec::new());
        let mut seated = std::collections::BTreeSet::new();
        for recruit in &recruits {
            let has_seat = recruit.role != Role::Outsider && recruit.is_seated;
            if !has_seat || !seated.insert(recruit.name.clone()) {
                continue;
            }
            let (coldkey, hotkey) = (Key::of(&recruit.coldkey), Key::of(&recruit.name));
            let role = match recruit.role {
                Role::Validator => Chosen::Validator,
                Role::Miner | Role::Outsider => Chosen::Miner,
            };
            let seat = self.seat(&hotkey, (&hotkey, role), &coldkey)?;
            seats.push((coldkey.clone(), seat));
            let hotkey = hotkey.account().clone();
            if recruit.stake > 0 {
                let stake = pallet_stake::Call::add_stake {
                    netuid,
                    hotkey: hotkey.clone(),
                    amount: recruit.stake,
                };
                deposits.push((coldkey.clone(), stake.into()));
            }
            if recruit.bond > 0 {
                let bond = pallet_stake::Call::add_bond {
                    netuid,
                    hotkey,
                    amount: recruit.bond,
                };
                deposits.push((coldkey, bond.into()));
            }
        }
        self.do_all(seats)?;
        self.do_all(deposits)?;
        let names: Vec<String> = recruits.iter().map(|one| one.name.clone()).collect();
        let member = |recruit: Recruit| {
            let node = recruit.node.as_ref();
            let node = node.and_then(|node| names.iter().position(|name| name == node));
            member(recruit, node)
        };
        self.members = recruits.into_iter().map(member).collect();
        Ok(())
    }

    /// The call by which a coldkey buys a seat for a hotkey, as whom `signer` signs.
    fn seat(
        &mut self,
        signer: &Key,
        hotkey: (&Key, Chosen),
        coldkey: &Key,
    ) -> Result<RuntimeCall, WorldError> {
        let (best, netuid) = (self.chain.best(), self.netuid);
        let seat = self
            .chain
            .ask(best, || signer.registers(netuid, hotkey, coldkey));
        seat.ok_or_else(|| WorldError::Setup("there is no state to ask".into()))
    }

    /// Lets squatters try to be first. They have not the hotkey's key, so they sign with their own, and fail.
    fn squat(&mut self, recruits: &[Recruit]) -> Result<(), WorldError> {
        for recruit in recruits {
            let Some(victim) = recruit.squats else {
                continue;
            };
            let (own, victim) = (Key::of(&recruit.coldkey), Key::of(victim));
            let seat = self.seat(&own, (&victim, Chosen::Miner), &own)?;
            if self.do_all(vec![(own, seat)]).is_ok() {
                return Err(WorldError::Setup(
                    "a hotkey was taken from its owner".into(),
                ));
            }
        }
        Ok(())
    }

    /// Makes blocks with these calls; all have to succeed.
    fn do_all(&mut self, calls: Vec<(Key, RuntimeCall)>) -> Result<(), WorldError> {
        for some in calls.chunks(AT_ONCE) {
            let mut ahead = std::collections::BTreeMap::new();
            let mut sent = Vec::new();
            for (key, call) in some {
                let nonce = ahead.entry(key.id()).or_insert(0u32);
                let best = self.chain.best();
                let signed = self.chain.sign(best, key, *nonce, 0, call.clone());
                *nonce += 1;
                let signed = signed.ok_or_else(|| WorldError::Setup("nothing to sign".into()))?;
                sent.push(self.chain.submit(MAIN, signed));
            }
            self.slot += 1;
            self.chain.make(MAIN, self.slot);
            self.chain.finalise(MAIN, 1);
            for id in sent {
                self.expect_success(id)?;
            }
        }
        Ok(())
    }

    fn expect_success(&mut self, id: cairn_primitives::H256) -> Result<(), WorldError> {
        match self.chain.find(id, self.chain.best()) {
            Some((_, None)) => Ok(()),
            Some((_, Some(failure))) => Err(WorldError::Setup(failure)),
            None => {
                let refusal = self.chain.refusal(MAIN, id).unwrap_or("it found no room");
                Err(WorldError::Setup(refusal.into()))
            }
        }
    }
}

fn member(recruit: Recruit, node: Option<Who>) -> Member {
    let genesis = crate::chain::Id {
        number: 0,
        hash: cairn_primitives::H256::zero(),
    };
    Member {
        hotkey: Key::of(&recruit.name),
        coldkey: Key::of(&recruit.coldkey),
        name: recruit.name,
        role: recruit.role,
        gpus: recruit.gpus,
        attack: recruit.attack,
        staked: recruit.stake,
        bonded: recruit.bond,
        bonded_in: None,
        is_up: recruit.is_up,
        machine: None,
        incarnation: 0,
        disk: Disk::default(),
        head: (genesis, genesis),
        news: 0,
        node,
        process: Process::default(),
        behaviour: recruit.behaviour,
        is_stopped: false,
    }
}
