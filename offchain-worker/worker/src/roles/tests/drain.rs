//! A miner that changes what it computes on: not while its work may be audited, and without a risk once it has drained.

use cairn_engine::Device;
use cairn_primitives::{Finding, Phase};
use tokio::time::timeout;

use super::{
    cards::{admitting, driver},
    network::{committed, ledger, play, play_until_attested, ALICE, HANGS},
};
use crate::roles::{
    testing::{Network, State},
    Behaviour,
};

/// Alice's audit of round 0, which was just settled, from its first stage to its last: she serves, Victor replays it.
async fn audited(network: &Network) {
    let chain = &network.chain;
    let round_0 = |state: &State| {
        let mut audits = state.audits.iter();
        audits.find(|audit| audit.round == 0).cloned()
    };
    let served = |state: &State| round_0(state).is_some_and(|audit| audit.served.is_some());
    chain.until("her work is served", served).await;
    // In this run a stage has as many blocks as half a round.
    chain.go_to(Phase::Attest);
    let replayed = |state: &State| {
        let audit = round_0(state).expect("it is open");
        audit.auditors.iter().all(|one| one.committed.is_some())
    };
    chain.until("it is replayed", replayed).await;
    chain.go_to(Phase::Settle);
    let found = |state: &State| {
        let audit = round_0(state).expect("it is open");
        let passed = Some(Finding::Passed);
        audit.auditors.iter().all(|one| one.found == passed)
    };
    chain.until("it has passed", found).await;
    while round_0(&chain.state()).is_some() {
        chain.tick();
    }
    chain.tick();
}

/// The last worker of Alice's has ended by itself, without an error.
async fn ends(network: &mut Network) {
    let ended = timeout(HANGS, network.end("Alice")).await;
    ended.expect("it ends").expect("no error");
    network.until_unlocked("Alice").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_device_begins_once_no_audit_is_open_of_what_the_first_one_made() {
    driver();
    let mut network = Network::with(&["Alice"], &["Victor"], admitting(1)).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    play_until_attested(&network, 1, 1).await;
    network.kill("Alice").await;
    // Before the round is settled, and when its audit is drawn.
    for _ in 0..2 {
        network.mine_on(Device::Cuda(0), "Alice", Behaviour::Honest);
        let ended = timeout(HANGS, network.end("Alice")).await;
        let error = ended.expect("it ends").expect_err("another device");
        let error = error.to_string();
        assert!(error.contains("round 0 was computed on `cpu`"), "{error}");
        assert!(error.contains("start with --device cpu"), "{error}");
        assert!(error.contains("cairn mine --drain"), "{error}");
        assert!(!error.contains('\n'), "{error}");
        chain.go_to(Phase::Settle);
    }
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miner_that_was_started_to_drain_serves_and_then_another_device_is_taken() {
    driver();
    let mut network = Network::with(&["Alice"], &["Victor"], admitting(1)).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    play_until_attested(&network, 1, 1).await;
    network.kill("Alice").await;
    chain.go_to(Phase::Settle);
    network.mine_drained("Alice");
    audited(&network).await;
    ends(&mut network).await;
    assert!(chain.state().contributions_of(1).is_empty());
    network.mine_on(Device::Cuda(0), "Alice", Behaviour::Honest);
    chain.go_to(Phase::Settle);
    let round = chain.state().round;
    chain
        .until("a card has committed", committed(round, 1))
        .await;
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miner_at_work_that_is_told_to_drain_finishes_its_round_and_its_audit() {
    let mut network = Network::with(&["Alice"], &["Victor"], admitting(1)).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    chain.until("Alice has committed", committed(0, 1)).await;
    network.drain("Alice");
    play(&network, 1, 1).await;
    audited(&network).await;
    ends(&mut network).await;
    let state = chain.state();
    assert_eq!(state.settled[&0].included, [ALICE]);
    assert!(state.contributions_of(1).is_empty());
    assert!(ledger(&network, "Alice")[0].included);
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_is_audited_a_miner_drains_with_its_round() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    chain.until("Alice has committed", committed(0, 1)).await;
    network.drain("Alice");
    play(&network, 1, 1).await;
    ends(&mut network).await;
    assert_eq!(chain.state().settled[&0].included, [ALICE]);
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miner_that_drains_waits_for_no_run() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.chain.stop_run();
    network.mine_drained("Alice");
    ends(&mut network).await;
    // Nor for one that is stopped while it owes something of it.
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    chain.until("Alice has committed", committed(0, 1)).await;
    network.drain("Alice");
    chain.stop_run();
    ends(&mut network).await;
}
