//! Runs that stop, are replaced, or were never there.

use cairn_primitives::Phase;
use tokio::time::timeout;

use super::network::{committed, HANGS};
use crate::roles::{
    state::kept,
    testing::{Network, NETUID},
    Behaviour, RoleError, Status,
};

#[tokio::test]
async fn no_such_subnet_ends_a_worker() {
    let mut network = Network::nowhere().await;
    network.mine("Alice", Behaviour::Honest);
    network.validate("Victor");
    for name in ["Alice", "Victor"] {
        let error = network.end(name).await.expect_err("waiting is vain");
        assert!(
            matches!(error, RoleError::NoSubnet { netuid: NETUID }),
            "{error}"
        );
        assert!(error.to_string().contains("cairn subnet ls"), "{error}");
    }
}

#[tokio::test]
async fn a_subnet_that_is_being_dissolved_ends_those_who_wait_and_those_who_work() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.mine("Alice", Behaviour::Honest);
    network
        .chain
        .until("Alice has committed", committed(0, 1))
        .await;
    network.chain.dissolve();
    let subnet = network
        .chain
        .state()
        .subnet
        .expect("it is there for a while");
    let ends = subnet.dissolves_from.expect("it is being dissolved");
    network.mine("Bob", Behaviour::Honest);
    for name in ["Alice", "Bob"] {
        let error = network.end(name).await.expect_err("waiting is vain");
        assert!(
            matches!(error, RoleError::Dissolving { from, .. } if from == ends),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_stop_a_worker_goes_on_with_the_next_run_in_a_directory_of_its_own() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.state_by_run();
    network.mine("Alice", Behaviour::Honest);
    network
        .chain
        .until("Alice has committed", committed(0, 1))
        .await;
    network.chain.go_to(Phase::Reveal);
    let run = network.chain.state().run().clone();
    network.chain.stop_run();
    for _ in 0..3 {
        network.chain.tick();
    }
    network.chain.start_run(run.config);
    network
        .chain
        .until("Alice has committed again", committed(0, 1))
        .await;
    let runs: Vec<_> = kept(&network.state_dir("Alice"))
        .into_iter()
        .filter_map(|kept| kept.identity)
        .map(|identity| identity.started_at)
        .collect();
    let second = network.chain.state().run().started_at;
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert!(
        runs.contains(&run.started_at) && runs.contains(&second),
        "{runs:?}"
    );
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_was_named_is_for_one_run() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.mine("Alice", Behaviour::Honest);
    network
        .chain
        .until("Alice has committed", committed(0, 1))
        .await;
    let config = network.chain.state().run().config.clone();
    network.chain.replace_run(config);
    let error = network.end("Alice").await.expect_err("it is another run");
    assert!(matches!(error, RoleError::RunReplaced { .. }), "{error}");
    assert!(error.to_string().contains("--state-dir"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_idle_writes_down_why() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.mine("Alice", Behaviour::Honest);
    network.mine("Bob", Behaviour::Honest);
    network
        .chain
        .until("Alice has committed", committed(0, 1))
        .await;
    // Bob writes what he knows when he looks at the chain. If he did not know it yet, he looks with the next block.
    let bob = network.state_dir("Bob");
    let says_so = async {
        loop {
            match Status::read(&bob) {
                Some(status) if status.idle.is_some() => break status,
                Some(status) if status.block >= network.chain.head().number => network.chain.tick(),
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let status = timeout(HANGS, says_so).await.expect("he says why");
    let why = status.idle.expect("a reason");
    assert!(why.contains("has no uid in subnet 1"), "{why}");
    let alice = Status::read(&network.state_dir("Alice")).expect("written");
    assert_eq!(alice.idle, None);
    network.stop().await;
}
