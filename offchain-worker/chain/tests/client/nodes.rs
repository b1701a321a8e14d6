//! Which of several nodes is asked.

use std::time::Duration;

use cairn_chain::{Block, ChainError, Client, Patience, Settings, BEHIND};
use cairn_primitives::H256;
use futures::StreamExt;

use super::{commit, fake::FakeNode, sending::NOT_DUE, settings, still, submit};

/// A client of two nodes of one chain.
pub(super) async fn of_two(settings: Settings) -> (FakeNode, FakeNode, Client) {
    let (one, other) = (FakeNode::start().await, FakeNode::start().await);
    let urls = [one.url(), other.url()];
    let client = Client::connect_to(&urls, None, settings, Patience::NONE)
        .await
        .unwrap();
    assert_eq!(client.url(), one.url());
    (one, other, client)
}

#[tokio::test]
async fn the_next_node_is_asked_when_one_is_down() {
    let (mut one, mut other, client) = of_two(settings()).await;
    let mut heads = client.best_blocks();
    assert_eq!(heads.next().await.unwrap().unwrap().number, 0);
    one.stop().await;
    other.produce();
    assert_eq!(heads.next().await.unwrap().unwrap().number, 1);
    assert_eq!(client.best().await.unwrap().number, 1);
    assert_eq!(client.url(), other.url());
    // And the first one again, which is one block behind: that is nothing.
    one.restart().await;
    other.stop().await;
    assert_eq!(client.best().await.unwrap().number, 0);
    assert_eq!(client.url(), one.url());
}

/// What a node answers that is asked beside another one, and so is not waited for: a busy machine may take longer.
async fn in_the_end(beside: &Client) -> Result<Block, ChainError> {
    let mut answer = beside.best().await;
    for _ in 0..20 {
        match &answer {
            Err(error) if error.is_transient() => answer = beside.best().await,
            _ => break,
        }
    }
    answer
}

#[tokio::test]
async fn the_others_are_all_but_the_one_that_is_asked() {
    let (mut one, other, client) = of_two(settings()).await;
    let urls = || -> Vec<String> {
        let others = client.others();
        others.map(|other| other.url().to_string()).collect()
    };
    assert_eq!(urls(), [other.url()]);
    other.produce();
    let beside = client.others().next().unwrap();
    assert_eq!(in_the_end(beside).await.unwrap().number, 1);
    assert_eq!(client.best().await.unwrap().number, 0);
    assert_eq!(beside.others().count(), 0);
    beside.pass_over();
    assert_eq!(urls(), Vec::<String>::new(), "for a minute");
    one.stop().await;
    assert_eq!(client.best().await.unwrap().number, 1);
    assert_eq!(urls(), [one.url()]);
    let gone = client.others().next().unwrap();
    assert!(gone.best().await.unwrap_err().is_transient());
    // Of another chain it is not asked.
    one.restart_on_another_chain().await;
    let error = in_the_end(gone).await.unwrap_err();
    assert!(matches!(error, ChainError::WrongChain { .. }), "{error}");
}

#[tokio::test]
async fn when_all_nodes_are_down_each_is_named() {
    let settings = Settings {
        patience: Patience::NONE,
        ..settings()
    };
    let (mut one, mut other, client) = of_two(settings).await;
    one.stop().await;
    other.stop().await;
    // The broken connection is noticed by the first who uses it.
    let _ = client.best().await;
    let error = client.best().await.unwrap_err();
    let told = error.to_string();
    assert!(
        error.is_transient() && told.starts_with("none of 2 nodes"),
        "{told}"
    );
    assert!(
        told.contains(&one.url()) && told.contains(&other.url()),
        "{told}"
    );
}

#[tokio::test]
async fn a_node_of_another_chain_is_passed_over() {
    let (mut one, mut other, client) = of_two(settings()).await;
    other.restart_on_another_chain().await;
    one.restart().await;
    one.produce();
    assert_eq!(client.best().await.unwrap().number, 1);
    assert_eq!(client.url(), one.url());
}

#[tokio::test]
async fn the_chain_that_is_meant_is_found_behind_a_node_of_another() {
    let (mut wrong, right) = (FakeNode::start().await, FakeNode::start().await);
    wrong.restart_on_another_chain().await;
    let urls = [wrong.url(), right.url()];
    let connect = |expected| Client::connect_to(&urls, Some(expected), settings(), Patience::NONE);
    let client = connect(right.genesis()).await.unwrap();
    assert_eq!(client.url(), right.url());
    assert_eq!(client.genesis_hash(), right.genesis());
    assert!(connect(H256::repeat_byte(77)).await.is_err());
}

#[tokio::test]
async fn a_node_that_is_catching_up_is_passed_over() {
    let (mut one, other, client) = of_two(settings()).await;
    for _ in 0..=BEHIND {
        other.produce();
        one.produce();
    }
    assert_eq!(client.best().await.unwrap().number, BEHIND + 1);
    one.restart_on_the_first_block().await;
    assert_eq!(client.best().await.unwrap().number, BEHIND + 1);
    assert_eq!(client.url(), other.url());
}

#[tokio::test]
async fn a_node_that_lies_of_its_height_does_not_rule_out_the_others() {
    let (mut one, other, client) = of_two(settings()).await;
    for _ in 0..=BEHIND {
        one.produce();
    }
    assert_eq!(client.best().await.unwrap().number, BEHIND + 1);
    one.stop().await;
    other.produce();
    // Behind at first; but there is no better one, so what was seen is forgotten.
    assert_eq!(client.best().await.unwrap().number, 1);
}

#[tokio::test]
async fn a_node_that_stands_still_at_a_high_block_does_not_rule_out_the_others() {
    let settings = Settings {
        silence: Duration::from_millis(20),
        ..settings()
    };
    let (one, other, client) = of_two(settings).await;
    for _ in 0..=BEHIND {
        one.produce();
    }
    // Asked for, not heard of: a busy machine may take longer than that to tell of it.
    assert_eq!(client.best().await.unwrap().number, BEHIND + 1);
    let mut heads = client.best_blocks();
    other.produce();
    while client.url() != other.url() {
        let _ = heads.next().await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_stands_still_is_left() {
    let settings = Settings {
        silence: Duration::from_millis(20),
        ..settings()
    };
    let (_one, other, client) = of_two(settings).await;
    let mut heads = client.best_blocks();
    assert_eq!(heads.next().await.unwrap().unwrap().number, 0);
    other.produce();
    assert_eq!(heads.next().await.unwrap().unwrap().number, 1);
}

/// At its block the phase of what was signed by a later one has not begun.
#[tokio::test]
async fn a_node_that_is_behind_rules_no_transaction_out() {
    let (mut one, other, client) = of_two(settings()).await;
    one.produce();
    other.state().validity = Some(NOT_DUE.into());
    let mut submitted = submit(&client, commit(7));
    still(&mut submitted, one.offered(1)).await;
    one.stop().await;
    still(&mut submitted, other.offered(1)).await;
    // It comes to the block by which the transaction was signed, and the next one has it.
    let pool = std::mem::take(&mut other.state().pool);
    other.produce();
    other.state().validity = None;
    other.state().pool = pool;
    other.produce();
    let included = submitted.await.unwrap().unwrap();
    assert_eq!(included.block.number, 2);
}

/// What one node says of a block, and the next one does not have, says nothing: the first has the transaction there.
#[tokio::test]
async fn a_transaction_is_not_overtaken_by_itself_when_another_node_is_asked() {
    let settings = settings();
    let late = settings.request + Duration::from_secs(1);
    let (one, other, client) = of_two(settings).await;
    one.state().hung.insert("chain_getBlock");
    let mut submitted = submit(&client, commit(7));
    still(&mut submitted, one.offered(1)).await;
    // The account's nonce after this block is told, and the block itself asked of the other one, which has none.
    one.produce();
    for method in ["chain_getBlock", "state_getStorage", "state_call"] {
        still(&mut submitted, one.until_asked(method, 1)).await;
    }
    // An answer to what was asked later.
    client.best().await.unwrap();
    tokio::time::pause();
    tokio::time::advance(late).await;
    tokio::time::resume();
    still(&mut submitted, other.offered(1)).await;
    // Blocks have the same names there.
    other.produce();
    other.produce();
    // What it may have been offered once more.
    one.state().pool.clear();
    one.produce();
    let included = submitted.await.unwrap().unwrap();
    assert_eq!(included.block.number, 1);
    assert_eq!(included.block.hash, other.state().blocks[1].hash);
}
