//! From the block's issuance to the pots.

use cairn_primitives::{Balance, Netuid, Pots, Uid, CRN};

use crate::{accrual::moved, mock::*, schedule::CAP, Issued, SubnetLedgers, TotalPots};

fn pots(netuid: Netuid) -> Pots {
    SubnetLedgers::<Test>::get(netuid).unwrap().pots
}

fn total(netuid: Netuid) -> Balance {
    pots(netuid).total().unwrap()
}

#[test]
fn a_block_fills_the_three_pots_18_41_41() {
    ExtBuilder::usual().build_and_execute(|| {
        let before = Issued::<Test>::get();
        run_to(2);
        let expected = Pots {
            owner: 90_000_000,
            miners: 205_000_000,
            validators: 205_000_000,
        };
        assert_eq!(pots(Netuid(1)), expected);
        assert_eq!(TotalPots::<Test>::get(), REWARD);
        assert_eq!(Issued::<Test>::get(), before + REWARD);
        run_to(4);
        assert_eq!(total(Netuid(1)), 3 * REWARD);
    });
}

#[test]
fn what_rounding_leaves_of_a_split_goes_to_the_validators() {
    assert_eq!(Pots::of(0), Pots::default());
    assert_eq!(
        Pots::of(1),
        Pots {
            owner: 0,
            miners: 0,
            validators: 1
        }
    );
    assert_eq!(
        Pots::of(99),
        Pots {
            owner: 17,
            miners: 40,
            validators: 42
        }
    );
    assert_eq!(Pots::of(u64::MAX).total(), Some(u64::MAX));
}

#[test]
fn subnets_share_by_stake() {
    ExtBuilder::default()
        .subnet(Netuid(1))
        .validator(Netuid(1), Uid(0), 30 * CRN)
        .subnet(Netuid(2))
        .validator(Netuid(2), Uid(0), 10 * CRN)
        .build_and_execute(|| {
            run_to(2);
            assert_eq!(
                (total(Netuid(1)), total(Netuid(2))),
                (375_000_000, 125_000_000)
            );
        });
}

#[test]
fn what_rounding_leaves_of_a_reward_is_not_issued() {
    let third = |builder: ExtBuilder, netuid| builder.subnet(netuid).validator(netuid, Uid(0), CRN);
    (1..=3)
        .map(Netuid)
        .fold(ExtBuilder::default(), third)
        .build_and_execute(|| {
            let before = Issued::<Test>::get();
            run_to(2);
            assert_eq!([1, 2, 3].map(Netuid).map(total), [166_666_666; 3]);
            assert_eq!(Issued::<Test>::get(), before + REWARD - 2);
        });
}

#[test]
fn a_subnet_without_a_run_gets_nothing() {
    ExtBuilder::default()
        .subnet(Netuid(1))
        .validator(Netuid(1), Uid(0), CRN)
        .subnet(Netuid(2))
        .validator(Netuid(2), Uid(0), 99 * CRN)
        .with(Netuid(2), |subnet| subnet.has_run = false)
        .build_and_execute(|| {
            run_to(2);
            assert_eq!((total(Netuid(1)), total(Netuid(2))), (REWARD, 0));
            World::change_subnet(Netuid(2), |subnet| subnet.has_run = true);
            run_to(3);
            assert_eq!(
                (total(Netuid(1)), total(Netuid(2))),
                (REWARD + REWARD / 100, REWARD / 100 * 99)
            );
        });
}

#[test]
fn without_a_run_or_without_stake_nothing_is_issued() {
    let idle = ExtBuilder::usual().with(Netuid(1), |subnet| subnet.has_run = false);
    let poor = ExtBuilder::default()
        .subnet(Netuid(1))
        .miner(Netuid(1), Uid(0))
        .subnet(Netuid(2))
        .miner(Netuid(2), Uid(0));
    for builder in [ExtBuilder::default(), idle, poor] {
        builder.build_and_execute(|| {
            let before = Issued::<Test>::get();
            run_to(5);
            assert_eq!(Issued::<Test>::get(), before);
            assert_eq!(TotalPots::<Test>::get(), 0);
        });
    }
}

#[test]
fn stake_counts_slowly() {
    StakeAverageWindow::set(100);
    ExtBuilder::default()
        .subnet(Netuid(1))
        .validator(Netuid(1), Uid(0), CRN)
        .subnet(Netuid(2))
        .validator(Netuid(2), Uid(0), CRN)
        .build_and_execute(|| {
            run_to(101);
            assert_eq!(total(Netuid(1)), total(Netuid(2)));
            let before = (total(Netuid(1)), total(Netuid(2)));
            World::change_subnet(Netuid(2), |subnet| {
                subnet.stakes.insert(hotkey(Netuid(2), Uid(0)), 9 * CRN);
            });
            // The world grew by 8 CRN that nobody issued.
            Issued::<Test>::mutate(|issued| *issued += 8 * CRN);
            run_to(102);
            let gained = (total(Netuid(1)) - before.0, total(Netuid(2)) - before.1);
            assert!(gained.1 > gained.0, "{gained:?}");
            assert!(
                gained.1 * 10 < gained.0 * 12,
                "nine times the stake at once: {gained:?}"
            );
        });
}

#[test]
fn an_average_reaches_its_stake_and_zero() {
    let after = |blocks: u32, from: u128, stake| {
        (0..blocks).fold(from, |average, _| moved(average, stake, 100))
    };
    let full = u128::from(21 * CRN) << 32;
    let reached = after(100, 0, 21 * CRN);
    assert!((full * 63 / 100..full * 64 / 100).contains(&reached));
    assert!(full - after(10_000, 0, 21 * CRN) < full / 1_000_000);
    assert_eq!(after(10_000, full, 0), 0);
    assert_eq!(moved(7, CRN, 1), u128::from(CRN) << 32);
    assert_eq!(moved(7, CRN, 0), u128::from(CRN) << 32);
    assert!(moved(u128::from(u64::MAX) << 32, u64::MAX, 3) <= u128::from(u64::MAX) << 32);
}

#[test]
fn the_reward_halves_as_issuance_crosses_half_of_the_cap() {
    let validator = ExtBuilder::default()
        .subnet(Netuid(1))
        .validator(Netuid(1), Uid(0), CRN);
    let held = CRN + 2 * EXISTENTIAL_DEPOSIT;
    validator
        .balance(7, CAP / 2 - held - 1)
        .build_and_execute(|| {
            run_to(2);
            assert_eq!(total(Netuid(1)), REWARD);
            run_to(3);
            assert_eq!(total(Netuid(1)), REWARD + REWARD / 2);
        });
}

#[test]
fn issuance_ends_at_the_cap() {
    let validator = ExtBuilder::default()
        .subnet(Netuid(1))
        .validator(Netuid(1), Uid(0), CRN);
    let held = CRN + 2 * EXISTENTIAL_DEPOSIT;
    validator.balance(7, CAP - held).build_and_execute(|| {
        run_to(5);
        assert_eq!(Issued::<Test>::get(), CAP);
        assert_eq!(total(Netuid(1)), 0);
    });
}
