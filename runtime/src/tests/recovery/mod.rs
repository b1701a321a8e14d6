//! Recovery of a coldkey: who gets what is its own, when, and who can stop it.

mod bytes;

use cairn_primitives::{
    traits::{Membership, Positions},
    Balance, BlockNumber, Netuid, Role, CRN,
};
use cairn_protocol::limits::{LEAST_RECOVERY_DELAY, MOST_RECOVERY_DELAY};
use frame_support::traits::{
    fungible::{Inspect, InspectHold},
    Contains,
};
use pallet_recovery::{pallet::Attempt, Call, Error, Event, FriendGroupOf, HoldReason};
use serde_json::Value;
use sp_runtime::{traits::Dispatchable, DispatchError};

use super::chain::{genesis, send, Actor, Chain};
use crate::{
    configs::{
        accounts::ProxyKind,
        recovery::{self, SecurityDeposit},
    },
    governance::{filter::Allowed, Hurry},
    presets, readers, Balances, Recovery, Runtime, RuntimeCall, RuntimeEvent, RuntimeHoldReason,
    RuntimeOrigin, Stake, Subnets, System,
};

/// Whose key is lost.
const LOST: Actor = Actor(0);
/// Two of them are needed.
const FRIENDS: [Actor; 3] = [Actor(1), Actor(2), Actor(3)];
/// Who inherits.
const INHERITOR: Actor = Actor(4);
/// Nobody of those.
const STRANGER: Actor = Actor(5);
/// The lost key's hotkey, and the one that takes its place.
const HOTKEYS: [Actor; 2] = [Actor(7), Actor(8)];

const NET: Netuid = Netuid(1);
/// What each has.
const EACH: Balance = 100_000 * CRN;
const STAKED: Balance = 1_000 * CRN;
/// Blocks from the first vouching to the inheritance.
const DELAY: BlockNumber = 8;
/// Blocks for which whoever began cannot take it back.
const CANCEL_DELAY: BlockNumber = 6;

/// A chain whose delays are a 7,200th, on which six accounts have the same.
fn people() -> Value {
    let mut genesis = genesis(presets::DEVELOPMENT_PRESET);
    let accounts: Vec<_> = (0..6).map(|one| Actor(one).account()).collect();
    let balances: Vec<_> = accounts.iter().map(|one| (one, EACH)).collect();
    genesis["balances"]["balances"] = serde_json::to_value(balances).expect("plain");
    // Who makes the blocks, and gets the fees, is none of the others.
    genesis["session"]["keys"][0][0] = serde_json::to_value(&accounts[5]).expect("plain");
    genesis["session"]["keys"][0][1] = genesis["session"]["keys"][0][0].clone();
    genesis["sudo"]["key"] = Value::Null;
    genesis
}

/// One group: two of three friends.
fn group(inheritance_delay: BlockNumber, cancel_delay: BlockNumber) -> FriendGroupOf<Runtime> {
    let mut friends = FRIENDS.map(Actor::account).to_vec();
    friends.sort();
    FriendGroupOf::<Runtime> {
        friends: friends.try_into().expect("few"),
        friends_needed: 2,
        inheritor: INHERITOR.account(),
        inheritance_delay,
        inheritance_priority: 0,
        cancel_delay,
    }
}

fn set(groups: Vec<FriendGroupOf<Runtime>>) -> RuntimeCall {
    RuntimeCall::Recovery(Call::set_friend_groups {
        friend_groups: groups,
    })
}

fn begin() -> RuntimeCall {
    RuntimeCall::Recovery(Call::initiate_attempt {
        lost: LOST.account().into(),
        friend_group_index: 0,
    })
}

fn approve() -> RuntimeCall {
    RuntimeCall::Recovery(Call::approve_attempt {
        lost: LOST.account().into(),
        friend_group_index: 0,
    })
}

fn finish() -> RuntimeCall {
    RuntimeCall::Recovery(Call::finish_attempt {
        lost: LOST.account().into(),
        friend_group_index: 0,
    })
}

fn cancel() -> RuntimeCall {
    RuntimeCall::Recovery(Call::cancel_attempt {
        lost: LOST.account().into(),
        friend_group_index: 0,
    })
}

fn slash() -> RuntimeCall {
    RuntimeCall::Recovery(Call::slash_attempt {
        friend_group_index: 0,
    })
}

fn revoke() -> RuntimeCall {
    RuntimeCall::Recovery(Call::revoke_inheritor {})
}

/// All that an account can send, to the inheritor.
fn send_all() -> RuntimeCall {
    RuntimeCall::Balances(pallet_balances::Call::transfer_all {
        dest: INHERITOR.account().into(),
        keep_alive: false,
    })
}

fn remark() -> RuntimeCall {
    RuntimeCall::System(frame_system::Call::remark { remark: vec![] })
}

/// A call that the inheritor makes as the lost account.
fn as_lost(call: impl Into<RuntimeCall>) -> RuntimeCall {
    RuntimeCall::Recovery(Call::control_inherited_account {
        recovered: LOST.account().into(),
        call: Box::new(call.into()),
    })
}

/// Sends in a block of its own what has to succeed.
fn succeeds(chain: &mut Chain, by: Actor, call: impl Into<RuntimeCall>) {
    let call = call.into();
    let sent = chain.block(|| send(by, call)).expect("the books are right");
    assert_eq!(sent, Ok(Ok(())));
}

/// Sends in a block of its own what has to fail.
fn fails(
    chain: &mut Chain,
    by: Actor,
    call: impl Into<RuntimeCall>,
    why: impl Into<DispatchError>,
) {
    let call = call.into();
    let sent = chain.block(|| send(by, call)).expect("the books are right");
    let failed = sent.expect("it is valid").expect_err("it fails");
    assert_eq!(failed.stripped(), why.into().stripped());
}

/// What became of a call that the inheritor makes as the lost account.
fn inherited(chain: &mut Chain, call: impl Into<RuntimeCall>) -> Result<(), DispatchError> {
    let call = as_lost(call);
    let (sent, events) = chain
        .block(|| (send(INHERITOR, call), System::events()))
        .expect("the books are right");
    assert_eq!(sent, Ok(Ok(())));
    let said = events.into_iter().find_map(|record| match record.event {
        RuntimeEvent::Recovery(Event::RecoveredAccountControlled {
            recovered,
            inheritor,
            call_result,
            ..
        }) => {
            assert_eq!(
                (recovered, inheritor),
                (LOST.account(), INHERITOR.account())
            );
            Some(call_result)
        }
        _ => None,
    });
    said.expect("it says what came of it")
        .map_err(DispatchError::stripped)
}

fn pass(chain: &mut Chain, blocks: BlockNumber) {
    for _ in 0..blocks {
        chain.block(|| ()).expect("the books are right");
    }
}

fn free(chain: &mut Chain, who: Actor) -> Balance {
    chain.ask(|| <Balances as Inspect<_>>::balance(&who.account()))
}

fn staked(chain: &mut Chain, who: Actor) -> Balance {
    let hotkey = HOTKEYS[0].account();
    chain.ask(|| {
        <Stake as Positions<_>>::position(&who.account(), NET, &hotkey)
            .map_or(0, |position| position.staked)
    })
}

/// What is held of an account for a reason of this pallet's.
fn held(chain: &mut Chain, who: Actor, reason: HoldReason) -> Balance {
    let reason = RuntimeHoldReason::Recovery(reason);
    chain.ask(|| Balances::balance_on_hold(&reason, &who.account()))
}

/// The lost account has a validator with stake on it, and friends.
fn prepared() -> Chain {
    let mut chain = Chain::new(&people());
    let max_price = Balance::MAX;
    succeeds(
        &mut chain,
        LOST,
        pallet_subnets::Call::create_subnet { max_price },
    );
    let hotkey = HOTKEYS[0].account();
    let joined = chain.block(|| {
        let register = pallet_subnets::Call::register {
            netuid: NET,
            hotkey: hotkey.clone(),
            role: Role::Validator,
            max_price,
            signature: HOTKEYS[0].registers(NET, &LOST.account()),
        };
        send(LOST, register.into())
    });
    assert_eq!(joined.expect("the books are right"), Ok(Ok(())));
    let stake = pallet_stake::Call::add_stake {
        netuid: NET,
        hotkey,
        amount: STAKED,
    };
    succeeds(&mut chain, LOST, stake);
    succeeds(&mut chain, LOST, set(vec![group(DELAY, CANCEL_DELAY)]));
    chain
}

/// Two friends have borne out that the key is lost.
fn approved() -> Chain {
    let mut chain = prepared();
    succeeds(&mut chain, FRIENDS[0], begin());
    succeeds(&mut chain, FRIENDS[1], approve());
    chain
}

/// The inheritor acts for the account.
fn recovered() -> Chain {
    let mut chain = approved();
    pass(&mut chain, DELAY);
    succeeds(&mut chain, STRANGER, finish());
    chain
}

#[test]
fn a_lost_key_s_stake_and_funds_come_to_the_inheritor_after_friends_and_delay_and_not_before() {
    let mut chain = prepared();
    fails(
        &mut chain,
        INHERITOR,
        as_lost(send_all()),
        Error::<Runtime>::NoInheritor,
    );
    succeeds(&mut chain, FRIENDS[0], begin());
    let begun = chain.ask(System::block_number);
    // One friend is not enough, however long it waits.
    fails(
        &mut chain,
        INHERITOR,
        finish(),
        Error::<Runtime>::NotApproved,
    );
    succeeds(&mut chain, FRIENDS[1], approve());
    fails(
        &mut chain,
        INHERITOR,
        as_lost(send_all()),
        Error::<Runtime>::NoInheritor,
    );
    while chain.ask(System::block_number) + 1 < begun + DELAY {
        fails(
            &mut chain,
            INHERITOR,
            finish(),
            Error::<Runtime>::NotYetInheritable,
        );
    }
    // Whoever pays the deposit can finish it, and it is the inheritor's all the same.
    succeeds(&mut chain, STRANGER, finish());
    fails(
        &mut chain,
        STRANGER,
        as_lost(send_all()),
        Error::<Runtime>::NotInheritor,
    );
    fails(
        &mut chain,
        FRIENDS[0],
        as_lost(send_all()),
        Error::<Runtime>::NotInheritor,
    );

    // Stake: asked back as the lost account, or handed over.
    assert!(staked(&mut chain, LOST) >= STAKED - 1);
    let remove = pallet_stake::Call::remove_stake {
        netuid: NET,
        hotkey: HOTKEYS[0].account(),
        amount: Some(STAKED / 4),
    };
    assert_eq!(inherited(&mut chain, remove), Ok(()));
    let transfer = pallet_stake::Call::transfer_stake {
        to: INHERITOR.account(),
        netuid: NET,
        hotkey: HOTKEYS[0].account(),
        amount: None,
    };
    assert_eq!(inherited(&mut chain, transfer), Ok(()));
    assert_eq!(staked(&mut chain, LOST), 0);
    assert!(staked(&mut chain, INHERITOR) >= STAKED / 4 * 3 - 2);

    // And what is free.
    let (lost, before) = (free(&mut chain, LOST), free(&mut chain, INHERITOR));
    assert!(lost > EACH / 2, "{lost}");
    assert_eq!(inherited(&mut chain, send_all()), Ok(()));
    let after = free(&mut chain, INHERITOR);
    assert!(after > before + lost - CRN, "{before} {lost} {after}");
}

#[test]
fn the_inheritor_swaps_a_hotkey_and_rules_a_subnet() {
    let mut chain = recovered();
    let [old, new] = HOTKEYS;
    let signature = chain.ask(|| new.registers(NET, &LOST.account()));
    let announce = pallet_subnets::Call::announce_swap {
        netuid: NET,
        hotkey: old.account(),
        to: new.account(),
        signature,
    };
    assert_eq!(inherited(&mut chain, announce), Ok(()));
    let swap = chain.ask(|| {
        let members = readers::members(NET);
        members[0].swap.clone()
    });
    assert_eq!(swap.map(|(to, _)| to), Some(new.account()));
    let end = pallet_subnets::Call::dissolve_subnet { netuid: NET };
    assert_eq!(inherited(&mut chain, end), Ok(()));
    assert!(chain.ask(|| Subnets::is_dissolving(NET)));
}

#[test]
fn an_inheritor_changes_nothing_of_recoveries() {
    let mut chain = recovered();
    let filtered: DispatchError = frame_system::Error::<Runtime>::CallFiltered.into();
    for call in [set(vec![]), slash(), cancel(), revoke()] {
        let refused = inherited(&mut chain, call.clone());
        assert_eq!(refused, Err(filtered.stripped()), "{call:?}");
        let carried = pallet_utility::Call::batch_all { calls: vec![call] };
        assert_eq!(inherited(&mut chain, carried), Err(filtered.stripped()));
    }
    // Nor by a proxy that it would name: that could.
    let name = RuntimeCall::Proxy(pallet_proxy::Call::add_proxy {
        delegate: INHERITOR.account().into(),
        proxy_type: ProxyKind::Any,
        delay: 0,
    });
    let batch = RuntimeCall::Utility(pallet_utility::Call::batch {
        calls: vec![name.clone()],
    });
    for call in [name, batch] {
        fails(&mut chain, INHERITOR, as_lost(call.clone()), filtered);
        let carried = pallet_utility::Call::batch_all {
            calls: vec![as_lost(call)],
        };
        fails(&mut chain, INHERITOR, carried, filtered);
    }
}

#[test]
fn whose_key_is_not_lost_ends_it_and_may_take_the_deposit() {
    let mut chain = approved();
    assert_eq!(
        held(&mut chain, FRIENDS[0], HoldReason::SecurityDeposit),
        SecurityDeposit::get()
    );
    // Nobody else ends it.
    fails(
        &mut chain,
        STRANGER,
        cancel(),
        Error::<Runtime>::NotCanceller,
    );
    fails(&mut chain, STRANGER, slash(), Error::<Runtime>::NotAttempt);
    succeeds(&mut chain, LOST, cancel());
    for reason in [HoldReason::SecurityDeposit, HoldReason::AttemptStorage] {
        assert_eq!(held(&mut chain, FRIENDS[0], reason), 0);
    }
    pass(&mut chain, DELAY);
    fails(
        &mut chain,
        INHERITOR,
        finish(),
        Error::<Runtime>::NotAttempt,
    );

    // Again, and this time it costs the friend what it put down, which is burned.
    succeeds(&mut chain, FRIENDS[0], begin());
    succeeds(&mut chain, FRIENDS[1], approve());
    pass(&mut chain, DELAY);
    let total = |chain: &mut Chain| {
        chain.ask(|| <Balances as Inspect<_>>::total_balance(&FRIENDS[0].account()))
    };
    let before = total(&mut chain);
    // Even when it could be finished: whoever comes first.
    succeeds(&mut chain, LOST, slash());
    assert_eq!(total(&mut chain), before - SecurityDeposit::get());
    fails(
        &mut chain,
        INHERITOR,
        finish(),
        Error::<Runtime>::NotAttempt,
    );
    // And then the account has other friends.
    succeeds(&mut chain, LOST, set(vec![]));
    fails(
        &mut chain,
        FRIENDS[0],
        begin(),
        Error::<Runtime>::NoFriendGroups,
    );
    assert_eq!(held(&mut chain, LOST, HoldReason::FriendGroupsStorage), 0);
}

#[test]
fn a_friend_alone_and_a_stranger_recover_nothing() {
    let mut chain = prepared();
    for other in [STRANGER, INHERITOR, LOST] {
        fails(&mut chain, other, begin(), Error::<Runtime>::NotFriend);
    }
    succeeds(&mut chain, FRIENDS[0], begin());
    fails(
        &mut chain,
        FRIENDS[2],
        begin(),
        Error::<Runtime>::AlreadyInitiated,
    );
    fails(
        &mut chain,
        FRIENDS[0],
        approve(),
        Error::<Runtime>::AlreadyVoted,
    );
    fails(&mut chain, STRANGER, approve(), Error::<Runtime>::NotFriend);
    // What it put down it cannot take back in time to be spared.
    fails(
        &mut chain,
        FRIENDS[0],
        cancel(),
        Error::<Runtime>::NotYetCancelable,
    );
    // Friends stay as they are while somebody says that the key is lost.
    fails(
        &mut chain,
        LOST,
        set(vec![]),
        Error::<Runtime>::HasOngoingAttempts,
    );
    pass(&mut chain, DELAY);
    fails(
        &mut chain,
        FRIENDS[0],
        finish(),
        Error::<Runtime>::NotApproved,
    );
    succeeds(&mut chain, FRIENDS[0], cancel());
    assert!(chain.ask(|| Attempt::<Runtime>::iter().next().is_none()));
    assert_eq!(staked(&mut chain, INHERITOR), 0);
}

#[test]
fn a_key_that_is_found_again_takes_the_account_back() {
    let mut chain = recovered();
    assert_eq!(
        chain.ask(|| Recovery::inheritor(LOST.account())),
        Some(INHERITOR.account())
    );
    assert!(held(&mut chain, STRANGER, HoldReason::InheritorStorage) > 0);
    succeeds(&mut chain, LOST, revoke());
    assert_eq!(held(&mut chain, STRANGER, HoldReason::InheritorStorage), 0);
    fails(
        &mut chain,
        INHERITOR,
        as_lost(remark()),
        Error::<Runtime>::NoInheritor,
    );
}

#[test]
fn only_who_signs_recovers() {
    let mut chain = approved();
    let calls = [
        set(vec![]),
        begin(),
        approve(),
        finish(),
        cancel(),
        slash(),
        as_lost(remark()),
        revoke(),
    ];
    chain.ask(|| {
        for origin in [RuntimeOrigin::root(), RuntimeOrigin::none()] {
            for call in calls.clone() {
                let refused = call.dispatch(origin.clone()).expect_err("nobody signed");
                assert_eq!(refused.error, DispatchError::BadOrigin);
            }
        }
    });
}

#[test]
fn a_delay_leaves_time_to_object_and_ends() {
    let mut chain = Chain::new(&people());
    let filtered: DispatchError = frame_system::Error::<Runtime>::CallFiltered.into();
    // A day is two blocks here.
    fails(&mut chain, LOST, set(vec![group(1, 1)]), filtered);
    let good = group(2, 1);
    fails(
        &mut chain,
        LOST,
        set(vec![good.clone(), group(1, 1)]),
        filtered,
    );
    fails(&mut chain, LOST, set(vec![good.clone(); 11]), filtered);
    succeeds(&mut chain, LOST, set(vec![good]));
    chain.ask(|| {
        Hurry::<Runtime>::put(1);
        let (least, most) = (LEAST_RECOVERY_DELAY, MOST_RECOVERY_DELAY);
        let allowed = |delay, cancel_delay| {
            let call = set(vec![group(delay, cancel_delay)]);
            let batch: RuntimeCall = pallet_utility::Call::batch {
                calls: vec![call.clone()],
            }
            .into();
            assert_eq!(Allowed::contains(&call), Allowed::contains(&batch));
            Allowed::contains(&call)
        };
        assert!(allowed(least, 1) && allowed(most, most));
        assert!(!allowed(least - 1, 1) && !allowed(most + 1, 1) && !allowed(most, most + 1));
        assert!(!allowed(BlockNumber::MAX, 1) && !allowed(0, 1));
    });
}

#[test]
fn what_is_held_for_no_recovery_is_found_and_what_is_not_held_as_well() {
    let mut chain = prepared();
    succeeds(&mut chain, FRIENDS[0], begin());
    chain.ask(|| {
        assert!(recovery::do_try_state().is_ok());
        Attempt::<Runtime>::remove(LOST.account(), 0);
        assert!(recovery::do_try_state().is_err());
    });
    chain.ask(|| {
        pallet_balances::Holds::<Runtime>::remove(FRIENDS[0].account());
        assert!(recovery::do_try_state().is_err());
    });
}

#[test]
fn what_is_kept_is_paid_for_and_given_back() {
    let mut chain = prepared();
    let groups = held(&mut chain, LOST, HoldReason::FriendGroupsStorage);
    assert!(groups > CRN / 1_000 && groups < CRN / 100, "{groups}");
    succeeds(&mut chain, LOST, set(vec![]));
    assert_eq!(held(&mut chain, LOST, HoldReason::FriendGroupsStorage), 0);
    let mut chain = recovered();
    for friend in FRIENDS {
        for reason in [HoldReason::SecurityDeposit, HoldReason::AttemptStorage] {
            assert_eq!(held(&mut chain, friend, reason), 0);
        }
    }
}
