//! What the runtime APIs read.

use cairn_primitives::{
    api::{Issuance, Schedule, SubnetEmission},
    Netuid, Pots, Uid, CRN,
};

use crate::{mock::*, schedule::CAP};

#[test]
fn the_schedule() {
    ExtBuilder::default()
        .balance(7, 16_000_000 * CRN)
        .build_and_execute(|| {
            let expected = Schedule {
                cap: CAP,
                issued: 16_000_000 * CRN,
                per_block: REWARD / 4,
                halvings: 2,
                next_halving: 18_375_000 * CRN,
                split: (18, 41, 41),
            };
            assert_eq!(Emissions::schedule(), expected);
        });
}

#[test]
fn where_everything_is() {
    let builder = ExtBuilder::usual().bonded(3).unbonding(4);
    builder.build_and_execute(|| {
        run_to(2);
        let balances = 5 * EXISTENTIAL_DEPOSIT;
        let expected = Issuance {
            issued: balances + 100 * CRN + 4 + 3 + REWARD,
            balances,
            stakes: 100 * CRN,
            unbonding: 4,
            bonds: 3,
            pots: REWARD,
        };
        assert_eq!(Emissions::issuance(), expected);
    });
}

#[test]
fn the_emission_of_a_subnet() {
    ExtBuilder::usual()
        .subnet(Netuid(2))
        .validator(Netuid(2), Uid(0), 300 * CRN)
        .subnet(Netuid(3))
        .validator(Netuid(3), Uid(0), CRN)
        .with(Netuid(3), |subnet| subnet.has_run = false)
        .build_and_execute(|| {
            run_to(3);
            let pots = Pots::of(REWARD / 4);
            let expected = SubnetEmission {
                netuid: Netuid(1),
                share: 250_000_000,
                emits: true,
                works: true,
                owner_pot: 2 * pots.owner,
                miners_pot: 2 * pots.miners,
                validators_pot: 2 * pots.validators,
                late: 0,
                late_epochs: 0,
                withheld: 0,
                epochs: 0,
                last_epoch: 2,
                next_epoch: 12,
                paid: 0,
                paid_to: Pots::default(),
            };
            assert_eq!(Emissions::emission(Netuid(1)), Some(expected));
            assert_eq!(Emissions::emission(Netuid(2)).unwrap().share, 750_000_000);
            assert_eq!(Emissions::emission(Netuid(3)).unwrap().share, 0);
            assert_eq!(Emissions::emission(Netuid(4)), None);
        });
}

#[test]
fn a_subnet_that_no_block_has_seen_yet() {
    ExtBuilder::usual().build_and_execute(|| {
        let emission = Emissions::emission(Netuid(1)).unwrap();
        assert_eq!(
            (emission.last_epoch, emission.next_epoch, emission.share),
            (1, 11, 0)
        );
    });
}
