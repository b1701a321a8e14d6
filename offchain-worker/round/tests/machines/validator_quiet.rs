//! The validator's machine when the chain goes on, takes transactions and finalises: it comes on from wherever it is.

use cairn_primitives::{BlockNumber, EpochIndex, Round, Uid};
use cairn_round::{hidden_row::Committed, machine::Kind};
use proptest::prelude::*;

use crate::{
    chain::{Turn, TEMPO},
    common::PHASES,
    validator_world::{happening, Happening, World},
};

/// Miners that do their work, and whether it is good.
const MINERS: [(Uid, bool); 3] = [(Uid(1), true), (Uid(2), false), (Uid(3), true)];
const GOOD: [Uid; 2] = [Uid(1), Uid(3)];

/// Blocks of a chain on which all goes well. Miners commit to one content a round, and reveal it.
fn quiet_blocks(world: &mut World, blocks: BlockNumber) {
    for _ in 0..blocks {
        for (uid, is_good) in MINERS {
            world.happen(&Happening::Commit(uid, is_good));
            world.happen(&Happening::Reveal(uid));
        }
        world.happen(&Happening::Chain(Turn::Block {
            takes: true,
            includes: true,
        }));
        world.happen(&Happening::Chain(Turn::Finalize(6)));
        for kind in [Kind::Attestation, Kind::Scores] {
            world.happen(&Happening::SubmitEnds(kind, Some(0)));
        }
        world.rest(true);
    }
}

/// Whom it vouched for in a round.
fn vouched(world: &World, round: Round) -> Option<Vec<Uid>> {
    let (verdicts, root) = world.chain.best().attestations.get(&round)?;
    assert_eq!(*root, world.chain.best().roots[round as usize]);
    Some(verdicts.uids().collect())
}

/// Commitments to scores before these epochs.
fn commits(world: &World, from: EpochIndex, until: EpochIndex) -> Vec<Committed> {
    let commits = world.chain.best().commits.iter();
    commits
        .filter(|commit| (from..until).contains(&commit.epoch))
        .copied()
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn it_catches_up_attests_and_reveals_what_it_committed_to(
        happenings in prop::collection::vec(happening(), 0..400)
    ) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
        }
        let began = world.chain.best().epoch;
        quiet_blocks(&mut world, 8 * PHASES.round());
        let best = world.chain.best();
        prop_assert!(best.round - world.disk.0.round <= 1);
        for round in best.round - 3..best.round {
            prop_assert_eq!(vouched(&world, round), Some(GOOD.to_vec()), "round {}", round);
        }
        // What it committed to before is revealed, too.
        let ran = commits(&world, began, best.epoch - 1);
        prop_assert!(ran.iter().all(|commit| commit.revealed), "{:?}", ran);
        let newly = commits(&world, began + 2, best.epoch - 1);
        prop_assert!(!newly.is_empty());
    }
}

#[test]
fn on_a_quiet_chain_it_attests_every_round_and_votes_before_every_epoch() {
    let mut world = World::new();
    world.rest(true);
    for round in 0..8 {
        quiet_blocks(&mut world, PHASES.round());
        assert_eq!(vouched(&world, round), Some(GOOD.to_vec()), "round {round}");
    }
    let ran = commits(&world, 0, world.chain.best().epoch - 1);
    assert!(ran.iter().all(|commit| commit.revealed));
    let epochs: Vec<EpochIndex> = ran.iter().map(|commit| commit.epoch).collect();
    let expected: Vec<EpochIndex> = (0..8 * PHASES.round() / TEMPO - 1).collect();
    assert_eq!(epochs, expected);
}
