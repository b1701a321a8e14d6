//! Audits: a miner serves what it made, a validator replays it, and what it finds decides about the bond.

use cairn_chain::AuditInfo;
use cairn_primitives::{AuditRules, Balance, Finding, Phase, RunConfig};
use cairn_store::Store;

use super::network::{committed, play, revealed, VICTOR};
use crate::roles::{
    chain::Chain,
    testing::{Network, State, BOND, NETUID},
    Behaviour,
};

/// All work is audited, by the only validator.
const ALL: AuditRules = AuditRules {
    rate: AuditRules::EACH,
    auditors: 1,
    blocks: 4,
};

fn rules(config: &mut RunConfig, _: &Store) {
    config.audits = ALL;
    // So that no interval is one step, which is what a lazy miner makes.
    config.inner.trace_every = 2;
}

/// The audit of the only contribution to round 0.
fn audit(state: &State) -> &AuditInfo {
    let mut audits = state.audits.iter();
    let first = audits.find(|audit| audit.round == 0);
    first.expect("it is audited")
}

/// Plays round 0, in which this miner contributes, and round 1, in which that is audited. Gives what Victor found, and
/// what the miner's bond is afterwards.
async fn audited(name: &str, behaviour: Behaviour) -> (Option<Finding>, Balance) {
    let mut network = Network::with(&[name], &["Victor"], rules).await;
    network.validate("Victor");
    network.mine(name, behaviour);
    play(&network, 1, 1).await;
    let chain = network.chain.clone();
    let served = |state: &State| audit(state).served.is_some();
    chain.until("the miner serves its work", served).await;
    chain.until("it has committed", committed(1, 1)).await;
    // The stage in which it is served is over.
    for _ in 0..ALL.blocks {
        chain.tick();
    }
    let bound = |state: &State| audit(state).auditors[0].committed.is_some();
    chain.until("Victor has a verdict", bound).await;
    chain.go_to(Phase::Reveal);
    chain.until("the miner has revealed", revealed(1, 1)).await;
    // The stage in which verdicts are committed to ends with this block, too.
    chain.go_to(Phase::Attest);
    let told = |state: &State| audit(state).auditors[0].found.is_some();
    chain.until("Victor has told his verdict", told).await;
    let auditor = audit(&chain.state()).auditors[0].clone();
    assert_eq!(auditor.uid, VICTOR);
    let promised = |state: &State| state.promised.contains_key(&1);
    chain.until("Victor has committed", promised).await;
    chain.go_to_opening();
    let attested = |state: &State| state.attested.contains_key(&1);
    chain.until("Victor has attested", attested).await;
    chain.go_to(Phase::Settle);
    let (head, account) = (chain.head().hash, Network::account(name));
    let member = chain.member(head, NETUID, account).await;
    let member = member.expect("it answers").expect("it has a seat");
    network.stop().await;
    (auditor.found, member.bond)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_made_its_steps_keeps_its_bond() {
    let (finding, bond) = audited("Alice", Behaviour::Honest).await;
    assert_eq!((finding, bond), (Some(Finding::Passed), BOND));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_claims_steps_that_it_did_not_make_loses_it() {
    let (finding, bond) = audited("Lazy", Behaviour::Lazy).await;
    assert_eq!((finding, bond), (Some(Finding::Failed), 0));
}
