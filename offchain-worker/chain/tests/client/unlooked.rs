//! Who asks for several things may look at some of them only later. That holds up nobody else, not even the same one.

use std::{future::Future, time::Duration};

use cairn_chain::{ChainError, Client, Patience, Settings};
use futures::{stream::FuturesUnordered, FutureExt, StreamExt};
use tokio::time::timeout;

use super::{commit, connected, fake::FakeNode, nodes::of_two, settings, still, submit, HANGS};

/// Makes sure that the client is answered.
async fn is_answered(client: &Client) {
    let answer = timeout(HANGS, client.best()).await;
    answer.expect("nobody is in the way").unwrap();
}

/// A node to which the client is connecting again, which has the first question of that unanswered.
async fn connecting(node: &mut FakeNode) {
    node.hold("chain_getBlockHash");
    node.restart().await;
}

#[tokio::test]
async fn a_request_that_waits_for_a_connection() {
    let (mut node, client) = connected().await;
    connecting(&mut node).await;
    let mut left = client.best().boxed();
    tokio::select! {
        ended = &mut left => panic!("{ended:?}"),
        () = node.until_asked("chain_getBlockHash", 2) => {}
    }
    node.let_go();
    is_answered(&client).await;
    assert_eq!(left.await.unwrap().number, 0);
}

#[tokio::test]
async fn a_stream_that_waits_for_a_connection() {
    let (mut node, client) = connected().await;
    let mut heads = client.best_blocks();
    assert_eq!(heads.next().await.unwrap().unwrap().number, 0);
    connecting(&mut node).await;
    node.produce();
    tokio::select! {
        head = heads.next() => panic!("{head:?}"),
        () = node.until_asked("chain_getBlockHash", 2) => {}
    }
    node.let_go();
    is_answered(&client).await;
    assert_eq!(heads.next().await.unwrap().unwrap().number, 1);
}

/// Who waits while somebody else finds out that there is no connection does not try it after that one: each would wait
/// for all before.
#[tokio::test]
async fn requests_that_wait_for_a_connection_in_vain() {
    let mut node = FakeNode::start().await;
    let settings = Settings {
        patience: Patience::NONE,
        ..settings()
    };
    let client = Client::connect_with(&node.url(), settings, Patience::NONE)
        .await
        .unwrap();
    node.hold("chain_getBlockHash");
    node.restart_on_another_chain().await;
    // The broken connection is noticed by the first who uses it.
    assert!(client.best().await.unwrap_err().is_transient());
    let mut left: FuturesUnordered<_> = (0..8).map(|_| client.best()).collect();
    tokio::select! {
        ended = left.next() => panic!("{ended:?}"),
        () = node.until_asked("chain_getBlockHash", 1) => {}
    }
    node.let_go();
    while let Some(answer) = left.next().await {
        let error = answer.unwrap_err();
        assert!(matches!(error, ChainError::WrongChain { .. }), "{error}");
    }
    assert_eq!(node.state().asked("chain_getBlockHash"), 1);
}

/// As many as may be under way at the same time.
#[tokio::test]
async fn requests_that_have_all_places() {
    let (node, client) = connected().await;
    node.hold("chain_getHeader");
    let mut left: FuturesUnordered<_> = (0..32).map(|_| client.best()).collect();
    tokio::select! {
        ended = left.next() => panic!("{ended:?}"),
        () = node.until_asked("chain_getHeader", 32) => {}
    }
    node.let_go();
    is_answered(&client).await;
    while let Some(answer) = left.next().await {
        assert_eq!(answer.unwrap().number, 0);
    }
}

/// While the node is asked about one head, its stream of heads goes on to the next node, which does not let it in yet.
/// Then what was asked is answered, and who looks at that does not look at the stream.
#[tokio::test]
async fn heads_that_wait_for_a_connection_while_a_transaction_is_judged() {
    let settings = Settings {
        silence: Duration::from_millis(200),
        ..settings()
    };
    let (one, other, client) = of_two(settings).await;
    // It has the same block 1.
    other.produce();
    other.hold("chain_getBlockHash");
    one.hold("state_call");
    one.hold("chain_subscribeNewHeads");
    let mut submitted = submit(&client, commit(7));
    still(&mut submitted, one.offered(1)).await;
    // The first head that it hears of.
    one.state().pool.clear();
    one.produce();
    one.let_go_of("chain_subscribeNewHeads");
    still(&mut submitted, one.until_asked("state_call", 1)).await;
    still(&mut submitted, other.until_asked("chain_getBlockHash", 1)).await;
    one.let_go();
    // Time for the answer to be looked at.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    other.let_go();
    let offered = tokio::select! {
        () = other.offered(1) => &other,
        // If it took longer, the stream has come back to this one by now.
        () = one.offered(2) => &one,
        ended = &mut submitted => panic!("{ended:?}"),
    };
    offered.produce();
    let included = timeout(HANGS, submitted).await;
    let included = included.expect("nobody is in the way").unwrap();
    assert_eq!(included.unwrap().block.number, 2);
}

/// Looks at what asks until this many requests for metadata have come in all.
async fn until_metadata_is_asked<T: std::fmt::Debug>(
    node: &FakeNode,
    number: usize,
    asking: &mut (impl Future<Output = T> + Unpin),
) {
    tokio::select! {
        ended = asking => panic!("{ended:?}"),
        () = node.until_asked("state_getMetadata", number) => {}
    }
}

#[tokio::test]
async fn a_runtime_that_is_being_asked_for() {
    let (node, client) = connected().await;
    node.hold("state_getMetadata");
    let mut left = client.prepare().boxed();
    until_metadata_is_asked(&node, 1, &mut left).await;
    node.let_go();
    let learned = timeout(HANGS, client.prepare()).await;
    learned.expect("nobody is in the way").unwrap();
    left.await.unwrap();
    assert_eq!(node.state().asked("state_getMetadata"), 1);
}

/// A transaction is in the first block of the next runtime, which the node is slow to tell: its events are of the one
/// before.
#[tokio::test]
async fn a_runtime_that_somebody_else_needs() {
    let (node, client) = connected().await;
    node.produce();
    client.prepare().await.unwrap();
    let mut submitted = submit(&client, commit(7));
    still(&mut submitted, node.offered(1)).await;
    node.hold("chain_getBlock");
    node.hold("state_getMetadata");
    node.state().upgraded_at = Some(2);
    node.produce();
    let mut next = client.prepare().boxed();
    until_metadata_is_asked(&node, 2, &mut next).await;
    node.let_go_of("chain_getBlock");
    let included = timeout(HANGS, submitted).await;
    let included = included.expect("nobody is in the way").unwrap();
    assert_eq!(included.unwrap().block.number, 2);
    node.let_go();
    next.await.unwrap();
}
