//! Setting a network up by the calls that people make: a subnet, its rules, its run, seats, stakes and bonds.

use cairn_primitives::{BlockNumber, Netuid, Role as Chosen};
use cairn_runtime::{readers, RuntimeCall};

use super::{World, WorldError};
use crate::{
    chain::{founding, keys::Key, Chain, MAIN},
    checkers::{Checkers, Who},
    clock::Clock,
    disk::Disk,
    member::{Coming, Member, Process},
    network::Network,
    rng::Rng,
    settings::{usual_costs, Recruit, Role, Settings},
    store::Store,
    workshop::Workshop,
};

/// Blocks between two epochs: one a round.
const TEMPO: BlockNumber = 12;
/// Transactions of the set-up in one block.
const AT_ONCE: usize = 24;

fn genesis(owner: &Key, settings: &Settings) -> serde_json::Value {
    let cast = &settings.cast;
    let mut coldkeys: Vec<&str> = cast.iter().map(|one| one.coldkey.as_str()).collect();
    coldkeys.sort_unstable();
    coldkeys.dedup();
    let coldkeys: Vec<Key> = coldkeys.into_iter().map(Key::of).collect();
    let hotkeys: Vec<Key> = cast.iter().map(|one| Key::of(&one.name)).collect();
    let mut genesis = founding::genesis(owner, &coldkeys, &hotkeys);
    genesis["blockTime"] = serde_json::json!({ "milliseconds": settings.block_time });
    genesis
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
            genesis(&owner, &settings),
            rng.fork_at("authors", settings.twin),
        )?;
        let network = Network::new(settings.links, rng.fork_at("network", settings.twin));
        let costs = settings.costs.unwrap_or(usual_costs(settings.engine));
        let (kind, windows) = (settings.engine, settings.windows);
        let terms = (settings.terms, settings.overlap);
        let workshop = Workshop::on(kind, &rng.fork("engine"), windows, costs, terms)?;
        let recruits = std::mem::take(&mut settings.cast);
        let checkers = Checkers::new(settings.block_time);
        let mut world = World {
            settings,
            clock: Clock::default(),
            chain,
            store: Store::default(),
            network,
            workshop,
            members: Vec::new(),
            checkers,
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
            bytes: Default::default(),
            evidence: Default::default(),
            halfway: Vec::new(),
            slot: 1,
            last_slot: 0,
            round: 0,
            log: blake3::Hasher::new(),
            settled: Vec::new(),
            kept: Default::default(),
            began: 0,
            finals: 0,
            pulse: Default::default(),
            meter: Default::default(),
        };
        world.found()?;
        world.recruit(recruits)?;
        Ok(world)
    }

    /// The subnet, its rules and its run.
    fn found(&mut self) -> Result<(), WorldError> {
        let owner = self.owner.clone();
        self.do_all(vec![(owner.clone(), founding::create_subnet())])?;
        let subnets = self.chain.ask_best(readers::subnets);
        let netuid: Netuid = subnets
            .first()
            .map(|subnet| subnet.netuid)
            .ok_or_else(|| WorldError::Setup("there is no subnet".into()))?;
        self.netuid = netuid;
        let set = founding::set_rules(netuid, founding::rules(TEMPO));
        let start = founding::start_run(netuid, self.workshop.run().clone());
        self.do_all(vec![(owner.clone(), set)])?;
        self.do_all(vec![(owner, start)])
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
            if recruit.stake > 0 {
                let stake = founding::add_stake(netuid, &hotkey, recruit.stake);
                deposits.push((coldkey.clone(), stake));
            }
            if recruit.bond > 0 {
                let bond = founding::add_bond(netuid, &hotkey, recruit.bond);
                deposits.push((coldkey, bond));
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
    pub(super) fn seat(
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
            let sent = self.chain.send_all(some)?;
            self.slot += 1;
            self.chain.make(MAIN, self.slot);
            self.chain.finalise(MAIN, 1);
            self.chain.expect_all(&sent)?;
        }
        Ok(())
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
        coming: recruit.comes_in.map(Coming::in_round),
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
