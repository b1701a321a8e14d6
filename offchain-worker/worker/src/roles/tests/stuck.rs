//! Workers that get no further.

use std::time::Duration;

use super::network::committed;
use crate::roles::{
    testing::{Network, PHASES},
    Behaviour, RoleError,
};

/// A miner that has committed. From then on time passes only as a test says.
async fn after_alice_has_committed() -> Network {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    chain.until("Alice has committed", committed(0, 1)).await;
    network
}

#[tokio::test]
async fn a_look_that_never_ends_ends_the_worker_though_blocks_come() {
    let mut network = after_alice_has_committed().await;
    let chain = network.chain.clone();
    chain.answers_no_look();
    tokio::time::pause();
    let blocks_come = async {
        loop {
            chain.tick();
            tokio::time::advance(Duration::from_secs(60)).await;
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
        }
    };
    let ended = tokio::select! {
        ended = network.end("Alice") => ended,
        () = blocks_come => unreachable!("blocks come for ever"),
    };
    let error = ended.expect_err("nothing answers her");
    let RoleError::Stuck {
        what,
        seconds,
        blocks,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(what, "a look at the chain");
    // An hour, as these workers are told, and three rounds.
    assert!(seconds >= 3_600 && blocks >= 3 * PHASES.round());
}

#[tokio::test]
async fn a_chain_that_stands_still_ends_the_worker() {
    let mut network = after_alice_has_committed().await;
    tokio::time::pause();
    let error = network.end("Alice").await.expect_err("no block comes");
    let RoleError::NoBlocks { seconds, last } = error else {
        panic!("{error}");
    };
    assert!(seconds >= 3_600);
    assert_eq!(last, Some(network.chain.head().number));
}
