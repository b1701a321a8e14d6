//! Rounds begin and follow each other.

use std::collections::BTreeSet;

use cairn_primitives::{Netuid, Phase, Role, RunConfig, Uid, MAX_VALIDATORS};
use cairn_protocol::exam::least_free;
use frame_support::assert_ok;

use crate::{mock::*, Absence, AbsencesOf, Agenda, Event, Rounds, Runs, Waiting};

fn round_of(netuid: Netuid) -> Option<u32> {
    Runs::<Test>::get(netuid).and_then(|run| run.round)
}

fn validators() -> Vec<(Uid, u64)> {
    let round = round_of(NET).unwrap();
    let snapshot = Rounds::<Test>::get(NET, round).unwrap();
    snapshot
        .validators
        .iter()
        .map(|validator| (validator.uid, validator.stake))
        .collect()
}

fn miners() -> Vec<Uid> {
    let snapshot = Rounds::<Test>::get(NET, round_of(NET).unwrap()).unwrap();
    let mut uids: Vec<Uid> = snapshot.miners.iter().map(|(uid, _)| *uid).collect();
    uids.sort_unstable();
    uids
}

#[test]
fn the_first_round_begins_in_the_next_block() {
    ExtBuilder::usual().execute(|| {
        let snapshot = Rounds::<Test>::get(NET, 0).unwrap();
        let seed = snapshot.seed;
        assert_eq!(
            events(),
            [Event::RoundStarted {
                netuid: NET,
                round: 0,
                seed
            }]
        );
        assert_eq!(snapshot.start, 2);
        assert_eq!((snapshot.pass, snapshot.cursor), (0, 0));
        assert!(Agenda::<Test>::contains_key(2 + ROUND, NET));
        assert!(!Waiting::<Test>::contains_key(NET));
    });
}

#[test]
fn the_first_round_waits_for_a_miner_and_a_validator() {
    ExtBuilder::default()
        .subnet(NET)
        .miners(NET, 1)
        .run(NET, config())
        .execute(|| {
            run_to(20);
            assert_eq!((round_of(NET), events()), (None, vec![]));
            World::change(NET, |subnet| {
                let member = subnet.members.get_mut(&Uid(10)).unwrap();
                (member.role, member.stake) = (Role::Validator, MIN_STAKE);
            });
            next_block();
            assert_eq!(round_of(NET), None, "a validator, but no miner is left");
            let newcomer = Member {
                hotkey: hotkey(NET, Uid(11)),
                role: Role::Miner,
                stake: 0,
                bond: MIN_BOND,
                incentive: 0,
            };
            World::change(NET, |subnet| subnet.members.insert(Uid(11), newcomer));
            next_block();
            assert_eq!(round_of(NET), Some(0));
            assert_eq!(start(), 22);
        });
}

#[test]
fn many_waiting_runs_delay_no_round_and_are_all_looked_at() {
    let mut built = ExtBuilder::usual();
    for netuid in (2..22).map(Netuid) {
        built = built.subnet(netuid).miners(netuid, 1).run(netuid, config());
    }
    built.execute(|| {
        MaxTransitionsPerBlock::set(3);
        // NET may have had to wait for its turn among the 21.
        while round_of(NET).is_none() {
            next_block();
        }
        let (start, now) = (start(), System::block_number());
        assert!(now <= 9, "21 runs, at least 3 a block");
        for netuid in (2..22).map(Netuid) {
            World::change(netuid, |subnet| {
                let hotkey = hotkey(netuid, Uid(0));
                let validator = Member {
                    hotkey,
                    role: Role::Validator,
                    stake: MIN_STAKE,
                    bond: 0,
                    incentive: 0,
                };
                subnet.members.insert(Uid(0), validator);
            });
        }
        for _ in 0..7 {
            next_block();
        }
        assert!((2..22).all(|netuid| round_of(Netuid(netuid)) == Some(0)));
        run_to(start + ROUND);
        assert_eq!(round_of(NET), Some(1), "on time");
    });
}

#[test]
fn phases_count_from_the_recorded_start() {
    ExtBuilder::usual().execute(|| {
        let phase = || Training::run_info(NET).unwrap().round.phase;
        let mut phases = vec![phase()];
        for _ in 1..ROUND {
            next_block();
            phases.push(phase());
        }
        use Phase::*;
        assert_eq!(
            phases,
            [Train, Train, Train, Train, Reveal, Reveal, Attest, Attest, Attest, Attest]
        );
        next_block();
        assert_eq!((round_of(NET), phase()), (Some(1), Train));
        assert_eq!(start(), 2 + ROUND);
    });
}

#[test]
fn a_block_settles_one_round_and_begins_the_next() {
    ExtBuilder::usual().execute(|| {
        run_to(2 + ROUND);
        let seed = Rounds::<Test>::get(NET, 1).unwrap().seed;
        assert_ne!(
            Some(seed),
            Rounds::<Test>::get(NET, 0).map(|round| round.seed)
        );
        assert_eq!(
            events(),
            [
                Event::RoundSettled {
                    netuid: NET,
                    round: 0,
                    included: vec![]
                },
                Event::RoundStarted {
                    netuid: NET,
                    round: 1,
                    seed
                },
            ]
        );
    });
}

#[test]
fn what_is_in_a_block_changes_nothing_that_is_drawn_after_it() {
    let drawn = |is_busy: bool| {
        let mut drawn = None;
        ExtBuilder::usual().execute(|| {
            if is_busy {
                assert_ok!(commit(NET, 0, Uid(10), ROOT));
            }
            let next = 2 + ROUND;
            run_to(next - 1);
            // Another parent, as its author may choose.
            let parent = cairn_primitives::H256::repeat_byte(u8::from(is_busy));
            System::initialize(&next, &parent, &Default::default());
            <Training as frame_support::traits::Hooks<u32>>::on_initialize(next);
            let seed = Rounds::<Test>::get(NET, 1).unwrap().seed;
            drawn = Some((seed, Training::settled(NET, 0).unwrap().exam));
        });
        drawn
    };
    assert!(drawn(true).is_some() && drawn(true) == drawn(false));
}

#[test]
fn two_subnets_turn_in_the_same_block() {
    let other = Netuid(2);
    let built = ExtBuilder::usual()
        .subnet(other)
        .validators(other, &[500])
        .miners(other, 2);
    built.run(other, config()).execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        assert_ok!(commit(other, 0, Uid(10), ROOT));
        assert_ok!(commit(other, 0, Uid(11), ROOT));
        run_to(6);
        assert_ok!(reveal(NET, 0, Uid(10)));
        assert_ok!(reveal(other, 0, Uid(11)));
        run_to(10);
        assert_ok!(attest(other, 0, Uid(0), &[Uid(11)], ROOT));
        assert_ok!(attest(NET, 0, Uid(0), &[Uid(10)], ROOT));
        assert_ok!(attest(NET, 0, Uid(1), &[Uid(10)], ROOT));
        run_to(2 + ROUND);
        assert_eq!((round_of(NET), round_of(other)), (Some(1), Some(1)));
        assert_eq!(Training::settled(NET, 0).unwrap().included, [Uid(10)]);
        assert_eq!(Training::settled(other, 0).unwrap().included, [Uid(11)]);
        let seeds = [NET, other].map(|netuid| Rounds::<Test>::get(netuid, 1).unwrap().seed);
        assert_ne!(seeds[0], seeds[1]);
    });
}

#[test]
fn what_a_block_cannot_reach_the_next_ones_do_first() {
    let mut built = ExtBuilder::default();
    for netuid in (1..=7).map(Netuid) {
        built = built
            .subnet(netuid)
            .validators(netuid, &[100])
            .miners(netuid, 1)
            .run(netuid, config());
    }
    built.execute(|| {
        // Two looks of four: runs 1 to 7 began in blocks 2 and 3.
        run_to(3);
        assert!((1..=7).all(|netuid| round_of(Netuid(netuid)) == Some(0)));
        let began =
            |netuid, round| Rounds::<Test>::get(Netuid(netuid), round).map(|round| round.start);
        let first: Vec<_> = (1..=7).map(|netuid| began(netuid, 0).unwrap()).collect();
        MaxTransitionsPerBlock::set(1);
        run_to(30);
        for (netuid, first) in (1..=7).zip(first) {
            let second = began(netuid, 1).unwrap();
            assert!(
                second >= first + ROUND && second < first + ROUND + 7,
                "late, but not lost"
            );
        }
        // One transition a block and seven runs of ten blocks: nobody is ever passed over.
        run_to(100);
        let rounds: Vec<_> = (1..=7)
            .map(|netuid| round_of(Netuid(netuid)).unwrap())
            .collect();
        let (least, most) = (rounds.iter().min().unwrap(), rounds.iter().max().unwrap());
        assert!(most - least <= 1, "{rounds:?}");
    });
}

#[test]
fn a_late_transition_accepts_nothing_and_skips_nothing() {
    ExtBuilder::usual().execute(|| {
        run_to(11);
        MaxTransitionsPerBlock::set(0);
        next_block();
        next_block();
        assert_eq!(Training::run_info(NET).unwrap().round.phase, Phase::Settle);
        let error = crate::Error::<Test>::TooLateToAttest;
        frame_support::assert_noop!(attest(NET, 0, Uid(0), &[], ROOT), error);
        MaxTransitionsPerBlock::set(4);
        next_block();
        assert_eq!((round_of(NET), start()), (Some(1), 14));
        assert_eq!(Runs::<Test>::get(NET).unwrap().times.due, 14 + ROUND);
    });
}

#[test]
fn validators_are_those_with_the_most_stake_at_the_rounds_start() {
    ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[150, 99, 300, 150, 200, 100])
        .miners(NET, 1)
        .run(NET, config())
        .execute(|| {
            assert_eq!(
                validators(),
                [
                    (Uid(2), 300),
                    (Uid(4), 200),
                    (Uid(0), 150),
                    (Uid(3), 150),
                    (Uid(5), 100)
                ]
            );
            World::change(NET, |subnet| {
                subnet.rules.max_validators = 2;
                subnet.members.get_mut(&Uid(0)).unwrap().stake = 1_000;
            });
            assert_eq!(validators().len(), 5, "a snapshot does not change");
            run_to(2 + ROUND);
            // Nobody attested, so half of what each has counts.
            assert_eq!(validators(), [(Uid(0), 500), (Uid(2), 150)]);
            assert_eq!(
                miners(),
                [Uid(10)],
                "who has the stake to validate is no miner"
            );
        });
}

#[test]
fn there_are_never_more_validators_than_the_most() {
    let stakes: Vec<u64> = (0..80).map(|extra| 100 + extra).collect();
    let built = ExtBuilder::default().subnet(NET).validators(NET, &stakes);
    built.run(NET, config()).execute(|| {
        World::change(NET, |subnet| {
            let hotkey = hotkey(NET, Uid(90));
            subnet.members.insert(
                Uid(90),
                Member {
                    hotkey,
                    role: Role::Miner,
                    stake: 0,
                    bond: MIN_BOND,
                    incentive: 0,
                },
            );
            subnet.rules.max_validators = 1_000;
        });
        next_block();
        assert_eq!(validators().len(), MAX_VALIDATORS as usize);
        assert_eq!(validators().first(), Some(&(Uid(79), 179)));
    });
}

#[test]
fn roles_are_chosen_and_hold_from_the_next_round_on() {
    ExtBuilder::usual().execute(|| {
        World::change(NET, |subnet| {
            subnet.members.get_mut(&Uid(10)).unwrap().bond = MIN_BOND - 1;
            let validator = subnet.members.get_mut(&Uid(11)).unwrap();
            (validator.role, validator.stake) = (Role::Validator, MIN_STAKE);
            let miner = subnet.members.get_mut(&Uid(0)).unwrap();
            (miner.role, miner.bond) = (Role::Miner, MIN_BOND);
        });
        assert_eq!(miners(), [10, 11, 12].map(Uid));
        run_to(2 + ROUND);
        // Uid 0 still has the stake to validate.
        assert_eq!(miners(), [Uid(0), Uid(12)]);
        // Who was there attested nothing.
        assert_eq!(validators(), [(Uid(1), 50), (Uid(2), 50), (Uid(11), 100)]);
    });
}

/// Nobody turns a rival into a validator, which would be assigned no data, by staking on it.
#[test]
fn a_strangers_stake_leaves_a_miner_its_data() {
    ExtBuilder::usual().execute(|| {
        World::change(NET, |subnet| {
            subnet.members.get_mut(&Uid(11)).unwrap().stake = 1_000 * MIN_STAKE;
        });
        run_to(2 + ROUND);
        assert_eq!(
            (miners(), validators().len()),
            ([10, 11, 12].map(Uid).to_vec(), 3)
        );
    });
}

#[test]
fn no_stake_never_validates_even_if_the_least_is_zero() {
    ExtBuilder::usual().execute(|| {
        World::change(NET, |subnet| subnet.rules.min_validator_stake = 0);
        run_to(2 + ROUND);
        assert_eq!(
            (miners(), validators().len()),
            ([10, 11, 12].map(Uid).to_vec(), 3)
        );
    });
}

#[test]
fn rounds_take_their_data_in_turn_and_no_round_straddles_two_passes() {
    ExtBuilder::usual().execute(|| {
        // 3 miners × 6 windows of 228: twelve rounds fit into a pass.
        for round in 0..14u32 {
            let snapshot = Rounds::<Test>::get(NET, round).unwrap();
            let expected = if round < 12 {
                (0, u64::from(round) * 18)
            } else {
                (1, u64::from(round - 12) * 18)
            };
            assert_eq!((snapshot.pass, snapshot.cursor), expected, "round {round}");
            whole_round(
                &[Uid(10), Uid(11), Uid(12)],
                &[Uid(0), Uid(1), Uid(2)],
                ROOT,
            );
        }
    });
}

#[test]
fn no_more_miners_have_slots_than_there_is_data_for() {
    let mut scarce: RunConfig = config();
    // One window too few for the third.
    scarce.data.windows = least_free(scarce.windows_per_miner()) + 17;
    ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[100])
        .miners(NET, 5)
        .run(NET, scarce)
        .execute(|| assert_eq!(miners().len(), 2));
}

#[test]
fn a_round_without_anybody_is_null_and_the_next_one_begins_all_the_same() {
    ExtBuilder::usual().execute(|| {
        for uid in [0, 1, 2, 10, 11, 12] {
            World::leave(NET, Uid(uid));
        }
        run_to(2 + 3 * ROUND);
        assert_eq!(round_of(NET), Some(3));
        assert!(Training::settled(NET, 2).unwrap().included.is_empty());
        let snapshot = Rounds::<Test>::get(NET, 2).unwrap();
        assert!(snapshot.miners.is_empty() && snapshot.validators.is_empty());
    });
}

#[test]
fn the_hook_reports_more_work_when_it_does_more() {
    ExtBuilder::usual().execute(|| {
        let idle = next_block();
        run_to(1 + ROUND);
        let busy = next_block();
        assert!(busy.ref_time() > idle.ref_time());
    });
}

/// So many windows that there is room for so many miners.
fn room_for(miners: u64, config: &RunConfig) -> u64 {
    let per_miner = config.windows_per_miner();
    least_free(per_miner) + miners * per_miner
}

/// Seats that commit to something and never reveal it have a slot before others once, like those that do nothing.
#[test]
fn where_windows_are_scarce_who_is_never_included_comes_last() {
    let mut scarce = config();
    scarce.data.windows = room_for(1, &scarce);
    let built = ExtBuilder::default().subnet(NET).validators(NET, &[100]);
    built.miners(NET, 3).run(NET, scarce).execute(|| {
        let honest = Uid(12);
        let mut idle = BTreeSet::new();
        for _ in 0..20 {
            let uid = miners()[0];
            if uid == honest {
                whole_round(&[honest], &[Uid(0)], ROOT);
                continue;
            }
            assert!(idle.insert(uid), "before the others had a slot");
            let (round, start) = (round_of(NET).unwrap(), start());
            assert_ok!(commit(NET, round, uid, ROOT));
            run_to(start + 6);
            assert_ok!(commit_attestation(NET, round, Uid(0), &[], ROOT));
            run_to(start + 8);
            assert_ok!(open(NET, round, Uid(0), &[], ROOT));
            run_to(start + ROUND);
        }
        assert_eq!(idle, BTreeSet::from([10, 11].map(Uid)));
        assert_eq!(miners(), [honest]);
    });
}

/// Seats that only never missed a round cannot keep out who earned something and missed one.
#[test]
fn where_windows_are_scarce_who_earned_something_has_a_slot() {
    let mut scarce = config();
    scarce.data.windows = room_for(2, &scarce);
    let built = ExtBuilder::default().subnet(NET).validators(NET, &[100]);
    built.miners(NET, 3).run(NET, scarce).execute(|| {
        for round in 1..7 {
            World::change(NET, |subnet| {
                subnet.members.get_mut(&Uid(12)).unwrap().incentive = 9;
            });
            AbsencesOf::<Test>::mutate(NET, |absences| {
                absences.clear();
                let missed = Absence::default().after(false);
                assert!(absences.try_insert(Uid(12), missed).is_ok());
            });
            run_to(2 + round * ROUND);
            assert_eq!(round_of(NET), Some(round));
            assert_eq!(miners().len(), 2);
            assert!(miners().contains(&Uid(12)), "{round}");
        }
    });
}
