//! A miner and a validator with a card: the driver of `cuda-on-cpu`, which runs the kernels on the CPU.

use cairn_gradient::{compress, decode, open, outer_step};
use cairn_primitives::{Round, H256};
use cairn_round::plan::Plan;
use cairn_trainer::{
    cuda::{compile::SOURCES, libraries::Library, CudaOptions, CudaTrainer},
    engine::Device,
    initial_weights, AdamState,
};

use super::network::{committed, play, register_miner, register_validator};
use crate::roles::{
    chain::Chain,
    inspect::fetch,
    run::Run,
    testing::{Network, NETUID},
    Behaviour,
};

const ROUNDS: Round = 2;

/// Weights and optimizer after the steps of a round on the card.
fn trained(run: &Run, plan: &Plan, theta: &[f32], adam: &AdamState) -> (Vec<f32>, AdamState) {
    let inner = &run.config.inner;
    let mut card = CudaTrainer::new(&run.config.model, CudaOptions::default()).expect("a card");
    let mut steps = card.begin(theta, adam).expect("they fit");
    for step in 0..u32::from(inner.steps) {
        let windows = run.windows(&plan.of_step(0, step));
        steps.step(inner, &windows).expect("it trains");
    }
    steps.finish().expect("the card is there")
}

/// Two rounds from the miner's steps to the files in the store, which are those that the codec alone would have made of
/// the card's weights; the second has error feedback of the first. One validator measures on the card, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_card_selects_is_the_file_that_the_cpu_makes_of_its_weights() {
    cuda_on_cpu::driver(SOURCES.iter().map(|source| (source.name, source.kernels)));
    Library::Nvrtc
        .require()
        .expect("NVRTC is needed to test the CUDA backend: run `make cuda-tools`");
    let mut network = Network::new().await;
    register_miner(&network, 1, "Alice");
    register_validator(&network, 10, "Victor");
    register_validator(&network, 11, "Vera");
    network.mine_on(Device::Cuda(0), "Alice", Behaviour::Honest);
    network.validate("Victor");
    network.validate_on(Device::Cuda(0), "Vera");
    for _ in 0..ROUNDS {
        play(&network, 1, 2).await;
    }
    let chain = network.chain.clone();
    chain
        .until("a round more has begun", committed(ROUNDS, 1))
        .await;
    let state = chain.state();
    assert_eq!(state.refused, Vec::<String>::new());
    let measured = |by: u16| {
        state
            .weights
            .iter()
            .any(|(_, uid, to)| *uid == by && to[0].0 == 1)
    };
    assert!(measured(10) && measured(11), "{:?}", state.weights);

    let at = H256::from_low_u64_be(u64::from(state.number));
    let info = chain
        .run(at, NETUID)
        .await
        .expect("it answers")
        .expect("a run");
    let (alice, store) = (Network::account("Alice"), network.store_url());
    let run = Run::load(NETUID, alice, &info, &store).await;
    let run = run.expect("it is there");
    let (layout, compression) = (&run.layout, &run.config.compression);
    let mut theta = initial_weights(&run.config.model, 1);
    let (mut adam, mut feedback) = (AdamState::new(theta.len()), vec![0.0; theta.len()]);
    for round in 0..ROUNDS {
        assert_eq!(state.settled[&round].included, [1]);
        let entry = &state.contributions_of(round)[0];
        let sealed = fetch(&run, round, &entry.commitment)
            .await
            .expect("it is stored");
        let mut file = sealed.to_vec();
        open(&mut file, &entry.key.expect("it was revealed"));
        let header = decode(&file, layout, compression)
            .expect("it is well-formed")
            .header;
        assert_eq!(header.inner_steps, u32::from(run.config.inner.steps));

        let info = chain.round(at, NETUID, round).await.expect("it answers");
        let plan = Plan::new(NETUID, &run.config, &info.expect("a round"));
        let (after, after_adam) = trained(&run, &plan, &theta, &adam);
        let delta: Vec<f32> = theta.iter().zip(&after).map(|(a, b)| a - b).collect();
        let made = compress(layout, compression, &delta, &mut feedback, header);
        let (contribution, expected) = made.expect("it is finite");
        assert!(file == expected, "round {round}: other bytes");
        adam = after_adam;
        outer_step(&mut theta, layout, &[(1, contribution)], &run.config.outer).expect("it fits");
    }
    network.stop().await;
}
