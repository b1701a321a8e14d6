//! Who is paid what, where it goes, and what stays in the pots.

use cairn_primitives::{Balance, Netuid, Pots, Uid, CRN};
use sp_runtime::{DispatchError, TokenError};

use crate::{mock::*, Earned, Event, Issued, SubnetLedgers, TotalPots};

/// Ten blocks of the usual subnet.
const ISSUED_BY_12: Balance = 11 * REWARD;

fn balance(account: AccountId) -> Balance {
    Balances::free_balance(account)
}

fn stake(uid: Uid) -> Balance {
    TheWorld::get().subnets[&Netuid(1)].stakes[&hotkey(Netuid(1), uid)]
}

fn pots() -> Pots {
    SubnetLedgers::<Test>::get(Netuid(1)).unwrap().pots
}

/// Both validators for both miners, 3 : 1.
fn usual_votes() {
    vote(Netuid(1), Uid(0), &[(Uid(2), 3), (Uid(3), 1)]);
    vote(Netuid(1), Uid(1), &[(Uid(2), 3), (Uid(3), 1)]);
}

fn paid(uid: Uid, as_miner: Balance, as_validator: Balance) -> Event<Test> {
    Event::Paid {
        netuid: Netuid(1),
        uid,
        hotkey: hotkey(Netuid(1), uid),
        as_miner,
        as_validator,
    }
}

#[test]
fn miners_validators_and_the_owner_are_paid_from_pots_of_their_own() {
    ExtBuilder::usual().build_and_execute(|| {
        usual_votes();
        let issued = Issued::<Test>::get();
        run_to(12);
        let pot = Pots::of(ISSUED_BY_12);
        assert_eq!(
            (pot.owner, pot.miners, pot.validators),
            (990_000_000, 2_255_000_000, 2_255_000_000)
        );

        let miners = [1_691_250_000, 563_749_999];
        assert_eq!(
            balance(coldkey(hotkey(Netuid(1), Uid(2)))),
            EXISTENTIAL_DEPOSIT + miners[0]
        );
        assert_eq!(
            balance(coldkey(hotkey(Netuid(1), Uid(3)))),
            EXISTENTIAL_DEPOSIT + miners[1]
        );
        let validators = [1_353_000_000, 902_000_000];
        assert_eq!(
            [stake(Uid(0)), stake(Uid(1))],
            [60 * CRN + validators[0], 40 * CRN + validators[1]]
        );
        assert_eq!(balance(owner(Netuid(1))), EXISTENTIAL_DEPOSIT + pot.owner);

        assert_eq!(
            events(),
            [
                paid(Uid(0), 0, validators[0]),
                paid(Uid(1), 0, validators[1]),
                paid(Uid(2), miners[0], 0),
                paid(Uid(3), miners[1], 0),
                Event::EpochRun {
                    netuid: Netuid(1),
                    owner: pot.owner,
                    miners: miners.iter().sum(),
                    validators: validators.iter().sum(),
                },
            ]
        );
        // What rounding left is in its pot, and paying issues nothing.
        assert_eq!(
            pots(),
            Pots {
                owner: 0,
                miners: 1,
                validators: 0
            }
        );
        assert_eq!(TotalPots::<Test>::get(), 1);
        assert_eq!(Issued::<Test>::get(), issued + ISSUED_BY_12);
    });
}

#[test]
fn the_totals_tell_what_was_paid() {
    ExtBuilder::usual().build_and_execute(|| {
        usual_votes();
        run_to(12);
        let first = Emissions::member(Netuid(1), Uid(2));
        assert_eq!(first.last_paid(), 1_691_250_000);
        assert_eq!(first.earned(), first.last_paid());
        run_to(22);
        let second = Emissions::member(Netuid(1), Uid(2));
        assert_eq!(second.earned(), first.earned() + second.last_paid());
        assert_eq!(
            Emissions::earned(Netuid(1), &hotkey(Netuid(1), Uid(2))),
            second.earned()
        );
        let ledger = SubnetLedgers::<Test>::get(Netuid(1)).unwrap();
        let earned: Balance = Earned::<Test>::iter_prefix_values(Netuid(1)).sum();
        let paid = ledger.paid.total().unwrap();
        assert_eq!(paid, ledger.paid.owner + earned);
        assert_eq!(paid + TotalPots::<Test>::get(), 21 * REWARD);
    });
}

#[test]
fn an_idle_subnet_pays_nobody_and_its_pots_wait() {
    ExtBuilder::usual().build_and_execute(|| {
        run_to(12);
        let nothing = Event::EpochRun {
            netuid: Netuid(1),
            owner: 0,
            miners: 0,
            validators: 0,
        };
        assert_eq!(events(), [nothing]);
        assert_eq!(pots(), Pots::of(REWARD * 11));
        assert_eq!(
            (stake(Uid(0)), balance(owner(Netuid(1)))),
            (60 * CRN, EXISTENTIAL_DEPOSIT)
        );
        // The first scores are paid for all of it.
        usual_votes();
        run_to(22);
        assert_eq!(
            balance(owner(Netuid(1))),
            EXISTENTIAL_DEPOSIT + Pots::of(REWARD).owner * 21
        );
    });
}

#[test]
fn scores_without_consensus_pay_nobody() {
    ExtBuilder::usual()
        .validator(Netuid(1), Uid(4), 50 * CRN)
        .build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
            vote(Netuid(1), Uid(1), &[(Uid(3), 1)]);
            vote(Netuid(1), Uid(4), &[(Uid(0), 1)]);
            run_to(12);
            assert_eq!(pots(), Pots::of(ISSUED_BY_12));
            assert_eq!(Emissions::member(Netuid(1), Uid(2)), Default::default());
        });
}

#[test]
fn without_bonds_the_validators_pot_waits() {
    ExtBuilder::usual()
        .with(Netuid(1), |subnet| {
            subnet.hyperparameters.bonds_moving_average = 1_000_000
        })
        .build_and_execute(|| {
            usual_votes();
            run_to(12);
            let pot = Pots::of(ISSUED_BY_12);
            assert_eq!(
                pots(),
                Pots {
                    owner: 0,
                    miners: 1,
                    validators: pot.validators
                }
            );
            assert_eq!(stake(Uid(0)), 60 * CRN);
        });
}

#[test]
fn what_a_coldkey_cannot_receive_stays_in_the_pot() {
    // A subnet with so little stake, and a score so small, that a miner without an account gets less than
    // an account has to hold.
    ExtBuilder::usual()
        .poor_miner(Netuid(1), Uid(4))
        .subnet(Netuid(2))
        .validator(Netuid(2), Uid(0), 10_000 * CRN)
        .build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 65_535), (Uid(4), 1)]);
            run_to(12);
            let poor = hotkey(Netuid(1), Uid(4));
            let waits = Event::PayoutWaits {
                netuid: Netuid(1),
                account: poor,
                amount: 340,
                reason: DispatchError::Token(TokenError::BelowMinimum),
            };
            assert!(events().contains(&waits), "{:?}", events());
            assert_eq!(Emissions::member(Netuid(1), Uid(4)).incentive, 0);
            assert_eq!(
                (balance(coldkey(poor)), Emissions::earned(Netuid(1), &poor)),
                (0, 0)
            );
            assert!((340..343).contains(&pots().miners));
            // With a larger score the next epoch delivers.
            vote(Netuid(1), Uid(0), &[(Uid(2), 1), (Uid(4), 1)]);
            run_to(23);
            assert!(balance(coldkey(poor)) > EXISTENTIAL_DEPOSIT);
            assert_eq!(balance(coldkey(poor)), Emissions::earned(Netuid(1), &poor));
        });
}

#[test]
fn what_an_owner_cannot_receive_stays_in_the_pot() {
    let poor_owner = |subnet: &mut Subnet| {
        subnet.owner = 5_555;
        subnet.hyperparameters.tempo = 1;
    };
    ExtBuilder::default()
        .subnet(Netuid(1))
        .validator(Netuid(1), Uid(0), CRN)
        .miner(Netuid(1), Uid(1))
        .with(Netuid(1), poor_owner)
        .subnet(Netuid(2))
        .validator(Netuid(2), Uid(0), 200_000 * CRN)
        .build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(1), 1)]);
            run_to(3);
            // 1 CRN of 200,001: two blocks bring the owner 898 pebble.
            assert_eq!(balance(5_555), 898);
            World::change_subnet(Netuid(1), |subnet| subnet.owner = 6_666);
            run_to(4);
            let waits = Event::PayoutWaits {
                netuid: Netuid(1),
                account: 6_666,
                amount: 449,
                reason: DispatchError::Token(TokenError::BelowMinimum),
            };
            assert!(events().contains(&waits), "{:?}", events());
            assert_eq!((balance(6_666), pots().owner), (0, 449));
            run_to(5);
            assert_eq!((balance(6_666), pots().owner), (898, 0));
        });
}

#[test]
fn what_the_stake_pallet_refuses_stays_in_the_pot_and_changes_nothing() {
    ExtBuilder::usual()
        .with(Netuid(1), |subnet| subnet.takes_rewards = false)
        .build_and_execute(|| {
            usual_votes();
            run_to(12);
            assert_eq!([stake(Uid(0)), stake(Uid(1))], [60 * CRN, 40 * CRN]);
            assert_eq!(pots().validators, Pots::of(ISSUED_BY_12).validators);
            let waits = Event::PayoutWaits {
                netuid: Netuid(1),
                account: hotkey(Netuid(1), Uid(0)),
                amount: 1_353_000_000,
                reason: DispatchError::Unavailable,
            };
            assert_eq!(events().first(), Some(&waits));
            assert_eq!(Emissions::member(Netuid(1), Uid(0)).last_paid(), 0);
            // The next epoch shares it out again.
            World::change_subnet(Netuid(1), |subnet| subnet.takes_rewards = true);
            run_to(22);
            assert!(pots().validators < 2);
        });
}

#[test]
fn a_miner_that_stops_earning_keeps_its_total_and_loses_its_incentive() {
    ExtBuilder::usual().build_and_execute(|| {
        usual_votes();
        run_to(12);
        let before = Emissions::member(Netuid(1), Uid(3));
        vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
        vote(Netuid(1), Uid(1), &[(Uid(2), 1)]);
        run_to(22);
        let after = Emissions::member(Netuid(1), Uid(3));
        assert_eq!((after.incentive, after.last_paid()), (0, 0));
        assert_eq!(after.earned(), before.earned());
    });
}
