//! Validators attest.

use cairn_primitives::{Judgement, ModelRoot, Netuid, Role, Uid, Witness, H256};
use cairn_protocol::phase::RoundStage;
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError;

use crate::{mock::*, Attestations, Error, Event, Statement, Tallies};

/// The first block in which validators attest, of a round in which 10 and 11 revealed, and 12 only committed.
fn to_attest(test: impl FnOnce()) {
    let built = ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[100, 200, 400]);
    built.miners(NET, 3).run(NET, config()).execute(|| {
        for uid in [10, 11, 12] {
            assert_ok!(commit(NET, 0, Uid(uid), ROOT));
        }
        run_to(6);
        for uid in [10, 11] {
            assert_ok!(reveal(NET, 0, Uid(uid)));
        }
        run_to(10);
        test();
    });
}

#[test]
fn a_validator_attests_with_the_stake_it_had() {
    to_attest(|| {
        World::change(NET, |subnet| {
            subnet.members.get_mut(&Uid(1)).unwrap().stake = 9_999
        });
        assert_ok!(attest(NET, 0, Uid(1), &[Uid(10)], ROOT));
        let model_root = ROOT;
        assert_eq!(
            events(),
            [Event::Attested {
                netuid: NET,
                round: 0,
                uid: Uid(1),
                model_root
            }]
        );
        assert_ok!(attest(
            NET,
            0,
            Uid(2),
            &[Uid(10), Uid(11)],
            ModelRoot(H256([9; 32]))
        ));
        let tally = Tallies::<Test>::get(NET, 0);
        assert_eq!((tally.attesting_stake, tally.total_stake), (600, 700));
        let support: Vec<_> = tally
            .support
            .iter()
            .map(|(uid, stake)| (*uid, *stake))
            .collect();
        assert_eq!(support, [(Uid(10), 600), (Uid(11), 400)]);
        let roots: Vec<_> = tally
            .roots
            .iter()
            .map(|(root, stake)| (*root, *stake))
            .collect();
        assert_eq!(roots, [(ROOT, 200), (ModelRoot(H256([9; 32])), 400)]);
    });
}

#[test]
fn a_validator_commits_before_it_attests() {
    ExtBuilder::usual().execute(|| {
        run_to(8);
        assert_ok!(commit_attestation(NET, 0, Uid(1), &[], ROOT));
        let (netuid, round, uid) = (NET, 0, 1);
        let committed = Event::AttestationCommitted {
            netuid,
            round,
            uid: Uid(uid),
        };
        assert_eq!(events(), [committed]);
        let promised = hash(NET, 0, Uid(1), &attestation(Uid(1), &[], ROOT));
        let said = Attestations::<Test>::get((NET, 0, Uid(1)));
        assert_eq!(said, Some(Statement::Committed(promised)));
        assert_eq!(Tallies::<Test>::get(NET, 0).attesting_stake, 0);
        let again = commit_attestation(NET, 0, Uid(1), &[Uid(10)], ROOT);
        assert_noop!(again, Error::<Test>::AlreadyCommitted);
        assert_noop!(
            open(NET, 0, Uid(1), &[], ROOT),
            Error::<Test>::TooEarlyToAttest
        );
        run_to(10);
        let other = open(NET, 0, Uid(1), &[Uid(10)], ROOT);
        assert_noop!(other, Error::<Test>::NotAsCommitted);
        let other = open(NET, 0, Uid(1), &[], ModelRoot(H256([9; 32])));
        assert_noop!(other, Error::<Test>::NotAsCommitted);
        let unsalted = Training::attest(
            by(hotkey(NET, Uid(1))),
            NET,
            0,
            ROOT,
            Judgement::default(),
            Witness::default(),
            [0; 32],
        );
        assert_noop!(unsalted, Error::<Test>::NotAsCommitted);
        assert_noop!(open(NET, 0, Uid(2), &[], ROOT), Error::<Test>::NotCommitted);
        assert_ok!(open(NET, 0, Uid(1), &[], ROOT));
        assert_eq!(Tallies::<Test>::get(NET, 0).attesting_stake, 100);
    });
}

/// Whoever waits until it sees what others attest is too late to commit to it, and another's commitment opens nothing.
#[test]
fn what_others_attest_cannot_be_copied() {
    to_attest(|| {
        assert_ok!(attest(NET, 0, Uid(0), &[Uid(10)], ROOT));
        let seen = attestation(Uid(0), &[Uid(10)], ROOT);
        let copy = hash(NET, 0, Uid(1), &seen);
        let late = Training::commit_attestation(by(hotkey(NET, Uid(1))), NET, 0, copy);
        assert_noop!(late, Error::<Test>::TooLateToCommit);
        // It committed to the very hash of the other, and has learned its salt by now.
        let stolen = Statement::Committed(hash(NET, 0, Uid(0), &seen));
        Attestations::<Test>::insert((NET, 0, Uid(1)), stolen);
        Training::comes((NET, 0, Uid(1)), RoundStage::Bind);
        let echoed = Training::attest(
            by(hotkey(NET, Uid(1))),
            NET,
            0,
            seen.model_root,
            seen.verdicts,
            Witness::default(),
            seen.salt,
        );
        assert_noop!(echoed, Error::<Test>::NotAsCommitted);
    });
}

#[test]
fn an_attestation_and_its_commitment_have_their_time() {
    ExtBuilder::usual().execute(|| {
        let early = || Error::<Test>::TooEarlyToAttest;
        for block in 3..8 {
            run_to(block);
            assert_noop!(commit_attestation(NET, 0, Uid(0), &[], ROOT), early());
            assert_noop!(attest(NET, 0, Uid(0), &[], ROOT), early());
        }
        run_to(9);
        assert_noop!(attest(NET, 0, Uid(0), &[], ROOT), early());
        assert_ok!(commit_attestation(NET, 0, Uid(0), &[], ROOT));
        run_to(11);
        let late = Error::<Test>::TooLateToCommit;
        assert_noop!(commit_attestation(NET, 0, Uid(1), &[], ROOT), late);
        assert_ok!(open(NET, 0, Uid(0), &[], ROOT));
        run_to(12);
        let gone = || Error::<Test>::NotTheCurrentRound;
        assert_noop!(attest(NET, 0, Uid(1), &[], ROOT), gone());
        assert_noop!(commit_attestation(NET, 0, Uid(1), &[], ROOT), gone());
        assert_noop!(attest(NET, 1, Uid(1), &[], ROOT), early());
        assert_noop!(
            attest(Netuid(3), 0, Uid(1), &[], ROOT),
            Error::<Test>::NoRun
        );
        assert_noop!(
            commit_attestation(Netuid(3), 0, Uid(1), &[], ROOT),
            Error::<Test>::NoRun
        );
    });
}

#[test]
fn a_validator_attests_once() {
    to_attest(|| {
        assert_ok!(attest(NET, 0, Uid(0), &[Uid(10)], ROOT));
        assert_noop!(
            attest(NET, 0, Uid(0), &[Uid(10), Uid(11)], ROOT),
            Error::<Test>::AlreadyAttested
        );
    });
}

#[test]
fn nobody_but_a_validator_of_the_round_attests() {
    to_attest(|| {
        assert_noop!(
            attest(NET, 0, Uid(10), &[Uid(10)], ROOT),
            Error::<Test>::NotAValidatorOfThisRound
        );
        let attests = |by| {
            Training::attest(
                by,
                NET,
                0,
                ROOT,
                Judgement::default(),
                Witness::default(),
                Default::default(),
            )
        };
        let stranger = attests(by(stranger()));
        assert_noop!(stranger, Error::<Test>::NotAValidatorOfThisRound);
        assert_noop!(attests(RuntimeOrigin::root()), DispatchError::BadOrigin);
        let commits = |by| Training::commit_attestation(by, NET, 0, ROOT.0);
        let miner = commits(by(hotkey(NET, Uid(10))));
        assert_noop!(miner, Error::<Test>::NotAValidatorOfThisRound);
        assert_noop!(commits(RuntimeOrigin::root()), DispatchError::BadOrigin);
        let newcomer = Member {
            hotkey: hotkey(NET, Uid(5)),
            role: Role::Validator,
            stake: 900,
            bond: 0,
            incentive: 0,
        };
        World::change(NET, |subnet| subnet.members.insert(Uid(5), newcomer));
        assert_noop!(
            attest(NET, 0, Uid(5), &[], ROOT),
            Error::<Test>::NotAValidatorOfThisRound
        );
    });
}

#[test]
fn verdicts_on_what_was_not_revealed_count_for_nothing() {
    to_attest(|| {
        assert_ok!(attest(NET, 0, Uid(0), &[Uid(10), Uid(12), Uid(255)], ROOT));
        let support = Tallies::<Test>::get(NET, 0).support;
        let support: Vec<_> = support.into_iter().collect();
        assert_eq!(support, [(Uid(10), 100), (Uid(11), 0)]);
        assert_eq!(Attestations::<Test>::iter().count(), 1);
    });
}

#[test]
fn what_validators_say_to_be_broken_is_counted() {
    to_attest(|| {
        calls_broken(Uid(0), &[10, 12].map(Uid));
        assert_ok!(attest(NET, 0, Uid(0), &[Uid(11)], ROOT));
        calls_broken(Uid(2), &[10, 11].map(Uid));
        assert_ok!(attest(NET, 0, Uid(2), &[], ROOT));
        let tally = Tallies::<Test>::get(NET, 0);
        let broken: Vec<_> = tally.broken.clone().into_iter().collect();
        assert_eq!(broken, [(Uid(10), 500), (Uid(11), 400)]);
        assert_eq!(
            tally.found_broken().uids().collect::<Vec<_>>(),
            [10, 11].map(Uid)
        );
        World::leave(NET, Uid(2));
        let tally = Tallies::<Test>::get(NET, 0);
        let broken: Vec<_> = tally.broken.into_iter().collect();
        assert_eq!(broken, [(Uid(10), 100)]);
    });
}

#[test]
fn nothing_is_called_good_and_broken_at_once() {
    to_attest(|| {
        calls_broken(Uid(0), &[Uid(10)]);
        assert_noop!(
            attest(NET, 0, Uid(0), &[10, 11].map(Uid), ROOT),
            Error::<Test>::GoodAndBroken
        );
        assert_ok!(attest(NET, 0, Uid(0), &[Uid(11)], ROOT));
    });
}

#[test]
fn nobody_commits_to_or_attests_zero() {
    ExtBuilder::usual().execute(|| {
        run_to(8);
        let zero = Training::commit_attestation(by(hotkey(NET, Uid(0))), NET, 0, H256::zero());
        assert_noop!(zero, Error::<Test>::ZeroHash);
        run_to(10);
        let error = Error::<Test>::ZeroModelRoot;
        assert_noop!(attest(NET, 0, Uid(0), &[], ModelRoot::zero()), error);
    });
}
