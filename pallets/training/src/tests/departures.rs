//! Members leave, and are replaced, in the middle of a round.

use cairn_primitives::{
    traits::{OnMember, Work},
    ModelRoot, Netuid, Role, Uid,
};
use frame_support::{assert_noop, assert_ok};

use crate::{
    mock::*, Absence, AbsencesOf, Attestations, Contributions, Error, Event, Rounds, Tallies,
};

fn replace(uid: Uid, stake: u64, bond: u64) {
    World::leave(NET, uid);
    let hotkey = hotkey(NET, Uid(uid.get() + 100));
    World::change(NET, |subnet| {
        subnet.members.insert(
            uid,
            Member {
                hotkey,
                role: Role::Miner,
                stake,
                bond,
                incentive: 0,
            },
        )
    });
}

#[test]
fn a_miner_that_leaves_takes_its_commitment_with_it() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        System::reset_events();
        World::leave(NET, Uid(10));
        assert_eq!(
            events(),
            [Event::ContributionDropped {
                netuid: NET,
                round: 0,
                uid: Uid(10)
            }]
        );
        assert!(!Contributions::<Test>::contains_key((NET, 0, Uid(10))));
        assert_noop!(
            commit(NET, 0, Uid(10), ROOT),
            Error::<Test>::NotAMinerOfThisRound
        );
        run_to(6);
        assert_noop!(reveal(NET, 0, Uid(10)), Error::<Test>::NotAMinerOfThisRound);
    });
}

#[test]
fn a_miner_that_left_is_not_included_and_spoils_no_attestation() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        assert_ok!(commit(NET, 0, Uid(11), ROOT));
        run_to(6);
        assert_ok!(reveal(NET, 0, Uid(10)));
        assert_ok!(reveal(NET, 0, Uid(11)));
        run_to(10);
        assert_ok!(attest(NET, 0, Uid(0), &[Uid(10), Uid(11)], ROOT));
        replace(Uid(10), 0, MIN_BOND);
        Training::do_try_state().unwrap();
        assert_ok!(attest(NET, 0, Uid(1), &[Uid(10), Uid(11)], ROOT));
        assert_ok!(attest(NET, 0, Uid(2), &[Uid(11)], ROOT));
        run_to(2 + ROUND);
        assert_eq!(Training::settled(NET, 0).unwrap().included, [Uid(11)]);
    });
}

#[test]
fn whoever_takes_over_a_uid_takes_part_from_the_next_round_on() {
    ExtBuilder::usual().execute(|| {
        replace(Uid(10), 0, MIN_BOND);
        let newcomer = || by(hotkey(NET, Uid(110)));
        let made = |round| cairn_primitives::Commitment {
            parent_root: ROOT,
            ..commitment(NET, round, Uid(110), ROOT)
        };
        let error = Error::<Test>::NotAMinerOfThisRound;
        assert_noop!(Training::commit(newcomer(), NET, 0, made(0)), error);
        // The old member comes back under its old number in the same round: too late as well.
        World::change(NET, |subnet| {
            subnet.members.get_mut(&Uid(10)).unwrap().hotkey = hotkey(NET, Uid(10))
        });
        assert_noop!(
            commit(NET, 0, Uid(10), ROOT),
            Error::<Test>::NotAMinerOfThisRound
        );
        World::change(NET, |subnet| {
            subnet.members.get_mut(&Uid(10)).unwrap().hotkey = hotkey(NET, Uid(110))
        });
        run_to(2 + ROUND);
        assert_ok!(Training::commit(newcomer(), NET, 1, made(1)));
        assert_eq!(
            Contributions::<Test>::get((NET, 1, Uid(10)))
                .unwrap()
                .hotkey,
            hotkey(NET, Uid(110))
        );
    });
}

#[test]
fn a_validator_that_leaves_takes_its_vote_and_its_weight_with_it() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        run_to(6);
        assert_ok!(reveal(NET, 0, Uid(10)));
        run_to(10);
        assert_ok!(attest(
            NET,
            0,
            Uid(0),
            &[Uid(10)],
            ModelRoot(cairn_primitives::H256([9; 32]))
        ));
        assert_ok!(attest(NET, 0, Uid(1), &[Uid(10)], ROOT));
        System::reset_events();
        World::leave(NET, Uid(0));
        assert_eq!(
            events(),
            [Event::AttestationDropped {
                netuid: NET,
                round: 0,
                uid: Uid(0)
            }]
        );
        assert!(!Attestations::<Test>::contains_key((NET, 0, Uid(0))));
        let tally = Tallies::<Test>::get(NET, 0);
        assert_eq!((tally.attesting_stake, tally.total_stake), (100, 200));
        assert_eq!(tally.support.get(&Uid(10)), Some(&100));
        assert_eq!(tally.leading_root(), Some((ROOT, 100)));
        assert_eq!(tally.roots.len(), 1);
        run_to(2 + ROUND);
        assert_eq!(Training::settled(NET, 0).unwrap().included, [Uid(10)]);
    });
}

#[test]
fn a_validator_that_left_before_it_attested_cannot_any_more() {
    ExtBuilder::usual().execute(|| {
        World::leave(NET, Uid(0));
        assert_eq!(events().len(), 1, "nothing but the round's beginning");
        assert_eq!(Tallies::<Test>::get(NET, 0).total_stake, 200);
        run_to(10);
        assert_noop!(
            attest(NET, 0, Uid(0), &[], ROOT),
            Error::<Test>::NotAValidatorOfThisRound
        );
    });
}

#[test]
fn who_is_not_in_the_snapshot_leaves_without_a_trace() {
    ExtBuilder::usual().execute(|| {
        let hotkey = hotkey(NET, Uid(50));
        World::change(NET, |subnet| {
            subnet.members.insert(
                Uid(50),
                Member {
                    hotkey,
                    role: Role::Validator,
                    stake: 500,
                    bond: 0,
                    incentive: 0,
                },
            )
        });
        let before = (Rounds::<Test>::get(NET, 0), Tallies::<Test>::get(NET, 0));
        World::leave(NET, Uid(50));
        // The uid of a miner, but another's hotkey; and a subnet without a run.
        Training::on_left(NET, Uid(10), &stranger());
        Training::on_left(Netuid(9), Uid(10), &stranger());
        assert_eq!(
            (Rounds::<Test>::get(NET, 0), Tallies::<Test>::get(NET, 0)),
            before
        );
    });
}

#[test]
fn settled_rounds_do_not_change_when_a_member_leaves() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[Uid(10), Uid(11)], &[0, 1, 2].map(Uid), ROOT);
        let before = (Training::settled(NET, 0), Training::contributions(NET, 0));
        World::leave(NET, Uid(10));
        World::leave(NET, Uid(0));
        assert_eq!(
            (Training::settled(NET, 0), Training::contributions(NET, 0)),
            before
        );
    });
}

#[test]
fn who_changes_its_hotkey_forfeits_the_round_and_is_in_the_next() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        System::reset_events();
        let new = hotkey(NET, Uid(110));
        World::change(NET, |subnet| {
            subnet.members.get_mut(&Uid(10)).unwrap().hotkey = new.clone();
        });
        Training::on_swapped(NET, Uid(10), &hotkey(NET, Uid(10)), &new);
        assert_eq!(
            events(),
            [Event::ContributionDropped {
                netuid: NET,
                round: 0,
                uid: Uid(10)
            }]
        );
        assert_noop!(
            commit(NET, 0, Uid(10), ROOT),
            Error::<Test>::NotAMinerOfThisRound
        );
        run_to(2 + ROUND);
        let miners = &Rounds::<Test>::get(NET, 1).unwrap().miners;
        assert!(miners.contains(&(Uid(10), new)));
    });
}

/// A member signs with another hotkey from now on.
fn swap(uid: Uid) {
    let new = hotkey(NET, Uid(uid.get() + 100));
    World::change(NET, |subnet| {
        subnet.members.get_mut(&uid).unwrap().hotkey = new.clone();
    });
    Training::on_swapped(NET, uid, &hotkey(NET, uid), &new);
}

#[test]
fn another_hotkey_washes_nothing_off() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[Uid(10), Uid(11)], &[Uid(0), Uid(1)], ROOT);
        let marked = Absence {
            missed: 2,
            halved: 1,
            unawaited: 9,
            left_out: false,
        };
        AbsencesOf::<Test>::mutate(NET, |all| {
            for uid in [Uid(2), Uid(12)] {
                all.try_insert(uid, marked).expect("there is room");
            }
        });
        let record = || (Training::attended(NET), Training::included(NET));
        let before = record();
        assert_eq!(before.0[&Uid(2)], (0, 1), "it attested nothing");
        for uid in [2, 10, 12].map(Uid) {
            swap(uid);
        }
        let kept = AbsencesOf::<Test>::get(NET);
        assert_eq!(kept[&Uid(2)], marked);
        let left_out = Absence {
            left_out: true,
            ..marked
        };
        assert_eq!(kept[&Uid(12)], left_out);
        assert_eq!(record(), before);
    });
}

#[test]
fn another_hotkey_makes_no_miner_a_newcomer() {
    ExtBuilder::usual().execute(|| {
        for uid in [Uid(10), Uid(0)] {
            swap(uid);
        }
        let kept = AbsencesOf::<Test>::get(NET);
        assert_eq!((kept.len(), kept[&Uid(10)].left_out), (1, true));
        World::leave(NET, Uid(10));
        assert!(AbsencesOf::<Test>::get(NET).is_empty());
    });
}
