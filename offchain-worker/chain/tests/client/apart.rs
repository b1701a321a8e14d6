//! Calls that are signed apart from a node, and sent later.

use cairn_chain::{keypair, AccountId, ChainError, Client, Signed, Unsigned};
use cairn_primitives::H256;

use super::{alice, commit, connected, fake::FakeNode, submit};

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
