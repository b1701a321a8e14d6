//! Miners commit and reveal.

use cairn_primitives::{
    key_hash, Commitment, Hotkey, ModelRoot, Netuid, Role, SealedRoot, Uid, H256,
};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError;

use crate::{mock::*, Contributions, Error, Event};

fn commit_as(change: impl FnOnce(&mut Commitment)) -> sp_runtime::DispatchResult {
    let mut changed = commitment(NET, 0, Uid(10), ROOT);
    change(&mut changed);
    Training::commit(by(hotkey(NET, Uid(10))), NET, 0, changed)
}

#[test]
fn a_miner_commits_in_the_train_phase() {
    ExtBuilder::usual().execute(|| {
        run_to(5);
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        assert_eq!(
            events(),
            [Event::Committed {
                netuid: NET,
                round: 0,
                uid: Uid(10)
            }]
        );
        let contribution = Contributions::<Test>::get((NET, 0, Uid(10))).unwrap();
        assert_eq!(contribution.hotkey, hotkey(NET, Uid(10)));
        assert_eq!(contribution.commitment, commitment(NET, 0, Uid(10), ROOT));
        assert_eq!(contribution.key, None);
    });
}

#[test]
fn a_commitment_after_the_train_phase_is_too_late() {
    ExtBuilder::usual().execute(|| {
        for block in [6, 7, 8, 9] {
            run_to(block);
            assert_noop!(
                commit(NET, 0, Uid(10), ROOT),
                Error::<Test>::TooLateToCommit
            );
        }
    });
}

#[test]
fn a_miner_commits_once() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        assert_noop!(
            commit(NET, 0, Uid(10), ROOT),
            Error::<Test>::AlreadyCommitted
        );
        let another = commit_as(|commitment| commitment.sealed_root = SealedRoot(H256([9; 32])));
        assert_eq!(another, Err(Error::<Test>::AlreadyCommitted.into()));
        run_to(2 + ROUND);
        assert_ok!(commit(NET, 1, Uid(10), ROOT));
    });
}

#[test]
fn nobody_but_a_miner_of_the_round_commits() {
    ExtBuilder::usual().execute(|| {
        let made = commitment(NET, 0, Uid(10), ROOT);
        let error = Error::<Test>::NotAMinerOfThisRound;
        assert_noop!(
            Training::commit(by(stranger()), NET, 0, made.clone()),
            error
        );
        assert_noop!(
            commit(NET, 0, Uid(0), ROOT),
            Error::<Test>::NotAMinerOfThisRound
        );
        let newcomer = Member {
            hotkey: hotkey(NET, Uid(40)),
            role: Role::Miner,
            stake: 0,
            bond: MIN_BOND,
            incentive: 0,
        };
        World::change(NET, |subnet| subnet.members.insert(Uid(40), newcomer));
        assert_noop!(
            commit(NET, 0, Uid(40), ROOT),
            Error::<Test>::NotAMinerOfThisRound
        );
        let nobody = Training::commit(RuntimeOrigin::none(), NET, 0, made);
        assert_noop!(nobody, DispatchError::BadOrigin);
        run_to(2 + ROUND);
        assert_ok!(commit(NET, 1, Uid(40), ROOT));
    });
}

#[test]
fn only_the_current_round_of_a_run_takes_commitments() {
    ExtBuilder::usual()
        .subnet(Netuid(2))
        .run(Netuid(2), config())
        .execute(|| {
            run_to(2 + ROUND);
            assert_noop!(
                commit(NET, 0, Uid(10), ROOT),
                Error::<Test>::NotTheCurrentRound
            );
            assert_noop!(
                commit(NET, 2, Uid(10), ROOT),
                Error::<Test>::NotTheCurrentRound
            );
            assert_noop!(
                commit(Netuid(2), 0, Uid(10), ROOT),
                Error::<Test>::RunNotBegun
            );
            assert_noop!(commit(Netuid(3), 0, Uid(10), ROOT), Error::<Test>::NoRun);
        });
}

#[test]
fn a_commitment_has_bytes_but_not_too_many_and_real_hashes() {
    ExtBuilder::usual().execute(|| {
        assert_noop!(
            commit_as(|c| c.length = 0),
            Error::<Test>::EmptyContribution
        );
        assert_noop!(
            commit_as(|c| c.length = 1_001),
            Error::<Test>::ContributionTooLong
        );
        assert_noop!(
            commit_as(|c| c.sealed_root = SealedRoot::zero()),
            Error::<Test>::ZeroHash
        );
        assert_noop!(
            commit_as(|c| c.key_hash = H256::zero()),
            Error::<Test>::ZeroHash
        );
        assert_noop!(
            commit_as(|c| c.parent_root = ModelRoot::zero()),
            Error::<Test>::ZeroHash
        );
        assert_ok!(commit_as(|c| c.length = 1_000));
    });
}

#[test]
fn who_copies_a_commitment_neither_stops_its_owner_nor_can_open_it() {
    ExtBuilder::usual().execute(|| {
        let original = commitment(NET, 0, Uid(11), ROOT);
        assert_ok!(Training::commit(
            by(hotkey(NET, Uid(10))),
            NET,
            0,
            original.clone()
        ));
        assert_ok!(Training::commit(by(hotkey(NET, Uid(11))), NET, 0, original));
        run_to(6);
        assert_ok!(reveal(NET, 0, Uid(11)));
        let stolen = key(Uid(11));
        assert_noop!(
            Training::reveal(by(hotkey(NET, Uid(10))), NET, 0, stolen),
            Error::<Test>::WrongKey
        );
    });
}

#[test]
fn a_miner_reveals_in_the_reveal_phase() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        run_to(7);
        assert_ok!(reveal(NET, 0, Uid(10)));
        assert_eq!(
            events(),
            [Event::Revealed {
                netuid: NET,
                round: 0,
                uid: Uid(10)
            }]
        );
        assert_eq!(
            Contributions::<Test>::get((NET, 0, Uid(10))).unwrap().key,
            Some(key(Uid(10)))
        );
    });
}

#[test]
fn a_reveal_has_its_time() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        assert_noop!(reveal(NET, 0, Uid(10)), Error::<Test>::TooEarlyToReveal);
        run_to(5);
        assert_noop!(reveal(NET, 0, Uid(10)), Error::<Test>::TooEarlyToReveal);
        run_to(8);
        assert_noop!(reveal(NET, 0, Uid(10)), Error::<Test>::TooLateToReveal);
        run_to(2 + ROUND);
        assert_noop!(reveal(NET, 0, Uid(10)), Error::<Test>::NotTheCurrentRound);
    });
}

#[test]
fn a_reveal_needs_a_commitment_and_comes_once() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        run_to(6);
        assert_noop!(reveal(NET, 0, Uid(11)), Error::<Test>::NotCommitted);
        let foreign = Training::reveal(by(stranger()), NET, 0, key(Uid(10)));
        assert_noop!(foreign, Error::<Test>::NotAMinerOfThisRound);
        let nobody = Training::reveal(RuntimeOrigin::root(), NET, 0, key(Uid(10)));
        assert_noop!(nobody, DispatchError::BadOrigin);
        assert_noop!(reveal(Netuid(3), 0, Uid(10)), Error::<Test>::NoRun);
        assert_ok!(reveal(NET, 0, Uid(10)));
        assert_noop!(reveal(NET, 0, Uid(10)), Error::<Test>::AlreadyRevealed);
    });
}

#[test]
fn only_the_committed_key_opens_and_a_copied_hash_opens_nothing() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        // 11 copies the key's hash of 10, 12 commits to a key for another round.
        let mut copied = commitment(NET, 0, Uid(11), ROOT);
        copied.key_hash = commitment(NET, 0, Uid(10), ROOT).key_hash;
        assert_ok!(Training::commit(by(hotkey(NET, Uid(11))), NET, 0, copied));
        let mut stale = commitment(NET, 0, Uid(12), ROOT);
        stale.key_hash = key_hash(NET, 1, &Hotkey::of(&hotkey(NET, Uid(12))), &key(Uid(12)));
        assert_ok!(Training::commit(by(hotkey(NET, Uid(12))), NET, 0, stale));
        run_to(6);
        let wrong = Training::reveal(by(hotkey(NET, Uid(10))), NET, 0, [0; 32]);
        assert_noop!(wrong, Error::<Test>::WrongKey);
        let another = Training::reveal(by(hotkey(NET, Uid(10))), NET, 0, key(Uid(11)));
        assert_noop!(another, Error::<Test>::WrongKey);
        assert_ok!(reveal(NET, 0, Uid(10)));
        let stolen = Training::reveal(by(hotkey(NET, Uid(11))), NET, 0, key(Uid(10)));
        assert_noop!(stolen, Error::<Test>::WrongKey);
        assert_noop!(reveal(NET, 0, Uid(12)), Error::<Test>::WrongKey);
    });
}
