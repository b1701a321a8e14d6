//! Thousands of random calls and blocks on the whole runtime. After every block all that was issued is
//! somewhere, every pallet's storage is as it promises, and nothing has panicked.
//!
//! The default cases are the same every time. `CAIRN_PLAY_CASES=500 cargo test -p cairn-runtime play` plays
//! as many new ones; what fails is shrunk to the fewest steps, printed, and kept in
//! `proptest-regressions/`, to be played again first.

mod audits;
pub mod calls;
mod duties;
mod fees;
mod steps;

use std::collections::BTreeSet;

use cairn_primitives::{Balance, CRN};
use frame_support::traits::GetCallName;
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestError, TestRng, TestRunner},
};

use super::chain::{genesis, send, Actor, Chain, ACTORS};
use crate::{presets, RuntimeCall};
use calls::{duties, plan};
use steps::{game, Game, Step};

/// Cases that are played if nobody says how many.
const CASES: u32 = 48;
/// Half of all that will ever be issued: the first halving.
const FIRST_HALVING: Balance = 10_500_000 * CRN;
/// The shortest unbonding, in blocks.
const AUDIT_WINDOW: u32 = 5;
const CAP: Balance = 21_000_000 * CRN;

/// What was seen in a case: the calls of our pallets that succeeded, by pallet and name.
type Seen = BTreeSet<(&'static str, &'static str)>;

/// How much is issued at genesis: an ordinary start, just before a halving, just before the end.
fn issued(beginning: u8) -> Balance {
    match beginning {
        0 => 1_000_000 * CRN,
        1 => FIRST_HALVING - 2 * CRN,
        _ => CAP - CRN,
    }
}

/// A chain on which the coldkeys share what is issued.
fn begin(beginning: u8) -> Chain {
    let mut genesis = genesis(presets::DEVELOPMENT_PRESET);
    let coldkeys: Vec<Actor> = (0..calls::COLDKEYS).map(Actor).collect();
    let each = issued(beginning) / coldkeys.len() as Balance;
    let balances: Vec<_> = coldkeys.iter().map(|key| (key.account(), each)).collect();
    genesis["balances"]["balances"] = serde_json::to_value(balances).expect("plain data");
    genesis["session"]["keys"][0][0] = serde_json::to_value(Actor(0).account()).expect("plain");
    genesis["session"]["keys"][0][1] = genesis["session"]["keys"][0][0].clone();
    genesis["sudo"]["key"] = serde_json::to_value(calls::GOVERNOR.account()).expect("plain");
    // Few blocks, so that stake and bonds come back within a case.
    genesis["subnets"]["auditWindow"] = AUDIT_WINDOW.into();
    Chain::new(&genesis)
}

/// The pallet and name of a call of ours.
fn name(call: &RuntimeCall) -> Option<(&'static str, &'static str)> {
    Some(match call {
        RuntimeCall::Subnets(call) => ("subnets", call.get_call_name()),
        RuntimeCall::Stake(call) => ("stake", call.get_call_name()),
        RuntimeCall::Training(call) => ("training", call.get_call_name()),
        RuntimeCall::Audits(call) => ("audits", call.get_call_name()),
        RuntimeCall::Endpoints(call) => ("endpoints", call.get_call_name()),
        RuntimeCall::Emissions(call) => ("emissions", call.get_call_name()),
        RuntimeCall::Sudo(pallet_sudo::Call::sudo { call }) => return name(call),
        _ => return None,
    })
}

/// Every call of our pallets.
fn all_calls() -> Seen {
    use crate::Runtime;
    let of = |pallet, names: &'static [&'static str]| names.iter().map(move |name| (pallet, *name));
    of("subnets", pallet_subnets::Call::<Runtime>::get_call_names())
        .chain(of("stake", pallet_stake::Call::<Runtime>::get_call_names()))
        .chain(of(
            "training",
            pallet_training::Call::<Runtime>::get_call_names(),
        ))
        .chain(of(
            "audits",
            pallet_audits::Call::<Runtime>::get_call_names(),
        ))
        .chain(of(
            "endpoints",
            pallet_endpoints::Call::<Runtime>::get_call_names(),
        ))
        .chain(of(
            "emissions",
            pallet_emissions::Call::<Runtime>::get_call_names(),
        ))
        .collect()
}

/// Sends a call and notes it if it succeeded.
fn play_call(by: Actor, call: RuntimeCall, seen: &mut Seen) {
    let name = name(&call);
    if matches!(send(by, call), Ok(Ok(()))) {
        seen.extend(name);
    }
}

/// Makes blocks in which everybody does its duty in each subnet, if it is `busy`.
fn pass(chain: &mut Chain, blocks: u16, busy: bool, seen: &mut Seen) -> Result<(), String> {
    for _ in 0..blocks {
        chain.block(|| {
            if busy {
                for (by, call) in duties() {
                    play_call(by, call, seen);
                }
            }
        })?;
    }
    Ok(())
}

/// A chain on which a subnet has worked for a while and paid.
pub fn after_the_opening() -> Chain {
    let (mut chain, mut seen) = (begin(0), Seen::new());
    // So that no scores are too old for an epoch.
    let often = chain.block(|| {
        crate::governance::CurrentRules::<crate::Runtime>::mutate(|rules| {
            rules.scores_rate_limit = 5
        });
    });
    often.expect("the books are right");
    let played = play_steps(&mut chain, calls::opening(false), &mut seen)
        .and_then(|()| pass(&mut chain, 63, true, &mut seen));
    played.expect("the books are right");
    chain
}

fn play(game: Game, seen: &mut Seen) -> Result<(), String> {
    let mut chain = begin(game.beginning);
    let hidden = game.beginning.is_multiple_of(2);
    play_steps(&mut chain, calls::opening(hidden), seen)?;
    play_steps(&mut chain, game.steps, seen)
}

fn play_steps(chain: &mut Chain, steps: Vec<Step>, seen: &mut Seen) -> Result<(), String> {
    for step in steps {
        match step {
            Step::Pass { blocks, busy } => pass(chain, blocks, busy, seen)?,
            Step::Block(moves) => chain.block(|| {
                for one in moves {
                    let (by, call) = plan(&one);
                    play_call(by, call, seen);
                }
            })?,
        }
    }
    Ok(())
}

#[test]
fn nothing_breaks_the_books() {
    let more = std::env::var("CAIRN_PLAY_CASES").ok();
    let cases = more.as_ref().map_or(CASES, |cases| {
        cases.parse().expect("CAIRN_PLAY_CASES is a number")
    });
    let config = ProptestConfig {
        cases,
        max_shrink_iters: 2_000,
        source_file: Some(file!()),
        ..ProptestConfig::default()
    };
    let algorithm = config.rng_algorithm;
    let mut runner = match more {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(algorithm)),
    };
    let seen = std::cell::RefCell::new(Seen::new());
    let outcome = runner.run(&game(), |game| {
        play(game, &mut seen.borrow_mut()).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, game)) => panic!("{reason}\nafter {game:#?}"),
        Err(error) => panic!("{error}"),
    }
    let missing: Vec<_> = all_calls()
        .difference(&seen.into_inner())
        .copied()
        .collect();
    assert!(
        missing.is_empty(),
        "never succeeded, see play/calls: {missing:?}"
    );
}

#[test]
fn there_are_accounts_for_everybody() {
    const { assert!(calls::COLDKEYS + calls::HOTKEYS == ACTORS) };
}
