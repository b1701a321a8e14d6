//! Networks whose members take turns: each sends one in four of all values, another one in each round.

use cairn_primitives::CRN;
use cairn_sim::{
    attacks,
    settings::{Kind, Settings},
    world::{MemberResult, RunResult, World},
};

fn in_turns(seed: u64, miners: usize, rounds: u32) -> Settings {
    Settings {
        engine: Kind::Turns,
        ..Settings::honest(seed, miners, 2, rounds)
    }
}

fn run(settings: Settings) -> RunResult {
    World::new(settings).expect("the network is set up").run()
}

#[test]
fn an_honest_network_learns_and_audits_bear_all_of_it_out() {
    let (short, long) = (run(in_turns(7, 4, 1)), run(in_turns(7, 4, 10)));
    assert_eq!(long.faults, []);
    assert_eq!((long.rounds.len(), long.null_rounds()), (10, 0));
    assert!(long.rounds.iter().all(|round| round.goodput == 1.0));
    assert!(long.audit_share > 0.0);
    assert!(long.members.iter().all(|member| member.lost < CRN / 100));
    assert!(long.members.iter().all(|member| member.earned > 0));
    let (before, after) = (short.heldout_loss, long.heldout_loss);
    assert!(
        after < before - 0.1,
        "{after} after 10 rounds, {before} after 1"
    );
}

/// A round is made, and its files are read, while another one is: each has the turns of its own round.
#[test]
fn turns_are_those_of_the_round_also_where_rounds_overlap() {
    let result = run(Settings {
        overlap: 1,
        ..in_turns(7, 4, 8)
    });
    assert_eq!(result.faults, []);
    assert!(result.rounds.iter().all(|round| round.goodput == 1.0));
    assert!(result.audit_share > 0.0);
    assert!(result.members.iter().all(|member| member.lost < CRN / 100));
}

/// Values of a member that is away wait for one that is there.
#[test]
fn a_storm_passes() {
    for seed in 0..2 {
        let result = run(in_turns(seed, 3, 8).in_storm(1.0));
        assert_eq!(result.faults, [], "seed {seed}");
    }
}

/// Who trains once and sends what it found under ten names sends other values under each, so that none resembles
/// another; audits find them all the same.
#[test]
fn who_trains_once_for_ten_loses_by_it() {
    let attack = attacks::find("clones").expect("it is in the table");
    let mut settings = Settings {
        engine: Kind::Turns,
        ..Settings::honest(7, 4, 3, 12)
    };
    attacks::stage(&mut settings, attack, None);
    let result = run(settings);
    let of = |is_attacker: bool| {
        let members = result.members.iter();
        members.filter(move |one| one.attack.is_some() == is_attacker)
    };
    let cheap = |one: &&MemberResult| one.losses.audits > 0 && one.losses.gain() >= 1.0;
    assert_eq!(of(true).filter(cheap).count(), 0);
    assert!(of(true).any(|one| one.losses.taken > 0));
    assert_eq!(of(false).filter(|one| one.losses.audits > 0).count(), 0);
}
