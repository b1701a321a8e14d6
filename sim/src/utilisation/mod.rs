//! The share of time in which contributors train, in Covenant-72B's setting and with more contributors than it had:
//! whole rounds of the real machines and the real runtime, in which work and files take the time that they would take.

pub mod page;
pub mod setting;

use std::{collections::BTreeMap, ops::Range};

use cairn_primitives::{Round, MAX_MEMBERS};
use serde::Serialize;

use crate::{
    meter::{Meter, Part, Window},
    network::Links,
    settings::{Kind, Settings},
    world::{RoundResult, RunResult, World, WorldError},
};
use setting::{terms, Host, Reading, BLOCK, SEQUENCES, STEPS};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Bench {
    /// The seed.
    pub seed: u64,
    /// Contributors.
    pub contributors: usize,
    /// Validators.
    pub validators: usize,
    /// Whole rounds that are measured, after those in which the network only comes to be.
    pub rounds: u32,
    /// How many rounds training runs ahead.
    pub overlap: u8,
    /// What is assumed of a host.
    pub host: Host,
}

impl Bench {
    /// Contributors that find a seat beside the validators.
    pub fn seated(&self) -> usize {
        let seats = MAX_MEMBERS as usize;
        self.contributors.min(seats.saturating_sub(self.validators))
    }
}

/// A row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The name of its [`Reading`].
    pub bandwidth: &'static str,
    /// Bytes a second from a member.
    pub up: u64,
    /// Bytes a second to a member.
    pub down: u64,
    /// Contributors that there were to be.
    pub contributors: usize,
    /// Contributors that there were, since a subnet has no more seats.
    pub seated: usize,
    /// How many rounds training ran ahead.
    pub overlap: u8,
    /// Bytes a second that a member's disk writes.
    pub disk: u64,
    /// The seed that replays it.
    pub seed: u64,
    /// Whole rounds that were measured; none if the simulation did not come that far, or if nearly all never took part.
    pub rounds: u32,
    /// Rounds of all that were settled and included nothing.
    pub null_rounds: usize,
    /// Contributions that a measured round included, on average.
    pub included: f64,
    /// The share of time in which contributors train.
    pub share: f64,
    /// What a contributor's time goes into, in seconds of a round, on average, by [`Part::name`].
    pub seconds: BTreeMap<&'static str, f64>,
    /// Seconds of a round in which a contributor fetches others' files before it needs them, on average, beside all
    /// else.
    pub ahead: f64,
    /// Seconds of a round in which a contributor's disk writes beside all else, on average.
    pub beside: f64,
    /// Seconds of a round in which a validator fetches contributions, on average, whatever else it does.
    pub validator_fetches: f64,
    /// The same in which it measures.
    pub validator_measures: f64,
    /// Checkers that found something wrong.
    pub broken: Vec<&'static str>,
}

impl Row {
    /// Seconds of a round.
    pub fn round(&self) -> f64 {
        self.seconds.values().sum()
    }

    /// Seconds of a round that go into this.
    pub fn of(&self, part: Part) -> f64 {
        self.seconds.get(part.name()).copied().unwrap_or(0.0)
    }
}

/// Simulates a network.
///
/// # Errors
/// [`WorldError`] if it cannot be set up.
pub fn measure(bench: Bench, reading: &Reading) -> Result<Row, WorldError> {
    let (result, meter) = World::new(settings(bench, reading))?.run_and_note();
    Ok(row(bench, reading, &result, &meter))
}

fn settings(bench: Bench, reading: &Reading) -> Settings {
    let Bench {
        seed,
        validators,
        rounds,
        overlap,
        host,
        ..
    } = bench;
    let seated = bench.seated() as u64;
    let costs = host.costs(seated);
    let of_one = u64::from(STEPS) * u64::from(SEQUENCES);
    // Seats are bought while the first round is under way, and where rounds overlap data comes a round later.
    let rounds = rounds.saturating_add(2 + u32::from(overlap));
    let honest = Settings::honest(seed, bench.seated(), validators, rounds);
    Settings {
        engine: Kind::Cost,
        costs: Some(costs),
        // No two train on the same, and as much is left that nobody trains on.
        windows: 2 * of_one * seated.max(1),
        terms: Some(terms(&costs, reading.lines, seated)),
        overlap,
        block_time: BLOCK,
        links: Links {
            lines: Some(reading.lines),
            ..Links::default()
        },
        ..honest
    }
}

fn row(bench: Bench, reading: &Reading, result: &RunResult, meter: &Meter) -> Row {
    let first = first(bench, result);
    let seen = first.and_then(|first| Some((first, measured(bench, first, meter)?)));
    let (first, (rounds, window)) = seen.unwrap_or_default();
    let of_validators = 0..bench.validators;
    let of_miners = bench.validators..bench.validators + bench.seated();
    let each = |members: usize| (members.max(1) as f64) * f64::from(rounds.max(1)) * 1_000.0;
    let mut parts = BTreeMap::<Part, u64>::new();
    for who in of_miners.clone() {
        for (part, time) in meter.parts(who, window) {
            *parts.entry(part).or_default() += time;
        }
    }
    let of_one = each(bench.seated());
    let seconds = parts.into_iter();
    let seconds: BTreeMap<&'static str, f64> = seconds
        .map(|(part, time)| (part.name(), time as f64 / of_one))
        .collect();
    let busy = |members: &Range<usize>, part| {
        let time = members.clone().map(|who| meter.busy(who, part, window));
        time.sum::<u64>() as f64 / each(members.len())
    };
    let in_window = result.rounds.iter();
    let in_window = in_window.filter(|one| (first..first + rounds).contains(&one.round));
    let included: usize = in_window.map(|one| one.included.len()).sum();
    let mut row = Row {
        bandwidth: reading.name,
        up: reading.lines.up,
        down: reading.lines.down,
        contributors: bench.contributors,
        seated: bench.seated(),
        overlap: bench.overlap,
        disk: bench.host.disk,
        seed: bench.seed,
        rounds,
        null_rounds: result.null_rounds(),
        included: included as f64 / f64::from(rounds.max(1)),
        share: 0.0,
        seconds,
        ahead: busy(&of_miners, Part::Ahead),
        beside: busy(&of_miners, Part::Beside),
        validator_fetches: busy(&of_validators, Part::Fetch),
        validator_measures: busy(&of_validators, Part::Measure),
        broken: result.broken(),
    };
    let all = row.round();
    if all > 0.0 {
        row.share = row.of(Part::Train) / all;
    }
    row
}

/// The first round that is measured: that after the first one in which nearly all took part, so that what is fetched
/// and applied in it is what is from then on. None if there is no such round.
fn first(bench: Bench, result: &RunResult) -> Option<Round> {
    let seated = bench.seated();
    let is_full = |one: &&RoundResult| one.included.len() * 10 >= seated * 9;
    let full = result.rounds.iter().find(is_full);
    Some(full?.round.saturating_add(1))
}

/// How many whole rounds were seen from `first` on, and from when until when; none if there is not one.
fn measured(bench: Bench, first: Round, meter: &Meter) -> Option<(u32, Window)> {
    let from = meter.began(first)?;
    let mut counts = (1..=bench.rounds).rev();
    counts.find_map(|count| Some((count, (from, meter.began(first + count)?))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Span;
    use cairn_protocol::phase::RoundStage;
    use setting::READINGS;

    fn bench(contributors: usize) -> Bench {
        Bench {
            seed: 7,
            contributors,
            validators: 2,
            rounds: 1,
            overlap: 0,
            host: Host {
                cores: 64,
                disk: 10_000_000_000,
            },
        }
    }

    #[test]
    fn who_finds_no_seat_is_not_simulated() {
        assert_eq!(bench(20).seated(), 20);
        assert_eq!(bench(254).seated(), 254);
        assert_eq!(bench(1_000).seated(), 254);
    }

    #[test]
    fn whole_rounds_count_from_the_first_one_on() {
        let mut meter = Meter::default();
        let begin = |meter: &mut Meter, round: u32, at| {
            meter.stage(at, round, Some(RoundStage::Commit));
        };
        let two = Bench {
            rounds: 2,
            ..bench(20)
        };
        begin(&mut meter, 0, 5);
        assert_eq!(measured(two, 1, &meter), None);
        begin(&mut meter, 1, 105);
        assert_eq!(measured(two, 1, &meter), None);
        begin(&mut meter, 2, 205);
        assert_eq!(measured(two, 1, &meter), Some((1, (105, 205))));
        begin(&mut meter, 3, 305);
        begin(&mut meter, 4, 405);
        assert_eq!(measured(two, 1, &meter), Some((2, (105, 305))));
        assert_eq!(measured(two, 2, &meter), Some((2, (205, 405))));
    }

    #[test]
    fn a_row_has_the_seconds_of_a_contributor_in_a_round() {
        let mut meter = Meter::default();
        for (round, at) in [(0, 0), (1, 1_000), (2, 11_000)] {
            meter.stage(at, round, Some(RoundStage::Commit));
        }
        let bench = Bench {
            contributors: 2,
            ..bench(2)
        };
        let mut works = |who, part, from, until| meter.works(who, Span { part, from, until });
        // Who is before the miners validates.
        works(0, Part::Fetch, 2_000, 5_000);
        works(1, Part::Fetch, 2_000, 3_000);
        works(2, Part::Train, 0, 9_000);
        works(2, Part::Ahead, 4_000, 6_000);
        works(3, Part::Ahead, 8_000, 10_000);
        works(3, Part::Train, 3_000, 9_000);
        // A small network, all of whom take part from the first round on.
        let world = World::new(Settings::honest(7, 2, 2, 2)).expect("a network");
        let result = world.run();
        // Of twenty two are not nearly all.
        let twenty = Bench {
            contributors: 20,
            ..bench
        };
        let unseen = row(twenty, &READINGS[0], &result, &meter);
        assert_eq!((unseen.rounds, unseen.seated), (0, 20));
        assert_eq!((unseen.included, unseen.share), (0.0, 0.0));
        let row = row(bench, &READINGS[0], &result, &meter);
        assert_eq!((row.rounds, row.seated), (1, 2));
        assert_eq!((row.of(Part::Train), row.of(Part::Final)), (7.0, 3.0));
        assert_eq!((row.share, row.round()), (0.7, 10.0));
        assert_eq!((row.ahead, row.validator_fetches), (2.0, 2.0));
        assert_eq!(row.validator_measures, 0.0);
    }

    /// What it sends it sends while it trains, and it trains while others wait.
    #[test]
    fn where_rounds_overlap_neither_sending_nor_attesting_takes_time_from_training() {
        let ahead = Bench {
            overlap: 1,
            ..bench(3)
        };
        let [behind, ahead] = [bench(3), ahead].map(|bench| {
            let row = measure(bench, &READINGS[0]).expect("a network");
            assert!(row.broken.is_empty() && row.included == 3.0, "{row:?}");
            row
        });
        assert!(ahead.share > behind.share, "{ahead:?}, {behind:?}");
        let rest = |row: &Row| row.of(Part::Upload) + row.of(Part::Bind) + row.of(Part::Open);
        assert!(rest(&ahead) < rest(&behind), "{ahead:?}, {behind:?}");
        let on_disk = |row: &Row| row.of(Part::Keep) + row.of(Part::Carry);
        assert_eq!((on_disk(&ahead), behind.beside), (0.0, 0.0));
        // What training waits for in one is written beside it in the other.
        assert!(on_disk(&behind) > 100.0, "{behind:?}");
        assert!(ahead.beside > on_disk(&behind) / 2.0, "{ahead:?}");
    }

    /// What the next contribution leaves waits for what the last one left: memory is bounded, and time is not saved.
    #[test]
    fn a_disk_that_writes_less_than_a_round_has_to_write_holds_up_training() {
        let slow = Bench {
            overlap: 1,
            host: Host {
                cores: 64,
                disk: 500_000_000,
            },
            ..bench(3)
        };
        let row = measure(slow, &READINGS[1]).expect("a network");
        assert!(row.broken.is_empty() && row.included == 3.0, "{row:?}");
        assert!(row.of(Part::Carry) > 100.0, "{row:?}");
        assert!(row.round() > 1_400.0, "{row:?}");
    }

    /// What a round takes on a narrow line follows from the bytes of its files.
    #[test]
    fn a_narrow_line_costs_what_its_files_take() {
        let reading = &READINGS[0];
        let row = measure(bench(3), reading).expect("a network");
        assert_eq!(row.rounds, 1, "{row:?}");
        assert_eq!(
            (row.included, row.of(Part::Train)),
            (3.0, 1_200.0),
            "{row:?}"
        );
        assert!(row.broken.is_empty(), "{row:?}");
        let near = |found: f64, bytes: f64, rate: u64| (found - bytes / rate as f64).abs() < 1.0;
        let file = setting::CONTRIBUTION as f64;
        assert!(near(row.of(Part::Upload), file, reading.lines.up));
        // Its own is at hand, and those of the others are here when the round is settled.
        assert!(near(row.ahead, 2.0 * file, reading.lines.down), "{row:?}");
        assert_eq!(row.of(Part::Fetch), 0.0, "{row:?}");
        assert!(near(row.validator_fetches, 3.0 * file, reading.lines.down));
    }
}
