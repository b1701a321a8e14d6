//! What proxies may do.

use cairn_primitives::{Netuid, Role};
use frame_support::traits::InstanceFilter;
use sp_keyring::Sr25519Keyring::{Alice, Bob};

use crate::{configs::accounts::ProxyKind, RuntimeCall};

#[test]
fn a_proxy_may_do_what_its_kind_says_and_no_more() {
    let alice = || Alice.to_account_id();
    let transfer = RuntimeCall::Balances(pallet_balances::Call::transfer_all {
        dest: alice().into(),
        keep_alive: false,
    });
    let stake = RuntimeCall::Stake(pallet_stake::Call::unbond {
        netuid: Netuid(1),
        hotkey: alice(),
    });
    let stop = RuntimeCall::Training(pallet_training::Call::stop_run { netuid: Netuid(1) });
    // Who may only stake cannot give stake away, nor set what others pay.
    let give = RuntimeCall::Stake(pallet_stake::Call::transfer_stake {
        to: Bob.to_account_id(),
        netuid: Netuid(1),
        hotkey: alice(),
        amount: None,
    });
    let take = RuntimeCall::Stake(pallet_stake::Call::set_take {
        hotkey: alice(),
        take: 0,
    });
    let foreign = RuntimeCall::Stake(pallet_stake::Call::set_foreign_stake {
        hotkey: alice(),
        allowed: true,
    });
    let end = RuntimeCall::Subnets(pallet_subnets::Call::dissolve_subnet { netuid: Netuid(1) });
    for call in [&give, &take, &foreign, &end] {
        assert!(!ProxyKind::Staking.filter(call) && !ProxyKind::Ownership.filter(call));
        assert!(!ProxyKind::Registration.filter(call) && ProxyKind::Any.filter(call));
    }
    let kinds = [
        ProxyKind::Staking,
        ProxyKind::Registration,
        ProxyKind::Ownership,
    ];
    assert!(kinds.iter().all(|kind| !kind.filter(&transfer)));
    let role = RuntimeCall::Subnets(pallet_subnets::Call::set_role {
        netuid: Netuid(1),
        hotkey: alice(),
        role: Role::Miner,
    });
    let withdraw =
        RuntimeCall::Subnets(pallet_subnets::Call::withdraw_hyperparameters { netuid: Netuid(1) });
    assert!(ProxyKind::Registration.filter(&role) && !ProxyKind::Ownership.filter(&role));
    assert!(ProxyKind::Ownership.filter(&withdraw) && !ProxyKind::Staking.filter(&withdraw));
    assert!(ProxyKind::Staking.filter(&stake) && !ProxyKind::Staking.filter(&stop));
    assert!(ProxyKind::Ownership.filter(&stop) && !ProxyKind::Ownership.filter(&stake));
    assert!(ProxyKind::Any.filter(&transfer) && ProxyKind::Any.is_superset(&ProxyKind::Staking));
    assert!(!ProxyKind::Staking.is_superset(&ProxyKind::Any));
}

#[test]
fn who_may_vote_for_an_account_does_nothing_else_for_it() {
    use pallet_conviction_voting::{AccountVote, Call};
    let vote = RuntimeCall::ConvictionVoting(Call::vote {
        poll_index: 0,
        vote: AccountVote::Split { aye: 1, nay: 0 },
    });
    let delegate = RuntimeCall::ConvictionVoting(Call::delegate {
        class: 0,
        to: Bob.to_account_id().into(),
        conviction: Default::default(),
        balance: 1,
    });
    let transfer = RuntimeCall::Balances(pallet_balances::Call::transfer_all {
        dest: Bob.to_account_id().into(),
        keep_alive: false,
    });
    assert!(ProxyKind::Voting.filter(&vote) && !ProxyKind::Ownership.filter(&vote));
    assert!(!ProxyKind::Voting.filter(&delegate) && !ProxyKind::Voting.filter(&transfer));
}

#[test]
fn only_who_may_do_everything_recovers_for_an_account() {
    use pallet_recovery::Call;
    let lost = || Alice.to_account_id().into();
    let remark = RuntimeCall::System(frame_system::Call::remark { remark: vec![] });
    let calls: [Call<crate::Runtime>; 8] = [
        Call::set_friend_groups {
            friend_groups: vec![],
        },
        Call::initiate_attempt {
            lost: lost(),
            friend_group_index: 0,
        },
        Call::approve_attempt {
            lost: lost(),
            friend_group_index: 0,
        },
        Call::finish_attempt {
            lost: lost(),
            friend_group_index: 0,
        },
        Call::cancel_attempt {
            lost: lost(),
            friend_group_index: 0,
        },
        Call::slash_attempt {
            friend_group_index: 0,
        },
        Call::revoke_inheritor {},
        Call::control_inherited_account {
            recovered: lost(),
            call: Box::new(remark),
        },
    ];
    for call in calls.map(RuntimeCall::Recovery) {
        assert!(ProxyKind::Any.filter(&call), "{call:?}");
        for kind in [
            ProxyKind::Staking,
            ProxyKind::Registration,
            ProxyKind::Ownership,
            ProxyKind::Voting,
        ] {
            assert!(!kind.filter(&call), "{kind:?} {call:?}");
        }
    }
}
