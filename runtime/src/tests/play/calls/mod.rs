//! From what proptest makes to calls that have a chance: most are by who may make them and fit the present
//! state.

mod members;
mod money;
mod rounds;
mod scoring;

use cairn_primitives::{traits::Membership, Netuid, Text};

use super::{
    audits,
    steps::{Amount, Move, Step, What},
    Actor,
};
use crate::{configs::accounts::ProxyKind, Runtime, RuntimeCall, Subnets, Training};
use members::{subnets, swaps};
use money::{balances, stake};
use rounds::{of_round, training};
use scoring::{emissions, scores};

pub use rounds::run_config;

/// Accounts that have money: the first ones.
pub const COLDKEYS: u8 = 6;

/// Accounts that work: the others.
pub const HOTKEYS: u8 = 12;

/// The account that has the sudo key.
pub const GOVERNOR: Actor = Actor(COLDKEYS - 1);

/// The hotkey of this number.
fn hotkey(number: u8) -> Actor {
    Actor(COLDKEYS + number % HOTKEYS)
}

/// The coldkey that a hotkey has, or would be given.
fn coldkey(hotkey: Actor) -> Actor {
    let known = Subnets::coldkey(&hotkey.account());
    known
        .and_then(|key| Actor::of(&key))
        .unwrap_or(Actor(hotkey.0 % COLDKEYS))
}

/// The subnet's owner, or who would like to be.
fn owner(netuid: Netuid) -> Actor {
    let known = Subnets::owner(netuid);
    known
        .and_then(|key| Actor::of(&key))
        .unwrap_or(Actor(netuid.get() as u8 % COLDKEYS))
}

/// The call of a move, and who signs it.
pub fn plan(one: &Move) -> (Actor, RuntimeCall) {
    let (by, call) = rightful(one);
    (one.stranger.map_or(by, Actor), call)
}

/// The call of a move by who may make it.
fn rightful(one: &Move) -> (Actor, RuntimeCall) {
    match &one.what {
        What::Commit { .. }
        | What::Reveal { .. }
        | What::CommitAttestation { .. }
        | What::Attest { .. }
        | What::Here => training(one),
        What::Endpoints { file } => endpoints(one, *file),
        What::OpenAudit { .. } | What::CommitVerdict { .. } | What::RevealVerdict { .. } => {
            audits::planned(one)
        }
        What::StartRun { .. } | What::StopRun => training(one),
        What::CreateSubnet | What::SetHyperparameters { .. } => subnets(one),
        What::WithdrawHyperparameters | What::DissolveSubnet => subnets(one),
        What::Register { .. } | What::SetRole { .. } | What::Leave => subnets(one),
        What::AnnounceSwap | What::CancelSwap | What::FinishSwap => swaps(one),
        What::SetScores { .. } | What::CommitScores | What::RevealScores { .. } => emissions(one),
        What::SetEmitting { emits } => governed(Netuid(one.net), *emits),
        What::Transfer { .. } | What::Burn => balances(one),
        What::AddProxy { .. } | What::RemoveProxies => proxies(one),
        What::Batch { .. } | What::ByProxy(_) => wrapped(one),
        _ => stake(one),
    }
}

fn endpoints(one: &Move, file: bool) -> (Actor, RuntimeCall) {
    let text = match file {
        true => "file:///etc",
        false => "https://mirror.example/run",
    };
    let named = Text::new(text).expect("short");
    let call = pallet_endpoints::Call::set_endpoints {
        netuid: Netuid(one.net),
        endpoints: vec![named].try_into().expect("few"),
    };
    (hotkey(one.hotkey), RuntimeCall::Endpoints(call))
}

/// What is decided by the sudo key.
fn governed(netuid: Netuid, emits: bool) -> (Actor, RuntimeCall) {
    let call = pallet_emissions::Call::set_emitting { netuid, emits };
    let call = Box::new(RuntimeCall::Emissions(call));
    (
        GOVERNOR,
        RuntimeCall::Sudo(pallet_sudo::Call::sudo { call }),
    )
}

fn proxies(one: &Move) -> (Actor, RuntimeCall) {
    use pallet_proxy::Call;
    let proxy_type = match one.what {
        What::AddProxy { kind: 0 } => ProxyKind::Any,
        What::AddProxy { kind: 1 } => ProxyKind::Staking,
        What::AddProxy { kind: 2 } => ProxyKind::Registration,
        _ => ProxyKind::Ownership,
    };
    let delegate = Actor(one.hotkey % COLDKEYS).account().into();
    let call = match one.what {
        What::AddProxy { .. } => Call::add_proxy {
            delegate,
            proxy_type,
            delay: 0,
        },
        _ => Call::remove_proxies {},
    };
    (Actor(one.other % COLDKEYS), RuntimeCall::Proxy(call))
}

/// Calls around calls. A batch is signed by who may make its first call, a proxied call by a proxy.
fn wrapped(one: &Move) -> (Actor, RuntimeCall) {
    match &one.what {
        What::Batch { atomic, moves } => {
            let planned: Vec<_> = moves.iter().map(rightful).collect();
            let by = planned.first().map_or(Actor(0), |(by, _)| *by);
            let calls = planned.into_iter().map(|(_, call)| call).collect();
            let call = match atomic {
                true => pallet_utility::Call::batch_all { calls },
                false => pallet_utility::Call::batch { calls },
            };
            (by, RuntimeCall::Utility(call))
        }
        What::ByProxy(inner) => {
            let (real, call) = rightful(inner);
            let proxies = pallet_proxy::Proxies::<Runtime>::get(real.account()).0;
            let by = proxies.first().and_then(|proxy| Actor::of(&proxy.delegate));
            let call = pallet_proxy::Call::proxy {
                real: real.account().into(),
                force_proxy_type: None,
                call: Box::new(call),
            };
            (
                by.unwrap_or(Actor(one.other % COLDKEYS)),
                RuntimeCall::Proxy(call),
            )
        }
        _ => rightful(one),
    }
}

/// What members of all subnets have to do now: miners commit and reveal, validators attest and set scores on
/// everybody. Some of the miners are lazy in every other round, some never commit; who is missed says that it is
/// back.
pub fn duties() -> Vec<(Actor, RuntimeCall)> {
    let mut duties = Vec::new();
    for netuid in Subnets::netuids() {
        duties.extend(scores(netuid));
        duties.extend(audits::duties(netuid));
        if let Some(run) = Training::run_info(netuid) {
            duties.extend(of_round(netuid, &run.round));
            let missed = run.absent.iter().filter_map(|(_, key)| Actor::of(key));
            let here = || RuntimeCall::Training(pallet_training::Call::here { netuid });
            duties.extend(missed.map(|by| (by, here())));
        }
    }
    duties
}

/// How every case begins: a subnet with two validators and three miners that trains; its scores are hidden at
/// first or not.
pub fn opening(hidden: bool) -> Vec<Step> {
    let first = |hotkey: u8, amount: Amount, what: What| Move {
        stranger: None,
        net: 1,
        hotkey,
        other: 0,
        to_net: 2,
        amount,
        what,
    };
    let free = Amount::Nothing;
    let mut moves = vec![
        first(0, free, What::CreateSubnet),
        first(
            0,
            free,
            What::SetHyperparameters {
                tempo: 5,
                max_members: 11,
                periods: 8 + u8::from(hidden),
                wrong: false,
            },
        ),
        first(0, free, What::StartRun { impossible: false }),
    ];
    for key in 0..5 {
        moves.push(first(key, free, What::Register { validates: key < 2 }));
        moves.push(match key {
            0 | 1 => first(key, Amount::Crn(200 + 100 * u16::from(key)), What::AddStake),
            _ => first(key, Amount::Crn(20), What::AddBond),
        });
    }
    vec![
        Step::Block(moves),
        Step::Pass {
            blocks: 12,
            busy: true,
        },
    ]
}
