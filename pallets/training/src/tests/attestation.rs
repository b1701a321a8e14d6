//! Validators attest.

use cairn_primitives::{Verdicts, H256};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError;

use crate::{mock::*, Attestations, Error, Event, Tallies};

/// Block 8 of a round in which 10 and 11 revealed, and 12 only committed.
fn to_attest(test: impl FnOnce()) {
    let built = ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[100, 200, 400]);
    built.miners(NET, 3).run(NET, config()).execute(|| {
        for uid in [10, 11, 12] {
            assert_ok!(commit(NET, 0, uid, ROOT));
        }
        run_to(6);
        for uid in [10, 11] {
            assert_ok!(reveal(NET, 0, uid));
        }
        run_to(8);
        test();
    });
}

#[test]
fn a_validator_attests_with_the_stake_it_had() {
    to_attest(|| {
        World::change(NET, |subnet| {
            subnet.members.get_mut(&1).unwrap().stake = 9_999
        });
        assert_ok!(attest(NET, 0, 1, &[10], ROOT));
        let model_root = ROOT;
        assert_eq!(
            events(),
            [Event::Attested {
                netuid: NET,
                round: 0,
                uid: 1,
                model_root
            }]
        );
        assert_ok!(attest(NET, 0, 2, &[10, 11], H256([9; 32])));
        let tally = Tallies::<Test>::get(NET, 0);
        assert_eq!((tally.attesting_stake, tally.total_stake), (600, 700));
        let support: Vec<_> = tally
            .support
            .iter()
            .map(|(uid, stake)| (*uid, *stake))
            .collect();
        assert_eq!(support, [(10, 600), (11, 400)]);
        let roots: Vec<_> = tally
            .roots
            .iter()
            .map(|(root, stake)| (*root, *stake))
            .collect();
        assert_eq!(roots, [(ROOT, 200), (H256([9; 32]), 400)]);
    });
}

#[test]
fn an_attestation_has_its_time() {
    ExtBuilder::usual().execute(|| {
        for block in 3..8 {
            run_to(block);
            assert_noop!(
                attest(NET, 0, 0, &[], ROOT),
                Error::<Test>::TooEarlyToAttest
            );
        }
        run_to(9);
        assert_ok!(attest(NET, 0, 0, &[], ROOT));
        run_to(10);
        assert_noop!(
            attest(NET, 0, 1, &[], ROOT),
            Error::<Test>::NotTheCurrentRound
        );
        assert_noop!(
            attest(NET, 1, 1, &[], ROOT),
            Error::<Test>::TooEarlyToAttest
        );
        assert_noop!(attest(3, 0, 1, &[], ROOT), Error::<Test>::NoRun);
    });
}

#[test]
fn a_validator_attests_once() {
    to_attest(|| {
        assert_ok!(attest(NET, 0, 0, &[10], ROOT));
        assert_noop!(
            attest(NET, 0, 0, &[10, 11], ROOT),
            Error::<Test>::AlreadyAttested
        );
    });
}

#[test]
fn nobody_but_a_validator_of_the_round_attests() {
    to_attest(|| {
        assert_noop!(
            attest(NET, 0, 10, &[10], ROOT),
            Error::<Test>::NotAValidatorOfThisRound
        );
        let foreign = Training::attest(by(stranger()), NET, 0, Verdicts::default(), ROOT);
        assert_noop!(foreign, Error::<Test>::NotAValidatorOfThisRound);
        let nobody = Training::attest(RuntimeOrigin::root(), NET, 0, Verdicts::default(), ROOT);
        assert_noop!(nobody, DispatchError::BadOrigin);
        let newcomer = Member {
            hotkey: hotkey(NET, 5),
            stake: 900,
            bond: 0,
            incentive: 0,
        };
        World::change(NET, |subnet| subnet.members.insert(5, newcomer));
        assert_noop!(
            attest(NET, 0, 5, &[], ROOT),
            Error::<Test>::NotAValidatorOfThisRound
        );
    });
}

#[test]
fn verdicts_are_on_revealed_contributions_only() {
    to_attest(|| {
        let error = Error::<Test>::VerdictOnUnrevealed;
        assert_noop!(attest(NET, 0, 0, &[10, 12], ROOT), error);
        let error = Error::<Test>::VerdictOnUnrevealed;
        assert_noop!(attest(NET, 0, 0, &[255], ROOT), error);
        let error = Error::<Test>::ZeroModelRoot;
        assert_noop!(attest(NET, 0, 0, &[10], H256::zero()), error);
        assert_ok!(attest(NET, 0, 0, &[], ROOT));
        assert_eq!(Attestations::<Test>::iter().count(), 1);
    });
}
