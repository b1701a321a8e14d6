//! Free calls get in: before what is paid for, one of a kind, until it is too late, and so many of a subnet.

use std::collections::BTreeSet;

use cairn_primitives::{Balance, Netuid, CRN};
use codec::Encode;
use frame_support::dispatch::DispatchClass;
use sp_runtime::{
    traits::One,
    transaction_validity::{InvalidTransaction, ValidTransaction},
};

use super::{
    duties,
    fees::{announced, at_work, judged, remark, skipped},
    Actor, Chain,
};
use crate::{
    configs::system::{Length, Weights},
    duties::Duty,
    extensions::FREE_PRIORITY,
    quota::{Taken, OF_OTHERS, OF_WHO_WORKS},
    tests::chain::send,
    Executive, Runtime, RuntimeCall, System, TransactionPayment,
};

/// What is free in the next block, by whom.
fn owed() -> Vec<(Actor, RuntimeCall)> {
    let free = |(by, call): &(Actor, RuntimeCall)| announced(&by.sign(call.clone())) == 0;
    duties().into_iter().filter(free).collect()
}

fn of_duty(by: Actor, ahead: u32, tip: Balance, call: &RuntimeCall) -> ValidTransaction {
    let nonce = System::account_nonce(by.account()) + ahead;
    judged(by.sign_with(nonce, tip, call.clone())).expect("it is free")
}

/// Asks of every free call in some blocks that follow one another. Two weights' modes, so that every kind is seen.
fn of_all_duties(question: impl Fn(Actor, RuntimeCall)) {
    let mut kinds = BTreeSet::new();
    for hidden in [true, false] {
        let mut chain = at_work(hidden);
        for block in 0..40 {
            chain.ask(|| {
                for (by, call) in owed() {
                    kinds.insert(super::name(&call));
                    question(by, call);
                }
            });
            // Not at once: what was done is not owed. In one half of the blocks the even ones, in the other the odd ones,
            // since a round has as many of both.
            let work = || {
                if (block + block / 20) % 2 == 0 {
                    pass_on()
                }
            };
            chain.block(work).expect("the books are right");
        }
    }
    assert_eq!(kinds.len(), 11, "{kinds:?}");
}

/// Everybody does its duty.
fn pass_on() {
    for (by, call) in duties() {
        let _ = send(by, call);
    }
}

#[test]
fn whatever_is_free_is_a_duty() {
    of_all_duties(|by, call| {
        let duty = Duty::of(&call, &by.account()).expect("a member's");
        assert!(Duty::is_owed(&call) && duty.netuid == Netuid(1));
        assert_eq!(Duty::of(&call, &Actor(0).account()), None);
        let refused = Err(InvalidTransaction::Call.into());
        assert_eq!(judged(Actor(0).sign(call)), refused);
    });
}

#[test]
fn no_tip_passes_a_free_call() {
    of_all_duties(|by, call| {
        let rich = Actor(0);
        let everything = crate::Balances::free_balance(rich.account()) - CRN;
        assert!(everything > 100_000 * CRN);
        let tipped = rich.sign_with(System::account_nonce(rich.account()), everything, remark(1));
        let most = judged(tipped).expect("it can pay").priority;
        assert!(most <= FREE_PRIORITY);
        assert!(of_duty(by, 0, 0, &call).priority > most);
    });
}

#[test]
fn the_pool_holds_one_of_a_kind_and_not_for_longer_than_it_can_be_done() {
    of_all_duties(|by, call| {
        let (first, second) = (of_duty(by, 0, 0, &call), of_duty(by, 1, 0, &call));
        let shared = |tag: &&Vec<u8>| second.provides.contains(tag);
        assert_eq!(first.provides.iter().filter(shared).count(), 1);
        assert_eq!(
            first.priority, second.priority,
            "the second does not replace the first"
        );
        let until = Duty::of(&call, &by.account()).expect("a member's").until;
        let next = System::block_number() + 1;
        assert_eq!(
            first.longevity,
            u64::from(until.saturating_sub(next).max(1))
        );
    });
    // Of two members, or of two kinds, both wait.
    let mut chain = at_work(true);
    let (mut most, mut last) = (0, 0);
    while last != 1 {
        chain.block(|| ()).expect("the books are right");
        last = chain.ask(|| {
            let owed = owed();
            let tags = owed
                .iter()
                .flat_map(|(by, call)| of_duty(*by, 0, 0, call).provides);
            let tags: BTreeSet<_> = tags.filter(|tag| tag.starts_with(b"cairn/duty")).collect();
            assert_eq!(tags.len(), owed.len());
            most = most.max(owed.len());
            usize::from(most > 2)
        });
    }
}

/// A chain whose next block is early in the phase in which miners commit, and what they owe.
fn at_the_beginning_of_a_round() -> (Chain, (Actor, RuntimeCall)) {
    let mut chain = at_work(true);
    loop {
        let owed = chain.ask(|| {
            let commits = |(_, call): &(Actor, RuntimeCall)| {
                super::name(call) == Some(("training", "commit"))
            };
            owed().into_iter().find(commits)
        });
        if let Some((by, call)) = owed {
            let left = || of_duty(by, 0, 0, &call).longevity;
            if chain.ask(left) > 1 {
                return (chain, (by, call));
            }
        }
        chain.block(|| ()).expect("the books are right");
    }
}

#[test]
fn it_is_the_more_urgent_the_less_time_is_left() {
    let (mut chain, (by, call)) = at_the_beginning_of_a_round();
    let early = chain.ask(|| of_duty(by, 0, 0, &call));
    chain.block(|| ()).expect("the books are right");
    let late = chain.ask(|| of_duty(by, 0, 0, &call));
    assert_eq!(late.priority, early.priority + 1);
    assert_eq!(late.longevity, early.longevity - 1);
}

#[test]
fn with_a_tip_a_duty_is_paid_for_and_replaces_the_free_one() {
    let (mut chain, (by, call)) = at_the_beginning_of_a_round();
    let poor =
        chain.ask(|| judged(by.sign_with(System::account_nonce(by.account()), 1, call.clone())));
    assert_eq!(
        poor,
        Err(InvalidTransaction::Payment.into()),
        "a hotkey has no money"
    );
    chain
        .block(|| {
            let value = CRN;
            let dest = by.account().into();
            send(
                Actor(0),
                pallet_balances::Call::transfer_allow_death { dest, value }.into(),
            )
            .expect("valid")
            .expect("it can pay");
        })
        .expect("the books are right");
    chain.ask(|| {
        let (free, paying) = (of_duty(by, 0, 0, &call), of_duty(by, 0, 1, &call));
        assert!(paying.priority > free.priority);
        let tags = |of: &ValidTransaction| of.provides.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(tags(&paying), tags(&free));
        assert_eq!(paying.longevity, free.longevity);
        let nonce = System::account_nonce(by.account());
        assert!(announced(&by.sign_with(nonce, 1, call.clone())) > 0);
    });
    chain
        .block(|| {
            let nonce = System::account_nonce(by.account());
            let signed = by.sign_with(nonce, 1, call.clone());
            let before = crate::Balances::free_balance(by.account());
            let free = skipped();
            let done = Executive::apply_extrinsic(signed);
            assert_eq!(done, Ok(Ok(())));
            assert!(crate::Balances::free_balance(by.account()) < before);
            assert_eq!(skipped(), free);
        })
        .expect("the books are right");
}

#[test]
fn a_block_takes_only_so_many_of_a_subnet() {
    let (mut chain, (by, call)) = at_the_beginning_of_a_round();
    let full =
        |places: u32| Taken::<Runtime>::mutate(|taken| taken.try_insert(Netuid(1), places).is_ok());
    let most = chain.ask(
        || match crate::readers::emission(Netuid(1)).expect("a subnet").works {
            true => OF_WHO_WORKS,
            false => OF_OTHERS,
        },
    );
    chain
        .block(|| {
            assert!(full(most));
            assert_eq!(
                send(by, call.clone()),
                Err(InvalidTransaction::ExhaustsResources.into())
            );
            assert!(full(most - 1));
        })
        .expect("the books are right");
    chain
        .block(|| {
            assert!(
                Taken::<Runtime>::get().is_empty(),
                "every block begins with none"
            );
            assert_eq!(send(by, call.clone()), Ok(Ok(())));
            assert_eq!(Taken::<Runtime>::get().get(&Netuid(1)), Some(&1));
        })
        .expect("the books are right");
}

#[test]
fn nobody_buys_the_room_that_is_kept_for_duties() {
    let (mut chain, (by, call)) = at_the_beginning_of_a_round();
    let refused = Err(InvalidTransaction::Call.into());
    chain.ask(|| {
        use frame_support::dispatch::GetDispatchInfo;
        assert_eq!(call.get_dispatch_info().class, DispatchClass::Operational);
        // It would fail: it is somebody else's.
        assert_eq!(judged(Actor(0).sign(call.clone())), refused);
        let calls = vec![call.clone()];
        let batch: RuntimeCall = pallet_utility::Call::batch { calls }.into();
        assert_eq!(judged(Actor(0).sign(batch.clone())), refused);
        assert_eq!(judged(by.sign(batch)), refused);
        let own = judged(by.sign(call.clone()));
        assert!(own.is_ok());
    });
    // Twice in a block: the second would fail.
    chain
        .block(|| {
            assert_eq!(send(by, call.clone()), Ok(Ok(())));
            assert_eq!(
                send(by, call.clone()),
                refused.clone().map(|_: ValidTransaction| Ok(()))
            );
        })
        .expect("the books are right");
}

#[test]
fn what_computation_costs_follows_load_and_never_falls_below_its_price() {
    let mut chain = at_work(true);
    let price = TransactionPayment::next_fee_multiplier;
    let least = chain.ask(price);
    assert_eq!(least, One::one());
    let full = Weights::get()
        .get(DispatchClass::Normal)
        .max_total
        .expect("it has a limit");
    for _ in 0..4 {
        let busy = || System::register_extra_weight_unchecked(full / 2, DispatchClass::Normal);
        chain.block(busy).expect("the books are right");
    }
    let dear = chain.ask(price);
    assert!(dear > least);
    for _ in 0..12 {
        chain.block(|| ()).expect("the books are right");
    }
    assert_eq!(chain.ask(price), least);
}

#[test]
fn what_bytes_cost_follows_load_and_never_falls_below_its_price() {
    let mut chain = at_work(true);
    let long = || TransactionPayment::length_to_fee(31 << 10);
    let least = chain.ask(long);
    let room = *Length::get().max.get(DispatchClass::Normal);
    for _ in 0..4 {
        let computed = chain.block(|| {
            for _ in 0..40 {
                assert_eq!(send(Actor(0), remark(31 << 10)), Ok(Ok(())));
            }
            assert!(
                System::block_size() > room / 4,
                "the block is fuller than usual"
            );
            System::block_weight().get(DispatchClass::Normal).ref_time()
        });
        let most = Weights::get().get(DispatchClass::Normal).max_total;
        let most = most.expect("it has a limit").ref_time();
        let computed = computed.expect("the books are right");
        assert!(computed < most / 4, "only its bytes are many");
    }
    assert!(chain.ask(long) > least);
    for _ in 0..12 {
        chain.block(|| ()).expect("the books are right");
    }
    assert_eq!(chain.ask(long), least);
}

#[test]
fn to_fill_a_block_costs_something() {
    let mut chain = at_work(true);
    let room = u64::from(*Length::get().max.get(DispatchClass::Normal));
    chain.ask(|| {
        for bytes in [128, 1 << 10, 8 << 10, 31 << 10] {
            let transaction = Actor(0).sign(remark(bytes));
            let length = transaction.encoded_size() as u64;
            let all = announced(&transaction) * (room / length);
            assert!(
                all > CRN * 2 / 5,
                "{all} pebble for a block of {length} bytes each"
            );
        }
    });
}
