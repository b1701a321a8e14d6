//! A miner that changes what it computes on: not while its work may be audited, and without a risk once it has drained.

use std::sync::atomic::Ordering;

use cairn_engine::Device;
use cairn_primitives::{Finding, Phase};
use tokio::time::timeout;

use super::{
    cards::{admitting, driver},
    network::{committed, ledger, play, play_until_attested, ALICE, HANGS},
};
use crate::roles::{
    chain::Chain,
    computing::undecided,
    heads::Heads,
    run::Run,
    state::Debt,
    testing::{Network, State, NETUID},
    waiting::is_gone,
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

/// The last worker of Alice's has ended by itself, without an error, and what its exit code follows says so.
async fn ends(network: &mut Network) {
    let drained = network.drained("Alice");
    let ended = timeout(HANGS, network.end("Alice")).await;
    ended.expect("it ends").expect("no error");
    assert!(drained.load(Ordering::Acquire));
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
async fn a_miner_that_is_stopped_before_has_not_drained() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    chain.until("Alice has committed", committed(0, 1)).await;
    let drained = network.drained("Alice");
    network.drain("Alice");
    network.stop().await;
    assert!(!drained.load(Ordering::Acquire));
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

#[tokio::test]
async fn a_run_is_gone_by_what_a_final_block_after_its_start_says() {
    let network = Network::of(&["Alice"], &["Victor"]).await;
    let chain = &network.chain;
    let run = chain.state().run().clone();
    let begun = (NETUID, run.started_at);
    let during = chain.head();
    let at = |last| async move {
        let is_gone = is_gone(chain, last, begun).await;
        is_gone.expect("it answers")
    };
    chain.falls_back(run.started_at - 1);
    let before = chain.head();
    assert!(!at(during).await);
    assert!(!at(before).await, "the node is behind");
    chain.stop_run();
    assert!(at(chain.head()).await);
    chain.start_run(run.config);
    assert!(at(chain.head()).await, "another one is no reason to stay");
    assert!(!at(during).await, "what followed is not final");
}

/// By its first node the run was not started yet, of which there is state here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miner_that_drains_waits_for_a_node_that_is_behind() {
    let mut network = Network::with(&["Alice"], &["Victor"], admitting(1)).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    play_until_attested(&network, 1, 1).await;
    network.kill("Alice").await;
    network.kill("Victor").await;
    let before = chain.state().run().started_at - 1;
    chain.falls_back(before);
    network.mine_drained("Alice");
    let sees_it = async {
        while network.best_block("Alice") < u64::from(before) {
            tokio::task::yield_now().await;
        }
    };
    timeout(HANGS, sees_it).await.expect("she sees a block");
    chain.tick();
    network.validate("Victor");
    chain.go_to(Phase::Settle);
    audited(&network).await;
    ends(&mut network).await;
    network.stop().await;
}

/// What is final may be ahead of what a node says is its best block.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contribution_is_decided_by_its_audit_in_either_block() {
    let mut network = Network::with(&["Alice"], &["Victor"], admitting(1)).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    play_until_attested(&network, 1, 1).await;
    let before = chain.head();
    chain.go_to(Phase::Settle);
    let drawn = chain.head();
    audited(&network).await;
    let over = chain.head();
    let info = chain.run(drawn.hash, NETUID).await.expect("it answers");
    let (alice, stores) = (Network::account("Alice"), network.stores());
    let run = Run::load(NETUID, alice, &info.expect("a run"), &stores).await;
    let run = run.expect("it is there");
    for (best, finalized, expected) in [
        (before, before, 1),
        (drawn, before, 1),
        (before, drawn, 1),
        (drawn, drawn, 1),
        (over, before, 1),
        (over, drawn, 1),
        (over, over, 0),
    ] {
        let debt = Debt {
            round: 0,
            engine: None,
        };
        let left = undecided(&chain, Heads { best, finalized }, &run, vec![debt]).await;
        let left = left.expect("it answers").len();
        assert_eq!(left, expected, "{best:?}, {finalized:?}");
    }
    network.stop().await;
}
