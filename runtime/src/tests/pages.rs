//! Lists that a node tells page by page: the pages together are the list, with each item once.

use std::fmt::Debug;

use cairn_primitives::{
    api::AuditInfo,
    traits::{Audits as _, Membership, Settled},
    AuditRules, Netuid, Round, Text, Uid, H256, PER_PAGE,
};
use frame_support::assert_ok;
use sp_runtime::traits::Dispatchable;

use super::{chain::Actor, play};
use crate::{readers, AccountId, Audits, RuntimeCall, RuntimeOrigin, Subnets, Training};

const NET: Netuid = Netuid(1);

/// All pages of this limit, one after the other, as whoever asks goes through them.
fn gathered<T>(
    limit: u32,
    number: fn(&T) -> u16,
    page: impl Fn(u16, u32) -> Vec<T>,
) -> (usize, Vec<T>) {
    let (mut all, mut pages, mut from) = (Vec::new(), 0, 0);
    loop {
        let next = page(from, limit);
        let Some(last) = next.last() else {
            return (pages, all);
        };
        pages += 1;
        from = number(last) + 1;
        all.extend(next);
    }
}

/// That pages of any length are the list, and begin where they are asked to.
fn are_the_list<T: Clone + Debug + PartialEq>(
    list: &[T],
    number: fn(&T) -> u16,
    page: impl Fn(u16, u32) -> Vec<T>,
) {
    assert!(list.len() > 1, "{list:?}");
    assert!(list.is_sorted_by(|one, next| number(one) < number(next)));
    for limit in 1..=4 {
        let (pages, all) = gathered(limit, number, &page);
        assert_eq!(all, list);
        assert_eq!(pages, list.len().div_ceil(limit as usize));
    }
    for limit in [PER_PAGE, PER_PAGE + 1, u32::MAX] {
        assert_eq!(page(0, limit), list);
    }
    // A page has something, if there is something.
    assert_eq!(page(0, 0), list[..1]);
    for one in list {
        let from = number(one);
        let rest: Vec<T> = list
            .iter()
            .filter(|other| number(other) >= from)
            .cloned()
            .collect();
        assert_eq!(page(from, PER_PAGE), rest);
    }
    assert!(page(u16::MAX, PER_PAGE).is_empty());
}

fn sent(who: AccountId, call: impl Into<RuntimeCall>) {
    assert_ok!(call.into().dispatch(RuntimeOrigin::signed(who)));
}

/// A chain with a run, and members that say where their files are.
fn at_work(test: impl FnOnce()) {
    let mut chain = play::after_the_opening();
    chain.ask(|| {
        for (_, hotkey) in <Subnets as Membership<AccountId>>::members(NET) {
            let named = Text::new("https://mirror.example/run").expect("short");
            let call = pallet_endpoints::Call::set_endpoints {
                netuid: NET,
                endpoints: vec![named].try_into().expect("few"),
            };
            sent(hotkey, call);
        }
        for owner in [0, 1, 2] {
            let max_price = u64::MAX;
            let call = pallet_subnets::Call::create_subnet { max_price };
            sent(Actor(owner).account(), call);
        }
        test();
    });
}

#[test]
fn pages_of_subnets_members_and_endpoints_are_the_lists() {
    at_work(|| {
        are_the_list(
            &readers::subnets(),
            |subnet| subnet.netuid.get(),
            |from, limit| readers::subnets_page(Netuid(from), limit),
        );
        are_the_list(
            &readers::members(NET),
            |member| member.uid.get(),
            |from, limit| readers::members_page(NET, Uid(from), limit),
        );
        are_the_list(
            &readers::endpoints(NET),
            |member| member.uid.get(),
            |from, limit| readers::endpoints_page(NET, Uid(from), limit),
        );
        assert!(readers::members_page(Netuid(99), Uid(0), PER_PAGE).is_empty());
        assert!(readers::endpoints_page(Netuid(99), Uid(0), PER_PAGE).is_empty());
    });
}

#[test]
fn pages_of_contributions_are_the_list() {
    at_work(|| {
        let run = Training::run_info(NET).expect("it has one");
        let mut rounds = run.oldest_round..=run.round.round;
        let round = rounds.find(|round| readers::contributions(NET, *round).len() > 1);
        let round = round.expect("two miners worked in one");
        are_the_list(
            &readers::contributions(NET, round),
            |one| one.uid.get(),
            |from, limit| readers::contributions_page(NET, round, Uid(from), limit),
        );
        let none = readers::contributions_page(NET, u32::MAX, Uid(0), PER_PAGE);
        assert!(none.is_empty());
    });
}

/// Has every contribution of a round audited, of three members that nobody else knows, by one that has an owner.
fn audit_each_of(round: Round) {
    let members = <Subnets as Membership<AccountId>>::members(NET);
    let auditor = members.into_iter().next().expect("there are some");
    let included: Vec<(Uid, AccountId)> = (0..3)
        .map(|uid| (Uid(uid * 5), AccountId::new([uid as u8 + 1; 32])))
        .collect();
    Audits::on_settled(Settled {
        netuid: NET,
        round,
        seed: H256([1; 32]),
        rules: AuditRules {
            rate: AuditRules::EACH,
            auditors: 1,
            blocks: 20,
            ..AuditRules::default()
        },
        max_contributors: 4,
        parameters: 1_000,
        included: &included,
        validators: &[(auditor.0, auditor.1, 1)],
    });
}

#[test]
fn pages_of_open_audits_are_the_list() {
    at_work(|| {
        for round in [1_000, 1_002] {
            audit_each_of(round);
        }
        let list = readers::open_audits(NET);
        let place = |audit: &AuditInfo<AccountId>| (audit.round, audit.uid);
        assert!(list.len() >= 6, "{list:?}");
        assert!(list.is_sorted_by(|one, next| place(one) < place(next)));
        for limit in 1..=4u32 {
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let page = readers::open_audits_page(NET, after, limit);
                let Some(last) = page.last() else {
                    break;
                };
                after = Some(place(last));
                assert!(page.len() <= limit as usize);
                all.extend(page);
            }
            assert_eq!(all, list);
        }
        assert_eq!(readers::open_audits_page(NET, None, u32::MAX), list);
        assert_eq!(readers::open_audits_page(NET, None, 0), list[..1]);
        let last = Some((u32::MAX, Uid(u16::MAX)));
        assert!(readers::open_audits_page(NET, last, PER_PAGE).is_empty());
    });
}
