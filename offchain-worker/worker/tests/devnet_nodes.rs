//! A chain of three nodes: the one that workers ask is killed, the next one stands still, and they go on with the last.

mod common;
#[path = "common/network.rs"]
mod network;

use network::{Devnet, RUN};

const ROUNDS: usize = 7;

#[test]
fn workers_go_on_with_another_node() {
    let rounds = ROUNDS.to_string();
    let devnet = Devnet::new(
        "kept",
        &[
            "--nodes",
            "3",
            "--miners",
            "2",
            "--validators",
            "2",
            "--cheats",
            "0",
            "--rounds",
            &rounds,
            "--chaos",
            "kill-node@1,stall-node@3",
            "--run",
            RUN,
        ],
    );
    let ended = devnet.run(ROUNDS, |_| {});
    let (kept, report) = (&ended.kept, &ended.report);

    // All hold the last parameters, and both failures cost at most the rounds in which they came.
    ended.all_hold_one_model();
    let null = report.rounds.iter().filter(|it| it.included.is_empty());
    assert!(null.count() <= 2, "{:?}", report.rounds);
    let final_rounds = report.rounds.get(ROUNDS - 2..).expect("seven");
    assert!(
        final_rounds.iter().any(|round| round.included.len() == 2),
        "nobody came back: {:?}",
        report.rounds
    );

    // They lost the first node, and then the second.
    for name in ["miner-1", "miner-2", "validator-1", "validator-2"] {
        let log = std::fs::read_to_string(kept.join(format!("logs/{name}.log")));
        let log = log.expect("kept");
        let moves = log.matches("lost the node's blocks").count();
        assert!(moves >= 2, "{name} moved {moves} times:\n{log}");
    }
}
