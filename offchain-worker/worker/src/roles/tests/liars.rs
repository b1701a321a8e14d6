//! Members that say to have checkpoints which they do not have.

use std::{
    ops::Range,
    sync::{
        atomic::{AtomicU32, Ordering},
        Arc,
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_chain::AccountId;
use cairn_primitives::{
    key_hash, Commitment, ModelRoot, Phase, Round, RunConfig, SealedRoot, Secret,
};
use cairn_round::machine::Transaction;
use cairn_store::{paths, Fault, Reply, Source, Store};
use futures::StreamExt;

use super::network::attest_for_victor;
use crate::roles::{
    chain::Chain,
    join::newest,
    run::Run,
    sources::Asked,
    stores::Stores,
    testing::{config_and_store, Network, SimChain, NETUID},
};

/// Says of every file that it has it, and brings none.
#[derive(Debug)]
struct Liar {
    length: u64,
    asked: AtomicU32,
}

#[async_trait]
impl Source for Liar {
    fn name(&self) -> &str {
        "a liar"
    }

    async fn read(&self, path: &str, bytes: Range<u64>) -> Result<Reply, Fault> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if bytes.end > 1 {
            return Err(Fault::Absent { path: path.into() });
        }
        Ok(Reply {
            length: self.length,
            bytes: futures::stream::empty().boxed(),
        })
    }
}

/// Says that it has every file, and sends other bytes.
#[derive(Debug)]
struct Forger(u64);

#[async_trait]
impl Source for Forger {
    fn name(&self) -> &str {
        "a forger"
    }

    async fn read(&self, _: &str, bytes: Range<u64>) -> Result<Reply, Fault> {
        let forged = Bytes::from(vec![9; (bytes.end - bytes.start) as usize]);
        Ok(Reply {
            length: self.0,
            bytes: futures::stream::iter([Ok(forged)]).boxed(),
        })
    }
}

/// Plays a round in which Alice, who does not run, commits to something and Victor attests this root.
fn play(chain: &SimChain, round: Round, root: ModelRoot) {
    let (alice, hotkey) = (Network::key("Alice"), Network::account("Alice").hotkey());
    let key = [1; 32];
    let commitment = Commitment {
        parent_root: root,
        sealed_root: SealedRoot::from([2; 32]),
        length: 1,
        key_hash: key_hash(NETUID, round, &hotkey, &key),
    };
    drop(chain.send(NETUID, Transaction::Commit(round, commitment), &alice));
    chain.go_to(Phase::Reveal);
    drop(chain.send(NETUID, Transaction::Reveal(round, Secret::new(key)), &alice));
    attest_for_victor(chain, round, root);
}

/// A run in this round, all of whose rounds are final, and the parameters that another one began with. Its phases end
/// when all is done.
pub(super) async fn in_round(
    (current, checkpoint): (Round, Round),
    directory: &std::path::Path,
    change: impl FnOnce(&mut RunConfig),
) -> (SimChain, Arc<Run>, Vec<u8>) {
    let (mut config, store) = config_and_store(&directory.join("own")).await;
    change(&mut config);
    let initial = config.initial_root;
    config.phases.floor = 1;
    let chain = SimChain::with_run(config, &["Alice"], &["Victor"]);
    let info = Chain::run(&chain, chain.head().hash, NETUID).await;
    let info = info.expect("there").expect("a run");
    let stores = Stores::at(store.url());
    let run = Run::load(NETUID, AccountId([1; 32]), &info, &stores).await;
    let run = run.expect("fine");
    let parameters = (0..run.layout.parameters()).map(|i| i as f32);
    let bytes: Vec<u8> = parameters.flat_map(|it| it.to_le_bytes()).collect();
    for round in 0..current {
        let root = match round {
            0 => initial,
            round if round == checkpoint => ModelRoot::from(*blake3::hash(&bytes).as_bytes()),
            round => ModelRoot::from([round as u8; 32]),
        };
        play(&chain, round, root);
    }
    let state = chain.state();
    assert_eq!((state.round, state.refused), (current, Vec::new()));
    (chain, run, bytes)
}

/// With which round's parameters somebody begins who asks these.
async fn begins_with(chain: &SimChain, run: &Run, others: &[Asked]) -> Round {
    let head = chain.head().hash;
    let info = Chain::run(chain, head, NETUID).await;
    let info = info.expect("there").expect("a run");
    let place = tempfile::tempdir().expect("room");
    let place = place.path().join("joining");
    let found = newest(chain, run, head, &info, (&place, others)).await;
    found.expect("there is something to begin from").0.round
}

#[tokio::test]
async fn liars_hold_nobody_up_from_what_others_have() {
    let directory = tempfile::tempdir().expect("room");
    let (chain, run, bytes) = in_round((41, 20), directory.path(), |_| {}).await;
    let honest = Store::create_in(&directory.path().join("honest")).expect("room");
    let prefix = paths::checkpoints(NETUID.get(), 20);
    honest.publish(&prefix, bytes.clone()).await.expect("room");
    let liars: Vec<Arc<Liar>> = (0..3)
        .map(|_| {
            Arc::new(Liar {
                length: bytes.len() as u64,
                asked: AtomicU32::new(0),
            })
        })
        .collect();
    let all = |honest: Option<&Store>| -> Vec<Asked> {
        let liars = liars.iter().map(|one| one.clone() as Arc<dyn Source>);
        let all = liars.chain(honest.map(Store::source)).enumerate();
        all.map(|(number, one)| Asked::new(&format!("https://{number}.example"), one))
            .collect()
    };
    // They say to have every one, of which four are tried, and the honest one has an old one.
    assert_eq!(begins_with(&chain, &run, &all(Some(&honest))).await, 20);
    // Nobody else has any: the first parameters are taken, and the liars were asked a bounded number of times.
    assert_eq!(begins_with(&chain, &run, &all(None)).await, 0);
    for liar in &liars {
        let asked = liar.asked.load(Ordering::Relaxed);
        assert!(asked <= 32, "{asked}");
    }
}

#[tokio::test]
async fn who_sends_other_bytes_of_a_checkpoint_is_remembered() {
    let directory = tempfile::tempdir().expect("room");
    let (chain, run, bytes) = in_round((41, 20), directory.path(), |_| {}).await;
    let honest = Store::create_in(&directory.path().join("honest")).expect("room");
    let prefix = paths::checkpoints(NETUID.get(), 20);
    honest.publish(&prefix, bytes.clone()).await.expect("room");
    let forger = Arc::new(Forger(bytes.len() as u64));
    let asked = [
        Asked::new("https://forger.example", forger),
        Asked::new("https://honest.example", honest.source()),
    ];
    assert_eq!(begins_with(&chain, &run, &asked).await, 20);
    assert_eq!(asked.each_ref().map(Asked::is_asked), [false, true]);
}

#[tokio::test]
async fn first_parameters_are_begun_with_where_less_has_to_be_sent() {
    let directory = tempfile::tempdir().expect("room");
    let (chain, run, bytes) = in_round((7, 5), directory.path(), |_| {}).await;
    let prefix = paths::checkpoints(NETUID.get(), 5);
    let member = Store::create_in(&directory.path().join("member")).expect("room");
    member.publish(&prefix, bytes.clone()).await.expect("room");
    let asked = [Asked::new("https://member.example", member.source())];
    // A byte of each of five rounds, or the whole model.
    assert_eq!(begins_with(&chain, &run, &asked).await, 0);
    // What is in a store is not sent.
    run.store.publish(&prefix, bytes).await.expect("room");
    assert_eq!(begins_with(&chain, &run, &asked).await, 5);
}

/// A member that says to have a newer one is not believed where it would cost all rounds since the first.
#[tokio::test]
async fn a_claim_keeps_nobody_from_what_a_store_has() {
    let directory = tempfile::tempdir().expect("room");
    let (chain, run, bytes) = in_round((12, 5), directory.path(), |_| {}).await;
    let liar = Arc::new(Liar {
        length: bytes.len() as u64,
        asked: AtomicU32::new(0),
    });
    let asked = [Asked::new("https://liar.example", liar)];
    let alone = begins_with(&chain, &run, &asked).await;
    assert_eq!(alone, 0, "ten rounds of a byte each");
    let prefix = paths::checkpoints(NETUID.get(), 5);
    run.store.publish(&prefix, bytes).await.expect("room");
    assert_eq!(begins_with(&chain, &run, &asked).await, 5);
}
