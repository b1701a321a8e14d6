//! A store that loses or changes what was committed to.

use std::path::PathBuf;

use cairn_primitives::Commitment;
use cairn_store::paths;

use super::network::{committed, play, ALICE, HANGS};
use crate::roles::{
    testing::{sealed_file, Network, NETUID},
    Behaviour,
};

/// What Alice committed to in the present round.
fn commitment(network: &Network) -> Commitment {
    let state = network.chain.state();
    let made = state.contributions_of(state.round).first();
    made.expect("she has committed").commitment.clone()
}

/// Has the store lose all contributions, at a stroke: whoever writes one meanwhile writes into what is lost, or anew.
fn lose(network: &Network) {
    let store = network.store.directory().expect("a directory");
    let lost = store.join("lost");
    std::fs::rename(store.join("contributions"), &lost).expect("they were there");
    std::fs::remove_dir_all(lost).expect("nobody else knows of it");
}

/// Waits until the store has it whole.
async fn until_there(network: &Network, commitment: &Commitment) {
    let round = network.chain.state().round;
    let there = async {
        while sealed_file(&network.store, round, commitment)
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(HANGS, there).await;
    waited.expect("it is published again");
}

/// Alice's commitment is in a block.
async fn after_alice_has_committed() -> Network {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    chain.until("Alice has committed", committed(0, 1)).await;
    chain.tick();
    network
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_lost_after_the_commitment_is_published_again() {
    let network = after_alice_has_committed().await;
    let made = commitment(&network);
    for _ in 0..2 {
        // It may be there again at once: she looks with each block, and may look just now because of the last one.
        lose(&network);
        network.chain.tick();
        until_there(&network, &made).await;
    }
    play(&network, 1, 1).await;
    assert_eq!(network.chain.state().settled[&0].included, [ALICE]);
    network.stop().await;
}

/// Where the store has what Alice committed to in round 0.
fn place(network: &Network, made: &Commitment) -> PathBuf {
    let prefix = paths::contributions(NETUID.get(), 0);
    let path = paths::blob(&prefix, made.sealed_root.bytes());
    network.store.directory().expect("a directory").join(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_changed_is_published_again() {
    let network = after_alice_has_committed().await;
    let made = commitment(&network);
    let file = place(&network, &made);
    let whole = std::fs::read(&file).expect("it is there");
    let mut other = whole.clone();
    let middle = other.len() / 2;
    other[middle] ^= 1;
    std::fs::write(&file, &other).expect("room");
    network.chain.tick();
    until_there(&network, &made).await;
    assert_eq!(std::fs::read(&file).expect("it is there"), whole);
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_cut_short_is_made_whole() {
    let network = after_alice_has_committed().await;
    let made = commitment(&network);
    let file = place(&network, &made);
    let whole = std::fs::read(&file).expect("it is there");
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("room");
    network.chain.tick();
    until_there(&network, &made).await;
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miner_that_was_down_when_the_store_lost_it_publishes_it_again() {
    let mut network = after_alice_has_committed().await;
    let made = commitment(&network);
    network.kill("Alice").await;
    lose(&network);
    network.mine("Alice", Behaviour::Honest);
    network.chain.tick();
    until_there(&network, &made).await;
    play(&network, 1, 1).await;
    assert_eq!(network.chain.state().settled[&0].included, [ALICE]);
    network.stop().await;
}

/// Its store takes nothing when the work is made, and does again in the last block in which there is use for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_does_not_take_is_published_as_soon_as_it_does_and_then_committed_to() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    let store = network.store.directory().expect("a directory");
    let in_the_way = store.join("contributions");
    std::fs::write(&in_the_way, b"a file").expect("room");
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    // When it is made, at once again, and with each block.
    for tries in 2..5 {
        let tried = async {
            while network.failed_to_publish("Alice") < tries {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(HANGS, tried).await;
        waited.unwrap_or_else(|_| panic!("it is not tried for the {tries}th time"));
        let state = network.chain.state();
        assert_eq!(state.contributions_of(0).len(), 0, "nobody can fetch it");
        if tries == 4 {
            std::fs::remove_file(&in_the_way).expect("it was there");
        }
        network.chain.tick();
    }
    play(&network, 1, 1).await;
    let state = network.chain.state();
    assert_eq!(state.refused, Vec::<String>::new());
    assert_eq!(state.settled[&0].included, [ALICE]);
    network.stop().await;
}
