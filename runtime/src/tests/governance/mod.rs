//! Who may change what: referenda, the council, what nobody may do, and what stays through an upgrade.

mod bytes;
mod chains;
mod council;
mod delays;
mod enacted;
mod page;
mod referenda;
mod root;
mod upgrades;

use cairn_primitives::{Balance, BlockNumber, CRN};
use codec::Encode;
use frame_support::{
    dispatch::GetDispatchInfo,
    traits::{schedule::DispatchTime, Bounded, StorePreimage},
};
use pallet_conviction_voting::{AccountVote, Conviction, Vote};
use serde_json::Value;
use sp_runtime::DispatchError;

use super::chain::{genesis, send, Actor, Chain};
use crate::{
    governance::{rules::Rule, Origin},
    presets, OriginCaller, Preimage, Runtime, RuntimeCall, RuntimeEvent, System,
};

/// Whoever has seats in the council.
const COUNCIL: [Actor; 3] = [Actor(0), Actor(1), Actor(2)];
/// Who proposes.
const PROPOSER: Actor = Actor(3);
/// Who votes.
const VOTERS: [Actor; 2] = [Actor(4), Actor(5)];
/// What each of six accounts has.
const EACH: Balance = 100_000 * CRN;

/// A genesis without a sudo key, in which six accounts share what was issued; its delays are a 7,200th.
fn people() -> Value {
    let mut genesis = genesis(presets::DEVELOPMENT_PRESET);
    let accounts: Vec<_> = (0..6).map(|one| Actor(one).account()).collect();
    let balances: Vec<_> = accounts.iter().map(|one| (one, EACH)).collect();
    genesis["balances"]["balances"] = serde_json::to_value(balances).expect("plain");
    genesis["session"]["keys"][0][0] = serde_json::to_value(&accounts[0]).expect("plain");
    genesis["session"]["keys"][0][1] = genesis["session"]["keys"][0][0].clone();
    genesis["sudo"]["key"] = Value::Null;
    genesis["council"]["members"] = serde_json::to_value(&accounts[..3]).expect("plain");
    genesis
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
    assert_eq!(without_words(failed), without_words(why.into()));
}

/// An error as it is after a block.
fn without_words(error: DispatchError) -> DispatchError {
    error.stripped()
}

fn blocks(chain: &mut Chain, blocks: BlockNumber) {
    for _ in 0..blocks {
        chain.block(|| ()).expect("the books are right");
    }
}

/// A call as a referendum has it.
fn bounded(call: RuntimeCall) -> Bounded<RuntimeCall, sp_runtime::traits::BlakeTwo256> {
    let bounded = Preimage::bound(call).expect("it is short");
    assert!(!bounded.lookup_needed(), "it is within the referendum");
    bounded
}

fn submit(origin: Origin, call: impl Into<RuntimeCall>) -> RuntimeCall {
    pallet_referenda::Call::submit {
        proposal_origin: Box::new(OriginCaller::Governance(origin)),
        proposal: bounded(call.into()),
        enactment_moment: DispatchTime::After(0),
    }
    .into()
}

/// The same by the hash of its call, which is noted with it unless it was before: as clients do with a long one.
fn submit_noted(origin: Origin, call: impl Into<RuntimeCall>) -> RuntimeCall {
    let bytes = call.into().encode();
    let (hash, len) = (cairn_primitives::blake2_256(&bytes), bytes.len() as u32);
    let note = pallet_preimage::Call::<Runtime>::note_preimage { bytes };
    let nothing = frame_system::Call::<Runtime>::remark { remark: Vec::new() };
    let note = pallet_utility::Call::<Runtime>::if_else {
        main: Box::new(note.into()),
        fallback: Box::new(nothing.into()),
    };
    let submit = pallet_referenda::Call::<Runtime>::submit {
        proposal_origin: Box::new(OriginCaller::Governance(origin)),
        proposal: Bounded::Lookup { hash, len },
        enactment_moment: DispatchTime::After(0),
    };
    let calls = vec![note.into(), submit.into()];
    pallet_utility::Call::<Runtime>::batch_all { calls }.into()
}

/// Submits a referendum and reserves what its decision takes.
fn propose(chain: &mut Chain, origin: Origin, call: impl Into<RuntimeCall>) -> u32 {
    let index = chain.ask(pallet_referenda::ReferendumCount::<Runtime>::get);
    succeeds(chain, PROPOSER, submit(origin, call));
    let place = pallet_referenda::Call::place_decision_deposit { index };
    succeeds(chain, PROPOSER, place);
    index
}

fn vote(index: u32, aye: bool, balance: Balance) -> pallet_conviction_voting::Call<Runtime> {
    let conviction = Conviction::Locked1x;
    pallet_conviction_voting::Call::vote {
        poll_index: index,
        vote: AccountVote::Standard {
            vote: Vote { aye, conviction },
            balance,
        },
    }
}

/// Everybody who votes is for it, with 90,000 CRN.
fn all_are_for(chain: &mut Chain, index: u32) {
    for voter in VOTERS {
        succeeds(chain, voter, vote(index, true, 90_000 * CRN));
    }
}

/// Two of three in the council want this.
fn motion(chain: &mut Chain, call: impl Into<RuntimeCall>) -> Vec<RuntimeEvent> {
    let call: RuntimeCall = call.into();
    let index = chain.ask(pallet_collective::ProposalCount::<Runtime, _>::get);
    let proposal = call.using_encoded(cairn_primitives::blake2_256);
    let length_bound = call.encoded_size() as u32;
    let proposal_weight_bound = call.get_dispatch_info().call_weight;
    let propose = pallet_collective::Call::propose {
        threshold: 2,
        proposal: Box::new(call),
        length_bound,
    };
    succeeds(chain, COUNCIL[0], RuntimeCall::Council(propose));
    for member in &COUNCIL[..2] {
        let approve = pallet_collective::Call::vote {
            proposal,
            index,
            approve: true,
        };
        succeeds(chain, *member, RuntimeCall::Council(approve));
    }
    let close = RuntimeCall::Council(pallet_collective::Call::close {
        proposal_hash: proposal,
        index,
        proposal_weight_bound,
        length_bound,
    });
    let (sent, events) = chain
        .block(|| (send(COUNCIL[1], close), events()))
        .expect("the books are right");
    assert_eq!(sent, Ok(Ok(())));
    events
}

/// How a motion ended: `Err` with what its call said.
fn outcome(events: &[RuntimeEvent]) -> Result<(), DispatchError> {
    let executed = events.iter().find_map(|event| match event {
        RuntimeEvent::Council(pallet_collective::Event::Executed { result, .. }) => Some(*result),
        _ => None,
    });
    executed
        .expect("the motion was carried")
        .map_err(without_words)
}

/// What happened in the present block.
fn events() -> Vec<RuntimeEvent> {
    System::read_events_no_consensus()
        .map(|one| one.event)
        .collect()
}

/// The rule that the tests change: a subnet costs 50 CRN at least.
fn cheaper() -> RuntimeCall {
    crate::governance::Call::set_rule {
        rule: Rule::CreationPriceFloor(50 * CRN),
    }
    .into()
}

/// What a subnet costs at least now.
fn floor(chain: &mut Chain) -> Balance {
    chain.ask(|| crate::governance::CurrentRules::<Runtime>::get().creation_price_floor)
}
