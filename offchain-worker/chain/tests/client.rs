//! The client against a node in miniature behind a real WebSocket.

mod fake;

use std::time::Duration;

use cairn_chain::{
    keypair, AccountId, Block, Call, ChainError, Client, Included, Keypair, Patience, Settings,
    Signed, Unsigned, BEHIND,
};
use cairn_primitives::{Commitment, ModelRoot, Netuid, SealedRoot, Verdicts, H256};
use codec::Encode;
use fake::FakeNode;
use futures::StreamExt;

/// Deadlines that no healthy node misses; pauses that cost nothing.
fn settings() -> Settings {
    let patience = Patience {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(20),
        total: Duration::from_secs(60),
    };
    Settings {
        patience,
        ..Settings::default()
    }
}

async fn connected() -> (FakeNode, Client) {
    let node = FakeNode::start().await;
    let client = Client::connect_with(&node.url(), settings(), Patience::NONE)
        .await
        .unwrap();
    (node, client)
}

fn alice() -> Keypair {
    keypair("//Alice").unwrap()
}

fn commit(round: u32) -> Call {
    let root = H256::repeat_byte(round as u8);
    Call::commit(
        Netuid(3),
        round,
        &Commitment {
            parent_root: ModelRoot(root),
            sealed_root: SealedRoot(root),
            length: 1_000,
            key_hash: root,
        },
    )
}

/// Submits while somebody else looks after the node.
fn submit(client: &Client, call: Call) -> tokio::task::JoinHandle<Result<Included, ChainError>> {
    let client = client.clone();
    tokio::spawn(async move { client.submit(&call, &alice()).await })
}

#[tokio::test]
async fn a_node_that_is_down_is_named_with_the_remedy() {
    let mut node = FakeNode::start().await;
    node.stop().await;
    let error = Client::connect(&node.url()).await.unwrap_err();
    assert!(matches!(error, ChainError::NodeDown { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains(&node.url()) && text.contains("--node"),
        "{text}"
    );
    assert!(
        text.contains("start cairn-node") && !text.contains('\n'),
        "{text}"
    );
}

#[tokio::test]
async fn a_node_that_is_only_starting_is_waited_for() {
    let mut node = FakeNode::start().await;
    node.stop().await;
    let url = node.url();
    let patience = settings().patience;
    let client = async { Client::connect_with(&url, settings(), patience).await };
    let (client, ()) = tokio::join!(client, async {
        tokio::task::yield_now().await;
        node.restart().await
    });
    assert_eq!(client.unwrap().genesis_hash(), node.genesis());
}

#[tokio::test]
async fn the_chain_is_told_by_its_genesis() {
    let (node, client) = connected().await;
    assert_eq!(client.genesis_hash(), node.genesis());
    client.expect_genesis(node.genesis()).unwrap();
    let expected = H256::repeat_byte(1);
    let error = client.expect_genesis(expected).unwrap_err();
    let (url, found) = (node.url(), node.genesis());
    assert_eq!(
        error,
        ChainError::WrongChain {
            url,
            expected,
            found
        }
    );
}

#[tokio::test]
async fn heads_are_read() {
    let (node, client) = connected().await;
    for _ in 0..5 {
        node.produce();
    }
    assert_eq!(
        client.best().await.unwrap(),
        Block {
            number: 5,
            hash: node.head()
        }
    );
    assert_eq!(client.finalized().await.unwrap().number, 3);
    assert_eq!(client.block_hash(0).await.unwrap(), Some(node.genesis()));
    assert_eq!(client.block_hash(6).await.unwrap(), None);
}

#[tokio::test]
async fn a_call_that_is_not_answered_ends_by_its_deadline() {
    let node = FakeNode::start().await;
    node.state().hung.insert("state_call");
    let request = Duration::from_millis(400);
    let settings = Settings {
        request,
        patience: Patience::NONE,
        ..settings()
    };
    let client = Client::connect_with(&node.url(), settings, Patience::NONE)
        .await
        .unwrap();
    let error = client.at(node.genesis()).subnets().await.unwrap_err();
    let (url, what) = (node.url(), "state_call".to_string());
    assert_eq!(
        error,
        ChainError::TimedOut {
            url,
            what,
            deadline: request
        }
    );
    // The client is not broken by it.
    assert_eq!(client.best().await.unwrap().number, 0);
}

#[tokio::test]
async fn runtime_apis_are_called_by_name_with_exact_arguments() {
    let (node, client) = connected().await;
    node.state().answer = Some(77u64.encode());
    let view = client.at(node.genesis());
    assert_eq!(view.creation_price().await.unwrap(), 77);
    node.state().answer = Some(vec![0]);
    let hotkey = AccountId([0xab; 32]);
    assert_eq!(view.member(Netuid(258), &hotkey).await.unwrap(), None);
    assert_eq!(
        view.contributions(Netuid(1), 0x01020304).await.unwrap(),
        vec![]
    );
    let calls: Vec<_> = node
        .state()
        .requests
        .iter()
        .filter(|(method, _)| method == "state_call")
        .map(|(_, params)| serde_json::to_value(params).unwrap())
        .collect();
    let at = serde_json::to_value(node.genesis()).unwrap();
    let member = format!("0x0201{}", "ab".repeat(32));
    assert_eq!(
        serde_json::Value::from(calls),
        serde_json::json!([
            ["SubnetsApi_creation_price", "0x", at],
            ["SubnetsApi_member", member, at],
            ["TrainingApi_contributions", "0x010004030201", at],
        ])
    );
}

#[tokio::test]
async fn a_node_of_another_release_is_named() {
    let (node, client) = connected().await;
    let view = client.at(node.genesis());
    let error = view.schedule().await.unwrap_err();
    let function = "EmissionsApi_schedule".to_string();
    assert_eq!(
        error,
        ChainError::UnknownFunction {
            url: node.url(),
            function
        }
    );
    node.state().answer = Some(vec![1, 2, 3]);
    let error = view.schedule().await.unwrap_err();
    assert!(matches!(error, ChainError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn balances_and_nonces_are_read() {
    let (node, client) = connected().await;
    let (view, alice) = (client.at(node.genesis()), AccountId::of(&alice()));
    let balance = view.balance(&alice).await.unwrap();
    assert_eq!(
        (balance.free, balance.reserved, balance.frozen),
        (500, 60, 7)
    );
    assert_eq!(view.nonce(&alice).await.unwrap(), 0);
    let hash = H256::repeat_byte(8);
    let error = client.at(hash).nonce(&alice).await.unwrap_err();
    assert_eq!(
        error,
        ChainError::UnknownBlock {
            url: node.url(),
            hash
        }
    );
}

#[tokio::test]
async fn a_restarting_node_only_delays_a_read() {
    let (mut node, client) = connected().await;
    node.stop().await;
    let reader = client.clone();
    let read = tokio::spawn(async move { reader.best().await });
    tokio::task::yield_now().await;
    node.restart().await;
    assert_eq!(read.await.unwrap().unwrap().hash, node.genesis());
}

#[tokio::test]
async fn a_node_that_comes_back_on_another_chain_is_not_believed() {
    let (mut node, client) = connected().await;
    let (mut heads, first) = (client.best_blocks(), node.genesis());
    assert_eq!(heads.next().await.unwrap().unwrap().hash, first);
    node.restart_on_another_chain().await;
    let (url, found) = (node.url(), node.genesis());
    let expected = ChainError::WrongChain {
        url,
        expected: first,
        found,
    };
    assert_eq!(client.best().await.unwrap_err(), expected);
    assert_eq!(heads.next().await.unwrap().unwrap_err(), expected);
}

#[tokio::test]
async fn streams_outlive_their_connection_and_say_nothing_twice() {
    let (mut node, client) = connected().await;
    let mut heads = client.best_blocks();
    let mut finalized = client.finalized_blocks();
    assert_eq!(heads.next().await.unwrap().unwrap().number, 0);
    assert_eq!(finalized.next().await.unwrap().unwrap().number, 0);
    node.produce();
    let first = heads.next().await.unwrap().unwrap();
    assert_eq!(
        first,
        Block {
            number: 1,
            hash: node.head()
        }
    );
    node.restart().await;
    node.produce();
    assert_eq!(heads.next().await.unwrap().unwrap().number, 2);
    node.produce();
    assert_eq!(heads.next().await.unwrap().unwrap().number, 3);
    assert!(finalized.next().await.unwrap().unwrap().number >= 1);
}

#[tokio::test]
async fn a_stream_whose_patience_ends_says_so_and_can_go_on() {
    let mut node = FakeNode::start().await;
    let settings = Settings {
        patience: Patience::NONE,
        ..settings()
    };
    let client = Client::connect_with(&node.url(), settings, Patience::NONE)
        .await
        .unwrap();
    let mut heads = client.best_blocks();
    heads.next().await.unwrap().unwrap();
    node.stop().await;
    let error = heads.next().await.unwrap().unwrap_err();
    assert!(matches!(error, ChainError::NodeDown { .. }), "{error:?}");
    node.restart().await;
    node.produce();
    // The broken connection is noticed by the first who uses it.
    let mut next = heads.next().await.unwrap();
    if next.is_err() {
        next = heads.next().await.unwrap();
    }
    assert_eq!(next.unwrap().number, 1);
}

#[tokio::test]
async fn a_silent_connection_is_asked_whether_it_lives() {
    let node = FakeNode::start().await;
    let settings = Settings {
        silence: Duration::from_millis(20),
        request: Duration::from_millis(400),
        patience: Patience::NONE,
        ..settings()
    };
    let client = Client::connect_with(&node.url(), settings, Patience::NONE)
        .await
        .unwrap();
    let mut heads = client.best_blocks();
    heads.next().await.unwrap().unwrap();
    node.state().hung.insert("chain_getFinalizedHead");
    let error = heads.next().await.unwrap().unwrap_err();
    assert!(matches!(error, ChainError::TimedOut { .. }), "{error:?}");
    node.state().hung.clear();
    node.produce();
    assert_eq!(heads.next().await.unwrap().unwrap().number, 1);
}

/// A client of two nodes of one chain.
async fn of_two(settings: Settings) -> (FakeNode, FakeNode, Client) {
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
    let mut heads = client.best_blocks();
    assert_eq!(heads.next().await.unwrap().unwrap().number, BEHIND + 1);
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

#[tokio::test]
async fn a_call_is_signed_included_and_its_events_are_given() {
    let (node, client) = connected().await;
    for _ in 0..4 {
        node.produce();
    }
    let submitted = submit(&client, commit(7));
    node.offered(1).await;
    {
        let state = node.state();
        let (transaction, _) = &state.pool[0];
        assert_eq!(
            (transaction.signer, transaction.nonce),
            (AccountId::of(&alice()).0, 0)
        );
        assert_eq!(transaction.phase, 2, "it hangs on the finalised block");
    }
    // A block without it comes first.
    let pool = std::mem::take(&mut node.state().pool);
    node.produce();
    node.state().pool = pool;
    node.produce();
    let included = submitted.await.unwrap().unwrap();
    assert_eq!(
        included.block,
        Block {
            number: 6,
            hash: node.head()
        }
    );
    assert_eq!(included.index, 0);
    let event = included.event("Training", "Committed").unwrap();
    assert_eq!(event.fields::<(u16, u32, u16)>(), Some((3, 7, 5)));
    assert!(included.event("System", "ExtrinsicSuccess").is_some());
}

/// A commitment that waits for its signature, as it comes out of a file.
async fn unsigned(client: &Client, round: u32) -> Unsigned {
    let account = AccountId::of(&alice());
    let unsigned = client.unsigned(&commit(round), account).await.unwrap();
    let file = serde_json::to_string(&unsigned).unwrap();
    let read = serde_json::from_str(&file).unwrap();
    assert_eq!(unsigned, read);
    read
}

#[tokio::test]
async fn a_call_is_signed_without_a_node_and_sent_later() {
    let (mut node, client) = connected().await;
    for _ in 0..4 {
        node.produce();
    }
    let unsigned = unsigned(&client, 7).await;
    assert_eq!(
        (unsigned.since, unsigned.period),
        (2, 128),
        "the finalised block"
    );
    node.stop().await;
    let root = format!("0x{}", "07".repeat(32));
    let account = AccountId([7; 32]);
    let shown = unsigned.shown().unwrap();
    let start =
        format!("Training.commit(netuid: 3, round: 7, commitment: (parent_root: {account}, ");
    assert!(
        shown.starts_with(&start) || shown.contains(&root),
        "{shown}"
    );
    let signed = unsigned.sign(&alice()).unwrap();
    assert_eq!(signed.valid_until, 130);
    node.restart().await;
    let file = serde_json::to_string(&signed).unwrap();
    let signed: Signed = serde_json::from_str(&file).unwrap();
    let sending = tokio::spawn({
        let (client, signed) = (client.clone(), signed.clone());
        async move { client.submit_signed(&signed).await }
    });
    node.offered(1).await;
    node.produce();
    let included = sending.await.unwrap().unwrap();
    let event = included.event("Training", "Committed").unwrap();
    assert_eq!(event.fields::<(u16, u32, u16)>(), Some((3, 7, 5)));
    // Sent again, it is found where it is: nobody signs and pays twice.
    let again = client.submit_signed(&signed).await.unwrap();
    assert_eq!(again.block, included.block);
}

#[tokio::test]
async fn only_the_account_signs_and_only_for_its_chain() {
    let (mut node, client) = connected().await;
    let unsigned = unsigned(&client, 7).await;
    let error = unsigned.sign(&keypair("//Bob").unwrap()).unwrap_err();
    assert!(matches!(error, ChainError::InvalidKey { .. }), "{error:?}");
    let signed = unsigned.sign(&alice()).unwrap();
    let other = FakeNode::start().await;
    let elsewhere = Signed {
        genesis: H256::repeat_byte(9),
        ..signed.clone()
    };
    let error = client.submit_signed(&elsewhere).await.unwrap_err();
    assert!(matches!(error, ChainError::WrongChain { .. }), "{error:?}");
    drop(other);
    // Its nonce goes to another transaction before it is sent.
    let submitted = submit(&client, commit(1));
    node.offered(1).await;
    node.produce();
    submitted.await.unwrap().unwrap();
    let error = client.submit_signed(&signed).await.unwrap_err();
    let refused = matches!(error, ChainError::NonceUsed { .. });
    assert!(refused, "{error:?}");
    node.stop().await;
}

#[tokio::test]
async fn what_does_not_hold_together_is_not_signed() {
    let (_node, client) = connected().await;
    let good = unsigned(&client, 7).await;
    let with = |change: fn(&mut Unsigned)| {
        let mut unsigned = good.clone();
        change(&mut unsigned);
        unsigned
    };
    for broken in [
        with(|unsigned| unsigned.call = "Training".into()),
        with(|unsigned| unsigned.call = "Training.nothing".into()),
        with(|unsigned| unsigned.arguments.push(0)),
        with(|unsigned| unsigned.arguments.truncate(1)),
        with(|unsigned| unsigned.period = 0),
        with(|unsigned| unsigned.period = 129),
        with(|unsigned| unsigned.period = 1 << 20),
        with(|unsigned| unsigned.metadata.truncate(100)),
        with(|unsigned| unsigned.metadata.clear()),
    ] {
        let error = broken.sign(&alice()).unwrap_err();
        assert!(matches!(error, ChainError::UnknownCall { .. }), "{error:?}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn calls_of_one_key_do_not_collide() {
    let (node, client) = connected().await;
    let submitted: Vec<_> = (0..4).map(|round| submit(&client, commit(round))).collect();
    for number in 1..=4 {
        node.offered(number).await;
        node.produce();
    }
    let mut blocks = Vec::new();
    for task in submitted {
        blocks.push(task.await.unwrap().unwrap().block.number);
    }
    blocks.sort_unstable();
    assert_eq!(blocks, [1, 2, 3, 4]);
}

#[tokio::test]
async fn calls_can_be_one() {
    let (node, client) = connected().await;
    let submitted = submit(&client, Call::batch_all(vec![commit(1), commit(2)]));
    node.offered(1).await;
    node.produce();
    let included = submitted.await.unwrap().unwrap();
    let committed = included
        .events
        .iter()
        .filter(|event| event.name == "Committed");
    assert_eq!(committed.count(), 2);
}

#[tokio::test]
async fn an_error_of_the_runtime_has_a_name() {
    let (node, client) = connected().await;
    let submitted = submit(&client, Call::stop_run(Netuid(3)));
    node.offered(1).await;
    node.produce();
    let error = submitted.await.unwrap().unwrap_err();
    assert!(error.is_dispatch("Training", "NoRun"), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("Training.stop_run") && text.contains("There is no run to stop"),
        "{text}"
    );
}

#[tokio::test]
async fn a_node_that_forgets_a_transaction_is_given_it_again() {
    let (mut node, client) = connected().await;
    let submitted = submit(&client, commit(7));
    node.offered(1).await;
    node.restart().await;
    node.produce();
    node.offered(2).await;
    node.produce();
    let included = submitted.await.unwrap().unwrap();
    assert_eq!(included.block.number, 2);
}

#[tokio::test]
async fn a_free_call_that_is_left_out_is_offered_as_one_that_pays() {
    let (node, client) = connected().await;
    let submitted = submit(&client, commit(7));
    node.offered(1).await;
    // No block has room for it.
    let free = std::mem::take(&mut node.state().pool);
    assert_eq!(free[0].0.tip, 0);
    node.produce();
    node.produce();
    node.offered(2).await;
    let (paying, bytes) = {
        let state = node.state();
        let (transaction, bytes) = &state.pool[0];
        (transaction.tip, bytes.clone())
    };
    assert_eq!(paying, 1);
    node.produce();
    let included = submitted.await.unwrap().unwrap();
    assert_eq!(included.block.number, 3);
    assert_eq!(included.hash, cairn_primitives::blake2_256(&bytes));
}

#[tokio::test]
async fn a_free_call_waits_on_if_nothing_can_be_paid() {
    let (node, client) = connected().await;
    let submitted = submit(&client, commit(7));
    node.offered(1).await;
    let free = std::mem::take(&mut node.state().pool);
    node.state()
        .refusals
        .push((1010, "Inability to pay some fees"));
    node.produce();
    node.produce();
    // Asked, and refused.
    while !node.state().refusals.is_empty() {
        tokio::task::yield_now().await;
    }
    node.state().pool = free;
    node.produce();
    assert_eq!(submitted.await.unwrap().unwrap().block.number, 3);
}

/// What a runtime says of a duty that is not due, or not any more.
const NOT_DUE: [u8; 3] = [1, 0, 0];

#[tokio::test]
async fn what_no_block_can_take_any_more_makes_way_for_the_next() {
    let (node, client) = connected().await;
    let late = submit(&client, commit(7));
    node.offered(1).await;
    let next = submit(&client, commit(8));
    {
        // Its phase ends, which the pool does not notice at once.
        let mut state = node.state();
        state.pool.clear();
        state.stuck = 1;
        state.validity = Some(NOT_DUE.into());
        state.refusals.push((1014, "Priority is too low"));
    }
    node.produce();
    let error = late.await.unwrap().unwrap_err();
    assert!(matches!(error, ChainError::Rejected { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("after block 1") && text.contains("call is not expected"),
        "{text}"
    );
    // The next one has its nonce, once the pool gives that free.
    node.offered(2).await;
    node.state().validity = None;
    node.produce();
    node.offered(3).await;
    assert_eq!(node.state().pool[0].0.nonce, 0);
    node.produce();
    assert_eq!(next.await.unwrap().unwrap().block.number, 3);
    // The first was not offered again, free or paying.
    assert_eq!(node.state().asked("author_submitExtrinsic"), 3);
}

#[tokio::test]
async fn a_free_call_that_can_neither_wait_nor_pay_is_given_up() {
    let (node, client) = connected().await;
    node.state().validity = Some(vec![0]);
    let late = submit(&client, commit(7));
    node.offered(1).await;
    let next = submit(&client, commit(8));
    node.state().pool.clear();
    node.state()
        .refusals
        .push((1010, "Inability to pay some fees"));
    node.produce();
    node.produce();
    // The paying one was refused, and the free one may still get in: then no longer.
    node.offered(2).await;
    node.state().validity = Some(NOT_DUE.into());
    node.produce();
    let error = late.await.unwrap().unwrap_err();
    assert!(matches!(error, ChainError::Rejected { .. }), "{error:?}");
    node.offered(3).await;
    node.state().validity = None;
    node.produce();
    assert_eq!(next.await.unwrap().unwrap().block.number, 4);
    assert_eq!(node.state().asked("author_submitExtrinsic"), 3);
}

#[tokio::test]
async fn a_transaction_is_found_after_a_reorganisation_below_the_head() {
    let (node, client) = connected().await;
    let mut heads = client.best_blocks();
    let submitted = submit(&client, commit(7));
    node.offered(1).await;
    let pool = std::mem::take(&mut node.state().pool);
    node.produce();
    while heads.next().await.unwrap().unwrap().number < 1 {}
    node.state().pool = pool;
    node.reorganise();
    let included = submitted.await.unwrap().unwrap();
    assert_eq!(included.block.number, 1);
    assert_eq!(included.block.hash, node.state().blocks[1].hash);
}

#[tokio::test]
async fn a_nonce_that_was_taken_is_drawn_again() {
    let (node, client) = connected().await;
    node.state()
        .refusals
        .push((1010, "Transaction is outdated"));
    let submitted = submit(&client, commit(7));
    node.offered(1).await;
    node.state().blocks.last_mut().unwrap().nonce = 1;
    node.produce();
    node.offered(2).await;
    assert_eq!(node.state().pool[0].0.nonce, 1);
    node.produce();
    assert_eq!(submitted.await.unwrap().unwrap().block.number, 2);
}

#[tokio::test]
async fn a_transaction_that_is_turned_away_says_what_to_do() {
    let (node, client) = connected().await;
    let poor = "Inability to pay some fees (e.g. account balance too low)";
    node.state().refusals.push((1010, poor));
    let error = client
        .submit(&Call::stop_run(Netuid(3)), &alice())
        .await
        .unwrap_err();
    assert!(matches!(error, ChainError::Rejected { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("Training.stop_run") && text.contains(poor),
        "{text}"
    );
    assert!(text.contains("send the account some CRN"), "{text}");
}

#[tokio::test]
async fn a_transaction_that_does_not_get_in_says_how_long_it_may_still() {
    let node = FakeNode::start().await;
    let settings = Settings {
        inclusion: Duration::from_millis(100),
        ..settings()
    };
    let client = Client::connect_with(&node.url(), settings, Patience::NONE)
        .await
        .unwrap();
    let error = client.submit(&commit(7), &alice()).await.unwrap_err();
    assert!(
        matches!(
            error,
            ChainError::NotIncluded {
                valid_until: 128,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_transaction_whose_nonce_goes_to_another_is_overtaken() {
    let (node, client) = connected().await;
    let submitted = submit(&client, commit(7));
    node.offered(1).await;
    node.state().pool.clear();
    node.state().blocks.last_mut().unwrap().nonce = 1;
    node.produce();
    let error = submitted.await.unwrap().unwrap_err();
    assert!(
        matches!(error, ChainError::Overtaken { nonce: 0, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_call_that_the_runtime_does_not_have_is_not_sent() {
    let (node, client) = connected().await;
    let calls = [
        (
            Call::attest(
                Netuid(1),
                2,
                ModelRoot::zero(),
                &Verdicts::default(),
                H256::zero(),
                &[0; 32],
            ),
            "no such call",
        ),
        (
            Call::reveal(Netuid(1), 2, &[3; 32]),
            "takes 2 arguments, not 3",
        ),
        (
            Call::batch_all(vec![Call::sudo(commit(1))]),
            "no such pallet",
        ),
    ];
    for (call, why) in calls {
        let error = client.submit(&call, &alice()).await.unwrap_err();
        assert!(matches!(error, ChainError::UnknownCall { .. }), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(node.state().pool.is_empty());
}
