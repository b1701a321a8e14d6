//! A call of a round is free of fees exactly when it will succeed.

use cairn_primitives::{Uid, H256};
use frame_support::{assert_ok, dispatch::CheckIfFeeless};

use crate::{mock::*, Attestation, Call};

fn is_free(call: &Call<Test>, who: RuntimeOrigin) -> bool {
    call.is_feeless(&who)
}

fn committing(round: u32, uid: Uid) -> Call<Test> {
    Call::commit {
        netuid: NET,
        round,
        commitment: commitment(NET, round, uid, ROOT),
    }
}

fn revealing(uid: Uid) -> Call<Test> {
    Call::reveal {
        netuid: NET,
        round: 0,
        key: key(uid),
    }
}

fn attesting(good: &[Uid]) -> Call<Test> {
    let Attestation {
        model_root,
        verdicts,
        witness,
        salt,
    } = attestation(Uid(0), good, ROOT);
    Call::attest {
        netuid: NET,
        round: 0,
        model_root,
        verdicts,
        witness,
        salt,
    }
}

#[test]
fn a_commitment_is_free_once_for_a_miner_in_time() {
    ExtBuilder::usual().execute(|| {
        let miner = || by(hotkey(NET, Uid(10)));
        assert!(is_free(&committing(0, Uid(10)), miner()));
        assert!(!is_free(&committing(1, Uid(10)), miner()), "another round");
        assert!(!is_free(&committing(0, Uid(10)), by(stranger())));
        assert!(
            !is_free(&committing(0, Uid(10)), by(hotkey(NET, Uid(0)))),
            "a validator"
        );
        assert!(!is_free(&committing(0, Uid(10)), RuntimeOrigin::root()));
        let mut empty = commitment(NET, 0, Uid(10), ROOT);
        empty.length = 0;
        assert!(!is_free(
            &Call::commit {
                netuid: NET,
                round: 0,
                commitment: empty
            },
            miner()
        ));
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        assert!(!is_free(&committing(0, Uid(10)), miner()), "twice");
        run_to(6);
        assert!(
            !is_free(&committing(0, Uid(11)), by(hotkey(NET, Uid(11)))),
            "too late"
        );
    });
}

#[test]
fn a_reveal_is_free_once_with_the_right_key() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        let miner = || by(hotkey(NET, Uid(10)));
        assert!(!is_free(&revealing(Uid(10)), miner()), "too early");
        run_to(6);
        assert!(is_free(&revealing(Uid(10)), miner()));
        assert!(!is_free(&revealing(Uid(11)), miner()), "wrong key");
        assert!(
            !is_free(&revealing(Uid(11)), by(hotkey(NET, Uid(11)))),
            "not committed"
        );
        assert_ok!(reveal(NET, 0, Uid(10)));
        assert!(!is_free(&revealing(Uid(10)), miner()), "twice");
    });
}

#[test]
fn an_attestation_and_its_commitment_are_free_once_for_a_validator_in_time() {
    ExtBuilder::usual().execute(|| {
        let committing = |hash| -> Call<Test> {
            Call::commit_attestation {
                netuid: NET,
                round: 0,
                hash,
            }
        };
        let promised = hash(NET, 0, Uid(0), &attestation(Uid(0), &[Uid(10)], ROOT));
        let validator = || by(hotkey(NET, Uid(0)));
        run_to(7);
        assert!(!is_free(&committing(promised), validator()), "too early");
        run_to(8);
        assert!(is_free(&committing(promised), validator()));
        assert!(
            !is_free(&committing(promised), by(hotkey(NET, Uid(10)))),
            "a miner"
        );
        assert!(!is_free(&committing(H256::zero()), validator()));
        assert_ok!(commit_attestation(NET, 0, Uid(0), &[Uid(10)], ROOT));
        assert!(!is_free(&committing(promised), validator()), "twice");
        assert!(!is_free(&attesting(&[Uid(10)]), validator()), "too early");
        run_to(10);
        let late = by(hotkey(NET, Uid(1)));
        assert!(!is_free(&committing(promised), late), "too late");
        assert!(is_free(&attesting(&[Uid(10)]), validator()));
        assert!(!is_free(&attesting(&[]), validator()), "something else");
        assert!(
            !is_free(&attesting(&[Uid(10)]), by(hotkey(NET, Uid(1)))),
            "not bound"
        );
        assert!(
            !is_free(&attesting(&[Uid(10)]), by(hotkey(NET, Uid(10)))),
            "a miner"
        );
        assert_ok!(open(NET, 0, Uid(0), &[Uid(10)], ROOT));
        assert!(!is_free(&attesting(&[Uid(10)]), validator()), "twice");
    });
}

#[test]
fn to_say_that_it_is_back_is_free_for_whom_nobody_expects() {
    ExtBuilder::usual().execute(|| {
        let here = || -> Call<Test> { Call::here { netuid: NET } };
        let miner = || by(hotkey(NET, Uid(12)));
        assert!(!is_free(&here(), miner()), "it is expected");
        for _ in 0..3 {
            whole_round(&[Uid(10)], &[Uid(0), Uid(1), Uid(2)], ROOT);
        }
        assert!(is_free(&here(), miner()));
        assert!(
            !is_free(&here(), by(hotkey(NET, Uid(10)))),
            "it is expected"
        );
        assert!(!is_free(&here(), by(stranger())));
        assert_ok!(Training::here(miner(), NET));
        assert!(!is_free(&here(), miner()), "twice");
    });
}

#[test]
fn starting_and_stopping_are_paid_for() {
    ExtBuilder::usual().execute(|| {
        let stop: Call<Test> = Call::stop_run { netuid: NET };
        assert!(!is_free(&stop, by(owner(NET))));
    });
}
