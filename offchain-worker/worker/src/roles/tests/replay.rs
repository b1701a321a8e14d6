//! What a miner sent is what anybody makes who trains on its data again: on the CPU, and on a card, that of
//! `cuda-on-cpu`, which runs the kernels on the CPU.

use std::sync::Arc;

use cairn_engine::{Device, Order, Settlement, State, Version};
use cairn_gradient::open;
use cairn_primitives::{Round, Uid};
use cairn_protocol::verdict::Before;
use cairn_round::validator::Claim;
use cairn_trainer::{
    cuda::{compile::SOURCES, libraries::Library},
    initial_parameters,
};

use super::network::{committed, play, ALICE};
use crate::roles::{
    chain::Chain,
    inspect::check,
    run::Run,
    testing::{sealed_file, Network, NETUID},
    Behaviour,
};

const ROUNDS: Round = 2;

/// Makes the only miner's files of two rounds again, byte by byte: from the same data, each with its round's decay, the
/// second with the error feedback of the first.
async fn replay(network: &Network, device: Device) {
    let (chain, state) = (&network.chain, network.chain.state());
    let at = chain.head().hash;
    let info = chain
        .run(at, NETUID)
        .await
        .expect("it answers")
        .expect("a run");
    let (alice, store) = (Network::account("Alice"), network.stores());
    let run = Run::load(NETUID, alice, &info, &store).await;
    let run = run.expect("it is there");
    let (mut engine, _) = cairn_engine::open(device, &run.config, 1).expect("the device is there");
    let decays = [0, 1].map(|round| run.config.compression_of(ALICE, round).error_decay);
    assert_ne!(decays[0], decays[1]);
    let parameters = initial_parameters(&run.config.model, 1);
    engine.load(State::new(parameters)).expect("it fits");
    for round in 0..ROUNDS {
        assert_eq!(state.settled[&round].included, [ALICE]);
        let entry = &state.contributions_of(round)[0];
        let sealed = sealed_file(&run.store, round, &entry.commitment)
            .await
            .expect("it is stored");
        let key = entry.key.expect("it was revealed");
        let mut file = sealed.to_vec();
        open(&mut file, &key);
        let claim = Claim {
            round,
            uid: ALICE,
            hotkey: alice.hotkey(),
            commitment: entry.commitment.clone(),
            key,
            parent_root: engine.root(Version::Held).expect("loaded"),
        };
        let checked = check(&run, &claim, Before::default(), &sealed).expect("it is good");
        assert_eq!(
            checked.header().inner_steps,
            u32::from(run.config.inner.steps)
        );

        let info = chain.round(at, NETUID, round).await.expect("it answers");
        let plan = run.plan(&info.expect("a round"));
        let order = Order {
            round,
            uid: ALICE,
            steps: u32::from(run.config.inner.steps),
        };
        let mut sequences = |step| run.windows(&plan.of_step(0, step));
        let trained = engine.train(&order, &mut sequences, &mut |_| true);
        trained.expect("it trains").expect("there was time");
        let expected = engine.contribution(checked.header().clone());
        assert!(
            file == expected.expect("it is finite"),
            "round {round}: other bytes"
        );
        engine.keep().expect("it was made");
        let settlement = Settlement {
            included: &[(ALICE, 1, Arc::new(checked))],
            is_included: true,
        };
        engine.settle(&settlement).expect("it fits");
        engine.keep().expect("it was settled");
    }
}

/// The rounds that are replayed, and the beginning of one more.
async fn play_all(network: &Network, validators: usize) {
    for _ in 0..ROUNDS {
        play(network, 1, validators).await;
    }
    network
        .chain
        .until("a round more has begun", committed(ROUNDS, 1))
        .await;
    assert_eq!(network.chain.state().refused, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_miner_sends_is_made_again() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.mine("Alice", Behaviour::Honest);
    network.validate("Victor");
    play_all(&network, 1).await;
    replay(&network, Device::Cpu).await;
    network.stop().await;
}

/// What a card selects is the file that the codec alone makes of the card's parameters. One validator measures on the
/// card, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_miner_with_a_card_sends_is_made_again() {
    cuda_on_cpu::driver(SOURCES.iter().map(|source| (source.name, source.kernels)));
    Library::Nvrtc
        .require()
        .expect("NVRTC is needed to test the CUDA backend: run `make cuda-tools`");
    let mut network = Network::of(&["Alice"], &["Victor", "Vera"]).await;
    network.mine_on(Device::Cuda(0), "Alice", Behaviour::Honest);
    network.validate("Victor");
    network.validate_on(Device::Cuda(0), "Vera");
    play_all(&network, 2).await;
    let state = network.chain.state();
    let measured = |by: u16| state.scores[&Uid(by)].iter().any(|(to, _)| *to == ALICE);
    assert!(measured(1) && measured(2), "{:?}", state.scores);
    replay(&network, Device::Cuda(0)).await;
    network.stop().await;
}
