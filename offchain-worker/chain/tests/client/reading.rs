//! What is read: of one node that is there, starts, restarts or says nothing.

use std::time::Duration;

use cairn_chain::{AccountId, Block, ChainError, Client, MemberEndpoints, Patience, Settings};
use cairn_primitives::{Netuid, Uid, H256, PER_PAGE};
use codec::{Decode, Encode};
use futures::StreamExt;

use super::{
    alice, connected,
    fake::{Answers, FakeNode},
    settings,
};

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

/// What is answered here is answered by then, on however busy a machine. What is not is waited for as long.
const ANSWERED: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_call_that_is_not_answered_ends_by_its_deadline() {
    let node = FakeNode::start().await;
    node.state().hung.insert("state_call");
    let request = ANSWERED;
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
            [
                "TrainingApi_contributions",
                "0x010004030201000000010000",
                at
            ],
        ])
    );
}

/// What members with uids up to some number have named, as a node answers page by page.
fn endpoints_until<const END: u16>(mut arguments: &[u8]) -> Vec<u8> {
    let (_, from, limit) = <(Netuid, u16, u32)>::decode(&mut arguments).unwrap();
    endpoints((from..END).take(limit as usize))
}

/// An answer that these members have named nothing.
fn endpoints(uids: impl Iterator<Item = u16>) -> Vec<u8> {
    let page: Vec<MemberEndpoints> = uids
        .map(|uid| MemberEndpoints {
            uid: Uid(uid),
            hotkey: AccountId([7; 32]),
            endpoints: Vec::new(),
            set_at: Some(u32::from(uid)),
        })
        .collect();
    page.encode()
}

#[tokio::test]
async fn a_long_list_is_read_page_by_page_with_each_item_once() {
    let full = u16::try_from(PER_PAGE).unwrap();
    let cases: [(Answers, u16, usize); 4] = [
        (endpoints_until::<0>, 0, 1),
        (endpoints_until::<255>, full - 1, 1),
        (endpoints_until::<256>, full, 2),
        (endpoints_until::<600>, 600, 3),
    ];
    for (answers, many, asked) in cases {
        let (node, client) = connected().await;
        node.state().answers = Some(answers);
        let list = client.at(node.genesis()).endpoints(Netuid(1)).await;
        let uids: Vec<u16> = list.unwrap().iter().map(|one| one.uid.get()).collect();
        assert_eq!(uids, (0..many).collect::<Vec<u16>>());
        let state = node.state();
        let calls = state.requests.iter();
        let calls = calls.filter(|(method, _)| method == "state_call");
        assert_eq!(calls.count(), asked);
    }
}

#[tokio::test]
async fn a_list_that_does_not_ascend_is_an_error_and_not_asked_for_ever() {
    let cases: [Answers; 4] = [
        // The same page for ever, one that comes to the end of all numbers, and two short ones.
        |_| endpoints(0..256),
        |_| endpoints((0..255).chain([u16::MAX, u16::MAX])),
        |_| endpoints([1, 1].into_iter()),
        |_| endpoints([2, 1].into_iter()),
    ];
    for answers in cases {
        let (node, client) = connected().await;
        node.state().answers = Some(answers);
        let list = client.at(node.genesis()).endpoints(Netuid(1)).await;
        let malformed = ChainError::Malformed {
            url: node.url(),
            what: "EndpointsApi_endpoints".to_string(),
            why: "its list does not ascend".to_string(),
        };
        assert_eq!(list.unwrap_err(), malformed);
    }
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
        request: ANSWERED,
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
