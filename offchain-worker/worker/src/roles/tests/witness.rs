//! What a validator shows of having measured: asked for in runs that audit, where all measure on a CPU.

use cairn_primitives::{AuditRules, Uid, H256};

use super::network::{play, register_miner, register_validator};
use crate::roles::{testing::Network, Behaviour};

const VALIDATORS: [(Uid, &str); 2] = [(Uid(10), "Victor"), (Uid(11), "Vera")];

/// What two validators attested in rounds 0 and 1 to have measured, of a run that audits at this rate.
async fn witnesses(rate: u32) -> [Vec<H256>; 2] {
    let mut network = Network::new().await;
    network
        .chain
        .change(|state| state.config.audits.rate = rate);
    register_miner(&network, Uid(1), "Alice");
    for (uid, name) in VALIDATORS {
        register_validator(&network, uid, name);
        network.validate(name);
    }
    network.mine("Alice", Behaviour::Honest);
    for _ in 0..2 {
        play(&network, 1, 2).await;
    }
    let state = network.chain.state();
    network.stop().await;
    assert_eq!(state.refused, Vec::<String>::new());
    [0, 1].map(|round| state.witnesses[&round].values().copied().collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_run_that_audits_validators_show_alike_that_they_measured() {
    let [first, second] = witnesses(AuditRules::EACH / 2).await;
    // Before round 0 there was nothing to measure.
    assert_eq!(first, [H256::zero(); 2]);
    assert!(!second[0].is_zero());
    assert_eq!(second[0], second[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_run_that_audits_nothing_no_witness_is_asked_for() {
    let [first, second] = witnesses(0).await;
    assert_eq!([first, second], [[H256::zero(); 2], [H256::zero(); 2]]);
}
