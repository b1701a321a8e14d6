//! Scores that are hidden until nobody can copy them.

use cairn_primitives::{
    api::{EvidenceCommit, ScoresCommit},
    scores_hash,
    traits::{Incentives, OnMember},
    BlockNumber, EpochIndex, Hotkey, Netuid, Salt, Served, Uid, CRN, H256,
};
use codec::Encode;
use frame_support::{
    assert_noop, assert_ok,
    dispatch::{CheckIfFeeless, DispatchResult},
};
use sp_runtime::DispatchError;

use crate::{mock::*, Call, Commits, Error, Event, Row, Votes};

const SALT: Salt = [7; 32];
/// The file of evidence of all rows.
const FILE: Served = Served {
    root: H256([5; 32]),
    length: 99,
};
const TO_2: &[(Uid, u16)] = &[(Uid(2), 1)];
const TO_3: &[(Uid, u16)] = &[(Uid(3), 1)];

fn row(cells: &[(Uid, u16)]) -> Row {
    cells.to_vec().try_into().unwrap()
}

fn hash(uid: Uid, epoch: EpochIndex, cells: &[(Uid, u16)]) -> H256 {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&hotkey(Netuid(1), uid).encode());
    scores_hash(Netuid(1), epoch, &Hotkey::from(key), cells, FILE, &SALT)
}

fn commit(uid: Uid, epoch: EpochIndex, cells: &[(Uid, u16)]) -> DispatchResult {
    commit_as(
        hotkey(Netuid(1), uid),
        Netuid(1),
        epoch,
        hash(uid, epoch, cells),
    )
}

fn commit_as(signer: AccountId, netuid: Netuid, epoch: EpochIndex, hash: H256) -> DispatchResult {
    let origin = RuntimeOrigin::signed(signer);
    let call = Call::<Test>::commit_scores {
        netuid,
        epoch,
        hash,
    };
    let free = call.is_feeless(&origin);
    let result = Emissions::commit_scores(origin, netuid, epoch, hash);
    assert_eq!(
        free,
        result.is_ok(),
        "free of fees if it succeeds, only then"
    );
    result
}

fn reveal(uid: Uid, epoch: EpochIndex, cells: &[(Uid, u16)]) -> DispatchResult {
    reveal_as(hotkey(Netuid(1), uid), Netuid(1), epoch, cells, SALT)
}

fn reveal_as(
    signer: AccountId,
    netuid: Netuid,
    epoch: EpochIndex,
    cells: &[(Uid, u16)],
    salt: Salt,
) -> DispatchResult {
    let origin = RuntimeOrigin::signed(signer);
    let call = Call::<Test>::reveal_scores {
        netuid,
        epoch,
        scores: row(cells),
        evidence: FILE,
        salt,
    };
    let free = call.is_feeless(&origin);
    let result = Emissions::reveal_scores(origin, netuid, epoch, row(cells), FILE, salt);
    assert_eq!(
        free,
        result.is_ok(),
        "free of fees if it succeeds, only then"
    );
    result
}

fn vote_of(uid: Uid) -> Option<(BlockNumber, Vec<(Uid, u16)>)> {
    Votes::<Test>::get(Netuid(1), uid).map(|vote| (vote.set_at, vote.scores.to_vec()))
}

fn commits(uid: Uid) -> Vec<ScoresCommit> {
    Emissions::voting(Netuid(1), &hotkey(Netuid(1), uid))
        .unwrap()
        .commits
}

#[test]
fn scores_are_committed_before_an_epoch_and_count_from_the_next() {
    ExtBuilder::hidden().build_and_execute(|| {
        run_to(3);
        assert_ok!(commit(Uid(0), 0, &[(Uid(3), 1), (Uid(2), 0), (Uid(1), 5)]));
        let committed = Event::ScoresCommitted {
            netuid: Netuid(1),
            uid: Uid(0),
            epoch: 0,
            hash: hash(Uid(0), 0, &[(Uid(3), 1), (Uid(2), 0), (Uid(1), 5)]),
        };
        assert_eq!(events(), [committed]);
        // Epoch 0 is at block 12 and knows nothing of it.
        run_to(12);
        assert_eq!(
            (Emissions::incentive(Netuid(1), Uid(3)), vote_of(Uid(0))),
            (0, None)
        );
        assert_ok!(reveal(Uid(0), 0, &[(Uid(3), 1), (Uid(2), 0), (Uid(1), 5)]));
        assert_eq!(
            events().last(),
            Some(&Event::ScoresRevealed {
                netuid: Netuid(1),
                uid: Uid(0),
                epoch: 0
            })
        );
        assert_eq!(vote_of(Uid(0)), Some((3, vec![(Uid(1), 5), (Uid(3), 1)])));
        run_to(22);
        assert_eq!(Emissions::incentive(Netuid(1), Uid(3)), 10_922);
    });
}

#[test]
fn a_validator_can_do_both_in_every_epoch() {
    ExtBuilder::hidden().build_and_execute(|| {
        assert_ok!(commit(Uid(0), 0, TO_2));
        for epoch in 1..6 {
            run_to(12 + 10 * u64::from(epoch - 1));
            assert_ok!(commit(Uid(0), epoch, TO_2));
            assert_ok!(reveal(Uid(0), epoch - 1, TO_2));
            let kept: Vec<_> = commits(Uid(0))
                .iter()
                .map(|commit| (commit.epoch, commit.revealed))
                .collect();
            assert_eq!(kept, [(epoch - 1, true), (epoch, false)]);
        }
        // Two commitments are kept, however long it goes on.
        assert_eq!(Commits::<Test>::iter().count(), 2);
    });
}

#[test]
fn a_commitment_can_be_replaced_while_nobody_could_have_read_it() {
    ExtBuilder::hidden().build_and_execute(|| {
        run_to(2);
        assert_ok!(commit(Uid(0), 0, TO_2));
        run_to(6);
        assert_noop!(commit(Uid(0), 0, TO_3), Error::<Test>::TooSoon);
        run_to(7);
        assert_ok!(commit(Uid(0), 0, TO_3));
        run_to(12);
        assert_noop!(reveal(Uid(0), 0, TO_2), Error::<Test>::NotWhatWasCommitted);
        assert_ok!(reveal(Uid(0), 0, TO_3));
        assert_eq!(vote_of(Uid(0)), Some((7, TO_3.to_vec())));
    });
}

#[test]
fn a_commitment_is_for_the_next_epoch_alone() {
    ExtBuilder::hidden().build_and_execute(|| {
        run_to(13);
        for epoch in [0, 2, u32::MAX] {
            assert_noop!(commit(Uid(0), epoch, TO_2), Error::<Test>::NotTheNextEpoch);
        }
        assert_ok!(commit(Uid(0), 1, TO_2));
    });
}

#[test]
fn scores_are_revealed_between_the_epoch_and_the_next_alone() {
    ExtBuilder::hidden().build_and_execute(|| {
        assert_ok!(commit(Uid(0), 0, TO_2));
        assert_ok!(commit(Uid(1), 0, TO_2));
        run_to(11);
        assert_noop!(reveal(Uid(0), 0, TO_2), Error::<Test>::RevealTooEarly);
        run_to(21);
        assert_ok!(reveal(Uid(0), 0, TO_2));
        run_to(22);
        assert_noop!(reveal(Uid(1), 0, TO_2), Error::<Test>::RevealTooLate);
        assert_eq!(vote_of(Uid(1)), None);
    });
}

#[test]
fn a_reveal_that_is_not_what_was_committed_is_refused() {
    ExtBuilder::hidden().build_and_execute(|| {
        assert_ok!(commit(Uid(0), 0, &[(Uid(2), 1), (Uid(3), 2)]));
        run_to(12);
        let wrong = Error::<Test>::NotWhatWasCommitted;
        assert_noop!(reveal(Uid(0), 0, &[(Uid(2), 1), (Uid(3), 3)]), wrong);
        assert_noop!(
            reveal(Uid(0), 0, &[(Uid(3), 2), (Uid(2), 1)]),
            Error::<Test>::NotWhatWasCommitted
        );
        let salted = reveal_as(
            hotkey(Netuid(1), Uid(0)),
            Netuid(1),
            0,
            &[(Uid(2), 1), (Uid(3), 2)],
            [8; 32],
        );
        assert_noop!(salted, Error::<Test>::NotWhatWasCommitted);
        assert_ok!(reveal(Uid(0), 0, &[(Uid(2), 1), (Uid(3), 2)]));
        assert_noop!(
            reveal(Uid(0), 0, &[(Uid(2), 1), (Uid(3), 2)]),
            Error::<Test>::AlreadyRevealed
        );
    });
}

#[test]
fn what_somebody_else_committed_to_or_revealed_is_worth_nothing() {
    ExtBuilder::hidden().build_and_execute(|| {
        assert_ok!(commit(Uid(0), 0, TO_2));
        // A copied commitment cannot be opened, not even with the copied row and salt.
        assert_ok!(commit_as(
            hotkey(Netuid(1), Uid(1)),
            Netuid(1),
            0,
            hash(Uid(0), 0, TO_2)
        ));
        run_to(12);
        assert_ok!(reveal(Uid(0), 0, TO_2));
        assert_noop!(reveal(Uid(1), 0, TO_2), Error::<Test>::NotWhatWasCommitted);
        // Nor can the next epoch's commitment be opened with what was revealed before.
        assert_ok!(commit_as(
            hotkey(Netuid(1), Uid(0)),
            Netuid(1),
            1,
            hash(Uid(0), 0, TO_2)
        ));
        run_to(22);
        assert_noop!(reveal(Uid(0), 1, TO_2), Error::<Test>::NotWhatWasCommitted);
        assert_noop!(reveal(Uid(0), 0, TO_2), Error::<Test>::RevealTooLate);
    });
}

#[test]
fn who_committed_to_nothing_has_nothing_to_reveal() {
    ExtBuilder::hidden().build_and_execute(|| {
        run_to(12);
        assert_noop!(reveal(Uid(0), 0, TO_2), Error::<Test>::NoCommit);
        assert_ok!(commit(Uid(0), 1, TO_2));
        // Not even with the next epoch's.
        assert_noop!(reveal(Uid(0), 0, TO_2), Error::<Test>::NoCommit);
    });
}

#[test]
fn what_is_wrong_with_the_signer_is_said() {
    ExtBuilder::hidden()
        .validator(Netuid(1), Uid(4), CRN - 1)
        .build_and_execute(|| {
            let some = H256::zero();
            let by = |signer, netuid| commit_as(signer, netuid, 0, some);
            assert_noop!(
                by(hotkey(Netuid(1), Uid(0)), Netuid(2)),
                Error::<Test>::UnknownSubnet
            );
            assert_noop!(by(7, Netuid(1)), Error::<Test>::NotMember);
            assert_noop!(
                by(hotkey(Netuid(1), Uid(2)), Netuid(1)),
                Error::<Test>::NotAValidator
            );
            assert_noop!(
                by(hotkey(Netuid(1), Uid(4)), Netuid(1)),
                Error::<Test>::NotAValidator
            );
            let by = |signer, netuid| reveal_as(signer, netuid, 0, TO_3, SALT);
            assert_noop!(
                by(hotkey(Netuid(1), Uid(0)), Netuid(2)),
                Error::<Test>::UnknownSubnet
            );
            assert_noop!(by(7, Netuid(1)), Error::<Test>::NotMember);
            assert_noop!(
                by(hotkey(Netuid(1), Uid(2)), Netuid(1)),
                Error::<Test>::NotAValidator
            );
            for origin in [RuntimeOrigin::none(), RuntimeOrigin::root()] {
                let commit = Emissions::commit_scores(origin.clone(), Netuid(1), 0, some);
                assert_noop!(commit, DispatchError::BadOrigin);
                let reveal = Emissions::reveal_scores(origin, Netuid(1), 0, row(TO_3), FILE, SALT);
                assert_noop!(reveal, DispatchError::BadOrigin);
            }
        });
}

#[test]
fn what_is_wrong_with_the_row_is_said_when_it_is_revealed() {
    let wrong = [
        (vec![], Error::<Test>::NoScores),
        (vec![(Uid(2), 0)], Error::NoScores),
        (vec![(Uid(2), 1), (Uid(2), 2)], Error::DuplicateUid),
        (vec![(Uid(2), 1), (Uid(256), 1)], Error::NoSuchUid),
        (vec![(Uid(2), 1), (Uid(0), 1)], Error::SelfScore),
    ];
    for (cells, error) in wrong {
        ExtBuilder::hidden().build_and_execute(|| {
            assert_ok!(commit(Uid(0), 0, &cells));
            run_to(12);
            assert_noop!(reveal(Uid(0), 0, &cells), error);
        });
    }
}

#[test]
fn a_member_that_left_does_not_spoil_the_scores_on_the_others() {
    ExtBuilder::hidden().build_and_execute(|| {
        assert_ok!(commit(Uid(0), 0, &[(Uid(2), 1), (Uid(3), 1)]));
        assert_ok!(commit(Uid(1), 0, &[(Uid(3), 1)]));
        run_to(12);
        World::change_subnet(Netuid(1), |subnet| {
            subnet.members.remove(&Uid(3));
        });
        assert_ok!(reveal(Uid(0), 0, &[(Uid(2), 1), (Uid(3), 1)]));
        assert_eq!(vote_of(Uid(0)), Some((1, vec![(Uid(2), 1)])));
        assert_noop!(reveal(Uid(1), 0, TO_3), Error::<Test>::NoScores);
    });
}

#[test]
fn who_hides_what_it_committed_to_has_no_vote_in_that_epoch() {
    ExtBuilder::hidden().build_and_execute(|| {
        assert_ok!(commit(Uid(0), 0, TO_2));
        assert_ok!(commit(Uid(1), 0, TO_3));
        run_to(12);
        assert_ok!(reveal(Uid(0), 0, TO_2));
        assert_ok!(reveal(Uid(1), 0, TO_3));
        assert_ok!(commit(Uid(0), 1, TO_3));
        run_to(22);
        // Validator 0 has more stake, and what it said in epoch 0 is in force.
        assert_eq!(Emissions::incentive(Netuid(1), Uid(2)), 65_535);
        // It does not reveal what it would say now: its older row counts no more.
        run_to(32);
        assert_eq!(vote_of(Uid(0)), Some((1, vec![(Uid(2), 1)])));
        assert_eq!(
            (
                Emissions::incentive(Netuid(1), Uid(2)),
                Emissions::incentive(Netuid(1), Uid(3))
            ),
            (0, 65_535)
        );
        // It is heard again where it owes nothing.
        run_to(42);
        assert_eq!(Emissions::incentive(Netuid(1), Uid(2)), 65_535);
    });
}

#[test]
fn each_subnet_has_its_way() {
    ExtBuilder::hidden()
        .subnet(Netuid(2))
        .validator(Netuid(2), Uid(0), 5 * CRN)
        .miner(Netuid(2), Uid(1))
        .build_and_execute(|| {
            let open = Emissions::set_scores(
                RuntimeOrigin::signed(hotkey(Netuid(1), Uid(0))),
                Netuid(1),
                row(TO_2),
            );
            assert_noop!(open, Error::<Test>::CommitRevealOn);
            let hidden = commit_as(hotkey(Netuid(2), Uid(0)), Netuid(2), 0, H256::zero());
            assert_noop!(hidden, Error::<Test>::CommitRevealOff);
            vote(Netuid(2), Uid(0), &[(Uid(1), 1)]);
            // What was committed before the owner switched it off can be revealed.
            assert_ok!(commit(Uid(0), 0, TO_2));
            World::change_subnet(Netuid(1), |subnet| {
                subnet.hyperparameters.commit_reveal = false
            });
            run_to(12);
            assert_ok!(reveal(Uid(0), 0, TO_2));
        });
}

#[test]
fn an_epoch_that_is_deferred_keeps_the_window_open() {
    ExtBuilder::hidden()
        .subnet(Netuid(0))
        .with(Netuid(0), |subnet| subnet.hyperparameters.tempo = 10)
        .build_and_execute(|| {
            // Both are due at block 12, and subnet 0 goes first.
            run_to(12);
            assert_eq!(
                Emissions::voting(Netuid(1), &hotkey(Netuid(1), Uid(0)))
                    .unwrap()
                    .epoch,
                0
            );
            assert_ok!(commit(Uid(0), 0, TO_2));
            assert_noop!(reveal(Uid(0), 0, TO_2), Error::<Test>::RevealTooEarly);
            run_to(13);
            assert_ok!(reveal(Uid(0), 0, TO_2));
        });
}

#[test]
fn what_a_validator_has_to_know() {
    ExtBuilder::hidden().build_and_execute(|| {
        run_to(5);
        assert_ok!(commit(Uid(0), 0, TO_2));
        let voting = Emissions::voting(Netuid(1), &hotkey(Netuid(1), Uid(0))).unwrap();
        assert!(voting.commit_reveal);
        assert_eq!((voting.epoch, voting.due, voting.rate_limit), (0, 12, 5));
        let expected = ScoresCommit {
            epoch: 0,
            hash: hash(Uid(0), 0, TO_2),
            at: 5,
            revealed: false,
        };
        assert_eq!(voting.commits, [expected]);
        assert_eq!(Emissions::voting(Netuid(1), &77).unwrap().commits, []);
        assert_eq!(Emissions::voting(Netuid(9), &77), None);
    });
}

#[test]
fn the_root_of_the_evidence_is_kept_with_the_scores_and_goes_with_them() {
    ExtBuilder::hidden().build_and_execute(|| {
        let told = || Emissions::scores(Netuid(1));
        assert_ok!(commit(Uid(0), 0, TO_2));
        run_to(12);
        assert_eq!(told(), [], "nothing is told before it is revealed");
        assert_ok!(reveal(Uid(0), 0, TO_2));
        let of = |epoch| Some(EvidenceCommit { epoch, file: FILE });
        let found = told();
        let [first] = found.as_slice() else {
            panic!("one validator has scores");
        };
        assert_eq!(
            (first.uid, first.set_at, first.evidence),
            (Uid(0), 1, of(0))
        );
        assert_eq!(first.hotkey, hotkey(Netuid(1), Uid(0)));
        assert_eq!(first.scores, TO_2);
        // What is revealed next takes its place.
        assert_ok!(commit(Uid(0), 1, TO_3));
        run_to(22);
        assert_ok!(reveal(Uid(0), 1, TO_3));
        assert_eq!(
            told().iter().map(|one| one.evidence).collect::<Vec<_>>(),
            [of(1)]
        );
        // Its seat goes, and takes it along.
        World::change_subnet(Netuid(1), |subnet| {
            subnet.members.remove(&Uid(0));
        });
        let key = hotkey(Netuid(1), Uid(0));
        <Emissions as OnMember<AccountId>>::on_left(Netuid(1), Uid(0), &key);
        assert_eq!(told(), []);
    });
}

#[test]
fn who_committed_to_other_evidence_cannot_reveal() {
    ExtBuilder::hidden().build_and_execute(|| {
        assert_ok!(commit(Uid(0), 0, TO_2));
        run_to(12);
        for other in [
            Served {
                root: H256([6; 32]),
                ..FILE
            },
            Served { length: 98, ..FILE },
        ] {
            let signer = RuntimeOrigin::signed(hotkey(Netuid(1), Uid(0)));
            let revealed = Emissions::reveal_scores(signer, Netuid(1), 0, row(TO_2), other, SALT);
            assert_noop!(revealed, Error::<Test>::NotWhatWasCommitted);
        }
        assert_ok!(reveal(Uid(0), 0, TO_2));
    });
}

#[test]
fn a_longer_row_weighs_more() {
    use crate::WeightInfo;
    let weight = |cells| <() as WeightInfo>::reveal_scores(cells);
    assert!(weight(256).all_gt(weight(1)));
}
