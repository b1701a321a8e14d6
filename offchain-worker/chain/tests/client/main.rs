//! The client against a node in miniature behind a real WebSocket.

mod apart;
mod fake;
mod nodes;
mod reading;
mod sending;
mod unlooked;

use std::{future::Future, time::Duration};

use cairn_chain::{keypair, Call, ChainError, Client, Included, Keypair, Patience, Settings};
use cairn_primitives::{Commitment, ModelRoot, Netuid, SealedRoot, H256};
use fake::FakeNode;
use tokio::task::JoinHandle;

/// After this time something hangs, on however busy a machine.
const HANGS: Duration = Duration::from_secs(60);

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
fn submit(client: &Client, call: Call) -> JoinHandle<Result<Included, ChainError>> {
    let client = client.clone();
    tokio::spawn(async move { client.submit(&call, &alice()).await })
}

/// Waits for what comes before a transaction is in a block. What was not done as it should be has ended before.
async fn still(
    submitted: &mut JoinHandle<Result<Included, ChainError>>,
    what: impl Future<Output = ()>,
) {
    tokio::select! {
        () = what => {}
        ended = submitted => panic!("{ended:?}"),
    }
}
