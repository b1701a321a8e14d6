//! Networks whose rounds overlap: a round is trained while the one before it is revealed, attested and settled.

use std::collections::BTreeSet;

use cairn_primitives::{Round, CRN};
use cairn_round::{machine::Transaction, View};
use cairn_sim::{
    attacks,
    behaviour::Behaviour,
    settings::{Kind, Recruit, Role, Settings, Weather},
    world::{RoundResult, RunResult, World},
};

fn overlapping(settings: Settings) -> Settings {
    Settings {
        overlap: 1,
        ..settings
    }
}

fn run(settings: Settings) -> RunResult {
    World::new(overlapping(settings))
        .expect("the network is set up")
        .run()
}

#[test]
fn an_honest_network_settles_every_round_and_audits_bear_all_of_it_out() {
    let result = run(Settings::honest(7, 3, 2, 10));
    assert_eq!(result.faults, []);
    assert_eq!((result.rounds.len(), result.null_rounds()), (10, 0));
    assert!(result.rounds.iter().all(|round| round.goodput == 1.0));
    // A quarter of all contributions is audited. Who loses no bond has lost the fee of registering, at most.
    assert!(result.audit_share > 0.0);
    assert!(result.members.iter().all(|member| member.lost < CRN / 100));
    assert!(result.members.iter().all(|member| member.earned > 0));
}

#[test]
fn a_real_model_learns_from_what_is_applied_a_round_later() {
    let tiny = |rounds| {
        run(Settings {
            engine: Kind::Tiny,
            ..Settings::honest(7, 3, 2, rounds)
        })
    };
    let (short, long) = (tiny(1), tiny(8));
    assert_eq!(long.faults, []);
    assert!(
        long.heldout_loss < short.heldout_loss - 0.1,
        "{} after 8 rounds, {} after 1",
        long.heldout_loss,
        short.heldout_loss
    );
}

#[test]
fn rounds_take_less_time_where_training_does_not_wait() {
    let took = |overlap| {
        let settings = Settings {
            overlap,
            ..Settings::honest(7, 3, 2, 10)
        };
        let world = World::new(settings).expect("the network is set up");
        let result = world.run();
        assert_eq!(result.faults, []);
        let rounds = result.rounds.iter().skip(2);
        rounds.map(|round| round.virtual_seconds).sum::<f64>()
    };
    let (ahead, behind) = (took(1), took(0));
    assert!(ahead < behind, "{ahead} s with it, {behind} s without");
}

#[test]
fn storms_break_nothing() {
    let mut broken = Vec::new();
    for seed in 0..80 {
        let (miners, validators) = (2 + seed as usize % 3, 1 + seed as usize % 3);
        let settings = Settings::honest(seed, miners, validators, 6).in_storm(1.0);
        for fault in run(settings).faults {
            broken.push(format!(
                "{}: {} — again: cairn-sim run --miners {miners} --validators {validators} --rounds 6 --seed {seed} \
                 --storm --overlap 1",
                fault.checker, fault.what
            ));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn after_a_storm_everybody_is_back() {
    for seed in 0..12 {
        let (miners, validators) = (2 + seed as usize % 3, 1 + seed as usize % 3);
        let settings = Settings {
            calm_from: 4,
            ..Settings::honest(seed, miners, validators, 14).in_storm(4.0)
        };
        let again = format!(
            "cairn-sim run --miners {miners} --validators {validators} --rounds 14 --seed {seed} --storm 4 \
             --calm-from 4 --overlap 1"
        );
        let result = run(settings);
        assert_eq!(result.faults, [], "again: {again}");
        let last = result.rounds.last().expect("there are fourteen");
        assert_eq!(last.goodput, 1.0, "again: {again}");
    }
}

/// Of all that goes wrong, crashes alone: between any two actions, and with what the system had not put on the disk.
#[test]
fn a_crash_between_any_two_actions_is_survived() {
    for seed in 0..6 {
        let weather = Weather {
            between: 0.01,
            unsynced: 1.0,
            ..Weather::default()
        };
        let result = run(Settings {
            weather,
            calm_from: 5,
            ..Settings::honest(seed, 3, 2, 13)
        });
        assert_eq!(result.faults, [], "seed {seed}");
        let last = result.rounds.last().expect("there are thirteen");
        assert_eq!((last.round, last.goodput), (12, 1.0), "seed {seed}");
    }
}

/// Keeps the key of what it made in this round to itself.
struct Forgets(Round);

impl Behaviour for Forgets {
    fn sends(&mut self, transaction: Transaction, _: Option<&View>) -> Option<Transaction> {
        match transaction {
            Transaction::Reveal(round, _) if round == self.0 => None,
            other => Some(other),
        }
    }
}

#[test]
fn who_is_not_included_makes_the_next_contribution_anew() {
    const FORGOTTEN: Round = 3;
    let mut settings = Settings::honest(7, 3, 2, 9);
    settings.cast.push(Recruit {
        behaviour: Box::new(Forgets(FORGOTTEN)),
        ..Recruit::honest(Role::Miner, "forgets")
    });
    let result = run(settings);
    assert_eq!(result.faults, []);
    let member = result.members.iter().find(|one| one.name == "forgets");
    let uid = member.and_then(|member| member.uid).expect("it has a seat");
    let without: BTreeSet<Round> = result
        .rounds
        .iter()
        .filter(|round| !round.included.contains(&uid))
        .map(|round| round.round)
        .collect();
    // What it made ahead was void. It had been told so early enough, or missed one round more.
    assert!(without.contains(&FORGOTTEN), "{without:?}");
    assert!(
        without.iter().all(|round| (3..=4).contains(round)),
        "{without:?}"
    );
    let others = |round: &&RoundResult| round.included.len() < 3;
    let null = result.rounds.iter().filter(others).count();
    assert_eq!(null, 0, "the others are in each");
}

#[test]
fn who_trains_on_other_text_is_found() {
    let attack = attacks::find("private-data").expect("it is in the table");
    let mut settings = Settings {
        engine: Kind::Tiny,
        ..Settings::honest(7, 4, 3, 16)
    };
    attacks::stage(&mut settings, attack, None);
    let result = run(settings);
    assert_eq!(result.faults, []);
    let lost = |is_cheat: bool| {
        let members = result.members.iter();
        let those = members.filter(move |one| one.attack.is_some() == is_cheat);
        those.map(|one| one.lost).max().unwrap_or(0)
    };
    assert!(lost(true) > CRN, "the cheat lost {} pebble", lost(true));
    assert!(
        lost(false) < CRN / 100,
        "an honest one lost {}",
        lost(false)
    );
}
