//! Members that say to have checkpoints which they do not have.

use std::{
    ops::Range,
    sync::{
        atomic::{AtomicU32, Ordering},
        Arc,
    },
};

use async_trait::async_trait;
use cairn_chain::AccountId;
use cairn_primitives::{ModelRoot, Round, H256};
use cairn_protocol::{limits::CHECKPOINT_EVERY, lineage::Ancestor};
use cairn_store::{paths, Fault, Reply, Source, Store};
use futures::StreamExt;

use crate::roles::{
    chain::Chain,
    join::newest,
    run::Run,
    stores::Stores,
    testing::{config_and_store, FakeChain, NETUID},
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

/// A run in round 41 of which rounds 5, 10, … 40 are final, and the root of the parameters that round 5 began with.
async fn after_forty_rounds(directory: &std::path::Path) -> (FakeChain, Arc<Run>, Vec<u8>) {
    let (config, store) = config_and_store(&directory.join("own")).await;
    let chain = FakeChain::new(config);
    let info = Chain::run(&chain, H256::from_low_u64_be(1), NETUID).await;
    let info = info.expect("there").expect("a run");
    let stores = Stores::at(store.url());
    let run = Run::load(NETUID, AccountId([1; 32]), &info, &stores).await;
    let run = run.expect("fine");
    let parameters = (0..run.layout.parameters()).map(|i| i as f32);
    let bytes: Vec<u8> = parameters.flat_map(|it| it.to_le_bytes()).collect();
    let five = H256(*blake3::hash(&bytes).as_bytes());
    chain.change(|state| {
        (state.round, state.oldest) = (41, 0);
        for round in (5..=40).step_by(CHECKPOINT_EVERY as usize) {
            let root = if round == 5 {
                five
            } else {
                H256([round as u8; 32])
            };
            state.lineage.insert(round, ancestor(ModelRoot(root)));
        }
    });
    (chain, run, bytes)
}

fn ancestor(model_root: ModelRoot) -> Ancestor {
    Ancestor {
        model_root,
        attested_stake: 1,
        attesting_stake: 1,
        total_stake: 1,
        is_final: true,
    }
}

/// With which round's parameters somebody begins who asks these.
async fn begins_with(chain: &FakeChain, run: &Run, others: &[Arc<dyn Source>]) -> Round {
    let head = H256::from_low_u64_be(1);
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
    let (chain, run, bytes) = after_forty_rounds(directory.path()).await;
    let honest = Store::create_in(&directory.path().join("honest")).expect("room");
    let prefix = paths::checkpoints(NETUID.get(), 5);
    honest.publish(&prefix, bytes.clone()).await.expect("room");
    let liars: Vec<Arc<Liar>> = (0..3)
        .map(|_| {
            Arc::new(Liar {
                length: bytes.len() as u64,
                asked: AtomicU32::new(0),
            })
        })
        .collect();
    let all = |honest: Option<&Store>| -> Vec<Arc<dyn Source>> {
        let liars = liars.iter().map(|one| one.clone() as Arc<dyn Source>);
        liars.chain(honest.map(Store::source)).collect()
    };
    // They say to have all eight, of which four are tried, and the honest one has the oldest.
    assert_eq!(begins_with(&chain, &run, &all(Some(&honest))).await, 5);
    // Nobody else has any: the first parameters are taken, and the liars were asked a bounded number of times.
    assert_eq!(begins_with(&chain, &run, &all(None)).await, 0);
    for liar in &liars {
        let asked = liar.asked.load(Ordering::Relaxed);
        assert!(asked <= 32, "{asked}");
    }
}
