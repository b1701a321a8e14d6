//! A worker that is killed while it joins.

use std::{
    ops::Range,
    path::Path,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_gradient::model_root;
use cairn_primitives::{Round, RunConfig};
use cairn_store::{paths, Fault, Reply, Source, Store, GROUP};
use futures::StreamExt;

use super::{liars::in_round, network::HANGS};
use crate::roles::{
    chain::Chain,
    join::newest,
    run::Run,
    sources::Asked,
    testing::{SimChain, NETUID},
};

/// The round of the only checkpoint. To apply as many from the beginning is not worth it.
const CHECKPOINT: Round = 20;

/// A member that sends so much of a checkpoint, and then nothing more.
#[derive(Debug)]
struct Member {
    store: Arc<dyn Source>,
    most: u64,
    /// Bytes that it sent of it.
    sent: Arc<AtomicU64>,
    hangs: Arc<AtomicBool>,
}

impl Member {
    fn new(store: &Store, most: u64) -> Arc<Member> {
        Arc::new(Member {
            store: store.source(),
            most,
            sent: Arc::default(),
            hangs: Arc::default(),
        })
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Source for Member {
    fn name(&self) -> &str {
        "a member"
    }

    async fn read(&self, path: &str, bytes: Range<u64>) -> Result<Reply, Fault> {
        // Who only wants to know whether it is there asks for a byte, and outboards are small.
        let is_counted = bytes.end > 1 && !path.ends_with(".outboard");
        let reply = self.store.read(path, bytes).await?;
        let (sent, hangs, most) = (self.sent.clone(), self.hangs.clone(), self.most);
        let sends = move |chunk: Result<Bytes, Fault>| {
            let (sent, hangs) = (sent.clone(), hangs.clone());
            async move {
                let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                if is_counted && sent.fetch_add(length, Ordering::SeqCst) + length > most {
                    sent.fetch_sub(length, Ordering::SeqCst);
                    hangs.store(true, Ordering::SeqCst);
                    std::future::pending::<()>().await;
                }
                chunk
            }
        };
        Ok(Reply {
            length: reply.length,
            bytes: reply.bytes.then(sends).boxed(),
        })
    }
}

/// A model whose parameters have some sixty groups.
fn larger(config: &mut RunConfig) {
    config.model.layers = 4;
    config.model.d_model = 64;
    config.model.ffn = 256;
    config.initial_root = model_root(&cairn_trainer::initial_parameters(&config.model, 1));
}

/// With which round's parameters somebody begins who asks this member.
async fn begins_with(chain: SimChain, run: Arc<Run>, place: &Path, member: Arc<Member>) -> Round {
    let head = chain.head().hash;
    let info = Chain::run(&chain, head, NETUID).await;
    let info = info.expect("there").expect("a run");
    let others = [Asked::new("https://member.example", member)];
    let found = newest(&chain, &run, head, &info, (place, &others)).await;
    found.expect("there is something to begin from").0.round
}

#[tokio::test]
async fn who_is_killed_while_joining_goes_on_and_fetches_almost_nothing_twice() {
    let directory = tempfile::tempdir().expect("room");
    let (chain, run, bytes) = in_round((41, CHECKPOINT), directory.path(), larger).await;
    let length = bytes.len() as u64;
    assert!(length > 40 * GROUP, "{length} bytes are no download");
    let honest = Store::create_in(&directory.path().join("honest")).expect("room");
    let prefix = paths::checkpoints(NETUID.get(), CHECKPOINT);
    honest.publish(&prefix, bytes).await.expect("room");
    let place = directory.path().join("joining");
    let first = Member::new(&honest, length / 2);
    let joining = {
        let (chain, run, place, first) = (chain.clone(), run.clone(), place.clone(), first.clone());
        tokio::spawn(async move { begins_with(chain, run, &place, first).await })
    };
    let sends = async {
        while !first.hangs.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(HANGS, sends).await;
    waited.expect("half of it comes");
    joining.abort();
    assert!(joining.await.expect_err("it was killed").is_cancelled());
    let before = first.sent();
    assert!(before > 0 && place.is_dir(), "what came is there");
    let second = Member::new(&honest, u64::MAX);
    // A write that was under way may hold the file a moment longer.
    let goes_on = async {
        while begins_with(chain.clone(), run.clone(), &place, second.clone()).await != CHECKPOINT {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(HANGS, goes_on).await;
    waited.expect("it has a checkpoint");
    let twice = (before + second.sent()).saturating_sub(length);
    // A group of which only a part had come, and one that was not written yet.
    assert!(twice <= 2 * GROUP, "{twice} of {length} bytes came twice");
    assert!(!place.exists(), "nothing is left over");
}
