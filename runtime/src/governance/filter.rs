//! The calls that no origin may make, root included.
//!
//! Substrate filters every origin but root. Root comes into being only within a sudo key's call, so a call is looked at
//! with all that it carries: what a batch, a proxy, a multisignature, an inheritor, a motion, the scheduler or the sudo
//! key would do.

use cairn_primitives::traits::Membership;
use frame_support::traits::Contains;

use super::Development;
use crate::{configs::recovery, Runtime, RuntimeCall, Subnets};

/// The calls that may be made.
pub struct Allowed;

impl Contains<RuntimeCall> for Allowed {
    fn contains(call: &RuntimeCall) -> bool {
        is_allowed(call, false)
    }
}

/// Whether a call, and all that it carries, may be made; `root` if it would be made as root.
fn is_allowed(call: &RuntimeCall, root: bool) -> bool {
    if rewrites_state(call) || makes_money(call) || takes_a_name(call) || drops_keys(call) {
        return false;
    }
    if surprises_an_owner(call) || hands_an_inheritance_on(call) {
        return false;
    }
    if root && rules_a_subnet(call) {
        return false;
    }
    if let RuntimeCall::Sudo(call) = call {
        return Development::<Runtime>::get() && is_allowed_sudo(call);
    }
    carried(call).into_iter().all(|call| is_allowed(call, root))
}

/// Whether a call writes into storage past the pallets, or a runtime past the check of its version.
fn rewrites_state(call: &RuntimeCall) -> bool {
    use frame_system::Call;
    matches!(
        call,
        RuntimeCall::System(
            Call::set_storage { .. }
                | Call::kill_storage { .. }
                | Call::kill_prefix { .. }
                | Call::set_code_without_checks { .. }
                | Call::authorize_upgrade_without_checks { .. }
        )
    )
}

/// Whether a call changes what exists without the ledger of what was issued, or takes what is another's.
fn makes_money(call: &RuntimeCall) -> bool {
    use pallet_balances::Call;
    matches!(
        call,
        RuntimeCall::Balances(
            Call::burn { .. }
                | Call::force_set_balance { .. }
                | Call::force_adjust_total_issuance { .. }
                | Call::force_transfer { .. }
                | Call::force_unreserve { .. }
        )
    )
}

/// Whether a call is made in the name of somebody who did not sign it.
fn takes_a_name(call: &RuntimeCall) -> bool {
    use pallet_utility::Call;
    matches!(
        call,
        RuntimeCall::Utility(Call::dispatch_as { .. } | Call::dispatch_as_fallible { .. })
            | RuntimeCall::Sudo(pallet_sudo::Call::sudo_as { .. })
    )
}

/// Whether a call leaves an account without session keys: an authority without them is one in name only, and the others
/// would be fewer than a removal leaves.
fn drops_keys(call: &RuntimeCall) -> bool {
    matches!(
        call,
        RuntimeCall::Session(pallet_session::Call::purge_keys { .. })
    )
}

/// Whether a call would let an account be recovered before its owner can object to it, or bind deposits for years.
fn surprises_an_owner(call: &RuntimeCall) -> bool {
    use pallet_recovery::Call;
    match call {
        RuntimeCall::Recovery(Call::set_friend_groups { friend_groups }) => {
            let most =
                usize::try_from(pallet_recovery::MAX_GROUPS_PER_ACCOUNT).unwrap_or(usize::MAX);
            // More are refused by the pallet as well, which compares each with all others first.
            friend_groups.len() > most || !friend_groups.iter().all(recovery::is_timely)
        }
        _ => false,
    }
}

/// Whether an inheritor would let others act for the recovered account: its pallet keeps inheritors from the calls about
/// recoveries, and a proxy would not be kept.
fn hands_an_inheritance_on(call: &RuntimeCall) -> bool {
    use pallet_recovery::Call;
    match call {
        RuntimeCall::Recovery(Call::control_inherited_account { call, .. }) => names_a_proxy(call),
        _ => false,
    }
}

/// Whether a call, or one that it carries, names a proxy.
fn names_a_proxy(call: &RuntimeCall) -> bool {
    use pallet_proxy::Call;
    matches!(call, RuntimeCall::Proxy(Call::add_proxy { .. }))
        || carried(call).into_iter().any(names_a_proxy)
}

/// Whether a call sets the rules of a subnet, or ends it, which root could do at once. Before anybody has a seat in it
/// that harms nobody, and networks for tests are set up so.
fn rules_a_subnet(call: &RuntimeCall) -> bool {
    use pallet_subnets::Call;
    let RuntimeCall::Subnets(
        Call::set_hyperparameters { netuid, .. }
        | Call::withdraw_hyperparameters { netuid }
        | Call::dissolve_subnet { netuid },
    ) = call
    else {
        return false;
    };
    Subnets::hyperparameters(*netuid).is_none() || !Subnets::members(*netuid).is_empty()
}

/// What the sudo key may do where there is one.
fn is_allowed_sudo(call: &pallet_sudo::Call<Runtime>) -> bool {
    use pallet_sudo::Call;
    match call {
        Call::sudo { call } | Call::sudo_unchecked_weight { call, .. } => is_allowed(call, true),
        _ => true,
    }
}

/// The calls that a call carries.
fn carried(call: &RuntimeCall) -> alloc::vec::Vec<&RuntimeCall> {
    use alloc::vec;
    use pallet_multisig::Call as Multisig;
    use pallet_proxy::Call as Proxy;
    use pallet_scheduler::Call as Scheduler;
    use pallet_utility::Call as Utility;
    match call {
        RuntimeCall::Utility(
            Utility::batch { calls }
            | Utility::batch_all { calls }
            | Utility::force_batch { calls },
        ) => calls.iter().collect(),
        RuntimeCall::Utility(
            Utility::as_derivative { call, .. } | Utility::with_weight { call, .. },
        ) => vec![call],
        RuntimeCall::Utility(Utility::if_else { main, fallback }) => vec![main, fallback],
        RuntimeCall::Proxy(Proxy::proxy { call, .. } | Proxy::proxy_announced { call, .. }) => {
            vec![call]
        }
        RuntimeCall::Multisig(
            Multisig::as_multi { call, .. } | Multisig::as_multi_threshold_1 { call, .. },
        ) => vec![call],
        RuntimeCall::Recovery(pallet_recovery::Call::control_inherited_account {
            call, ..
        }) => vec![call],
        RuntimeCall::Council(
            pallet_collective::Call::propose { proposal, .. }
            | pallet_collective::Call::execute { proposal, .. },
        ) => vec![proposal],
        RuntimeCall::Scheduler(
            Scheduler::schedule { call, .. }
            | Scheduler::schedule_named { call, .. }
            | Scheduler::schedule_after { call, .. }
            | Scheduler::schedule_named_after { call, .. },
        ) => vec![call],
        _ => vec![],
    }
}
