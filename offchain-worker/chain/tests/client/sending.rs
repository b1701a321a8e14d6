//! Calls that are signed and sent: how they get into a block, or why they do not.

use std::time::Duration;

use cairn_chain::{AccountId, Block, Call, ChainError, Client, Patience, Settings};
use cairn_primitives::{Judgement, ModelRoot, Netuid, Witness};
use futures::StreamExt;
use tokio::time::timeout;

use super::{alice, commit, connected, fake::FakeNode, settings, still, submit, HANGS};

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

/// Who is far from its node waits for each answer that it needs before it can ask on, and for no other. A request that
/// waited for another one of its set would not be answered.
#[tokio::test]
async fn a_call_is_signed_sent_and_found_within_four_answers() {
    let (node, client) = connected().await;
    client.prepare().await.unwrap();
    client.finalized().await.unwrap();
    let [sign, offer, look, read] = [
        vec![
            "chain_getHeader",
            "chain_getFinalizedHead",
            "state_getRuntimeVersion",
            "system_accountNextIndex",
        ],
        vec!["author_submitExtrinsic", "chain_subscribeNewHeads"],
        // The block, the account's nonce, and whether a later block can have it.
        vec!["chain_getBlock", "state_getStorage", "state_call"],
        vec!["state_getStorage", "state_getRuntimeVersion"],
    ];
    // A block without it comes first.
    node.state().together = [sign, offer, look.clone(), look, read].into();
    let mut submitted = submit(&client, commit(7));
    still(&mut submitted, node.offered(1)).await;
    let pool = std::mem::take(&mut node.state().pool);
    node.produce();
    // All but the last two sets.
    still(&mut submitted, node.until_whole(3)).await;
    node.state().pool = pool;
    node.produce();
    let included = submitted.await.unwrap().unwrap();
    assert_eq!(included.block.number, 2);
    assert!(node.state().together.is_empty());
}

/// The first one has the runtime's metadata to fetch, and the finalised block's number.
#[tokio::test]
async fn the_first_call_takes_one_answer_more() {
    let (node, client) = connected().await;
    let sets = [
        vec![
            "chain_getHeader",
            "chain_getFinalizedHead",
            "state_getRuntimeVersion",
            "system_accountNextIndex",
        ],
        vec![
            "chain_getHeader",
            "state_getRuntimeVersion",
            "state_getMetadata",
        ],
        vec!["author_submitExtrinsic", "chain_subscribeNewHeads"],
    ];
    node.state().together = sets.into();
    let mut submitted = submit(&client, commit(7));
    still(&mut submitted, node.offered(1)).await;
    node.produce();
    submitted.await.unwrap().unwrap();
    assert!(node.state().together.is_empty());
}

/// Blocks come faster than a far node answers, and are asked about without waiting for one another.
#[tokio::test]
async fn heads_are_asked_about_at_the_same_time() {
    let (node, client) = connected().await;
    client.prepare().await.unwrap();
    let submitted = submit(&client, commit(7));
    node.offered(1).await;
    node.until_asked("chain_subscribeNewHeads", 1).await;
    let pool = std::mem::take(&mut node.state().pool);
    let of_one = ["chain_getBlock", "state_getStorage", "state_call"];
    // Both blocks before any of them is answered, then the events of the second.
    let all = [of_one; 2].concat();
    let events = vec!["state_getStorage", "state_getRuntimeVersion"];
    node.state().together = [all, events].into();
    node.produce();
    node.state().pool = pool;
    node.produce();
    let included = submitted.await.unwrap().unwrap();
    assert_eq!(included.block.number, 2);
    assert!(node.state().together.is_empty());
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

/// What the block has shown is not asked for again, by whether a later block could have it.
#[tokio::test]
async fn a_transaction_that_was_seen_waits_for_no_other_answer() {
    let (node, client) = connected().await;
    node.state().hung.insert("state_call");
    let mut submitted = submit(&client, commit(7));
    still(&mut submitted, node.offered(1)).await;
    node.produce();
    let included = timeout(HANGS, submitted).await.expect("it is there");
    assert_eq!(included.unwrap().unwrap().block.number, 1);
}

/// The stream of heads is refused while the transaction is being offered.
#[tokio::test]
async fn a_stream_that_failed_during_the_offer_is_opened_again() {
    let (node, client) = connected().await;
    node.state().deaf = 1;
    node.hold("author_submitExtrinsic");
    let mut submitted = submit(&client, commit(7));
    still(
        &mut submitted,
        node.until_asked("chain_subscribeNewHeads", 1),
    )
    .await;
    // An answer to what was asked later: the refusal came before it.
    client.best().await.unwrap();
    node.let_go();
    still(
        &mut submitted,
        node.until_asked("chain_subscribeNewHeads", 2),
    )
    .await;
    still(&mut submitted, node.offered(1)).await;
    node.produce();
    assert_eq!(submitted.await.unwrap().unwrap().block.number, 1);
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
    node.offered(2).await;
    node.state().pool = free;
    node.produce();
    assert_eq!(submitted.await.unwrap().unwrap().block.number, 3);
}

/// What a runtime says of a duty that is not due, or not any more.
pub(super) const NOT_DUE: [u8; 3] = [1, 0, 0];

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
                &Judgement::default(),
                Witness::default(),
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
