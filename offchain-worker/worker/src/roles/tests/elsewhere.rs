//! What one node may not decide.

use std::time::Duration;

use cairn_primitives::{BlockNumber, Phase, RunConfig};
use cairn_protocol::phase::Timetable;
use cairn_store::Store;

use super::network::{committed, revealed};
use crate::roles::{testing::Network, Behaviour, Status};

/// After this time something hangs, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Blocks at which her own node asks for the key, and the other one says that others can still commit.
const DENIED: BlockNumber = 4;
/// As many, and enough after them for a key to get into a block.
const REVEAL: BlockNumber = DENIED + 4;

/// Waits until Alice has looked at this block.
async fn until_looked(network: &Network, block: BlockNumber) {
    let directory = network.state_dir("Alice");
    let looked = || Status::read(&directory).map(|status| status.block);
    let wait = async {
        while looked() != Some(block) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("she does not look at block {block}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_kept_back_until_another_node_says_that_training_is_over() {
    let longer = |config: &mut RunConfig, _: &Store| config.phases.reveal = REVEAL;
    let mut network = Network::with(&["Alice"], &["Victor"], longer).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    chain.until("Alice has committed", committed(0, 1)).await;
    let state = chain.state();
    let run = state.run().clone();
    let times = Timetable(run.round.times);
    // It stands still where others can commit.
    chain.elsewhere_is(state.number, run.clone());
    let first = run.round.times.reveal - 1;
    chain.pass(first - state.number);
    // A key that was sent at one of these blocks would be in a later one, or be refused.
    for block in first..first + DENIED {
        assert_eq!(times.next_phase(block), Phase::Reveal, "by its own node");
        until_looked(&network, block).await;
        let state = chain.state();
        assert_eq!((state.number, state.refused.len()), (block, 0));
        assert!(revealed(0, 0)(&state), "one node is not enough at {block}");
        chain.tick();
    }
    // It has gone on.
    chain.elsewhere_is(first, run);
    chain.tick();
    chain.until("Alice has revealed", revealed(0, 1)).await;
    assert_eq!(chain.state().refused, Vec::<String>::new());
    network.stop().await;
}

/// Milliseconds of a slot of a chain whose node shows blocks sooner.
const SLOT: u64 = 60_000;

#[tokio::test]
async fn with_one_node_a_key_is_kept_back_until_training_can_be_over_by_the_clock() {
    let longer = |config: &mut RunConfig, _: &Store| config.phases.reveal = REVEAL;
    let mut network = Network::with(&["Alice"], &["Victor"], longer).await;
    let chain = network.chain.clone();
    chain.block_time_is(SLOT);
    network.mine("Alice", Behaviour::Honest);
    // She was there when round 1 began.
    chain.until("Alice has committed", committed(0, 1)).await;
    chain.go_to(Phase::Settle);
    chain.until("Alice has committed", committed(1, 1)).await;
    let state = chain.state();
    let times = state.run().round.times;
    let first = times.reveal - 1;
    chain.pass(first - state.number);
    for block in first..first + DENIED {
        until_looked(&network, block).await;
        let state = chain.state();
        assert_eq!((state.number, state.refused.len()), (block, 0));
        assert!(
            revealed(1, 0)(&state),
            "no slot was there for block {block}"
        );
        chain.tick();
    }
    // As long as these blocks take.
    tokio::time::pause();
    let lasts = u64::from(times.reveal - times.start) * SLOT;
    tokio::time::advance(Duration::from_millis(lasts)).await;
    tokio::time::resume();
    chain.tick();
    chain.until("Alice has revealed", revealed(1, 1)).await;
    assert_eq!(chain.state().refused, Vec::<String>::new());
    network.stop().await;
}
