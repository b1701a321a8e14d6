//! Two authorities that are apart make a chain each. When they meet, one chain is reverted: whoever asks that node sees
//! its blocks go, and goes on with the others. While they are apart, nothing becomes final on either chain.
//!
//! And when a node dies, one that lies far behind is passed over for one that does not.

#[path = "common/binary.rs"]
mod binary;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{channel, Receiver},
    time::Duration,
};

use binary::node;
use cairn_chain::{Block, BlockStream, Client, Patience, Settings, BEHIND};
use cairn_primitives::H256;
use futures::StreamExt;
use serde_json::{json, Value};
use tokio::time::timeout;

/// After this time something hangs, on however busy a machine.
const HANGS: Duration = Duration::from_secs(600);
/// Blocks that each has made before they meet.
const APART: u32 = 2;

/// A network that the node knows, as it writes it down.
fn exported(chain: &str) -> Value {
    let export = ["export-chain-spec", "--chain", chain];
    let written = Command::new(node()).args(export).output();
    serde_json::from_slice(&written.expect("it starts").stdout).expect("JSON")
}

/// A development chain with two authorities, so that neither can make a block final alone.
fn two_authorities(directory: &Path) -> PathBuf {
    let keys = "/genesis/runtimeGenesis/patch/session/keys";
    let local = exported("local");
    let all = local.pointer(keys).and_then(Value::as_array);
    let two = all.expect("a list").iter().take(2).cloned().collect();
    let mut chain = exported("dev");
    *chain.pointer_mut(keys).expect("a list") = Value::Array(two);
    let file = directory.join("chain.json");
    std::fs::write(&file, chain.to_string()).expect("room");
    file
}

/// An authority's node. It is killed when the test ends.
struct Authority {
    child: Child,
    rpc: String,
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Authority {
    /// Starts one that knows no other.
    fn start(chain: &Path, base: &Path, who: &str) -> Authority {
        let mut child = Command::new(node())
            .arg("--chain")
            .arg(chain)
            .arg("--base-path")
            .arg(base)
            .args([who, "--validator", "--force-authoring", "--no-mdns"])
            .args(["--no-telemetry", "--no-prometheus", "--rpc-port", "0"])
            .args(["--listen-addr", "/ip4/127.0.0.1/tcp/0"])
            .arg("--unsafe-force-node-key-generation")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let said = lines(&mut child);
        let mut told = String::new();
        let rpc = loop {
            let Ok(line) = said.recv_timeout(HANGS) else {
                panic!("{who} says no more:\n{told}");
            };
            if let Some((_, addresses)) = line.split_once("JSON-RPC server: addr=") {
                break addresses.split(',').next().unwrap_or_default().to_string();
            }
            told += &(line + "\n");
        };
        Authority { child, rpc }
    }

    /// A client of it alone.
    async fn client(&self) -> Client {
        let client = Client::connect(&format!("ws://{}", self.rpc)).await;
        client.expect("it answers")
    }

    /// What it answers to a question that workers do not ask.
    async fn ask(&self, method: &str, params: Value) -> Value {
        // The first to name a provider wins, and all would name this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build();
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let asked = http.expect("a client").post(format!("http://{}", self.rpc));
        let asked = asked.header("content-type", "application/json");
        let answer = asked.body(request.to_string()).send().await;
        let answer = answer.expect("it answers").bytes().await.expect("whole");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Has it connect to another one, and stay with it.
    async fn meet(&self, other: &Authority) {
        let addresses = other.ask("system_localListenAddresses", json!([])).await;
        let address = addresses[0].clone();
        self.ask("system_addReservedPeer", json!([address])).await;
    }
}

/// What a process says, read to its end, or it would wait for ever.
fn lines(child: &mut Child) -> Receiver<String> {
    let out = BufReader::new(child.stderr.take().expect("piped"));
    let (tell, said) = channel();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    said
}

/// The first of these blocks for which that holds.
async fn until(blocks: &mut BlockStream, holds: impl Fn(&Block) -> bool) -> Block {
    let wait = async {
        loop {
            let block = blocks.next().await.expect("it does not end");
            let block = block.expect("the node is there");
            if holds(&block) {
                return block;
            }
        }
    };
    timeout(HANGS, wait).await.expect("the chain goes on")
}

/// The first block that a node has.
async fn first(client: &Client) -> H256 {
    let hash = client.block_hash(1).await.expect("it answers");
    hash.expect("it has blocks")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_a_node_on_a_fork_sees_it_reverted_and_goes_on() {
    let directory = tempfile::tempdir().expect("room");
    let chain = two_authorities(directory.path());
    let nodes = ["--alice", "--bob"]
        .map(|who| Authority::start(&chain, &directory.path().join(&who[2..]), who));
    let clients = [nodes[0].client().await, nodes[1].client().await];
    let mut heads = clients.each_ref().map(Client::best_blocks);
    let mut before = Vec::new();
    for (client, heads) in clients.iter().zip(&mut heads) {
        until(heads, |block| block.number >= APART).await;
        before.push(first(client).await);
    }
    assert_ne!(before[0], before[1], "each has made its own");
    for client in &clients {
        let last = client.finalized().await.expect("it answers");
        assert_eq!(last.number, 0, "what is on a fork is not final");
    }
    nodes[1].meet(&nodes[0]).await;
    // Blocks come and become final for both, and what is final is not reverted.
    let mut after = Vec::new();
    for (client, heads) in clients.iter().zip(&mut heads) {
        let mut finals = client.finalized_blocks();
        until(&mut finals, |block| block.number >= APART).await;
        let now = client.best().await.expect("it answers").number;
        until(heads, |block| block.number > now).await;
        after.push(first(client).await);
    }
    assert_eq!(after[0], after[1], "they have one chain");
    let reverted = (0..2).filter(|one| before[*one] != after[*one]);
    assert_eq!(reverted.count(), 1, "one of both chains stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lies_behind_is_passed_over_when_the_one_that_was_asked_dies() {
    let directory = tempfile::tempdir().expect("room");
    let chain = two_authorities(directory.path());
    // Charlie is no authority and has no peer, so there he stays where the chain begins.
    let [asked, behind, abreast] = ["--alice", "--charlie", "--bob"]
        .map(|who| Authority::start(&chain, &directory.path().join(&who[2..]), who));
    abreast.meet(&asked).await;
    let urls = [&asked, &behind, &abreast].map(|node| format!("ws://{}", node.rpc));
    let client = Client::connect_to(&urls, None, Settings::default(), Patience::default()).await;
    let client = client.expect("the first one answers");
    let mut heads = client.best_blocks();
    let seen = until(&mut heads, |block| block.number > BEHIND)
        .await
        .number;
    let mut beside = abreast.client().await.best_blocks();
    until(&mut beside, |block| block.number >= seen).await;
    let lagging = behind.client().await;
    assert_eq!(lagging.best().await.expect("it answers").number, 0);
    assert_eq!(client.url(), urls[0]);
    drop(asked);
    let next = until(&mut heads, |block| block.number > seen).await.number;
    assert_eq!(client.url(), urls[2], "the one that goes on");
    let best = client.best().await.expect("it answers").number;
    assert!(best >= next, "{best} comes after {next}");
    // It would have been asked first, and answers.
    assert_eq!(lagging.best().await.expect("it answers").number, 0);
}
