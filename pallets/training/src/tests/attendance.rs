//! Who is missed, whose stake leaks, who is slashed.

use cairn_primitives::{traits::Work, Balance, ModelRoot, Netuid, Role, Uid, H256};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError;

use crate::{mock::*, AbsencesOf, Error, Event, Rounds, Runs};

const OTHER: ModelRoot = ModelRoot(H256([9; 32]));

fn current() -> u32 {
    Runs::<Test>::get(NET).and_then(|run| run.round).unwrap()
}

/// Uids of the current round's miners, ascending, and of its validators with what they count.
fn taking_part() -> (Vec<Uid>, Vec<(Uid, Balance)>) {
    let snapshot = Rounds::<Test>::get(NET, current()).unwrap();
    let mut miners: Vec<Uid> = snapshot.miners.iter().map(|(uid, _)| *uid).collect();
    miners.sort_unstable();
    let validators = snapshot.validators.iter();
    (miners, validators.map(|one| (one.uid, one.stake)).collect())
}

/// A round in which these validators attest these roots, and miner 10 contributes from [`ROOT`].
fn round_of(said: &[(Uid, ModelRoot)]) {
    let (round, start) = (current(), start());
    assert_ok!(commit(NET, round, Uid(10), ROOT));
    run_to(start + 4);
    assert_ok!(reveal(NET, round, Uid(10)));
    run_to(start + 8);
    for (uid, root) in said {
        assert_ok!(attest(NET, round, *uid, &[Uid(10)], *root));
    }
    run_to(start + ROUND);
}

fn behind(uid: Uid) -> (Balance, Balance) {
    World::change(NET, |subnet| {
        let member = &subnet.members[&uid];
        (member.stake, member.bond)
    })
}

#[test]
fn who_misses_three_rounds_is_not_expected_until_it_is_back() {
    ExtBuilder::usual().earning().execute(|| {
        for _ in 0..2 {
            whole_round(&[Uid(10), Uid(11)], &[Uid(0), Uid(1)], ROOT);
        }
        assert_eq!(taking_part().0, [10, 11, 12].map(Uid));
        whole_round(&[Uid(10), Uid(11)], &[Uid(0), Uid(1)], ROOT);
        let absent = |uid| Event::MemberAbsent { netuid: NET, uid };
        let told: Vec<_> = events();
        assert!(
            told.contains(&absent(Uid(12))) && told.contains(&absent(Uid(2))),
            "{told:?}"
        );
        let expected = (vec![Uid(10), Uid(11)], vec![(Uid(0), 100), (Uid(1), 100)]);
        assert_eq!(taking_part(), expected);
        let run = Training::run_info(NET).unwrap();
        assert_eq!(
            run.absent,
            [
                (Uid(2), hotkey(NET, Uid(2))),
                (Uid(12), hotkey(NET, Uid(12)))
            ]
        );
        System::reset_events();
        for uid in [2, 12] {
            assert_ok!(Training::here(by(hotkey(NET, Uid(uid))), NET));
            assert_eq!(
                events().pop(),
                Some(Event::MemberBack {
                    netuid: NET,
                    uid: Uid(uid)
                })
            );
        }
        assert_eq!(taking_part(), expected, "from the next round on");
        whole_round(&[Uid(10), Uid(11)], &[Uid(0), Uid(1)], ROOT);
        assert_eq!(taking_part().0, [10, 11, 12].map(Uid));
        assert_eq!(taking_part().1.len(), 3);
        // It has one round to show it.
        whole_round(&[Uid(10), Uid(11), Uid(12)], &[Uid(0), Uid(1)], ROOT);
        assert_eq!(taking_part().0, [10, 11, 12].map(Uid));
        assert_eq!(taking_part().1.len(), 2);
        let kept = AbsencesOf::<Test>::get(NET);
        let missed = kept.values().filter(|one| one.missed > 0).count();
        assert_eq!(missed, 1, "nothing was missed by who is back");
        let held_up: Vec<Uid> = kept.keys().copied().collect();
        assert_eq!(held_up, [Uid(2), Uid(12)], "nothing is kept of the others");
    });
}

#[test]
fn only_who_is_not_expected_can_be_back() {
    ExtBuilder::usual().subnet(Netuid(2)).execute(|| {
        let here = |uid| Training::here(by(hotkey(NET, uid)), NET);
        assert_noop!(here(Uid(12)), Error::<Test>::NotAbsent);
        assert_noop!(here(Uid(77)), Error::<Test>::NotAMember);
        let nobody = Training::here(RuntimeOrigin::root(), NET);
        assert_noop!(nobody, DispatchError::BadOrigin);
        let elsewhere = Training::here(by(hotkey(NET, Uid(12))), Netuid(2));
        assert_noop!(elsewhere, Error::<Test>::NoRun);
        for _ in 0..3 {
            whole_round(&[Uid(10)], &[Uid(0), Uid(1), Uid(2)], ROOT);
        }
        assert_ok!(here(Uid(12)));
        assert_noop!(here(Uid(12)), Error::<Test>::NotAbsent);
    });
}

#[test]
fn what_was_missed_goes_with_the_member_and_with_the_run() {
    ExtBuilder::usual().execute(|| {
        for _ in 0..3 {
            whole_round(&[Uid(10)], &[Uid(0), Uid(1), Uid(2)], ROOT);
        }
        World::leave(NET, Uid(12));
        let newcomer = Member {
            hotkey: hotkey(NET, Uid(112)),
            role: Role::Miner,
            stake: 0,
            bond: MIN_BOND,
            incentive: 0,
        };
        World::change(NET, |subnet| subnet.members.insert(Uid(12), newcomer));
        let gone: Vec<Uid> = AbsencesOf::<Test>::get(NET).keys().copied().collect();
        assert_eq!(gone, [Uid(11)]);
        whole_round(&[Uid(10)], &[Uid(0), Uid(1), Uid(2)], ROOT);
        assert_eq!(taking_part().0, [Uid(10), Uid(12)]);
        assert_ok!(Training::stop_run(by(owner(NET)), NET));
        assert!(!AbsencesOf::<Test>::contains_key(NET));
    });
}

/// D4: half of the stake sleeps.
#[test]
fn when_half_of_the_stake_sleeps_one_round_is_lost() {
    let built = ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[100, 101]);
    built.miners(NET, 1).run(NET, config()).execute(|| {
        round_of(&[(Uid(0), ROOT)]);
        assert!(!Training::lineage(NET, 0)[0].is_final);
        Training::do_try_state().unwrap();
        assert_eq!(taking_part().1, [(Uid(1), 50), (Uid(0), 100)]);
        round_of(&[(Uid(0), ROOT)]);
        assert!(Training::lineage(NET, 1)[0].is_final);
        assert_eq!(Training::settled(NET, 1).unwrap().included, [Uid(10)]);
        assert_eq!(behind(Uid(1)), (101, 0), "to sleep is not slashed");
    });
}

/// In the quorum and in an epoch the same stake counts: half of what sleeps, and later none of it.
#[test]
fn an_epoch_counts_the_stake_that_a_round_counts() {
    let stakes = [(Uid(0), 100), (Uid(1), 101)];
    let built = ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[100, 101]);
    built.miners(NET, 1).run(NET, config()).execute(|| {
        let counted = || {
            let counted = Training::counted(NET, stakes.to_vec());
            counted.into_iter().collect::<Vec<_>>()
        };
        let seats = || {
            let mut seats = taking_part().1;
            seats.sort_unstable();
            seats
        };
        assert_eq!((seats(), counted()), (stakes.to_vec(), stakes.to_vec()));
        round_of(&[(Uid(0), ROOT)]);
        assert_eq!(counted(), [(Uid(0), 100), (Uid(1), 50)]);
        assert_eq!(seats(), counted());
        for _ in 0..2 {
            round_of(&[(Uid(0), ROOT)]);
        }
        assert_eq!(counted(), [(Uid(0), 100)]);
        assert_eq!(seats(), counted());
    });
}

/// D3: a third and a little more attests another root.
#[test]
fn a_third_with_another_root_stops_two_rounds_and_pays_for_it() {
    let built = ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[6_600, 3_400]);
    built.miners(NET, 1).run(NET, config()).execute(|| {
        World::change(NET, |subnet| {
            subnet.members.get_mut(&Uid(1)).unwrap().bond = 40
        });
        for round in 0..2 {
            round_of(&[(Uid(0), ROOT), (Uid(1), OTHER)]);
            assert!(!Training::lineage(NET, round)[0].is_final);
            Training::do_try_state().unwrap();
        }
        assert_eq!(taking_part().1, [(Uid(0), 6_600), (Uid(1), 1_700)]);
        assert_eq!(
            behind(Uid(1)),
            (3_400, 40),
            "nothing before a root is final"
        );
        round_of(&[(Uid(0), ROOT), (Uid(1), OTHER)]);
        assert!(Training::lineage(NET, 2)[0].is_final);
        let lost = Event::RootLost {
            netuid: NET,
            round: 2,
            uid: Uid(1),
            model_root: OTHER,
            slashed: 344,
        };
        assert!(events().contains(&lost), "{:?}", events());
        assert_eq!(behind(Uid(1)), (3_096, 0), "the bond goes first");
        assert_eq!(behind(Uid(0)), (6_600, 0));
        // What leaked stays away until it attests a final root.
        assert_eq!(taking_part().1, [(Uid(0), 6_600), (Uid(1), 1_548)]);
        round_of(&[(Uid(0), ROOT), (Uid(1), ROOT)]);
        assert_eq!(taking_part().1, [(Uid(0), 6_600), (Uid(1), 3_096)]);
        assert_eq!(behind(Uid(1)), (3_096, 0));
    });
}

#[test]
fn a_small_minority_with_another_root_loses_one_percent() {
    let built = ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[1_000, 1_000, 1_000]);
    built.miners(NET, 1).run(NET, config()).execute(|| {
        round_of(&[(Uid(0), ROOT), (Uid(1), ROOT), (Uid(2), OTHER)]);
        assert!(Training::lineage(NET, 0)[0].is_final);
        assert_eq!([0, 1, 2].map(|uid| behind(Uid(uid)).0), [1_000, 1_000, 990]);
        assert_eq!(taking_part().1[2], (Uid(2), 990), "nothing leaks");
    });
}

/// A majority cannot make the chain forget a root that it knows: its own stake leaks.
#[test]
fn what_the_chain_knows_leads() {
    let built = ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[600, 400]);
    built.miners(NET, 1).run(NET, config()).execute(|| {
        for _ in 0..3 {
            round_of(&[(Uid(0), OTHER), (Uid(1), ROOT)]);
        }
        // Not the leader of the attestations, but whoever has the configured root counts in full.
        assert_eq!(taking_part().1, [(Uid(0), 150), (Uid(1), 400)]);
        round_of(&[(Uid(0), OTHER), (Uid(1), ROOT)]);
        assert!(Training::lineage(NET, 3)[0].is_final);
        assert_eq!(behind(Uid(0)).0, 540);
    });
}

#[test]
fn who_leaves_is_neither_missed_nor_slashed() {
    ExtBuilder::usual().execute(|| {
        let (round, start) = (current(), start());
        run_to(start + 8);
        assert_ok!(attest(NET, round, Uid(0), &[], ROOT));
        assert_ok!(attest(NET, round, Uid(1), &[], ROOT));
        assert_ok!(attest(NET, round, Uid(2), &[], OTHER));
        World::leave(NET, Uid(2));
        World::leave(NET, Uid(12));
        run_to(start + ROUND);
        let is_lost = |event: &Event<Test>| matches!(event, Event::RootLost { .. });
        assert!(!events().iter().any(is_lost));
        let missed: Vec<Uid> = AbsencesOf::<Test>::get(NET).keys().copied().collect();
        assert_eq!(missed, [Uid(10), Uid(11)]);
    });
}

/// What a validator says of a contribution.
#[derive(Clone, Copy)]
enum Says {
    Good,
    Broken,
    Nothing,
}

/// A round, up to its end, to which miner 10 contributes: these validators, the first with the lowest uid, say this of
/// that and attest these roots.
fn judge(said: &[(Says, ModelRoot)]) {
    let (round, start) = (current(), start());
    assert_ok!(commit(NET, round, Uid(10), ROOT));
    run_to(start + 4);
    assert_ok!(reveal(NET, round, Uid(10)));
    run_to(start + 8);
    for (uid, (says, root)) in (0..).map(Uid).zip(said) {
        let (good, broken): (&[Uid], &[Uid]) = match says {
            Says::Good => (&[Uid(10)], &[]),
            Says::Broken => (&[], &[Uid(10)]),
            Says::Nothing => (&[], &[]),
        };
        calls_broken(uid, broken);
        assert_ok!(attest(NET, round, uid, good, *root));
    }
}

/// What is left of the stake of four validators after a round in which they said this.
fn stakes_after(said: [(Says, ModelRoot); 4], before_the_end: impl FnOnce()) -> [Balance; 4] {
    let built = ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[1_000; 4]);
    let mut left = [0; 4];
    built.miners(NET, 1).run(NET, config()).execute(|| {
        let end = start() + ROUND;
        judge(&said);
        before_the_end();
        run_to(end);
        left = [0, 1, 2, 3].map(|uid| behind(Uid(uid)).0);
    });
    left
}

#[test]
fn who_calls_good_what_was_found_broken_is_slashed_and_has_not_attended() {
    let built = ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[1_000; 4]);
    built.miners(NET, 1).run(NET, config()).execute(|| {
        let (end, broken) = (start() + ROUND, (Says::Broken, ROOT));
        judge(&[broken, broken, broken, (Says::Good, ROOT)]);
        run_to(end);
        assert!(Training::lineage(NET, 0)[0].is_final);
        assert!(Training::settled(NET, 0).unwrap().included.is_empty());
        let unseen = Event::CalledUnseen {
            netuid: NET,
            round: 0,
            uid: Uid(3),
            maker: Uid(10),
            slashed: 10,
        };
        let told: Vec<_> = events();
        let of_that = |event: &&Event<Test>| matches!(event, Event::CalledUnseen { .. });
        let of_that: Vec<_> = told.iter().filter(of_that).collect();
        assert_eq!(of_that, [&unseen]);
        let left = [0, 1, 2, 3].map(|uid| behind(Uid(uid)).0);
        assert_eq!(left, [1_000, 1_000, 1_000, 990]);
        let attended: Vec<_> = Training::attended(NET).into_iter().collect();
        let [both, none] = [(1, 1), (0, 1)];
        let expected = [both, both, both, none];
        assert_eq!(attended, (0..).map(Uid).zip(expected).collect::<Vec<_>>());
    });
}

/// A miner serves its file to one validator alone: the others say nothing of it.
#[test]
fn who_alone_was_served_a_file_is_not_punished_for_calling_it_good() {
    let (good, nothing) = ((Says::Good, ROOT), (Says::Nothing, ROOT));
    let left = stakes_after([nothing, nothing, nothing, good], || ());
    assert_eq!(left, [1_000; 4]);
}

#[test]
fn less_than_two_thirds_do_not_find_anything_broken() {
    let [good, broken, nothing] =
        [Says::Good, Says::Broken, Says::Nothing].map(|says| (says, ROOT));
    let left = stakes_after([broken, broken, nothing, good], || ());
    assert_eq!(left, [1_000; 4]);
}

#[test]
fn whose_root_lost_is_slashed_once() {
    let broken = (Says::Broken, ROOT);
    let left = stakes_after([broken, broken, broken, (Says::Good, OTHER)], || ());
    assert_eq!(left, [1_000, 1_000, 1_000, 990]);
}

#[test]
fn without_a_final_root_nobody_has_called_anything_unseen() {
    let broken = (Says::Broken, OTHER);
    let left = stakes_after([broken, broken, broken, (Says::Good, OTHER)], || ());
    assert_eq!(left, [1_000; 4]);
}

#[test]
fn what_a_miner_took_with_it_was_not_found_broken() {
    let broken = (Says::Broken, ROOT);
    let said = [broken, broken, broken, (Says::Good, ROOT)];
    let left = stakes_after(said, || World::leave(NET, Uid(10)));
    assert_eq!(left, [1_000; 4]);
}
