//! A miner whose steps PyTorch makes, beside one on the CPU. Run by `make test-engine-torch`.

use cairn_engine_process::Options;
use cairn_gradient::{open, verify};
use cairn_primitives::{EngineClass, Layout, Round, Uid};
use cairn_trainer::cuda::cache_directory;

use super::network::{committed, ledger, play};
use crate::roles::{
    chain::Chain,
    run::Run,
    testing::{sealed_file, Network, NETUID},
    Behaviour,
};

const ROUNDS: Round = 2;

/// What computed the steps of each miner's file of a round, by uid.
async fn classes(network: &Network, round: Round) -> Vec<EngineClass> {
    let (chain, state) = (&network.chain, network.chain.state());
    let info = chain
        .run(chain.head().hash, NETUID)
        .await
        .expect("it answers");
    let (alice, store) = (Network::account("Alice"), network.stores());
    let run = Run::load(NETUID, alice, &info.expect("a run"), &store).await;
    let run = run.expect("it is there");
    let layout = Layout::of(&run.config.model);
    let mut classes = Vec::new();
    for entry in state.contributions_of(round) {
        let sealed = sealed_file(&run.store, round, &entry.commitment).await;
        let mut file = sealed.expect("it is stored").to_vec();
        open(&mut file, &entry.key.expect("it was revealed"));
        let checked = verify(&file, &layout, &run.config.compression_of(entry.uid, round));
        classes.push(checked.expect("it is good").header.work.engine);
    }
    classes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PyTorch: make test-engine-torch"]
async fn a_miner_on_pytorch_is_included_and_holds_what_all_hold() {
    let mut network = Network::of(&["Alice", "Bob"], &["Victor"]).await;
    network.mine("Alice", Behaviour::Honest);
    network.mine_with(Options::ranks(&cache_directory(), 2, "cpu"), "Bob");
    network.validate("Victor");
    for _ in 0..ROUNDS {
        play(&network, 2, 1).await;
    }
    let chain = &network.chain;
    chain
        .until("a round more has begun", committed(ROUNDS, 2))
        .await;
    let state = chain.state();
    assert_eq!(state.refused, Vec::<String>::new());
    for round in 0..ROUNDS {
        assert_eq!(state.settled[&round].included, [0, 1].map(Uid));
        let mut found = classes(&network, round).await;
        found.sort_by_key(|class| !class.is_exact());
        let torch = EngineClass::process("torch 2.15.0 2x cpu");
        assert_eq!(found, [EngineClass::CPU, torch]);
    }
    let root = |name| {
        ledger(&network, name)
            .last()
            .expect("two rounds")
            .model_root
    };
    assert_eq!(root("Alice"), root("Bob"));
    assert_ne!(root("Alice"), state.run().config.initial_root);
}
