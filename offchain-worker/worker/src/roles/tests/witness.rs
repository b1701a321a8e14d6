//! What a validator shows of having measured: asked for in runs that audit, where all measure on a CPU.

use cairn_primitives::{AuditRules, RunConfig, Witness};
use cairn_store::Store;

use super::network::play;
use crate::roles::{testing::Network, Behaviour};

/// What two validators attested in rounds 0 and 1 to have measured, of a run that audits at this rate.
async fn witnesses(rate: u32) -> [Vec<Witness>; 2] {
    let audits = |config: &mut RunConfig, _: &Store| config.audits.rate = rate;
    let validators = ["Victor", "Vera"];
    let mut network = Network::with(&["Alice"], &validators, audits).await;
    for name in validators {
        network.validate(name);
    }
    network.mine("Alice", Behaviour::Honest);
    for _ in 0..2 {
        play(&network, 1, 2).await;
    }
    let state = network.chain.state();
    network.stop().await;
    [0, 1].map(|round| state.witnesses[&round].values().copied().collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_run_that_audits_validators_show_alike_that_they_measured() {
    let [first, second] = witnesses(AuditRules::EACH / 2).await;
    // Before round 0 there was nothing to measure.
    assert_eq!(first, [Witness::default(); 2]);
    // A model that knows nothing of so many tokens has the logarithm of their number as its loss, or a little more.
    let loss = second[0].stated_loss().map(f64::from);
    assert!(
        loss.is_some_and(|loss| (1e6..1e7).contains(&loss)),
        "{loss:?}"
    );
    assert_eq!(second[0], second[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_run_that_audits_nothing_no_witness_is_asked_for() {
    let [first, second] = witnesses(0).await;
    assert_eq!([first, second], [[Witness::default(); 2]; 2]);
}
