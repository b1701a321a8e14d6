//! What is simulated: how many members, which engine, what goes wrong how often.

use cairn_primitives::{AuditRules, Balance, Combination, Phases, Round, CRN};

use crate::{
    behaviour::{honest::Honest, Behaviour},
    clock::Millis,
    network::Links,
    workshop::Costs,
    world::BLOCK_TIME,
};

/// What a member is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Trains.
    Miner,
    /// Attests and scores.
    Validator,
    /// Has no part in the rounds.
    Outsider,
}

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A real model of some thousand parameters.
    Tiny,
    /// The same, its blocks' matrices stepped by Muon.
    Muon,
    /// The same as that with Muon, and members take turns.
    Turns,
    /// A bowl, for studies of scale.
    Cost,
}

/// How often things go wrong, as probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// That an honest member crashes, per block.
    pub crash: f64,
    /// That an honest member crashes before an action of its machine, or when something is on its disk that its machine
    /// is not told yet; per action.
    pub between: f64,
    /// That a crash takes with it what the system has not put on the disk yet.
    pub unsynced: f64,
    /// That an honest member is cut off, per block.
    pub cut: f64,
    /// That the node of an honest member falls behind, per block: it answers, of blocks that are no longer the newest.
    pub behind: f64,
    /// That a member's look at the chain has no answer, per look.
    pub unanswered: f64,
    /// That the answer comes when the chain has gone on, per look.
    pub slow: f64,
    /// That blocks are undone, per block.
    pub reorganisation: f64,
    /// That nobody makes a block, per slot.
    pub missed: f64,
    /// That a block's author has heard of few transactions, per block.
    pub deaf: f64,
    /// That blocks stop becoming final for a while, per block.
    pub stall: f64,
    /// That the network is split, per block.
    pub partition: f64,
    /// That something is wrong with a stored contribution.
    pub spoilt: f64,
}

impl Weather {
    /// All of it, often; `times` as often as usual.
    pub fn storm(times: f64) -> Weather {
        Weather {
            crash: 0.01 * times,
            between: 0.002 * times,
            unsynced: 0.5,
            cut: 0.005 * times,
            behind: 0.005 * times,
            unanswered: 0.02 * times,
            slow: 0.01 * times,
            reorganisation: 0.08 * times,
            missed: 0.03 * times,
            deaf: 0.05 * times,
            stall: 0.01 * times,
            partition: 0.01 * times,
            spoilt: 0.05 * times,
        }
    }
}

/// Somebody who takes part.
pub struct Recruit {
    /// What for.
    pub role: Role,
    /// Name of the hotkey; also of the coldkey, if there is no other.
    pub name: String,
    /// Name of the coldkey that registers the hotkey.
    pub coldkey: String,
    /// GPUs that it works with.
    pub gpus: f64,
    /// Stake on it, in pebble.
    pub stake: Balance,
    /// Its bond, in pebble.
    pub bond: Balance,
    /// The attack that it is part of.
    pub attack: Option<&'static str>,
    /// Whose hotkey its coldkey tries to register before its owner does, without that hotkey's signature.
    pub squats: Option<&'static str>,
    /// Whether it has a seat, stake and bond when the rounds begin.
    pub is_seated: bool,
    /// Whether its process runs.
    pub is_up: bool,
    /// The round in which it comes to buy a seat, if it has none when the rounds begin.
    pub comes_in: Option<Round>,
    /// The attacker on whose node it relies, by its name.
    pub node: Option<String>,
    /// What it does otherwise than its machine.
    pub behaviour: Box<dyn Behaviour>,
}

impl Recruit {
    /// An honest member.
    pub fn honest(role: Role, name: &str) -> Recruit {
        Recruit {
            role,
            name: name.into(),
            coldkey: format!("{name}'s coldkey"),
            gpus: 1.0,
            stake: match role {
                Role::Validator => 1_000 * CRN,
                _ => 0,
            },
            bond: match role {
                Role::Miner => 10 * CRN,
                _ => 0,
            },
            attack: None,
            squats: None,
            is_seated: true,
            node: None,
            is_up: true,
            comes_in: None,
            behaviour: Box::new(Honest),
        }
    }

    /// An attacker with one GPU.
    pub fn attacker(
        role: Role,
        name: &str,
        attack: &'static str,
        behaviour: impl Behaviour + 'static,
    ) -> Recruit {
        Recruit {
            attack: Some(attack),
            behaviour: Box::new(behaviour),
            ..Recruit::honest(role, name)
        }
    }
}

/// What of the run is otherwise than it usually is with an engine. Its rounds include as many as there can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// The longest times of a round's phases.
    pub phases: Phases,
    /// Inner steps of a round.
    pub steps: u16,
    /// Sequences of an inner step.
    pub sequences: u16,
    /// How contributions are audited.
    pub audits: AuditRules,
    /// By what they are combined.
    pub combine: Combination,
}

/// Members that come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Churn {
    /// That an honest miner is killed, per round, at any moment of it. It is back within as long as a round takes.
    pub kills: f64,
    /// The round at whose begin the network is split, and for how many slots.
    pub split: Option<(Round, u64)>,
}

/// A simulation.
pub struct Settings {
    /// The seed of everything.
    pub seed: u64,
    /// Twins differ in the delays of messages alone, and so in all that the chain draws.
    pub twin: u64,
    /// Rounds until it ends.
    pub rounds: u32,
    /// Who takes part.
    pub cast: Vec<Recruit>,
    /// What computes.
    pub engine: Kind,
    /// What it costs; none: what the engine usually does.
    pub costs: Option<Costs>,
    /// Windows of the data set.
    pub windows: u64,
    /// What of the run is otherwise than usual, if anything is.
    pub terms: Option<Terms>,
    /// How many rounds training runs ahead of the outer step.
    pub overlap: u8,
    /// Milliseconds from one block to the next.
    pub block_time: Millis,
    /// The network.
    pub links: Links,
    /// Who comes and goes beside what goes wrong.
    pub churn: Churn,
    /// What goes wrong.
    pub weather: Weather,
    /// The round from which on nothing goes wrong any more.
    pub calm_from: u32,
}

impl Settings {
    /// Honest members in fine weather.
    pub fn honest(seed: u64, miners: usize, validators: usize, rounds: u32) -> Settings {
        let miner = |number| Recruit::honest(Role::Miner, &format!("miner {number}"));
        let validator = |number| Recruit::honest(Role::Validator, &format!("validator {number}"));
        Settings {
            seed,
            twin: 0,
            rounds,
            cast: (0..validators)
                .map(validator)
                .chain((0..miners).map(miner))
                .collect(),
            engine: Kind::Cost,
            costs: None,
            windows: 20_000,
            terms: None,
            overlap: 0,
            block_time: BLOCK_TIME,
            links: Links::default(),
            churn: Churn::default(),
            weather: Weather::default(),
            calm_from: u32::MAX,
        }
    }
}

impl Settings {
    /// The same in a storm, `times` as heavy as usual: everything that can go wrong does, often, and of messages every
    /// twentieth is lost.
    pub fn in_storm(self, times: f64) -> Settings {
        Settings {
            weather: Weather::storm(times),
            links: Links {
                loss: 0.05 * times,
                ..self.links
            },
            ..self
        }
    }
}

/// What the engines cost by default: a round's steps fit into the train phase, measuring, too.
pub fn usual_costs(engine: Kind) -> Costs {
    let (step, window) = match engine {
        Kind::Tiny | Kind::Muon | Kind::Turns => (900, 5),
        Kind::Cost => (1_800, 5),
    };
    Costs {
        step,
        seal: 150,
        open: 60,
        apply: 200,
        window,
        write: 80,
        carry: 80,
        contribution: 2_000_000,
        checkpoint: 20_000_000,
    }
}
