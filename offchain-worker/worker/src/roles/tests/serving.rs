//! `cairn serve` beside a run that goes on.

use std::{net::SocketAddr, sync::Arc};

use cairn_data::root;
use cairn_gradient::model_root;
use cairn_primitives::{ModelRoot, Round, RunConfig};
use cairn_store::{paths, Store};
use cairn_trainer::initial_parameters;
use clap::Parser;
use serde_json::{json, Value};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use super::network::{committed, ledger, play, until_checkpoints, HANGS};
use crate::{
    cli::{
        checkpoint::{CheckpointArgs, Known, OnChain},
        model::prepared,
    },
    devnet::setting::TOKENIZER,
    error::Failure,
    roles::{
        testing::{Network, SimChain, NETUID},
        Behaviour,
    },
    serving::{
        follow::{Follower, Looked, Source},
        server::{serve, Limits},
        Computing, Loaded,
    },
};

/// What a command line says without any words: the newest parameters of subnet 1.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
}

/// The simulator's chain in the place of a node.
struct Simulated {
    chain: SimChain,
    store: Store,
    line: Line,
}

impl Simulated {
    fn of(network: &Network) -> Simulated {
        Simulated {
            chain: network.chain.clone(),
            store: network.store.clone(),
            line: Line::parse_from(["serve"]),
        }
    }

    async fn run(&self) -> OnChain {
        let head = self.chain.head().hash;
        let run = OnChain::live(&self.chain, head, NETUID).await;
        run.expect("the chain answers").expect("a run goes on")
    }
}

impl Source for Simulated {
    async fn newer_than(&self, held: ModelRoot) -> Result<Option<ModelRoot>, Failure> {
        let run = self.run().await;
        self.line.checkpoint.newer_of(&self.store, &run, held).await
    }

    async fn load(&self) -> Result<Loaded, Failure> {
        let known = Known::from(self.run().await);
        let found = self.line.checkpoint.find_of(&self.store, known).await?;
        prepared(found, Computing::cpu(1)).await
    }
}

/// A run whose model knows the tokens of the devnet's tokenizer, with a miner and a validator at work.
async fn with_tokenizer() -> Network {
    let change = |config: &mut RunConfig, _: &Store| {
        config.model.vocabulary = 1_024;
        config.initial_root = model_root(&initial_parameters(&config.model, 1));
        config.data.tokenizer_root = root(TOKENIZER);
    };
    let mut network = Network::with(&["Alice"], &["Victor"], change).await;
    let put = network.store.put_blob(paths::DATA, TOKENIZER.into());
    put.await.expect("room");
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    network
}

/// Plays a round, and waits until the next one has begun.
async fn next_round(network: &Network, round: Round) {
    play(network, 1, 1).await;
    let begun = committed(round, 1);
    network.chain.until("the next round has begun", begun).await;
}

/// Plays round 1. What it began with is final then, and Victor publishes it.
async fn after_round_1(network: &Network) {
    next_round(network, 2).await;
    until_checkpoints(network, &[1]).await;
}

/// The final root with which a round began.
fn final_root(network: &Network, round: Round) -> ModelRoot {
    // The line of a round has the root of the parameters after it.
    let line = ledger(network, "Victor").into_iter();
    let mut line = line.filter(|line| line.round + 1 == round);
    line.next().expect("Victor was there").model_root
}

/// The root that an answer names.
async fn answered_by(at: SocketAddr) -> ModelRoot {
    let body = json!({"prompt": [5], "max_tokens": 1}).to_string();
    let request = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    let body: Value = serde_json::from_str(body).expect("JSON");
    let root = body["cairn"]["model_root"].clone();
    assert_eq!(root, body["system_fingerprint"]);
    serde_json::from_value(root).expect("a root")
}

/// Asks until an answer names this root; all before it name the other one.
async fn takes_over(at: SocketAddr, new: ModelRoot, old: ModelRoot) {
    let ask = async {
        loop {
            match answered_by(at).await {
                root if root == new => break,
                root => assert_eq!(root, old),
            }
        }
    };
    timeout(HANGS, ask).await.expect("it takes over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_final_checkpoint_is_served_and_what_cannot_be_read_is_not() {
    let network = with_tokenizer().await;
    next_round(&network, 1).await;
    let first = Simulated::of(&network).load().await.expect("the first");
    let initial = network.chain.state().run().config.initial_root;
    assert_eq!(first.origin.model_root, initial);
    let (models, coming) = watch::channel(Arc::new(first));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("bound");
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(serve(listener, coming, Limits::default(), stopped));
    let mut follower = Follower::new(Simulated::of(&network), models);
    let looked = follower.look().await;
    assert!(matches!(looked, Looked::Same), "{looked:?}");
    assert_eq!(answered_by(at).await, initial);

    after_round_1(&network).await;
    let origin = match follower.look().await {
        Looked::Newer(origin) => origin,
        other => panic!("{other:?}"),
    };
    let newer = final_root(&network, 1);
    assert_eq!((origin.round, origin.model_root), (Some(1), newer));
    assert_ne!(newer, initial);
    takes_over(at, newer, initial).await;

    what_cannot_be_read_is_told(&network, &mut follower, (at, newer)).await;
    stop.send_replace(true);
    server.await.expect("no panic").expect("no error");
    network.stop().await;
}

/// The newest is damaged: what was served before still is, and it is said why.
async fn what_cannot_be_read_is_told(
    network: &Network,
    follower: &mut Follower<Simulated>,
    (at, held): (SocketAddr, ModelRoot),
) {
    next_round(network, 3).await;
    let newest = final_root(network, 2);
    let file = paths::blob(&paths::checkpoints(NETUID.get(), 2), newest.bytes());
    let put = network.store.put(&file, vec![0u8; 8].into());
    put.await.expect("room");
    let told = match follower.look().await {
        Looked::Kept(failure) => failure.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(told.contains(&format!("{newest:?}")), "{told}");
    assert_eq!(answered_by(at).await, held);
    // It is not tried again at once.
    let looked = follower.look().await;
    assert!(matches!(looked, Looked::Same), "{looked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_to_load_leaves_the_model_and_is_not_tried_again_at_once() {
    let network = with_tokenizer().await;
    next_round(&network, 1).await;
    let first = Simulated::of(&network).load().await.expect("the first");
    let held = first.origin.model_root;
    let (models, coming) = watch::channel(Arc::new(first));
    let mut follower = Follower::new(Simulated::of(&network), models);
    after_round_1(&network).await;
    let tokenizer = paths::blob(paths::DATA, &root(TOKENIZER).0);
    network.store.delete(&tokenizer).await.expect("there");
    let looked = follower.look().await;
    assert!(matches!(looked, Looked::Kept(_)), "{looked:?}");
    let looked = follower.look().await;
    assert!(matches!(looked, Looked::Same), "{looked:?}");
    assert_eq!(coming.borrow().origin.model_root, held);
    network.stop().await;
}
