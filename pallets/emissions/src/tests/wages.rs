//! What is withheld of miners whose work is in question: when they have it, and when they lose it.

use std::collections::BTreeMap;

use cairn_primitives::{
    traits::{Asked as _, Dissolve, Incentives, OnMember, Wages as _},
    Balance, Netuid, Round, Uid,
};
use frame_support::dispatch::DispatchClass;

use crate::{mock::*, Event, SubnetLedgers, TotalPots, Wages};

const SUBNET: Netuid = Netuid(1);
const MINER: Uid = Uid(2);
const OTHER: Uid = Uid(3);

/// Of the usual subnet this is in question.
fn asked(newest: Round, proven: &[Uid], open: &[(Uid, Round)]) {
    let questions = (
        newest,
        proven.to_vec(),
        open.iter().copied().collect::<BTreeMap<_, _>>(),
    );
    World::change(|world| {
        world.subnets.get_mut(&SUBNET).unwrap().questions = Some(questions);
    });
}

fn has(uid: Uid) -> Balance {
    Balances::free_balance(coldkey(hotkey(SUBNET, uid))) - EXISTENTIAL_DEPOSIT
}

fn withheld(uid: Uid) -> Balance {
    Emissions::withheld(SUBNET, uid)
}

fn votes() {
    for validator in [Uid(0), Uid(1)] {
        vote(SUBNET, validator, &[(MINER, 1), (OTHER, 1)]);
    }
}

#[test]
fn who_is_not_proven_has_nothing_yet_and_all_once_it_is() {
    ExtBuilder::usual().build_and_execute(|| {
        votes();
        asked(0, &[OTHER], &[]);
        run_to(12);
        assert_eq!(has(MINER), 0);
        assert_eq!(
            withheld(MINER),
            has(OTHER),
            "the same, but one has it and one does not"
        );
        assert!(Emissions::incentive(SUBNET, MINER) > 0);
        assert_eq!(
            Emissions::last_paid(SUBNET, MINER),
            withheld(MINER),
            "what is withheld saves a seat, too"
        );
        let pots = Emissions::emission(SUBNET).unwrap();
        assert_eq!(pots.withheld, withheld(MINER));

        votes();
        asked(3, &[MINER, OTHER], &[]);
        run_to(22);
        assert_eq!((withheld(MINER), has(MINER)), (0, has(OTHER)));
        assert_eq!(Emissions::member(SUBNET, MINER).earned_as_miner, has(MINER));
        assert!(!Wages::<Test>::contains_key(SUBNET, MINER));
    });
}

#[test]
fn what_was_earned_before_the_open_audit_is_paid() {
    ExtBuilder::usual().build_and_execute(|| {
        votes();
        asked(3, &[MINER, OTHER], &[(MINER, 2)]);
        run_to(12);
        let first = withheld(MINER);
        assert!(first > 0 && has(MINER) == 0);
        votes();
        asked(5, &[MINER, OTHER], &[(MINER, 4)]);
        run_to(22);
        assert_eq!(has(MINER), first);
        assert!(withheld(MINER) > 0);
        // Nobody is included any more, and the audit is over.
        World::change(|world| {
            world.subnets.get_mut(&SUBNET).unwrap().left_out = vec![MINER, OTHER];
        });
        asked(5, &[MINER, OTHER], &[]);
        let second = withheld(MINER);
        run_to(32);
        assert_eq!((has(MINER), withheld(MINER)), (first + second, 0));
        assert_eq!(
            Emissions::member(SUBNET, MINER).earned_as_miner,
            first + second
        );
    });
}

#[test]
fn who_loses_an_audit_loses_it_to_the_miners_pot() {
    ExtBuilder::usual().build_and_execute(|| {
        votes();
        asked(0, &[OTHER], &[]);
        run_to(12);
        let (amount, pots) = (withheld(MINER), TotalPots::<Test>::get());
        let pot = || SubnetLedgers::<Test>::get(SUBNET).unwrap().pots.miners;
        let before = pot();
        System::reset_events();
        assert_eq!(Emissions::forfeit(SUBNET, MINER), amount);
        assert_eq!((withheld(MINER), has(MINER)), (0, 0));
        assert_eq!(pot(), before + amount);
        assert_eq!(TotalPots::<Test>::get(), pots);
        assert_eq!(Emissions::last_paid(SUBNET, MINER), 0);
        let forfeited = Event::Forfeited {
            netuid: SUBNET,
            uid: MINER,
            amount,
        };
        assert_eq!(events(), [forfeited]);
        assert_eq!(Emissions::forfeit(SUBNET, MINER), 0);
        assert_eq!(Emissions::forfeit(SUBNET, OTHER), 0);
    });
}

#[test]
fn who_leaves_has_what_is_not_in_question_and_leaves_the_rest() {
    for (open, is_paid) in [(vec![], true), (vec![(MINER, 0)], false)] {
        ExtBuilder::usual().build_and_execute(|| {
            votes();
            asked(0, &[], &[]);
            run_to(12);
            let amount = withheld(MINER);
            asked(1, &[MINER], &open);
            World::change(|world| {
                let members = &mut world.subnets.get_mut(&SUBNET).unwrap().members;
                members.remove(&MINER);
            });
            Emissions::on_left(SUBNET, MINER, &hotkey(SUBNET, MINER));
            assert_eq!(has(MINER), if is_paid { amount } else { 0 });
            assert_eq!(withheld(MINER), 0);
        });
    }
}

/// The run of the usual subnet is stopped.
fn stops() {
    System::reset_events();
    let questions = World::questions(SUBNET).expect("it audits");
    Emissions::on_stopped(SUBNET, &questions);
    World::change_subnet(SUBNET, |subnet| {
        (subnet.questions, subnet.has_run) = (None, false);
    });
    Emissions::do_try_state().expect("the books are right");
}

fn miners_pot() -> Balance {
    let ledger = SubnetLedgers::<Test>::get(SUBNET);
    ledger.expect("it was seen").pots.miners
}

#[test]
fn a_stop_pays_who_is_proven_and_nobody_else() {
    ExtBuilder::usual().build_and_execute(|| {
        votes();
        asked(3, &[], &[]);
        run_to(12);
        let amount = withheld(MINER);
        assert!(amount > 0 && withheld(OTHER) == amount);
        // One audit has passed since, and none is open.
        asked(3, &[MINER], &[]);
        let (before, all) = (miners_pot(), TotalPots::<Test>::get());
        stops();
        assert_eq!((has(MINER), has(OTHER)), (amount, 0));
        assert_eq!((withheld(MINER), withheld(OTHER)), (0, 0));
        // What the other lost is nobody's.
        assert_eq!(miners_pot(), before);
        assert_eq!(TotalPots::<Test>::get(), all - 2 * amount);
        let paid = Event::Paid {
            netuid: SUBNET,
            uid: MINER,
            hotkey: hotkey(SUBNET, MINER),
            as_miner: amount,
            as_validator: 0,
        };
        let forfeited = Event::Forfeited {
            netuid: SUBNET,
            uid: OTHER,
            amount,
        };
        let said = events();
        assert!(said.len() == 2 && said.contains(&paid) && said.contains(&forfeited));
        let counts = [MINER, OTHER].map(|uid| Emissions::incentive(SUBNET, uid) > 0);
        assert_eq!(counts, [true, false]);
        let last = [MINER, OTHER].map(|uid| Emissions::last_paid(SUBNET, uid));
        assert_eq!(last, [amount, 0]);
        assert_eq!(Emissions::member(SUBNET, MINER).earned_as_miner, amount);
    });
}

#[test]
fn a_stop_pays_what_was_earned_before_the_open_audit() {
    ExtBuilder::usual().build_and_execute(|| {
        votes();
        asked(3, &[MINER, OTHER], &[(MINER, 2)]);
        run_to(12);
        votes();
        asked(5, &[MINER, OTHER], &[(MINER, 2)]);
        let first = withheld(MINER);
        run_to(22);
        let second = withheld(MINER) - first;
        assert!(first > 0 && second > 0);
        asked(5, &[MINER, OTHER], &[(MINER, 4)]);
        let before = miners_pot();
        stops();
        assert_eq!((has(MINER), withheld(MINER)), (first, 0));
        assert_eq!(miners_pot(), before);
        assert_eq!(Emissions::member(SUBNET, MINER).last_as_miner, 0);
        assert_eq!(Emissions::incentive(SUBNET, MINER), 0);
        assert!(Emissions::incentive(SUBNET, OTHER) > 0);
    });
}

#[test]
fn a_new_run_begins_with_nobodys_incentive() {
    ExtBuilder::usual().build_and_execute(|| {
        votes();
        asked(3, &[MINER, OTHER], &[]);
        run_to(12);
        assert!([MINER, OTHER].map(|uid| Emissions::incentive(SUBNET, uid)) != [0, 0]);
        let paid = Emissions::last_paid(SUBNET, MINER);
        <Emissions as Incentives>::forget(SUBNET);
        assert_eq!(
            [MINER, OTHER].map(|uid| Emissions::incentive(SUBNET, uid)),
            [0, 0]
        );
        assert_eq!(Emissions::last_paid(SUBNET, MINER), paid);
        Emissions::do_try_state().expect("the books are right");
    });
}

/// The owner stops the run just before the epoch, so that what nobody audited would be paid without a question.
#[test]
fn what_no_epoch_has_paid_when_a_run_is_stopped_is_for_the_others() {
    for (proven, left_out, shares) in [
        (vec![MINER], vec![OTHER], (true, false)),
        (vec![], vec![MINER, OTHER], (false, false)),
    ] {
        ExtBuilder::usual().build_and_execute(|| {
            votes();
            asked(3, &proven, &[]);
            run_to(5);
            stops();
            // As the training pallet has it from then on.
            World::change_subnet(SUBNET, |subnet| subnet.left_out = left_out);
            let before = miners_pot();
            assert!(before > 0);
            run_to(12);
            assert_eq!((has(MINER) > 0, has(OTHER) > 0), shares);
            assert_eq!(
                miners_pot() + has(MINER),
                before,
                "where there is nobody it stays in the pot"
            );
        });
    }
}

#[test]
fn a_subnet_that_ends_shares_nothing_with_who_was_in_question() {
    ExtBuilder::usual().build_and_execute(|| {
        votes();
        asked(3, &[], &[]);
        run_to(12);
        asked(3, &[MINER], &[]);
        let amount = withheld(OTHER);
        // Something that no epoch has paid.
        run_to(15);
        stops();
        World::change_subnet(SUBNET, |subnet| subnet.dissolving = true);
        Emissions::on_dissolving(SUBNET);
        let pot = miners_pot();
        assert!(pot > 0);
        while Emissions::dissolve(SUBNET, 1) > 0 {}
        assert_eq!((has(MINER), has(OTHER)), (amount + pot, 0));
        assert_eq!(TotalPots::<Test>::get(), 0);
    });
}

#[test]
fn what_a_stop_costs_is_in_the_blocks_weight() {
    ExtBuilder::usual().build_and_execute(|| {
        votes();
        asked(3, &[], &[]);
        run_to(12);
        let used = || {
            let weight = System::block_weight();
            weight.get(DispatchClass::Normal).ref_time()
        };
        let records = crate::MemberRecords::<Test>::iter_prefix_values(SUBNET).count() as u64;
        let before = used();
        stops();
        let weight = Emissions::stopping_weight(2, records).ref_time();
        assert_eq!(used() - before, weight);
    });
}

#[test]
fn the_end_of_a_subnet_pays_what_is_withheld() {
    ExtBuilder::usual().build_and_execute(|| {
        votes();
        asked(0, &[OTHER], &[]);
        run_to(12);
        let amount = withheld(MINER);
        World::change(|world| {
            let subnet = world.subnets.get_mut(&SUBNET).unwrap();
            (subnet.questions, subnet.dissolving) = (None, true);
        });
        Emissions::on_dissolving(SUBNET);
        assert_eq!(Emissions::dissolve(SUBNET, 1), 1);
        assert_eq!((has(MINER), withheld(MINER)), (amount, 0));
        while Emissions::dissolve(SUBNET, 1) > 0 {}
        assert_eq!(TotalPots::<Test>::get(), 0);
    });
}

#[test]
fn what_cannot_be_delivered_is_in_the_pot_again() {
    let poor = ExtBuilder::default()
        .subnet(SUBNET)
        .validator(SUBNET, Uid(0), 60)
        .poor_miner(SUBNET, MINER);
    poor.build_and_execute(|| {
        World::change(|world| {
            let subnet = world.subnets.get_mut(&SUBNET).unwrap();
            subnet.hyperparameters.min_validator_stake = 1;
        });
        Wages::<Test>::insert(SUBNET, MINER, {
            let mut withheld = cairn_protocol::wages::Withheld::default();
            withheld.earn(0, EXISTENTIAL_DEPOSIT - 1).unwrap();
            withheld
        });
        SubnetLedgers::<Test>::mutate(SUBNET, |ledger| {
            let ledger = ledger.get_or_insert_with(|| crate::SubnetLedger::new(1));
            ledger.withheld = EXISTENTIAL_DEPOSIT - 1;
        });
        TotalPots::<Test>::mutate(|pots| *pots += EXISTENTIAL_DEPOSIT - 1);
        crate::Issued::<Test>::mutate(|issued| *issued += EXISTENTIAL_DEPOSIT - 1);
        run_to(13);
        assert_eq!(withheld(MINER), 0);
        assert_eq!(Balances::free_balance(coldkey(hotkey(SUBNET, MINER))), 0);
        assert!(SubnetLedgers::<Test>::get(SUBNET).unwrap().pots.miners > EXISTENTIAL_DEPOSIT - 1);
    });
}
