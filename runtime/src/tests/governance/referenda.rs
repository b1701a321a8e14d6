//! A referendum changes one rule: cancelled once by the council, passed once by stake.

use cairn_primitives::{Netuid, Role, CRN};
use frame_support::traits::fungible::InspectHold;
use pallet_referenda::ReferendumInfo;

use super::{
    all_are_for, blocks, cheaper, events, fails, floor, motion, outcome, people, propose, submit,
    submit_noted, succeeds, vote, EACH, PROPOSER, VOTERS,
};
use crate::{
    governance::{self, Origin},
    readers,
    tests::chain::{send, Actor, Chain},
    AccountId, Balances, Runtime, RuntimeCall, RuntimeEvent,
};

/// Blocks from a referendum's beginning to its enactment, if all are for it, and some more.
const WHOLE: u32 = 70;

fn info(chain: &mut Chain, index: u32) -> &'static str {
    chain.ask(
        || match pallet_referenda::ReferendumInfoFor::<Runtime>::get(index) {
            Some(ReferendumInfo::Ongoing(_)) => "ongoing",
            Some(ReferendumInfo::Approved(..)) => "approved",
            Some(ReferendumInfo::Rejected(..)) => "rejected",
            Some(ReferendumInfo::Cancelled(..)) => "cancelled",
            Some(ReferendumInfo::Killed(..)) => "killed",
            _ => "something else",
        },
    )
}

fn until(chain: &mut Chain, index: u32, state: &str) {
    for _ in 0..WHOLE {
        if info(chain, index) == state {
            return;
        }
        blocks(chain, 1);
    }
    panic!("it is {} and not {state}", info(chain, index));
}

#[test]
fn a_rule_is_changed_by_stake_after_the_council_stopped_it_once() {
    let mut chain = Chain::new(&people());
    let before = chain.ask(readers::issuance);
    let first = propose(&mut chain, Origin::Rules, cheaper());
    all_are_for(&mut chain, first);
    blocks(&mut chain, 5);
    assert_eq!(info(&mut chain, first), "ongoing");
    let cancel = governance::Call::cancel { index: first };
    assert_eq!(outcome(&motion(&mut chain, cancel)), Ok(()));
    assert_eq!(info(&mut chain, first), "cancelled");
    blocks(&mut chain, WHOLE);
    assert_eq!(floor(&mut chain), 100 * CRN);

    let second = propose(&mut chain, Origin::Rules, cheaper());
    all_are_for(&mut chain, second);
    let cancel = governance::Call::cancel { index: second };
    let again = governance::Error::<Runtime>::CancelledBefore;
    let refused = outcome(&motion(&mut chain, cancel));
    assert_eq!(refused, Err(super::without_words(again.into())));
    until(&mut chain, second, "approved");
    // It is enacted no sooner than seven days, here fourteen blocks, after its approval.
    blocks(&mut chain, 12);
    assert_eq!(floor(&mut chain), 100 * CRN);
    let set = (0..4).any(|_| {
        let seen = chain.block(events).expect("the books are right");
        let set = |event: &RuntimeEvent| {
            matches!(
                event,
                RuntimeEvent::Governance(governance::Event::RuleSet { .. })
            )
        };
        seen.iter().any(set)
    });
    assert!(set, "it was enacted and said so");
    assert_eq!(floor(&mut chain), 50 * CRN);
    assert_eq!(chain.ask(readers::creation_price), 50 * CRN);

    deposits_come_back(&mut chain, first, second);
    let after = chain.ask(readers::issuance);
    // Blocks pay no subnet here; fees go to the author.
    assert_eq!(after.issued, after.balances);
    assert!(after.issued >= before.issued, "nothing was lost");
}

/// Votes are taken back and unlocked, deposits are given back: nobody holds anything any more.
fn deposits_come_back(chain: &mut Chain, first: u32, second: u32) {
    for index in [first, second] {
        let decision = pallet_referenda::Call::refund_decision_deposit { index };
        succeeds(chain, PROPOSER, decision);
        let submission = pallet_referenda::Call::refund_submission_deposit { index };
        succeeds(chain, PROPOSER, submission);
    }
    assert_eq!(
        chain.ask(|| Balances::reserved_balance(PROPOSER.account())),
        0
    );
    for voter in VOTERS {
        for index in [first, second] {
            let class = Some(governance::tracks::RULES);
            let remove = pallet_conviction_voting::Call::remove_vote { class, index };
            succeeds(chain, voter, remove);
        }
        assert!(locked(chain, voter) >= 90_000 * CRN);
    }
    blocks(chain, 20);
    for voter in VOTERS {
        let unlock = pallet_conviction_voting::Call::unlock {
            class: governance::tracks::RULES,
            target: voter.account().into(),
        };
        succeeds(chain, voter, unlock);
        assert_eq!(locked(chain, voter), 0);
    }
    let held = chain.ask(|| Balances::total_balance_on_hold(&PROPOSER.account()));
    assert_eq!(held, 0);
}

/// What an account cannot spend because it voted.
fn locked(chain: &mut Chain, actor: Actor) -> u64 {
    let locks = chain.ask(|| pallet_balances::Locks::<Runtime>::get(actor.account()));
    locks.iter().map(|lock| lock.amount).max().unwrap_or(0)
}

#[test]
fn what_stake_does_not_want_is_not_enacted() {
    let mut chain = Chain::new(&people());
    let index = propose(&mut chain, Origin::Rules, cheaper());
    succeeds(&mut chain, VOTERS[0], vote(index, true, 40_000 * CRN));
    succeeds(&mut chain, VOTERS[1], vote(index, false, 50_000 * CRN));
    until(&mut chain, index, "rejected");
    blocks(&mut chain, WHOLE);
    assert_eq!(floor(&mut chain), 100 * CRN);
}

#[test]
fn a_twentieth_of_all_that_was_issued_has_to_want_it() {
    let mut chain = Chain::new(&people());
    let index = propose(&mut chain, Origin::Rules, cheaper());
    // All who vote are for it, with less than 5 % of 600,000 CRN.
    succeeds(&mut chain, VOTERS[0], vote(index, true, 29_000 * CRN));
    until(&mut chain, index, "rejected");
    assert_eq!(floor(&mut chain), 100 * CRN);
}

#[test]
fn a_referendum_cannot_be_hastened_past_its_delay() {
    let mut chain = Chain::new(&people());
    let index = propose(&mut chain, Origin::Rules, cheaper());
    all_are_for(&mut chain, index);
    until(&mut chain, index, "approved");
    let at = chain.ask(|| {
        let agenda = pallet_scheduler::Agenda::<Runtime>::iter();
        let own = |task: &Option<_>| {
            task.as_ref()
                .is_some_and(|task: &pallet_scheduler::ScheduledOf<Runtime>| {
                    task.maybe_id.is_some()
                })
        };
        let mut found = agenda.filter(|(_, tasks)| tasks.iter().any(own));
        found.next().expect("it waits").0 - crate::System::block_number()
    });
    assert!(at >= 13, "{at} blocks");
}

#[test]
fn what_is_locked_by_a_vote_cannot_be_spent_or_staked() {
    let mut chain = Chain::new(&people());
    let voter = VOTERS[0];
    chain
        .block(|| {
            let register = pallet_subnets::Call::register {
                netuid: Netuid(1),
                hotkey: Actor(7).account(),
                role: Role::Validator,
                max_price: u64::MAX,
                signature: Actor(7).registers(Netuid(1), &voter.account()),
            };
            let create = pallet_subnets::Call::create_subnet {
                max_price: u64::MAX,
            };
            assert_eq!(send(PROPOSER, create.into()), Ok(Ok(())));
            assert_eq!(send(voter, register.into()), Ok(Ok(())));
        })
        .expect("the books are right");
    let index = propose(&mut chain, Origin::Rules, cheaper());
    let all_but_fees = EACH - 100 * CRN;
    succeeds(&mut chain, voter, vote(index, true, all_but_fees));
    let stake = RuntimeCall::Stake(pallet_stake::Call::add_stake {
        netuid: Netuid(1),
        hotkey: Actor(7).account(),
        amount: 1_000 * CRN,
    });
    let send_away = RuntimeCall::Balances(pallet_balances::Call::transfer_allow_death {
        dest: Actor(9).account().into(),
        value: 1_000 * CRN,
    });
    for call in [stake, send_away] {
        let refused = chain
            .block(|| send(voter, call))
            .expect("the books are right");
        assert!(refused.expect("it is valid").is_err());
    }
}

#[test]
fn what_stake_kills_is_burned_on_both_sides_of_the_ledger() {
    let mut chain = Chain::new(&people());
    let victim = propose(&mut chain, Origin::Rules, cheaper());
    let kill = pallet_referenda::Call::kill { index: victim };
    let index = propose(&mut chain, Origin::Cancel, kill);
    let before = chain.ask(readers::issuance).issued;
    all_are_for(&mut chain, index);
    until(&mut chain, victim, "killed");
    let after = chain.ask(readers::issuance);
    // The deposits of 10 and 500 CRN are gone.
    assert_eq!(after.issued, after.balances);
    assert_eq!(before - after.issued, 510 * CRN);
}

#[test]
fn stake_takes_back_what_it_approved() {
    let mut chain = Chain::new(&people());
    let victim = propose(&mut chain, Origin::Rules, cheaper());
    all_are_for(&mut chain, victim);
    until(&mut chain, victim, "approved");
    // A referendum that cancels takes some six blocks here, and what was approved waits for fourteen.
    let cancel = governance::Call::cancel { index: victim };
    let index = propose(&mut chain, Origin::Cancel, cancel);
    let voted =
        chain.block(|| VOTERS.map(|voter| send(voter, vote(index, true, 90_000 * CRN).into())));
    assert_eq!(voted, Ok([Ok(Ok(())), Ok(Ok(()))]));
    blocks(&mut chain, 20);
    assert_eq!(info(&mut chain, victim), "approved");
    assert_eq!(floor(&mut chain), 100 * CRN);
}

#[test]
fn nobody_proposes_to_act_as_root_or_as_another() {
    let mut chain = Chain::new(&people());
    let origins = [
        frame_system::RawOrigin::Root,
        frame_system::RawOrigin::Signed(VOTERS[0].account()),
    ];
    for origin in origins {
        let RuntimeCall::Referenda(pallet_referenda::Call::submit {
            proposal,
            enactment_moment,
            ..
        }) = submit(Origin::Rules, cheaper())
        else {
            unreachable!("it submits")
        };
        let submit = pallet_referenda::Call::submit {
            proposal_origin: Box::new(crate::OriginCaller::system(origin)),
            proposal,
            enactment_moment,
        };
        fails(
            &mut chain,
            PROPOSER,
            submit,
            pallet_referenda::Error::<Runtime>::NoTrack,
        );
    }
}

/// Twelve accounts are longer than what a referendum holds itself.
#[test]
fn a_whole_council_is_proposed_by_the_hash_of_the_call() {
    let mut chain = Chain::new(&people());
    let members: Vec<AccountId> = (0..12).map(|seat| AccountId::new([seat; 32])).collect();
    let seats = || {
        RuntimeCall::Council(pallet_collective::Call::set_members {
            new_members: members.clone(),
            prime: None,
            old_count: 3,
        })
    };
    // The second time it is noted already.
    for _ in 0..2 {
        succeeds(&mut chain, PROPOSER, submit_noted(Origin::Council, seats()));
    }
    let place = pallet_referenda::Call::place_decision_deposit { index: 1 };
    succeeds(&mut chain, PROPOSER, place);
    all_are_for(&mut chain, 1);
    until(&mut chain, 1, "approved");
    // Seven days, here fourteen blocks, after its approval.
    blocks(&mut chain, 17);
    let council = chain.ask(pallet_collective::Members::<Runtime, _>::get);
    assert_eq!(council, members);
}
