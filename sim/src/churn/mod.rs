//! The churn table: what becomes of rounds, and of the work in them, where miners are killed, come back and join, on
//! good lines and on bad ones.

pub mod page;

use std::collections::BTreeSet;

use cairn_primitives::{AuditRules, Combination, Phases, Round, Uid, MAX_MEMBERS};
use serde::Serialize;

use crate::{
    clock::Millis,
    meter::Meter,
    rng::Rng,
    settings::{usual_costs, Churn, Kind, Recruit, Role, Settings, Terms, Weather},
    workshop::Costs,
    world::{RunResult, World, WorldError},
};

/// What the network is like, whoever comes and goes.
pub struct Place {
    /// Its name.
    pub name: &'static str,
    /// What it is like, as a clause for people.
    pub what: &'static str,
    set: fn(&mut Settings),
}

/// All of them.
pub static PLACES: [Place; 5] = [
    Place {
        name: "calm",
        what: "messages take 20 to 250 ms, and none is lost",
        set: |_| (),
    },
    Place {
        name: "loss",
        what: "every tenth message is lost, and sent again a second later",
        set: lose,
    },
    Place {
        name: "latency",
        what: "every message takes 2 s",
        set: delay,
    },
    Place {
        name: "split",
        what: "in the middle of the run the network is split into two parts that hear nothing of each other's blocks, \
               for two minutes, and healed",
        set: split,
    },
    Place {
        name: "all",
        what: "all of that at once",
        set: |settings| {
            lose(settings);
            delay(settings);
            split(settings);
        },
    },
];

fn lose(settings: &mut Settings) {
    settings.links.loss = 0.1;
}

fn delay(settings: &mut Settings) {
    settings.links.latency = (2_000, 2_000);
}

fn split(settings: &mut Settings) {
    settings.churn.split = Some((settings.rounds / 2, SPLIT));
}

/// The place of this name.
pub fn find(name: &str) -> Option<&'static Place> {
    PLACES.iter().find(|place| place.name == name)
}

/// Milliseconds from one block to the next: the runtime's usual ones.
pub const BLOCK: Millis = 6_000;
/// Slots for which the network is split: two minutes.
const SPLIT: u64 = 20;
/// An inner step, in milliseconds.
pub const STEP: Millis = 8_000;
/// The run: about a minute of a round is training, and each stage has time for who is late.
pub const TERMS: Terms = Terms {
    phases: Phases {
        train: 20,
        reveal: 8,
        attest: 10,
        floor: 25,
    },
    steps: 8,
    sequences: 16,
    audits: AuditRules {
        rate: AuditRules::EACH / 4,
        auditors: 3,
        blocks: 24,
        tolerance: 0,
        card_bond: AuditRules::usual_card_bond(),
    },
    combine: Combination::Trust,
};
/// Windows of the data set: of a round twice as many as all who can have a seat train on.
const WINDOWS: u64 = 65_536;

/// What the table is measured in.
#[derive(Clone, Copy, Debug)]
pub struct Bench {
    /// The seed.
    pub seed: u64,
    /// Miners when the rounds begin.
    pub miners: usize,
    /// Validators.
    pub validators: usize,
    /// Rounds.
    pub rounds: u32,
}

/// A row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The name of its [`Place`].
    pub network: &'static str,
    /// Of a hundred miners so many are killed in a round, and as many join for a hundred that were there at first.
    pub churn_percent: u8,
    /// The seed that replays it.
    pub seed: u64,
    /// Rounds that there were to be.
    pub rounds: u32,
    /// Those that were settled.
    pub settled: usize,
    /// Those of them that included nothing.
    pub null_rounds: usize,
    /// Whether no two members, nor a member and the chain, had different roots of a round.
    pub roots_equal: bool,
    /// Checkers that found something wrong.
    pub broken: Vec<&'static str>,
    /// Processes that were killed.
    pub kills: usize,
    /// Newcomers that bought a seat.
    pub joined: usize,
    /// Those of them that a round included.
    pub joined_and_included: usize,
    /// Inner steps that were begun in settled rounds. All have as many tokens.
    pub steps_trained: u64,
    /// Those of them that reached the model.
    pub steps_in_model: u64,
    /// The share of those. A round of a run has another goodput: the contributions included of those assigned.
    pub goodput: f64,
    /// Virtual time of a round, on average.
    pub seconds_per_round: f64,
    /// Loss of text that nobody trained on, at the end, in nats per token.
    pub heldout_loss: f64,
}

/// Runs a network in which so many of a hundred miners are killed in a round and join.
///
/// # Errors
/// [`WorldError`] if it cannot be set up.
pub fn measure(bench: Bench, place: &Place, churn_percent: u8) -> Result<Row, WorldError> {
    let settings = settings(bench, place, f64::from(churn_percent) / 100.0);
    let (result, meter) = World::new(settings)?.run_and_note();
    Ok(row(bench, (place.name, churn_percent), &result, &meter))
}

fn settings(bench: Bench, place: &Place, share: f64) -> Settings {
    let honest = Settings::honest(bench.seed, bench.miners, bench.validators, bench.rounds);
    let mut settings = Settings {
        engine: Kind::Tiny,
        costs: Some(Costs {
            step: STEP,
            ..usual_costs(Kind::Tiny)
        }),
        windows: WINDOWS,
        terms: Some(TERMS),
        block_time: BLOCK,
        weather: Weather {
            unsynced: 0.5,
            ..Weather::default()
        },
        churn: Churn {
            kills: share,
            split: None,
        },
        ..honest
    };
    (place.set)(&mut settings);
    settings.cast.extend(newcomers(bench, share));
    settings
}

/// Who joins: in each round from the second on each of the first miners brings one along with this probability, as long
/// as there are seats.
fn newcomers(bench: Bench, share: f64) -> Vec<Recruit> {
    let mut draw = Rng::new(bench.seed).fork("newcomers");
    let chances = (1..bench.rounds).flat_map(|round| std::iter::repeat_n(round, bench.miners));
    let rounds: Vec<Round> = chances.filter(|_| draw.chance(share)).collect();
    let seats = MAX_MEMBERS as usize;
    let room = seats.saturating_sub(bench.miners.saturating_add(bench.validators));
    let newcomer = |(number, round): (usize, Round)| Recruit {
        is_seated: false,
        is_up: false,
        comes_in: Some(round),
        ..Recruit::honest(Role::Miner, &format!("newcomer {number}"))
    };
    let rounds = rounds.into_iter().take(room);
    rounds.enumerate().map(newcomer).collect()
}

fn row(
    bench: Bench,
    (network, churn_percent): (&'static str, u8),
    result: &RunResult,
    meter: &Meter,
) -> Row {
    let included: BTreeSet<Uid> = result
        .rounds
        .iter()
        .flat_map(|round| round.included.iter().copied())
        .collect();
    let newcomers = result.members.iter();
    let newcomers = newcomers.filter(|member| member.name.starts_with("newcomer"));
    let joined: Vec<Uid> = newcomers.filter_map(|member| member.uid).collect();
    let taken = joined.iter().filter(|uid| included.contains(*uid));
    let (steps_trained, steps_in_model) = meter.steps_kept();
    let seconds: f64 = result.rounds.iter().map(|one| one.virtual_seconds).sum();
    let holds = |name: &str| result.checks.get(name).copied().unwrap_or(false);
    Row {
        network,
        churn_percent,
        seed: bench.seed,
        rounds: bench.rounds,
        settled: result.rounds.len(),
        null_rounds: result.null_rounds(),
        roots_equal: holds("lineage"),
        broken: result.broken(),
        kills: meter.killed(),
        joined: joined.len(),
        joined_and_included: taken.count(),
        steps_trained,
        steps_in_model,
        goodput: steps_in_model as f64 / steps_trained.max(1) as f64,
        seconds_per_round: seconds / result.rounds.len().max(1) as f64,
        heldout_loss: result.heldout_loss,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BENCH: Bench = Bench {
        seed: 7,
        miners: 4,
        validators: 2,
        rounds: 6,
    };

    fn place(name: &str) -> &'static Place {
        find(name).expect("there is one")
    }

    #[test]
    fn newcomers_come_from_the_second_round_on_as_long_as_there_are_seats() {
        assert!(newcomers(BENCH, 0.0).is_empty());
        let all = newcomers(BENCH, 1.0);
        let rounds: Vec<Round> = all.iter().filter_map(|one| one.comes_in).collect();
        assert_eq!(rounds.len(), 5 * 4);
        assert_eq!((rounds[0], rounds[19]), (1, 5));
        assert!(all.iter().all(|one| !one.is_seated && !one.is_up));
        let many = Bench {
            miners: 100,
            ..BENCH
        };
        assert_eq!(newcomers(many, 1.0).len(), 256 - 102);
    }

    #[test]
    fn a_place_is_what_it_says() {
        let of = |name| settings(BENCH, place(name), 0.3);
        assert_eq!(of("calm").links.loss, 0.0);
        assert_eq!(of("calm").churn.kills, 0.3);
        assert_eq!(of("calm").churn.split, None);
        assert_eq!(of("split").churn.split, Some((3, SPLIT)));
        let all = of("all");
        assert_eq!((all.links.loss, all.links.latency), (0.1, (2_000, 2_000)));
        assert_eq!(all.churn.split, Some((3, SPLIT)));
        assert!(find("sunny").is_none());
    }

    #[test]
    fn where_nobody_goes_all_work_reaches_the_model() {
        let row = measure(BENCH, place("calm"), 0).expect("a network");
        assert_eq!((row.settled, row.null_rounds), (6, 0));
        assert_eq!((row.kills, row.joined), (0, 0));
        // Who makes states again for an audit trains fewer steps of that round.
        assert!((100..=6 * 4 * 8).contains(&row.steps_trained), "{row:?}");
        assert!(row.goodput > 0.95, "{row:?}");
        assert!(row.roots_equal && row.broken.is_empty(), "{row:?}");
    }

    #[test]
    fn where_miners_are_killed_and_join_the_rounds_go_on() {
        let bench = Bench { rounds: 8, ..BENCH };
        let row = measure(bench, place("calm"), 30).expect("a network");
        assert_eq!(row.settled, 8);
        assert!(row.kills > 0 && row.joined_and_included > 0, "{row:?}");
        assert!(row.steps_in_model > 0 && row.goodput < 1.0, "{row:?}");
        assert!(row.roots_equal && row.broken.is_empty(), "{row:?}");
    }
}
