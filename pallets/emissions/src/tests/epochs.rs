//! When an epoch is, who votes in it, and what becomes of bonds.

use cairn_primitives::{
    traits::OnMember, BlockNumber, BondsRule, Hyperparameters, Netuid, Uid, CRN,
};

use frame_support::assert_noop;

use crate::{mock::*, Bonds, Error, Event, SubnetLedgers};

fn epochs() -> Vec<Netuid> {
    let netuid = |event| match event {
        Event::EpochRun { netuid, .. } => Some(netuid),
        _ => None,
    };
    events().into_iter().filter_map(netuid).collect()
}

/// The blocks up to `last` at which epochs ran, with their subnets.
fn epochs_until(last: u64) -> Vec<(u64, Netuid)> {
    let first = System::block_number() + 1;
    let at = |block| {
        run_to(block);
        epochs()
            .into_iter()
            .map(move |netuid| (block, netuid))
            .collect::<Vec<_>>()
    };
    (first..=last).flat_map(at).collect()
}

fn incentives(netuid: Netuid, uids: &[Uid]) -> Vec<u16> {
    uids.iter()
        .map(|&uid| Emissions::member(netuid, uid).incentive)
        .collect()
}

fn last_epoch(netuid: Netuid) -> BlockNumber {
    SubnetLedgers::<Test>::get(netuid).unwrap().last_epoch
}

#[test]
fn an_epoch_comes_every_tempo_after_the_subnet_did() {
    ExtBuilder::usual().build_and_execute(|| {
        // Block 2 is the first that sees the subnet.
        assert_eq!(
            epochs_until(40),
            [(12, Netuid(1)), (22, Netuid(1)), (32, Netuid(1))]
        );
        assert_eq!(last_epoch(Netuid(1)), 32);
        assert_eq!(Emissions::emission(Netuid(1)).unwrap().next_epoch, 42);
    });
}

#[test]
fn a_block_runs_at_most_one_epoch_and_the_longest_waiting_goes_first() {
    let subnet =
        |builder: ExtBuilder, netuid| builder.subnet(netuid).validator(netuid, Uid(0), CRN);
    [3, 1, 2]
        .map(Netuid)
        .into_iter()
        .fold(ExtBuilder::default(), subnet)
        .build_and_execute(|| {
            // All are due at 12. Who waited is on time again afterwards.
            let turns = [(12, 1), (13, 2), (14, 3), (22, 1), (23, 2), (24, 3)]
                .map(|(block, netuid)| (block, Netuid(netuid)));
            assert_eq!(epochs_until(31), turns);
            assert_eq!(Emissions::emission(Netuid(3)).unwrap().next_epoch, 32);
        });
}

#[test]
fn a_subnet_with_a_short_tempo_does_not_starve_the_others() {
    ExtBuilder::default()
        .subnet(Netuid(1))
        .with(Netuid(1), |subnet| subnet.hyperparameters.tempo = 1)
        .subnet(Netuid(2))
        .with(Netuid(2), |subnet| subnet.hyperparameters.tempo = 1)
        .subnet(Netuid(3))
        .with(Netuid(3), |subnet| subnet.hyperparameters.tempo = 4)
        .build_and_execute(|| {
            let turns = epochs_until(42);
            let count = |netuid| turns.iter().filter(|turn| turn.1 == netuid).count();
            assert_eq!(turns.len(), 40);
            assert!(
                count(Netuid(1)) >= 12 && count(Netuid(2)) >= 12 && count(Netuid(3)) >= 8,
                "{turns:?}"
            );
        });
}

#[test]
fn a_tempo_of_zero_means_every_block() {
    ExtBuilder::usual()
        .with(Netuid(1), |subnet| subnet.hyperparameters.tempo = 0)
        .build_and_execute(|| {
            assert_eq!(
                epochs_until(5),
                [(3, Netuid(1)), (4, Netuid(1)), (5, Netuid(1))]
            );
        });
}

#[test]
fn a_new_tempo_counts_at_once() {
    ExtBuilder::usual()
        .with(Netuid(1), |subnet| subnet.hyperparameters.tempo = 1_000)
        .build_and_execute(|| {
            assert_eq!(epochs_until(30), []);
            World::change_subnet(Netuid(1), |subnet| subnet.hyperparameters.tempo = 10);
            // 19 blocks late: that is forgotten.
            assert_eq!(epochs_until(50), [(31, Netuid(1)), (41, Netuid(1))]);
        });
}

#[test]
fn scores_become_incentive_and_dividends() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 3), (Uid(3), 1)]);
        vote(Netuid(1), Uid(1), &[(Uid(2), 300), (Uid(3), 100)]);
        run_to(12);
        assert_eq!(
            incentives(Netuid(1), &[0, 1, 2, 3].map(Uid)),
            [0, 0, 49_151, 16_383]
        );
        assert_eq!(Emissions::member(Netuid(1), Uid(0)).dividends, 39_320);
        assert_eq!(Emissions::member(Netuid(1), Uid(1)).dividends, 26_213);
    });
}

#[test]
fn only_the_validators_with_the_most_stake_vote() {
    ExtBuilder::usual()
        .with(Netuid(1), |subnet| {
            subnet.hyperparameters.max_validators = 1
        })
        .build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
            vote(Netuid(1), Uid(1), &[(Uid(3), 1)]);
            run_to(12);
            assert_eq!(incentives(Netuid(1), &[Uid(2), Uid(3)]), [65_535, 0]);
            assert_eq!(
                Bonds::<Test>::iter_key_prefix(Netuid(1)).collect::<Vec<_>>(),
                [Uid(0)]
            );
        });
}

#[test]
fn of_two_validators_with_as_much_stake_the_lower_uid_votes() {
    ExtBuilder::usual()
        .validator(Netuid(1), Uid(4), 60 * CRN)
        .with(Netuid(1), |subnet| {
            subnet.hyperparameters.max_validators = 1
        })
        .build_and_execute(|| {
            vote(Netuid(1), Uid(4), &[(Uid(3), 1)]);
            vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
            run_to(12);
            assert_eq!(incentives(Netuid(1), &[Uid(2), Uid(3)]), [65_535, 0]);
        });
}

#[test]
fn who_lost_its_stake_does_not_vote_and_loses_its_bonds() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
        vote(Netuid(1), Uid(1), &[(Uid(2), 1)]);
        run_to(12);
        assert_eq!(
            Bonds::<Test>::get(Netuid(1), Uid(1)).to_vec(),
            [(Uid(2), 6_553)]
        );
        World::change_subnet(Netuid(1), |subnet| {
            subnet.hyperparameters.min_validator_stake = 1_000 * CRN;
        });
        run_to(22);
        assert_eq!(incentives(Netuid(1), &[Uid(2), Uid(3)]), [0, 0]);
        assert_eq!(Bonds::<Test>::iter_key_prefix(Netuid(1)).count(), 0);
    });
}

/// The role decides, not stake: a miner's scores count for nothing however much is staked on it, and who was a
/// validator votes no longer.
#[test]
fn only_those_who_chose_to_validate_vote() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
        vote(Netuid(1), Uid(1), &[(Uid(3), 1)]);
        World::change_subnet(Netuid(1), |subnet| {
            subnet.validators.remove(&Uid(0));
        });
        run_to(12);
        assert_eq!(incentives(Netuid(1), &[Uid(2), Uid(3)]), [0, 65_535]);
        assert_eq!(Emissions::member(Netuid(1), Uid(0)).dividends, 0);
        assert_eq!(
            Bonds::<Test>::iter_key_prefix(Netuid(1)).collect::<Vec<_>>(),
            [Uid(1)]
        );
        let scores = vec![(Uid(3), 1)].try_into().unwrap();
        assert_noop!(
            Emissions::set_scores(
                RuntimeOrigin::signed(hotkey(Netuid(1), Uid(0))),
                Netuid(1),
                scores
            ),
            Error::<Test>::NotAValidator
        );
    });
}

#[test]
fn no_stake_at_all_never_validates() {
    ExtBuilder::default()
        .subnet(Netuid(1))
        .with(Netuid(1), |subnet| {
            subnet.hyperparameters.min_validator_stake = 0
        })
        .validator(Netuid(1), Uid(0), 1)
        .validator(Netuid(1), Uid(1), 0)
        .miner(Netuid(1), Uid(2))
        .build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
            run_to(12);
            assert_eq!(incentives(Netuid(1), &[0, 1, 2].map(Uid)), [0, 0, 65_535]);
        });
}

#[test]
fn who_has_been_silent_for_too_long_does_not_vote() {
    ExtBuilder::usual()
        .with(Netuid(1), |subnet| {
            subnet.hyperparameters.activity_cutoff = 11
        })
        .build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
            run_to(10);
            vote(Netuid(1), Uid(1), &[(Uid(3), 1)]);
            // Eleven blocks after the first vote it still counts, and has more stake.
            run_to(12);
            assert_eq!(incentives(Netuid(1), &[Uid(2), Uid(3)]), [65_535, 0]);
            run_to(22);
            // Twelve after it the second vote is alone, and was not made too long ago.
            World::change_subnet(Netuid(1), |subnet| {
                subnet.hyperparameters.activity_cutoff = 22
            });
            run_to(32);
            assert_eq!(incentives(Netuid(1), &[Uid(2), Uid(3)]), [0, 65_535]);
        });
}

#[test]
fn scores_do_not_count_for_who_came_after_them() {
    ExtBuilder::usual().build_and_execute(|| {
        run_to(3);
        vote(Netuid(1), Uid(0), &[(Uid(2), 1), (Uid(3), 1)]);
        World::change_subnet(Netuid(1), |subnet| {
            subnet.members.insert(Uid(3), (777, 3));
        });
        run_to(12);
        assert_eq!(incentives(Netuid(1), &[Uid(2), Uid(3)]), [65_535, 0]);
        vote(Netuid(1), Uid(0), &[(Uid(2), 1), (Uid(3), 1)]);
        run_to(22);
        assert_eq!(incentives(Netuid(1), &[Uid(2), Uid(3)]), [32_767, 32_767]);
    });
}

#[test]
fn bonds_grow_with_steady_scores_and_decay_without() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
        run_to(12);
        assert_eq!(
            Bonds::<Test>::get(Netuid(1), Uid(0)).to_vec(),
            [(Uid(2), 6_553)]
        );
        run_to(22);
        assert_eq!(
            Bonds::<Test>::get(Netuid(1), Uid(0)).to_vec(),
            [(Uid(2), 12_451)]
        );
        vote(Netuid(1), Uid(0), &[(Uid(3), 1)]);
        run_to(32);
        assert_eq!(
            Bonds::<Test>::get(Netuid(1), Uid(0)).to_vec(),
            [(Uid(2), 11_205), (Uid(3), 6_553)]
        );
    });
}

#[test]
fn bonds_are_kept_as_the_owner_chose() {
    let bonds = |change: fn(&mut Hyperparameters)| {
        let mut found = Vec::new();
        ExtBuilder::usual()
            .with(Netuid(1), |subnet| change(&mut subnet.hyperparameters))
            .build_and_execute(|| {
                vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
                vote(Netuid(1), Uid(1), &[(Uid(2), 1)]);
                run_to(12);
                found = [0, 1]
                    .map(|uid| Bonds::<Test>::get(Netuid(1), Uid(uid)).to_vec())
                    .concat();
            });
        found
    };
    assert_eq!(bonds(|_| ()), [(Uid(2), 6_553), (Uid(2), 6_553)]);
    // Shares that stake buys, and nobody is short of them.
    let shares = bonds(|h| h.bonds_rule = BondsRule::Yuma2);
    assert_eq!(shares, [(Uid(2), 65_535), (Uid(2), 43_689)]);
    // A validator with the consensus moves at the rate for a distance of nothing: the lowest, about.
    let liquid = bonds(|h| h.liquid_alpha = true);
    assert!(liquid[0].1 > 40_000 && liquid[0].1 < 58_982, "{liquid:?}");
}

#[test]
fn bonds_in_a_predecessor_are_not_bonds_in_a_successor() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 1), (Uid(3), 1)]);
        run_to(12);
        assert_eq!(
            Bonds::<Test>::get(Netuid(1), Uid(0)).to_vec(),
            [(Uid(2), 3_276), (Uid(3), 3_276)]
        );
        World::change_subnet(Netuid(1), |subnet| {
            subnet.members.insert(Uid(3), (777, 12));
        });
        <Emissions as OnMember<AccountId>>::on_left(Netuid(1), Uid(3), &hotkey(Netuid(1), Uid(3)));
        run_to(22);
        let uids: Vec<Uid> = Bonds::<Test>::get(Netuid(1), Uid(0))
            .iter()
            .map(|bond| bond.0)
            .collect();
        assert_eq!(uids, [Uid(2)]);
    });
}

#[test]
fn a_full_subnet_has_an_epoch() {
    let members = |builder: ExtBuilder, uid| match uid < Uid(64) {
        true => builder.validator(Netuid(1), uid, CRN + u64::from(uid.get())),
        false => builder.miner(Netuid(1), uid),
    };
    (0..256)
        .map(Uid)
        .fold(ExtBuilder::default().subnet(Netuid(1)), members)
        .build_and_execute(|| {
            let row: Vec<(Uid, u16)> = (64..256).map(|uid| (Uid(uid), uid)).collect();
            (0..64).for_each(|uid| vote(Netuid(1), Uid(uid), &row));
            run_to(12);
            assert!(incentives(Netuid(1), &[Uid(64)])[0] < incentives(Netuid(1), &[Uid(255)])[0]);
            assert_eq!(
                Bonds::<Test>::iter_prefix(Netuid(1))
                    .map(|(_, row)| row.len())
                    .sum::<usize>(),
                64 * 192
            );
            assert!(SubnetLedgers::<Test>::get(Netuid(1)).unwrap().pots.miners < 256);
        });
}

#[test]
fn hyperparameters_that_cannot_be_stop_the_epoch_and_not_the_chain() {
    ExtBuilder::usual()
        .with(Netuid(1), |subnet| {
            subnet.hyperparameters.bonds_moving_average = 1_000_001
        })
        .build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
            run_to(12);
            assert_eq!(events(), [Event::EpochImpossible { netuid: Netuid(1) }]);
            let pots = SubnetLedgers::<Test>::get(Netuid(1)).unwrap().pots;
            assert_eq!(pots.total(), Some(11 * REWARD));
            World::change_subnet(Netuid(1), |subnet| {
                subnet.hyperparameters.bonds_moving_average = 0
            });
            run_to(22);
            assert_eq!(incentives(Netuid(1), &[Uid(2)]), [65_535]);
        });
}
