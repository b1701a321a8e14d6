//! The answers of the runtime API.

use cairn_primitives::{
    api::{Attester, ContributionInfo, RoundInfo, SettledRound},
    Netuid, Phase, Round, Uid, H256,
};
use cairn_protocol::exam::exam;
use codec::Encode;
use frame_support::{assert_ok, traits::Randomness};

use crate::{mock::*, Rounds};

#[test]
fn a_waiting_run_has_a_round_to_come() {
    ExtBuilder::default()
        .subnet(NET)
        .run(NET, config())
        .execute(|| {
            let run = Training::run_info(NET).unwrap();
            assert_eq!(
                (run.config, run.started_at, run.oldest_round),
                (config(), 1, 0)
            );
            let to_come = RoundInfo {
                round: 0,
                times: cairn_primitives::RoundTimes {
                    start: 3,
                    ..Default::default()
                },
                phase: Phase::Settle,
                seed: H256::zero(),
                pass: 0,
                cursor: 0,
                miners: vec![],
                validators: vec![],
                base: None,
            };
            assert_eq!(run.round, to_come);
            assert_eq!(Training::round_info(NET, 0), None);
            assert_eq!(Training::lineage(NET, 0), []);
        });
}

#[test]
fn a_round_shows_who_takes_part_and_who_has_attested() {
    ExtBuilder::usual().execute(|| {
        run_to(8);
        assert_ok!(commit_attestation(NET, 0, Uid(0), &[], ROOT));
        run_to(10);
        assert_ok!(attest(NET, 0, Uid(1), &[], ROOT));
        World::leave(NET, Uid(2));
        let round = Training::round_info(NET, 0).unwrap();
        let attester = |uid, committed, attested| Attester {
            uid,
            hotkey: hotkey(NET, uid),
            stake: 100,
            committed,
            attested,
        };
        let promised = hash(NET, 0, Uid(0), &attestation(Uid(0), &[], ROOT));
        let expected = [
            attester(Uid(0), Some(promised), false),
            attester(Uid(1), None, true),
        ];
        assert_eq!(round.validators, expected);
        let snapshot = Rounds::<Test>::get(NET, 0).unwrap();
        assert_eq!(round.miners, snapshot.miners.into_inner());
        assert_eq!(
            (round.phase, round.seed, round.times.start),
            (Phase::Attest, snapshot.seed, 2)
        );
        assert_eq!(Training::run_info(NET).unwrap().round, round);
        assert_eq!(Training::round_info(NET, 1), None);
        run_to(2 + ROUND);
        assert_eq!(Training::round_info(NET, 0).unwrap().phase, Phase::Settle);
    });
}

/// What the contributions of a round are measured on.
fn exam_of(netuid: Netuid, round: Round) -> H256 {
    let (randomness, _) = MockRandomness::random(&(b"cairn/exam", netuid, round).encode());
    exam(netuid, round, randomness)
}

#[test]
fn an_exam_is_drawn_when_its_round_has_settled_and_is_no_seed() {
    ExtBuilder::usual().execute(|| {
        run_to(1 + ROUND);
        assert_eq!(Training::settled(NET, 0), None);
        run_to(2 + 2 * ROUND);
        let exams = [0, 1].map(|round| Training::settled(NET, round).unwrap().exam);
        assert_eq!(exams, [0, 1].map(|round| exam_of(NET, round)));
        let seeds = [0, 1, 2].map(|round| Rounds::<Test>::get(NET, round).unwrap().seed);
        let mut all = [&exams[..], &seeds].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 5);
    });
}

#[test]
fn contributions_show_keys_and_support() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(12), ROOT));
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        run_to(6);
        assert_ok!(reveal(NET, 0, Uid(10)));
        run_to(10);
        assert_ok!(attest(NET, 0, Uid(0), &[Uid(10)], ROOT));
        let info = |uid, key, support| ContributionInfo {
            uid,
            hotkey: hotkey(NET, uid),
            commitment: commitment(NET, 0, uid, ROOT),
            key,
            support,
        };
        let expected = [
            info(Uid(10), Some(key(Uid(10))), 100),
            info(Uid(12), None, 0),
        ];
        assert_eq!(Training::contributions(NET, 0), expected);
        assert_eq!(Training::contributions(NET, 1), []);
        assert_eq!(Training::contributions(Netuid(9), 0), []);
        assert_eq!(Training::settled(NET, 0), None);
        run_to(2 + ROUND);
        let settled = SettledRound {
            round: 0,
            settled_at: 12,
            included: vec![],
            trust: vec![],
            proven: vec![],
            exam: exam_of(NET, 0),
            attesting_stake: 100,
            total_stake: 300,
        };
        assert_eq!(Training::settled(NET, 0), Some(settled));
        assert_eq!(Training::contributions(NET, 0), expected);
    });
}

#[test]
fn the_lineage_begins_where_it_is_asked_to() {
    ExtBuilder::usual().execute(|| {
        for _ in 0..3 {
            whole_round(&[Uid(10)], &[0, 1, 2].map(Uid), ROOT);
        }
        let rounds = |from| -> Vec<u32> {
            Training::lineage(NET, from)
                .iter()
                .map(|entry| entry.round)
                .collect()
        };
        assert_eq!(rounds(0), [0, 1, 2]);
        assert_eq!(rounds(2), [2]);
        assert_eq!(rounds(3), Vec::<u32>::new());
        assert_eq!(rounds(u32::MAX), Vec::<u32>::new());
    });
}
